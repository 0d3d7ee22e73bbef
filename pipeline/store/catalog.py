"""What each scope was known to offer at a moment: now, at a time, or just after a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.store.database import Store
from pipeline.store.outcomes import SETS_LISTING


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the history: at a time (ISO 8601 UTC), or just after a run (its snapshot), or now."""

    at: str | None = None
    run: int | None = None


NOW = Moment()


@dataclass(frozen=True, slots=True)
class Known:
    """What a scope was known to offer at a moment.

    Args:
        scope_id: its row in the database.
        listing: the listing's row in the database.
        reading: the rules that the listing was read under.
        size: how many models it has.
        sighting: what made it known; the higher, the later, within one scope.
        retired: the scope was no longer asked at that moment.
    """

    scope_id: int
    scope: str
    gateway: str
    group: str | None
    listing: int
    reading: str
    size: int
    sighting: int
    retired: bool


def known(
    store: Store, moment: Moment = NOW, only: Callable[[str], bool] = lambda _scope: True
) -> list[Known]:
    """Give what each scope was known to offer, by scope; nothing for those that were not known yet.

    Only scopes for whose names `only` holds are looked at. Retired ones are given too, and marked.
    """
    rows = store.rows(_NOW if moment == NOW else _THEN, {"at": moment.at, "run": moment.run})
    return [Known(**{**row, "retired": bool(row["retired"])}) for row in rows if only(row["scope"])]


# Ids follow time within a scope and between runs; an imported run is as old as its time says.
_BY_THEN = """(:at is null or {run}.started_at <= :at)
    and (point.id is null or case when 'imported' in ({run}.status, point.status)
         then ({run}.started_at, {run}.id) <= (point.started_at, point.id) else {run}.id <= point.id end)"""


_NOW = """
select scopes.id as scope_id, scopes.name as scope, gateways.name as gateway,
       scopes.group_name as "group", scopes.listing, listings.reading, listings.size, scopes.sighting,
       not scopes.asked as retired
from scopes
join gateways on gateways.id = scopes.gateway
join listings on listings.id = scopes.listing
order by scopes.name
"""


_THEN = f"""
with seen as (
    select sightings.scope, sightings.listing, max(sightings.id) as sighting
    from sightings
    join snapshots on snapshots.id = sightings.snapshot
    left join snapshots as point on point.id = :run
    where sightings.outcome in {SETS_LISTING} and {_BY_THEN.format(run="snapshots")}
    group by sightings.scope
)
select scopes.id as scope_id, scopes.name as scope, gateways.name as gateway,
       scopes.group_name as "group", seen.listing, listings.reading, listings.size, seen.sighting,
       not scopes.asked and exists (
           select 1 from snapshots as later
           left join snapshots as point on point.id = :run
           where later.scopes > 0 and {_BY_THEN.format(run="later")}
           and later.started_at > (
               select max(asking.started_at) from coverage_scopes
               join snapshots as asking on asking.covered = coverage_scopes.coverage
               where coverage_scopes.scope = scopes.id
           )
       ) as retired
from seen
join scopes on scopes.id = seen.scope
join gateways on gateways.id = scopes.gateway
join listings on listings.id = seen.listing
order by scopes.name
"""  # noqa: S608 - our own words


def began(store: Store, scope: str | None = None) -> str | None:
    """Give when the history began, or when a scope first answered; None when it never did."""
    rows = store.rows(
        """
        select min(snapshots.started_at) as at from snapshots
        where :scope is null or snapshots.id in (
            select sightings.snapshot from sightings join scopes on scopes.id = sightings.scope
            where scopes.name = :scope and sightings.outcome = 'baseline'
        )
        """,
        {"scope": scope},
    )
    at: str | None = rows[0]["at"]
    return at
