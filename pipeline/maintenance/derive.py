"""Derive transitions from their listings again, and say where what is stored differs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipeline.core.diff import QUIET, FieldComparer, diff
from pipeline.core.types import FieldChange, Listing, Record
from pipeline.store import Store

_KEPT = 16
"""So many listings are kept in mind: one transition mostly begins where another ends."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A change as it follows from two listings; ids are those of the tables."""

    model: int
    model_name: str
    kind: str
    before: int | None
    after: int | None
    fields: tuple[FieldChange, ...]

    @property
    def sides(self) -> tuple[str, int | None, int | None]:
        """Its kind, and the records of its two sides."""
        return self.kind, self.before, self.after


@dataclass(frozen=True, slots=True)
class StoredField:
    """A row of `field_changes`."""

    id: int
    field: str
    before: str | None
    after: str | None
    category: str


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A row of `changes` with its fields."""

    id: int
    model: int
    kind: str
    before: int | None
    after: int | None
    fields: tuple[StoredField, ...]

    @property
    def sides(self) -> tuple[str, int | None, int | None]:
        """Its kind, and the records of its two sides."""
        return self.kind, self.before, self.after


@dataclass(frozen=True, slots=True)
class Transition:
    """A row of `transitions`."""

    id: int
    before: int
    after: int
    added: int
    removed: int
    changed: int


@dataclass(frozen=True, slots=True)
class Shelved:
    """A listing, and the ids of the model and the record that each of its models has in the tables."""

    listing: Listing
    ids: dict[str, tuple[int, int]]


class Shelf:
    """Gives listings, each read once while it is needed; a record that the last one had is not read again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[int, tuple[int, Record]] = {}
        self.listing = lru_cache(_KEPT)(self._listing)

    def _listing(self, number: int) -> Shelved:
        parameters = {"listing": number}
        ids = [row for (row,) in self._store.stream(_MEMBERS, parameters)]
        unknown = [row for row in ids if row not in self._last]
        rows = self._store.stream(_RECORDS, {"records": json.dumps(unknown)})
        fresh = {row: (model, Record(name, digest, body)) for row, model, name, digest, body in rows}
        self._last = {row: fresh.get(row) or self._last[row] for row in ids}
        head = "select digest, reading from listings where id = :listing"
        ((digest, reading),) = self._store.stream(head, parameters)
        records = {record.model: record for _, record in self._last.values()}
        known = {record.model: (model, row) for row, (model, record) in self._last.items()}
        return Shelved(Listing(records, digest, reading), known)


_MEMBERS = "select record from listing_records where listing = :listing"


_RECORDS = """
    select records.id, records.model, models.name, records.digest, records.body
    from json_each(:records) as wanted
    join records on records.id = wanted.value
    join models on models.id = records.model
"""


def transitions(store: Store) -> list[Transition]:
    """Give every transition, in order."""
    rows = store.stream("select id, before, after, added, removed, changed from transitions order by id")
    return [Transition(*row) for row in rows]


def derive(shelf: Shelf, before: int, after: int, quiet: tuple[str, ...] = ()) -> list[Derived]:
    """Give the changes between two listings, by model."""
    old, new = shelf.listing(before), shelf.listing(after)
    fields = FieldComparer(old.listing, new.listing, quiet)
    found = []
    for change in diff(old.listing, new.listing):
        was = old.ids[change.model] if change.before else None
        now = new.ids[change.model] if change.after else None
        model, _ = was or now or (0, 0)
        records = (was and was[1], now and now[1])
        found.append(Derived(model, change.model, str(change.kind), *records, tuple(fields(change))))
    return found


def stored(store: Store, transition: int) -> list[StoredChange]:
    """Give the changes of a transition as they are stored, by id."""
    rows = store.stream(
        """
        select field_changes.change, field_changes.id, fields.name, field_changes.before,
               field_changes.after, fields.class from changes
        join field_changes on field_changes.change = changes.id
        join fields on fields.id = field_changes.field
        where changes.transition = :transition order by field_changes.id
        """,
        {"transition": transition},
    )
    fields: dict[int, list[StoredField]] = {}
    for change, *field in rows:
        fields.setdefault(change, []).append(StoredField(*field))
    changes = store.stream(
        "select id, model, kind, before, after from changes where transition = :transition order by id",
        {"transition": transition},
    )
    return [
        StoredChange(number, model, kind, before, after, tuple(fields.get(number, ())))
        for number, model, kind, before, after in changes
    ]


def counts(derived: Sequence[Derived]) -> dict[str, int]:
    """Count changes by kind."""
    found = Counter(change.kind for change in derived)
    return {kind: found[kind] for kind in ("added", "removed", "changed")}


def may_be(stored: str, derived: str) -> bool:
    """Say whether a class can be right: what was quiet when it was recorded is not known any more."""
    return stored in (derived, QUIET)


def differences(
    transition: Transition, derived: Sequence[Derived], rows: Sequence[StoredChange]
) -> Iterator[tuple[str, int, str]]:
    """Say where what is stored of a transition is not what follows from its listings: table, id, what."""
    said = {"added": transition.added, "removed": transition.removed, "changed": transition.changed}
    if said != counts(derived):
        yield "transitions", transition.id, "its counts are not those of its listings"
    wanted = {change.model: change for change in derived}
    for row in rows:
        change = wanted.pop(row.model, None)
        if change is None:
            yield "changes", row.id, "its listings do not differ in this model, or it is told twice"
        elif row.sides != change.sides:
            yield "changes", row.id, "it is not what happened between its listings"
        else:
            yield from _field_differences(change, row)
    for change in wanted.values():
        yield "transitions", transition.id, f"the change of {change.model_name} is not there"


def _field_differences(change: Derived, row: StoredChange) -> Iterator[tuple[str, int, str]]:
    told = [(field.field, field.before, field.after) for field in row.fields]
    if told != [(field.field, field.before, field.after) for field in change.fields]:
        yield (
            "changes",
            row.id,
            f"its fields are not those in which the records of {change.model_name} differ",
        )
        return
    for field, fresh in zip(row.fields, change.fields, strict=True):
        if not may_be(field.category, fresh.category):
            yield "field_changes", field.id, f"its class is {field.category}, and should be {fresh.category}"
