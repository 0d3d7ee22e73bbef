"""Write the changes of a transition as they should be; what is right already stays, with its id.

Derive again what follows from the truth, and write what differs: pointers, changes, facts, permissions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.errors import StoreError
from pipeline.maintenance.derive import (
    Derived,
    Shelf,
    StoredChange,
    counts,
    derive,
    differences,
    may_be,
    stored,
    transitions,
)
from pipeline.maintenance.facts import DialectsOf, misread
from pipeline.maintenance.replay import Replay, replay, sightings
from pipeline.maintenance.verify import (
    Check,
    coverage_problems,
    ledger_problems,
    listing_problems,
    record_problems,
)
from pipeline.store import Store, unindexed, refill_search
from pipeline.store.bulk import RowIds, BulkWriter
from pipeline.store.contents import field_ids

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


_BELOW = {
    "changes": "select coalesce(max(id), 0) from changes where transition < :owner",
    "field_changes": "select coalesce(max(id), 0) from field_changes where change < :owner",
}


_ABOVE = {
    "changes": "select min(id) from changes where transition > :owner",
    "field_changes": "select min(id) from field_changes where change > :owner",
}


class Changes:
    """Corrects rows inside an open transaction, and counts those that it wrote or dropped."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer = BulkWriter(store)
        self._ids = RowIds(store)
        self.changes = 0
        self.field_changes = 0

    def count(self, transition: int, counts: Mapping[str, int]) -> None:
        """Write the counts of a transition, and the name that shows them."""
        name = f"+{counts['added']} -{counts['removed']} ~{counts['changed']}"
        self._store.db.table("transitions").update(transition, {"name": name, **counts})

    def replace(self, transition: int, rows: Sequence[StoredChange], fresh: Sequence[Derived]) -> None:
        """Give a transition these changes and no others."""
        first: dict[int, StoredChange] = {}
        for row in rows:
            first.setdefault(row.model, row)
        wanted = {change.model for change in fresh}
        self._drop([row.id for row in rows if first[row.model] is not row or row.model not in wanted])
        known = [first[change.model].id if change.model in first else None for change in fresh]
        ids = self._placed("changes", transition, known)
        for number, change in zip(ids, fresh, strict=True):
            known_row = first.get(change.model)
            if known_row is None or known_row.sides != change.sides:
                self._write(number, transition, change, is_there=known_row is not None)
            self._fields(number, change, known_row)

    def _drop(self, changes: Sequence[int]) -> None:
        for number in changes:
            gone = self._store.connection.execute("delete from field_changes where change = ?", [number])
            self.field_changes += gone.rowcount
            self._store.connection.execute("delete from changes where id = ?", [number])
        self.changes += len(changes)

    def _write(self, number: int, transition: int, change: Derived, *, is_there: bool) -> None:
        row = {
            "name": f"{_SIGNS[change.kind]} {change.model_name}",
            "transition": transition,
            "model": change.model,
            "kind": change.kind,
            "before": change.before,
            "after": change.after,
        }
        if is_there:
            self._store.db.table("changes").update(number, row)
        else:
            self._writer.insert("changes", [{"id": number, **row}])
        self.changes += 1

    def _fields(self, number: int, change: Derived, row: StoredChange | None) -> None:
        """Write the fields of a change in their order, each under its id where it has one."""
        now = {field.field: field for field in row.fields} if row else {}
        wanted = []
        for field in change.fields:
            known = now.get(field.field)
            category = known.category if known and may_be(known.category, field.category) else field.category
            wanted.append((field.field, field.before, field.after, category))
        told = [(f.field, f.before, f.after, f.category) for f in row.fields] if row else []
        if told == wanted:
            return
        ids = self._placed(
            "field_changes",
            number,
            [now[field].id if field in now else None for field, *_ in wanted],
        )
        if ids != sorted(ids):
            first = self._writer.next_id("field_changes")
            ids = list(range(first, first + len(wanted)))
        self.field_changes += len(set(told) ^ set(wanted)) or len(wanted)
        self._store.connection.execute("delete from field_changes where change = ?", [number])
        fields = field_ids(self._writer, self._ids, ((field, of) for field, _, _, of in wanted))
        self._writer.insert(
            "field_changes",
            [
                {
                    "id": row_id,
                    "change": number,
                    "field": fields[field, category],
                    "before": before,
                    "after": after,
                }
                for row_id, (field, before, after, category) in zip(ids, wanted, strict=True)
            ],
        )

    def _placed(self, table: str, owner: int, known: Sequence[int | None]) -> list[int]:
        """Give ids to rows that have none: in the gap where they belong, or else after all others."""
        parameters = {"owner": owner}
        ((below,),) = self._store.stream(_BELOW[table], parameters)
        ((above,),) = self._store.stream(_ABOVE[table], parameters)
        return placed(known, below=below, above=above, free=self._writer.next_id(table))

    def drop_orphans(self) -> None:
        """Drop rows whose transition or change is not there."""
        lost = self._store.connection.execute(
            "delete from changes where transition not in (select id from transitions)"
        )
        self.changes += lost.rowcount
        lost = self._store.connection.execute(
            "delete from field_changes where change not in (select id from changes)"
        )
        self.field_changes += lost.rowcount


def placed(known: Sequence[int | None], *, below: int, above: int | None, free: int) -> list[int]:
    """Give each row an id: its own, one in the gap between its neighbours', or one that is free at the end.

    Args:
        known: the ids of rows in their order, None for those that have none.
        below: the highest id of the rows that come before them.
        above: the lowest id of the rows that come after them; None where there are none.
        free: from here on no id is taken.
    """
    taken = {number for number in known if number is not None}
    ids: list[int] = []
    last = below
    for index, number in enumerate(known):
        if number is None:
            later = (each for each in known[index + 1 :] if each is not None)
            limit = next(later, above)
            fits = last + 1 not in taken and (limit is None or last + 1 < limit)
            number = last + 1 if fits else free  # noqa: PLW2901 - the id that it gets
            free = max(free, number + 1)
        ids.append(number)
        last = max(last, number)
    return ids


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
            store.check_foreign_keys()
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
    wrong = len(unindexed(store))
    if wrong:
        refill_search(store)
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
    ids = placed(known, below=below or 0, above=above, free=BulkWriter(store).next_id("permissions"))
    ((name,),) = store.stream("select name from records where id = :record", parameters)
    store.connection.execute("delete from permissions where record = :record", parameters)
    BulkWriter(store).insert(
        "permissions",
        [
            {"id": number, "name": name, "record": record, **row}
            for number, row in zip(ids, rows, strict=True)
        ],
    )
