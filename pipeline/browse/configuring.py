"""The configuration with which Datasette shows the database well: one value, the same for 0.65 and 1.0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.browse.described import HIDDEN, SHOWN, columns_of
from pipeline.browse.queries import QUERIES
from pipeline.browse.shown import Shown, plain
from pipeline.browse.tables import TABLES
from pipeline.store import Store

SETTINGS = {
    # Suggestions try every column at every page; what helps is among the facets that are configured.
    "suggest_facets": "off",
    # Facets stand above the rows: a long one would push them off the screen.
    "default_facet_size": "5",
    "truncate_cells_html": "200",
    # A stored query shows no second page: more rows than this take longer to draw than anybody waits.
    "max_returned_rows": "400",
}
"""Datasette's settings: 0.65 takes them from the command line only, so both are given them there."""


def configuration(store: Store, database: str, watch: Sequence[str] = ()) -> dict[str, Any]:
    """Give what Datasette calls metadata and, from 1.0 on, config; where it has both it is given as both.

    Args:
        store: the open database, whose tables and columns are described.
        database: what Datasette calls it: the name of its file without the ending.
        watch: ids and globs of models that somebody depends on: the start page tells of them first.
    """
    there = columns_of(store)
    shown = {
        name: _shown(each, there[name], is_table=name in TABLES)
        for name, each in SHOWN.items()
        if name in there
    }
    return {
        "title": "modelwatch",
        "description": "Which models the gateways really offer, to every key and group, and what changed.",
        "plugins": {"modelwatch": {"watch": list(watch)}},
        "databases": {
            database: {
                "description": "The whole history. Begin with the views: offers (what is offered now), "
                "change_log, matrix, health.",
                "tables": shown | {name: {"hidden": True} for name in HIDDEN},
                "queries": {query.name: query.configured() for query in QUERIES},
            }
        },
    }


def _shown(shown: Shown, columns: dict[str, str], *, is_table: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": plain(shown.says),
        "columns": {name: plain(says) for name, says in columns.items()},
    }
    if shown.sort:
        found["sort_desc" if shown.sort.startswith("-") else "sort"] = shown.sort.removeprefix("-")
    if shown.facets:
        found["facets"] = list(shown.facets)
    if is_table and "name" in columns:
        found["label_column"] = "name"
    if shown.found_by:
        found |= {"fts_table": "models_fts", "fts_pk": shown.found_by}
    if shown.hidden:
        found["hidden"] = True
    return found
