"""Derive again what follows from the truth, and write what differs: pointers, changes, facts, permissions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.care.changing import Changes, placed
from pipeline.care.deriving import Shelf, counts, derive, differences, stored, transitions
from pipeline.care.problems import Check
from pipeline.care.readings import DialectsOf, misread
from pipeline.care.replaying import Replay, replay, sightings
from pipeline.care.truth import coverage_problems, listing_problems, record_problems
from pipeline.care.verifying import ledger_problems
from pipeline.errors import StoreError
from pipeline.store import Store, mislaid, refill
from pipeline.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many rows were corrected, by what they are; `unknown` records are of dialects not known here.

    `words` are models that were not found by the words that they should be found by.
    """

    scopes: int = 0
    transitions: int = 0
    changes: int = 0
    field_changes: int = 0
    facts: int = 0
    permissions: int = 0
    words: int = 0
    unknown: int = 0


def rebuild(store: Store, known: DialectsOf) -> Rebuilt:
    """Derive again what follows from records, listings and sightings; ids of rows that stay, stay.

    Args:
        store: an open database; the caller holds its lock.
        known: gives the dialects in which a listing may have been read.

    Raises:
        StoreError: what it would derive from is damaged; nothing was written.
    """
    # A transition that is lost leaves its changes and sightings without one until it is there again.
    store.connection.execute("pragma foreign_keys = off")
    try:
        with store.transaction():
            found = replay(sightings(store))
            _refuse(store, [record_problems(store), listing_problems(store), coverage_problems(store)], found)
            scopes = _refs(store, found)
            moves = _transitions(store, found)
            changes, fields = _changes(store, known)
            facts, permissions, unknown = correct_readings(store, known)
            words = _words(store)
            dangling = store.rows("pragma foreign_key_check")
            if dangling:
                raise StoreError(
                    f"has rows in {dangling[0]['table']} that lead nowhere: restore it from a backup",
                    path=store.path,
                )
            return Rebuilt(scopes, moves, changes, fields, facts, permissions, words, unknown)
    finally:
        store.connection.execute("pragma foreign_keys = on")


def _refuse(store: Store, checks: list[Check], found: Replay) -> None:
    damaged = [problem for check in (*checks, ledger_problems(found, 0)) for problem in check.problems]
    if damaged:
        first = damaged[0]
        raise StoreError(
            f"the history itself is damaged, first in {first.table} {first.id} ({first.says}): "
            "restore it from a backup; `modelwatch verify` shows all",
            path=store.path,
        )


def _refs(store: Store, found: Replay) -> int:
    """Point scopes at what their sightings lead to; what was known of their bytes is of another listing."""
    corrected = 0
    for row in store.rows("select id, listing, held, sighting from scopes"):
        known = found.known.get(row["id"])
        wanted = asdict(known) if known else dict.fromkeys(("listing", "held", "sighting"))
        if wanted != {name: row[name] for name in wanted}:
            forgotten = dict.fromkeys(("fingerprint", "etag", "last_modified"))
            store.db.table("scopes").update(row["id"], wanted | forgotten)
            corrected += 1
    return corrected


def _transitions(store: Store, found: Replay) -> int:
    """Make each transition the move that its sightings made."""
    rows = {row.id: row for row in transitions(store)}
    corrected = 0
    for number, sides in sorted(found.sides.items()):
        ((before, after),) = sides
        row = rows.get(number)
        if row and (row.before, row.after) == (before, after):
            continue
        values = {"name": "", "before": before, "after": after, "added": -1, "removed": -1, "changed": -1}
        store.db.table("transitions").insert({"id": number, **values}, replace=True)
        corrected += 1
    return corrected


def _changes(store: Store, known: DialectsOf) -> tuple[int, int]:
    """Give each transition the changes and the counts that follow from its listings."""
    shelf, writer = Shelf(store), Changes(store)
    writer.drop_orphans()
    quiet = _quiet(store, known)
    for row in transitions(store):
        fresh = derive(shelf, row.before, row.after, quiet.get(row.after, ()))
        now = stored(store, row.id)
        if not any(differences(row, fresh, now)):
            continue
        if counts(fresh) != {"added": row.added, "removed": row.removed, "changed": row.changed}:
            writer.count(row.id, counts(fresh))
        writer.replace(row.id, now, fresh)
    return writer.changes, writer.field_changes


def _words(store: Store) -> int:
    """Fill the search anew where it is not as it should be."""
    wrong = len(mislaid(store))
    if wrong:
        refill(store)
    return wrong


def _quiet(store: Store, known: DialectsOf) -> dict[int, tuple[str, ...]]:
    """Give the quiet paths of each listing, as its dialect has them today."""
    rows = store.rows(
        """
        select listings.id, gateways.name as gateway, listings.reading from listings
        join gateways on gateways.id = listings.gateway
        """
    )
    found = {}
    for row in rows:
        dialects = known(row["gateway"], row["reading"])
        found[row["id"]] = dialects[0].quiet if dialects else ()
    return found


def correct_readings(
    store: Store, known: DialectsOf, *, only: set[int] | None = None
) -> tuple[int, int, int]:
    """Write the facts and permissions of records as they are read today, where they differ.

    Gives how many records had other facts, how many other permissions, and how many are of a dialect that is
    not known here. Must run inside a transaction.
    """
    found = misread(store, known, only=only)
    for number, columns in found.facts.items():
        store.db.table("records").update(number, columns)
    for number, rows in sorted(found.permissions.items()):
        _write_permissions(store, number, rows)
    return len(found.facts), len(found.permissions), found.unknown


def _write_permissions(store: Store, record: int, rows: list[dict[str, Any]]) -> None:
    """Give a record these permissions; each has the id that was in its place, or one in the gap."""
    parameters = {"record": record}
    now = [
        number
        for (number,) in store.stream(
            "select id from permissions where record = :record order by id", parameters
        )
    ]
    known: list[int | None] = [*now[: len(rows)], *[None] * (len(rows) - len(now))]
    below, above = (
        next(store.stream(f"select {of_them} :record", parameters))[0]
        for of_them in (
            "max(id) from permissions where record <",
            "min(id) from permissions where record >",
        )
    )
    ids = placed(known, below=below or 0, above=above, free=Writer(store).next_id("permissions"))
    ((name,),) = store.stream("select name from records where id = :record", parameters)
    store.connection.execute("delete from permissions where record = :record", parameters)
    Writer(store).insert(
        "permissions",
        [
            {"id": number, "name": name, "record": record, **row}
            for number, row in zip(ids, rows, strict=True)
        ],
    )
