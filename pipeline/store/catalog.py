"""The listing of each scope at a moment: now, at a time, or just after a run."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from pipeline.store.database import Store
from pipeline.store.outcomes import SETS_LISTING


class Moment(Struct, frozen=True):
    """A moment of the history: a time (ISO 8601 UTC), the end of a run (its snapshot), or now."""

    at: str | None = None
    run: int | None = None


NOW = Moment()


class ScopeListing(Struct, frozen=True):
    """The current listing of a scope at a moment.

    Args:
        scope_id: the row in `scopes`.
        listing: the row in `listings`.
        reading: the parsing rules of the listing.
        size: the number of its models.
        sighting: the one that set the listing; within one scope, ids follow time.
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


def scope_listings(
    store: Store, moment: Moment = NOW, only: Callable[[str], bool] = lambda _scope: True
) -> list[ScopeListing]:
    """Return the current listing of each scope at a moment, by scope; retired scopes are marked.

    A scope that lists groups has no models, and is left out.

    Args:
        store: an open database.
        moment: scopes that had not answered by then are left out.
        only: the test for the names of scopes.
    """
    rows = store.rows(_NOW if moment == NOW else _THEN, {"at": moment.at, "run": moment.run})
    return [ScopeListing(**{**row, "retired": bool(row["retired"])}) for row in rows if only(row["scope"])]


# Ids follow time within a scope and between runs; an imported run is sorted by its time instead.
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
where not scopes.lists_groups
order by scopes.name
"""


_THEN = f"""
with current as (
    select sightings.scope, sightings.listing, max(sightings.id) as sighting
    from sightings
    join snapshots on snapshots.id = sightings.snapshot
    left join snapshots as point on point.id = :run
    where sightings.outcome in {SETS_LISTING} and {_BY_THEN.format(run="snapshots")}
    group by sightings.scope
)
select scopes.id as scope_id, scopes.name as scope, gateways.name as gateway,
       scopes.group_name as "group", current.listing, listings.reading, listings.size, current.sighting,
       (select last.outcome = 'retired' from sightings as last
        join snapshots as run on run.id = last.snapshot
        left join snapshots as point on point.id = :run
        where last.scope = scopes.id and {_BY_THEN.format(run="run")} order by last.id desc limit 1)
       or not scopes.asked
       and coalesce((select outcome from sightings where id = scopes.sighting), '') <> 'retired'
       and exists (
           select 1 from snapshots as later
           left join snapshots as point on point.id = :run
           where later.scopes > 0 and later.site is scopes.site and {_BY_THEN.format(run="later")}
           and later.started_at > (
               select max(asking.started_at) from coverage_scopes
               join snapshots as asking on asking.covered = coverage_scopes.coverage
               where coverage_scopes.scope = scopes.id
           )
       ) as retired
from current
join scopes on scopes.id = current.scope
join gateways on gateways.id = scopes.gateway
join listings on listings.id = current.listing
where not scopes.lists_groups
order by scopes.name
"""  # noqa: S608 - our own words


def listings_between(store: Store, before: ScopeListing, after: ScopeListing) -> list[tuple[str, int]]:
    """Return outcome and listing of the sightings that set a scope's listing after `before`, to `after`."""
    rows = store.rows(
        f"""
        select outcome, listing from sightings
        where scope = :scope and id > :since and id <= :until and outcome in {SETS_LISTING}
        order by id
        """,  # noqa: S608 - our own words
        {"scope": before.scope_id, "since": before.sighting, "until": after.sighting},
    )
    return [(row["outcome"], row["listing"]) for row in rows]


def history_start(store: Store) -> str | None:
    """Return the time of the first snapshot (ISO 8601 UTC); None before it."""
    (row,) = store.rows("select min(started_at) as at from snapshots")
    at: str | None = row["at"]
    return at


def first_answer(store: Store, scope: str) -> str | None:
    """Return the time of a scope's first answer (ISO 8601 UTC); None before it."""
    (row,) = store.rows(
        """
        select min(snapshots.started_at) as at from scopes
        join sightings on sightings.scope = scopes.id and sightings.outcome = 'baseline'
        join snapshots on snapshots.id = sightings.snapshot
        where scopes.name = :scope
        """,
        {"scope": scope},
    )
    at: str | None = row["at"]
    return at


def is_pruned(store: Store) -> bool:
    """Return whether the history, or that of a site, once had sightings that `prune` or `forget` dropped."""
    (row,) = store.rows(
        """
        select coalesce(max(id), 0) > count(*) or exists (
            select 1 from sites join scopes on scopes.site = sites.id
            join sightings on sightings.scope = scopes.id
            group by sites.id having max(sightings.source) > count(*)) as pruned
        from sightings
        """
    )
    return bool(row["pruned"])
