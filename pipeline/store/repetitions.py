"""Drop the sightings of a long problem that repeat others, so that a broken gateway does not fill the disk.

A failure whose cause changes at each run has a sighting per run, as a list that is held at each run. Those of
the last day, and the last 50, stay. Of the others, these stay:

* of a failure: for each class, the first one, the first one after six hours, and the last one;
* of a hold: the same for each list and reason, of the first and of the last time that no other answer came
  between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.core.failures import lasts
from pipeline.core.times import shifted
from pipeline.core.types import PROBLEMS, Outcome
from pipeline.store.database import Store
from pipeline.store.reasons import drop_unused_reasons

_RECENT = 24 * 3600
"""The seconds for which all sightings stay."""

_NEWEST = 50
"""The last sightings of a scope, which stay."""

_SEEN = 1000
"""The last sightings of a scope that are looked at: those before them were looked at earlier."""


class _Row(NamedTuple):
    id: int
    snapshot: int
    at: str
    outcome: str
    kind: str | None
    listing: int | None
    began: int
    began_at: str
    reason: int | None


def drop_repetitions(store: Store, scopes: Iterable[int], at: str) -> None:
    """Delete the sightings of the problems of scopes that repeat others.

    Args:
        store: an open database, in a transaction.
        scopes: the rows in `scopes`.
        at: the start of the run (ISO 8601 UTC).
    """
    many = store.rows(
        """
        select scopes.value as scope from json_each(:scopes) as scopes where exists (
            select 1 from sightings where sightings.scope = scopes.value
            order by snapshot desc limit 1 offset :newest)
        """,
        {"scopes": json.dumps(sorted(scopes)), "newest": _NEWEST},
    )
    for row in many:
        _drop_repetitions(store, row["scope"], at)


def _drop_repetitions(store: Store, scope: int, at: str) -> None:
    rows = store.rows(
        """
        select sightings.id, sightings.snapshot, run.started_at as at, sightings.outcome,
               sightings.error_class as kind, sightings.listing, began.id as began,
               began.started_at as began_at, sightings.reason
        from sightings join snapshots as run on run.id = sightings.snapshot
        join snapshots as began on began.id = coalesce(sightings.since, sightings.snapshot)
        where sightings.scope = :scope order by sightings.snapshot desc, sightings.id desc limit :seen
        """,
        {"scope": scope, "seen": _SEEN},
    )
    newest_first = [_Row(**row) for row in rows]
    old = [row for row in newest_first[_NEWEST:] if row.at < shifted(at, -_RECENT)]
    needed = {row.id for row in _needed(newest_first[::-1])} | set(_unsent(store, newest_first))
    gone = [row for row in old if row.id not in needed]
    store.connection.executemany("delete from sightings where id = ?", [(row.id,) for row in gone])
    drop_unused_reasons(store, {row.reason for row in gone if row.reason is not None})


def _needed(rows: Iterable[_Row]) -> Iterator[_Row]:
    """Yield the sightings that tell something new; `rows` are oldest first."""
    stretches: dict[tuple[object, ...], list[list[_Row]]] = {}
    last = None
    for row in rows:
        if row.outcome not in PROBLEMS:
            yield row
        key = (row.outcome, row.kind, row.listing, row.began)
        goes_on = key in stretches and (row.outcome == Outcome.FAILED or key == last)
        if goes_on:
            stretches[key][-1].append(row)
        else:
            stretches.setdefault(key, []).append([row])
        if row.outcome != Outcome.FAILED:
            last = key
    for own in stretches.values():
        for stretch in (own[0], own[-1]):
            yield from (stretch[0], stretch[-1])
            yield from [row for row in stretch if lasts(row.began_at, row.at)][:1]


def _unsent(store: Store, newest_first: Iterable[_Row]) -> Iterator[int]:
    """Yield the sightings that a report shows which waits: it is the same whenever it is sent."""
    (row,) = store.rows("select min(coalesce(since, until)) as run from deliveries where state = 'waiting'")
    for each in newest_first if row["run"] is not None else ():
        yield each.id
        if each.snapshot < row["run"]:
            break
