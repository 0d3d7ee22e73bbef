"""Say much in few lines: what flaps, what comes or goes in bulk, what every record gained at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.reports.report import Event
from pipeline.types import FieldChange, Kind

_T = TypeVar("_T")

FLAPS = 3
"""From so many events of one model on, they are told as one."""

BULK = 8
"""From so many models of one mark on, that come or go together, they are told as one."""


@dataclass(frozen=True, slots=True)
class Flap:
    """Several events of one model, for the same scopes: the last of them, the first, and how many."""

    last: Event
    first: Event
    times: int
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Bulk:
    """Models that came or went together and share a mark: `*:batch`, `vendor/*`, or an owner.

    For changed models the mark is empty, and what they share is that the same fields changed in the same way.
    """

    kind: Kind
    mark: str
    events: tuple[Event, ...]


def flaps(events: Sequence[Event]) -> tuple[list[Event], list[Flap]]:
    """Take out the models that come and go, and the fields that go back and forth."""
    runs: dict[tuple[str, str, tuple[str, ...], bool], list[Event]] = {}
    for event in events:
        key = (event.gateway, event.model, event.scopes, event.kind == Kind.CHANGED)
        runs.setdefault(key, []).append(event)
    folded = {
        key: run for key, run in runs.items() if len(run) >= FLAPS and not any(event.urgent for event in run)
    }
    taken = {id(event) for run in folded.values() for event in run}
    steady = [event for event in events if id(event) not in taken]
    return steady, [Flap(run[-1], run[0], len(run), _net(run)) for run in folded.values()]


def _net(run: Sequence[Event]) -> tuple[FieldChange, ...]:
    """Give each field from its first state to its last."""
    first: dict[str, FieldChange] = {}
    last: dict[str, FieldChange] = {}
    for event in run:
        for field in event.fields:
            first.setdefault(field.field, field)
            last[field.field] = field
    return tuple(
        FieldChange(name, first[name].before, last[name].after, first[name].category) for name in first
    )


def bulks(events: Iterable[Event]) -> tuple[list[Event], list[Bulk]]:
    """Take out the models of one run that came or went together under one mark."""
    rest = list(events)
    found: list[Bulk] = []
    for kind in (Kind.REMOVED, Kind.ADDED, Kind.RETURNED):
        crowded, _ = crowds([event for event in rest if event.kind == kind], _marks)
        taken = {id(event) for _, members in crowded for event in members}
        rest = [event for event in rest if id(event) not in taken]
        found += [Bulk(kind, mark, tuple(members)) for mark, members in crowded]
    return _alike(rest, found)


def crowds(
    items: Sequence[_T], marks_of: Callable[[_T], Collection[str]]
) -> tuple[list[tuple[str, list[_T]]], list[_T]]:
    """Take out those that share a mark, where they are many: the largest crowd first; and give the others."""
    rest = [(item, marks_of(item)) for item in items]
    found: list[tuple[str, list[_T]]] = []
    while True:
        counts = Counter(mark for _, of_it in rest for mark in of_it)
        mark = max(counts, key=lambda mark: (counts[mark], mark), default="")
        if counts[mark] < BULK:
            return found, [item for item, _ in rest]
        found.append((mark, [item for item, of_it in rest if mark in of_it]))
        rest = [(item, of_it) for item, of_it in rest if mark not in of_it]


def _marks(event: Event) -> set[str]:
    """Give the marks of an event of which there is nothing to say beside its kind and its model."""
    plain = not (event.fields or event.twin or event.urgent)
    return marks(event.model, event.owned_by) if plain else set()


def _alike(events: list[Event], found: list[Bulk]) -> tuple[list[Event], list[Bulk]]:
    """Take out the models of which the same fields changed in the same way."""
    same: dict[tuple[FieldChange, ...], list[Event]] = {}
    for event in events:
        if event.kind == Kind.CHANGED and not event.urgent:
            same.setdefault(event.fields, []).append(event)
    many = {fields: members for fields, members in same.items() if len(members) >= BULK}
    found += [Bulk(Kind.CHANGED, "", tuple(members)) for members in many.values()]
    taken = {id(event) for members in many.values() for event in members}
    return [event for event in events if id(event) not in taken], found


def marks(model: str, owner: str | None) -> set[str]:
    """Give what a model's name has in common with others: `vendor/*`, `*:variant`, `of OWNER`."""
    vendor, slash, _ = model.partition("/")
    _, colon, variant = model.rpartition(":")
    found = {f"{vendor}/*"} if slash else set()
    if colon:
        found.add(f"*:{variant}")
    if owner:
        found.add(f"of {owner}")
    return found
