"""Problems of scopes that come and go: how often each began again, and which scopes are unsteady.

The sighting of a hold or failure stores in `flap_level` how many times a problem of this kind began in a row,
each less than a day after the one before ended; null for the first time. The kind is the class of an error,
or why an answer is held. A scope is unsteady from the third time, until it has been well for a day: then a
sighting `recovered` with a `flap_level` is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from pipeline.core.failures import LASTS_AFTER
from pipeline.core.times import TOLERANCE, shifted
from pipeline.store.database import Store
from pipeline.store.outcomes import PROBLEMS
from pipeline.store.starts import trusted_start

UNSTEADY = 3
"""The times that a problem began in a row from which its scope is unsteady."""

WELL_AFTER = 24 * 3600
"""The seconds without the problem after which a scope is steady again."""

_RECENT = 30 * 24 * 3600
"""The seconds for which a scope without a complete answer stays unsteady."""


class Recurrence(Struct, frozen=True):
    """A problem of an unsteady scope.

    Args:
        times: how many times it began in a row.
        since: the start of the run in which it first began (ISO 8601 UTC).
        became: the snapshot with which the scope became unsteady by it.
        ended: the start of the run in which it ended the last time before.
        lasts_since: the snapshot with which it has lasted for six hours this time; None before that.
    """

    times: int
    since: str
    became: int
    ended: str | None
    lasts_since: int | None = None


ProblemKind = tuple[int, str]
"""A scope, and the kind of a problem of it in one word; see `kind_of`."""


class LastProblem(NamedTuple):
    """The last problem of a kind: the snapshots with which it began and ended, and its time in a row."""

    began: int
    ended: int | None
    times: int


class UnsteadyScope(NamedTuple):
    """An unsteady scope: the snapshots with which its problem first began and last ended, and its times."""

    id: int
    name: str
    began: int
    ended: int | None
    times: int


def kind_of(sighting: str) -> str:
    """Return an SQL expression for the kind of the problem of a sighting, in one word."""
    return f"""case {sighting}.error_class when 'current' then 'alternating'
        else coalesce({sighting}.error_class, 'loss') end"""


_BEGAN = "coalesce(problem.since, problem.snapshot)"

_TRUSTED = trusted_start(_BEGAN, "run.started_at")

_LASTS = f"strftime('%s', run.started_at) - strftime('%s', {_TRUSTED}) >= {int(TOLERANCE * LASTS_AFTER)}"

_ENDED = """(
    select next.snapshot from sightings as next
    where next.scope = last.scope and next.snapshot > last.snapshot order by next.snapshot limit 1)"""
"""SQL: the snapshot of the sighting after `last`, with which its problem ended if another one follows."""

_FIRST = f"""(
    select coalesce(first.since, first.snapshot) from sightings as first
    where first.scope = problem.scope and first.snapshot <= problem.snapshot and first.outcome in {PROBLEMS}
    and {kind_of("first")} = {kind_of("problem")} and first.flap_level is null
    order by first.snapshot desc limit 1)"""  # noqa: S608 - our own words
"""SQL: the snapshot with which the row of problems began that `problem` belongs to."""


def last_problems(store: Store, kinds: Iterable[ProblemKind]) -> dict[ProblemKind, LastProblem]:
    """Return the last problem of each scope of a kind, by its id and the kind, of those that had one."""
    rows = store.stream(
        f"""
        select last.scope, {kind_of("last")}, coalesce(last.since, last.snapshot), {_ENDED},
               coalesce(last.flap_level, 1)
        from json_each(:kinds) as wanted
        cross join sightings as last on last.id = (
            select same.id from sightings as same
            where same.scope = wanted.value ->> 0 and same.outcome in {PROBLEMS}
            and {kind_of("same")} = wanted.value ->> 1
            order by same.snapshot desc, same.id desc limit 1)
        """,  # noqa: S608 - our own words
        {"kinds": json.dumps(sorted(kinds))},
    )
    return {(scope, kind): LastProblem(*row) for scope, kind, *row in rows}


def recurrence(store: Store, sighting: int) -> Recurrence:
    """Return how often the problem of a sighting of an unsteady scope came back."""
    (row,) = store.rows(
        f"""
        select problem.flap_level as times, began.started_at as since, (
                   select min(third.snapshot) from sightings as third
                   where third.scope = problem.scope and third.snapshot between began.id and problem.snapshot
                   and third.outcome in {PROBLEMS} and {kind_of("third")} = {kind_of("problem")}
                   and third.flap_level >= {UNSTEADY}) as became, (
                   select snapshots.started_at from snapshots where snapshots.id = (
                       select {_ENDED} from sightings as last
                       where last.scope = problem.scope and last.outcome in {PROBLEMS}
                       and last.snapshot < {_BEGAN}
                       and {kind_of("last")} = {kind_of("problem")}
                       order by last.snapshot desc, last.id desc limit 1)) as ended, (
                   select min(same.snapshot) from sightings as same
                   join snapshots as run on run.id = same.snapshot
                   where same.scope = problem.scope and same.outcome = problem.outcome
                   and same.snapshot between {_BEGAN} and problem.snapshot
                   and {_LASTS}) as lasts_since
        from sightings as problem
        join snapshots as began on began.id = coalesce({_FIRST}, {_BEGAN})
        where problem.id = :sighting
        """,  # noqa: S608 - our own words
        {"sighting": sighting},
    )
    return Recurrence(**row)


def has_unsteady(store: Store) -> bool:
    """Return whether any scope is or was unsteady."""
    # By the index of flap levels: that of outcomes has every failure of the past.
    sql = f"select 1 from sightings where +outcome in {PROBLEMS} and flap_level >= {UNSTEADY} limit 1"  # noqa: S608 - our own words
    return bool(store.rows(sql))


def unsteady_scopes(store: Store, at: str) -> list[UnsteadyScope]:
    """Return the scopes that are unsteady at a time (ISO 8601 UTC), by name; those that are well included."""
    rows = store.rows(
        f"""
        select scopes.id, scopes.name, coalesce({_FIRST}, {_BEGAN}) as began, (
                   select {_ENDED} from sightings as last where last.id = problem.id) as ended,
               problem.flap_level as times
        from sightings as problem join scopes on scopes.id = problem.scope
        where problem.id in (
            select max(sightings.id) from sightings join snapshots as run on run.id = sightings.snapshot
            where +outcome in {PROBLEMS} and flap_level >= {UNSTEADY}
            and iif(run.status = 'imported', run.started_at >= :since, run.id >= coalesce((
                select min(id) from snapshots where started_at >= :since and status <> 'imported'), 0))
            group by +scope)
        and not exists (
            select 1 from sightings as later
            where later.scope = problem.scope and later.id > problem.id
            and ((later.outcome = 'recovered' and later.flap_level is not null) or (
                later.outcome in {PROBLEMS} and {kind_of("later")} = {kind_of("problem")})))
        order by scopes.name
        """,  # noqa: S608 - our own words
        {"since": shifted(at, -_RECENT)},
    )
    return [UnsteadyScope(**row) for row in rows]
