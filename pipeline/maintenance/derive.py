"""Derive the changes of transitions from their listings, and compare them with the stored changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from msgspec import Struct

from pipeline.core.categories import QUIET
from pipeline.core.diff import NO_RULES, FieldComparer, FieldRules, diff
from pipeline.core.types import Change, FieldChange, Listing, Record
from pipeline.maintenance.facts import DialectsOf
from pipeline.store import Store
from pipeline.store.transitions import summary

_CACHED_LISTINGS = 16
"""Most transitions begin where another one ends, so a few listings are enough."""

Sides = tuple[str, int | None, int | None]
"""A change's kind, and its rows of `records` before and after."""


class Transition(Struct, frozen=True):
    """A row of `transitions`."""

    id: int
    name: str
    before: int
    after: int
    added: int
    removed: int
    changed: int


def field_rules(store: Store, dialects_of: DialectsOf) -> dict[int, list[FieldRules]]:
    """Return the rules of the dialects that may have parsed each listing; none of unknown dialects."""
    rows = store.stream(
        """
        select listings.id, gateways.name, listings.reading from listings
        join gateways on gateways.id = listings.gateway
        """
    )
    rules_of = cache(
        lambda gateway, reading: [dialect.field_rules for dialect in dialects_of(gateway, reading)]
    )
    return {listing: rules_of(gateway, reading) for listing, gateway, reading in rows}


class DerivedChange(Struct, frozen=True):
    """A change as it follows from two listings; `model` is a row of `models`."""

    change: Change
    model: int
    sides: Sides
    fields: tuple[FieldChange, ...]


class StoredField(Struct, frozen=True):
    """A row of `field_changes`."""

    id: int
    field: FieldChange


class StoredChange(Struct, frozen=True):
    """A row of `changes` with its fields."""

    id: int
    model: int
    sides: Sides
    fields: tuple[StoredField, ...]


class LoadedListing(Struct, frozen=True):
    """A listing, and the rows of `models` and `records` of each of its models, by the model's name."""

    listing: Listing
    ids: dict[str, tuple[int, int]]


class ListingLoader:
    """A loader of listings by id, with a cache; records of the last listing are not read again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[int, tuple[int, Record]] = {}
        self.load = lru_cache(_CACHED_LISTINGS)(self._load)

    def _load(self, listing: int) -> LoadedListing:
        parameters = {"listing": listing}
        members = [row for (row,) in self._store.stream(_MEMBERS, parameters)]
        new = [row for row in members if row not in self._last]
        rows = self._store.stream(_RECORDS, {"records": json.dumps(new)})
        read = {row: (model, Record(name, digest, body)) for row, model, name, digest, body in rows}
        self._last = {row: read.get(row) or self._last[row] for row in members}
        head = "select digest, reading from listings where id = :listing"
        ((digest, reading),) = self._store.stream(head, parameters)
        records = {record.model: record for _, record in self._last.values()}
        ids = {record.model: (model, row) for row, (model, record) in self._last.items()}
        return LoadedListing(Listing(records, digest, reading), ids)


_MEMBERS = "select record from listing_records where listing = :listing"

_RECORDS = """
    select records.id, records.model, models.name, records.digest, records.body
    from json_each(:records) as wanted
    join records on records.id = wanted.value
    join models on models.id = records.model
"""


def derive(
    loader: ListingLoader, before: int, after: int, rules: FieldRules = NO_RULES
) -> list[DerivedChange]:
    """Return the changes between two listings, by model."""
    old, new = loader.load(before), loader.load(after)
    fields_of = FieldComparer(old.listing, new.listing, rules)
    found = []
    for change in diff(old.listing, new.listing):
        left, right = old.ids.get(change.model), new.ids.get(change.model)
        side = left or right
        assert side
        sides = (str(change.kind), left and left[1], right and right[1])
        found.append(DerivedChange(change, side[0], sides, fields_of(change)))
    return found


def stored_transitions(store: Store) -> list[Transition]:
    """Return every transition, by id."""
    rows = store.stream(
        "select id, name, before, after, added, removed, changed from transitions order by id"
    )
    return [Transition(*row) for row in rows]


def stored_changes(store: Store, transition: int) -> list[StoredChange]:
    """Return the changes of a transition as they are stored, by id."""
    rows = store.stream(
        """
        select field_changes.change, field_changes.id, fields.name, field_changes.before,
               field_changes.after, fields.class, fields.shape_of from changes
        join field_changes on field_changes.change = changes.id
        join fields on fields.id = field_changes.field
        where changes.transition = :transition order by field_changes.id
        """,
        {"transition": transition},
    )
    fields: dict[int, list[StoredField]] = {}
    for change, row, *values in rows:
        fields.setdefault(change, []).append(StoredField(row, FieldChange(*values)))
    changes = store.stream(
        "select id, model, kind, before, after from changes where transition = :transition order by id",
        {"transition": transition},
    )
    return [
        StoredChange(row, model, (kind, before, after), tuple(fields.get(row, ())))
        for row, model, kind, before, after in changes
    ]


def may_be_category(stored: FieldChange, derived: FieldChange) -> bool:
    """Return whether a stored category can be right, since the quiet paths of its time are not recorded."""
    return stored.category == QUIET or _categories(stored) == _categories(derived)


def _categories(field: FieldChange) -> tuple[str, str | None]:
    return field.category, field.shape_of


def differences(
    transition: Transition,
    derived: Sequence[DerivedChange],
    stored: Sequence[StoredChange],
    *,
    categories: bool = True,
) -> Iterator[tuple[str, int, str]]:
    """Yield where the stored rows of a transition differ from the derived: table, row and message.

    Without `categories`, those of fields are not compared: they follow from an unknown dialect.
    """
    row = {"name": transition.name, "added": transition.added, "removed": transition.removed}
    if row | {"changed": transition.changed} != summary(each.change for each in derived):
        yield "transitions", transition.id, "its counts differ from those of its listings"
    wanted = {each.model: each for each in derived}
    for each in stored:
        expected = wanted.pop(each.model, None)
        if expected is None:
            yield "changes", each.id, "its listings do not differ in this model, or it is stored twice"
        elif each.sides != expected.sides:
            yield "changes", each.id, "it differs from the change between its listings"
        else:
            yield from _field_differences(expected, each, categories=categories)
    for missing in wanted.values():
        yield "transitions", transition.id, f"the change of {missing.change.model} is missing"


def _field_differences(
    derived: DerivedChange, stored: StoredChange, *, categories: bool
) -> Iterator[tuple[str, int, str]]:
    found = [(each.field.field, each.field.before, each.field.after) for each in stored.fields]
    if found != [(field.field, field.before, field.after) for field in derived.fields]:
        message = f"its fields differ from those of the records of {derived.change.model}"
        yield "changes", stored.id, message
        return
    for each, expected in zip(stored.fields, derived.fields, strict=True):
        if categories and not may_be_category(each.field, expected):
            is_, should = (" of ".join(filter(None, _categories(side))) for side in (each.field, expected))
            yield "field_changes", each.id, f"its class is {is_}, and should be {should}"
