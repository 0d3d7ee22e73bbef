"""Drop rows without references, from transitions to models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.maintenance.coverages import tidy_spans
from pipeline.store import Store

_IN_IDS = " in (select value from json_each(:ids))"


class _Table(NamedTuple):
    """A table, the condition for unneeded rows, and the tables (with their column) of rows of theirs."""

    name: str
    unneeded: str
    children: tuple[tuple[str, str], ...] = ()


# The order matters: a listing is unneeded after its transitions were dropped.
_TABLES = (
    _Table(
        "transitions",
        """
        id not in (select transition from sightings where transition is not null)
        and id not in (select transition from missing)
        """,
        (("changes", "transition"),),
    ),
    _Table("fields", "id not in (select field from field_changes)"),
    _Table(
        "listings",
        """
        id not in (select before from transitions) and id not in (select after from transitions)
        and id not in (select listing from sightings where listing is not null)
        and id not in (select listing from scopes where listing is not null)
        and id not in (select held from scopes where held is not null)
        """,
        (("listing_records", "listing"),),
    ),
    _Table(
        "records",
        """
        id not in (select record from listing_records)
        and id not in (select before from changes where before is not null)
        and id not in (select after from changes where after is not null)
        and id not in (select record from departures) and id not in (select record from regains)
        """,
        (("permissions", "record"), ("record_prices", "record")),
    ),
    _Table(
        "models",
        """
        id not in (select model from records) and id not in (select model from changes)
        and id not in (select model from departures) and id not in (select model from flaps)
        """,
    ),
    _Table("coverages", "id not in (select covered from snapshots)"),
    _Table("reasons", "id not in (select reason from sightings where reason is not null)"),
)


def drop_unneeded(store: Store, dropped: Counter[str]) -> None:
    """Drop transitions, listings, records, models, coverages and reasons without references.

    They are counted in `dropped`.

    Must run inside a transaction. The caller drops snapshots, sightings and deliveries before.
    """
    for table in _TABLES:
        ids = _ids(store, f"select id from {table.name} where {table.unneeded}")  # noqa: S608 - our own names
        if table.name == "transitions":
            # One by one, since all changes together may be most of the database.
            for transition in ids:
                changes = _ids(store, f"select id from changes where transition = {transition}")  # noqa: S608 - a number
                drop(store, "field_changes", "change" + _IN_IDS, json.dumps(changes), dropped)
        for child, column in table.children:
            drop(store, child, column + _IN_IDS, json.dumps(ids), dropped)
        drop_ids(store, table.name, ids, dropped)
    tidy_spans(store)


def _ids(store: Store, sql: str) -> list[int]:
    return [row for (row,) in store.stream(sql)]


def drop_ids(store: Store, table: str, ids: Iterable[int], dropped: Counter[str]) -> None:
    """Delete rows by their ids, and count them in `dropped`."""
    drop(store, table, "id" + _IN_IDS, json.dumps(sorted(ids)), dropped)


def drop(store: Store, table: str, where: str, ids: str, dropped: Counter[str]) -> None:
    """Delete the rows of a table by a condition on `:ids`, a JSON array, and count them in `dropped`."""
    cursor = store.connection.execute(f"delete from {table} where {where}", {"ids": ids})  # noqa: S608 - our own names
    dropped[table] += cursor.rowcount
