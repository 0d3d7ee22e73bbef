"""What every table, view and column is, in words: for whoever browses, and for the documentation."""

from __future__ import annotations

from pipeline.browse.shown import COLUMNS, Shown
from pipeline.browse.tables import TABLES
from pipeline.browse.views import VIEWS
from pipeline.store import Store

SHOWN = {**TABLES, **VIEWS}
"""Every table and view of ours."""

HIDDEN = (
    "_sqlite_migrations",
    *(f"models_fts_{part}" for part in ("config", "content", "data", "docsize", "idx")),
    *(f"sqlite_stat{number}" for number in (1, 4)),
)
"""What others made for their own use, sqlite-utils and SQLite."""


def columns_of(store: Store) -> dict[str, dict[str, str]]:
    """Give what is known of the columns of every table and view that is there, in their order."""
    rows = store.rows(
        """
        select tables.name as whose, columns.name
        from pragma_table_list as tables, pragma_table_info(tables.name) as columns
        where tables.schema = 'main' order by tables.name, columns.cid
        """
    )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        shown = SHOWN.get(row["whose"], Shown(""))
        says = shown.columns.get(row["name"], COLUMNS.get(row["name"]))
        found.setdefault(row["whose"], {}).update({row["name"]: says} if says else {})
    return found
