"""Drop rows that nothing points at any more, from the ledger down to the models."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pipeline.store import Store

_LISTINGS = """
    listings where id not in (select before from transitions) and id not in (select after from transitions)
    and id not in (select listing from sightings where listing is not null)
    and id not in (select listing from scopes where listing is not null)
    and id not in (select held from scopes where held is not null)
"""


_TRANSITIONS = """
    transitions where id not in (select transition from sightings where transition is not null)
    and id not in (select transition from missing)
"""


_RECORDS = """
    records where id not in (select record from listing_records)
    and id not in (select before from changes where before is not null)
    and id not in (select after from changes where after is not null)
    and id not in (select record from departures)
"""


_MODELS = """
    models where id not in (select model from records) and id not in (select model from changes)
    and id not in (select model from departures)
"""


_FIELDS = "fields where id not in (select field from field_changes)"


_COVERAGES = "coverages where id not in (select covered from snapshots)"


_IN_IDS = " in (select value from json_each(:ids))"


_STEPS = (
    ("transitions", _TRANSITIONS, (("changes", "transition"),)),
    ("fields", _FIELDS, ()),
    ("listings", _LISTINGS, (("listing_records", "listing"),)),
    ("records", _RECORDS, (("permissions", "record"),)),
    ("models", _MODELS, ()),
    ("coverages", _COVERAGES, (("coverage_scopes", "coverage"),)),
)


def drop_unneeded(store: Store) -> dict[str, int]:
    """Drop transitions, listings, records, models and coverages that nothing needs; gives how many of each.

    Must run inside a transaction. Snapshots, sightings and deliveries are the caller's to drop.
    """
    dropped: dict[str, int] = {}
    for transition in _ids(store, _TRANSITIONS):
        _changes_of(store, transition, dropped)
    for table, unneeded, below in _STEPS:
        ids = json.dumps(_ids(store, unneeded))
        for other, column in below:
            drop(store, other, column + _IN_IDS, ids, dropped)
        drop(store, table, "id" + _IN_IDS, ids, dropped)
    return dropped


def _changes_of(store: Store, transition: int, dropped: dict[str, int]) -> None:
    changes = json.dumps(
        [
            row
            for (row,) in store.stream(
                "select id from changes where transition = :transition", {"transition": transition}
            )
        ]
    )
    drop(store, "field_changes", "change" + _IN_IDS, changes, dropped)


def _ids(store: Store, unneeded: str) -> list[int]:
    return [row for (row,) in store.stream(f"select id from {unneeded}")]  # noqa: S608 - our own names


def drop(store: Store, table: str, where: str, ids: str, dropped: dict[str, int]) -> None:
    """Delete the rows of a table that `:ids`, a JSON array, chooses; counts them in `dropped`."""
    gone = store.connection.execute(f"delete from {table} where {where}", {"ids": ids})  # noqa: S608 - our own names
    dropped[table] = dropped.get(table, 0) + gone.rowcount


def drop_ids(store: Store, table: str, ids: Iterable[int], dropped: dict[str, int]) -> None:
    """Delete rows by their ids."""
    drop(store, table, "id" + _IN_IDS, json.dumps(sorted(ids)), dropped)
