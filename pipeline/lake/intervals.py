"""Intervals of time, from the sightings of scopes: what each offered, at what prices, and in which state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from pipeline.core.types import PROBLEMS, SETS_LISTING, Outcome
from pipeline.store.export import ScopeSighting

T = TypeVar("T")


class Interval(NamedTuple, Generic[T]):
    """A value from one time up to another (ISO 8601 UTC); `until` is None while it holds."""

    value: T
    since: str
    until: str | None


Intervals = tuple[Interval[T], ...]

Sequel = Sequence[tuple[str, T | None]]
"""Times in order, each with the value from then on; None for no value."""

HEALTHY = ("ok", None)
"""The state of a scope whose answers are accepted, and no reason."""


def offered_listings(sightings: Iterable[ScopeSighting], retired_at: str | None) -> Intervals[int]:
    """Return the listings that a scope offered, as `modelwatch models --at` finds them.

    Args:
        sightings: those of the scope, by time.
        retired_at: when it was no longer asked (ISO 8601 UTC).
    """
    # By a clock that was wrong for a time, a later sighting has an earlier time, and holds from then on.
    setting = last = None
    points: list[tuple[str, int | None]] = []
    for each in sightings:
        last = _later(last, each)
        if each.outcome in SETS_LISTING:
            setting = _later(setting, each)
        is_retired = last.outcome == Outcome.RETIRED
        points.append((each.at, setting.listing if setting and not is_retired else None))
    return _joined(_ended(points, retired_at))


State = tuple[str, str | None]
"""`ok`, `held` or `failed`, and the class of the error or the kind of the hold."""


def states(sightings: Iterable[ScopeSighting], retired_at: str | None) -> Intervals[State]:
    """Return the states of a scope; a scope that is not asked has none. The arguments are as above."""
    last = None
    points: list[tuple[str, State | None]] = []
    for each in sightings:
        last = _later(last, each)
        state = (last.outcome, last.reason) if last.outcome in PROBLEMS else HEALTHY
        points.append((each.at, None if last.outcome == Outcome.RETIRED else state))
    return _joined(_ended(points, retired_at))


def _later(one: ScopeSighting | None, other: ScopeSighting) -> ScopeSighting:
    """Return which of two sightings was recorded later."""
    return other if one is None or other.id > one.id else one


def _ended(points: Sequel[T], at: str | None) -> Sequel[T]:
    return points if at is None else [*(each for each in points if each[0] < at), (at, None)]


def _joined(points: Sequel[T]) -> Intervals[T]:
    """Return the intervals between points; the last of several at one time counts."""
    found: list[Interval[T]] = []
    value, since = None, ""
    for at, then in dict(points).items():
        if then == value:
            continue
        if value is not None:
            found.append(Interval(value, since, at))
        value, since = then, at
    if value is not None:
        found.append(Interval(value, since, None))
    return tuple(found)


def offered_records(
    listings: Intervals[int], records_of: Callable[[int], frozenset[int]]
) -> list[Interval[int]]:
    """Return how long each record was offered, whatever else its listings had; by time.

    Args:
        listings: those that a scope offered.
        records_of: returns the records of a listing.
    """
    found: list[Interval[int]] = []
    since: dict[int, str] = {}
    until: str | None = None
    for listing in listings:
        records = records_of(listing.value)
        kept = records if until == listing.since else frozenset[int]()
        found += [Interval(each, since.pop(each), until) for each in since.keys() - kept]
        since |= dict.fromkeys(records - since.keys(), listing.since)
        until = listing.until
    found += [Interval(each, start, until) for each, start in since.items()]
    return sorted(found, key=lambda each: (each.since, each.value))


def joined_rows(
    records: Iterable[Interval[int]],
    rows_of: Callable[[int], Sequence[int]],
    subjects: Sequence[int],
    values: Sequence[object],
) -> list[Interval[int]]:
    """Return how long each row of a table held, whatever else of its records changed; by subject and time.

    Args:
        records: those that a scope offered, by time.
        rows_of: returns the rows of a record.
        subjects: what each row is about: the place of its model, or of its meter, in the order of the table.
        values: all else of each row.
    """
    found: list[Interval[int]] = []
    last: dict[int, int] = {}
    for record in records:
        for row in rows_of(record.value):
            subject = subjects[row]
            before = found[last[subject]] if subject in last else None
            if before and before.until == record.since and values[before.value] == values[row]:
                found[last[subject]] = Interval(before.value, before.since, record.until)
            else:
                last[subject] = len(found)
                found.append(Interval(row, record.since, record.until))
    return sorted(found, key=lambda each: (subjects[each.value], each.since, each.value))
