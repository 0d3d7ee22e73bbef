"""Ask the past: what changed in a window, what is offered at a moment, and which scopes answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pipeline.history.types import Coverage, Recovery, Run
from pipeline.store import Store
from pipeline.store.catalog import NOW, Known, Moment, known
from pipeline.store.changes import FOREVER, IN_TIME, Window
from pipeline.store.outcomes import PROBLEMS, SETS_LISTING


def find_run(store: Store, number: int | None = None) -> Run | None:
    """Give a run by its id, or the newest; None when there is none.

    What was imported is the newest only where nothing was ever asked.
    """
    rows = store.rows(
        """
        select id as snapshot, started_at, finished_at, status, scopes, answered, moved, held, failed
        from snapshots where id = coalesce(
            :number,
            (select max(id) from snapshots where scopes > 0 and status <> 'imported'),
            (select id from snapshots where scopes > 0 order by started_at desc, id desc limit 1)
        )
        """,
        {"number": number},
    )
    return Run(**rows[0]) if rows else None


def last_run_of(store: Store, window: Window) -> Run:
    """Give the last run of a window, of whose time its report is.

    Raises:
        LookupError: it has none.
    """
    run = last_run(store, window.until, window.end)
    if run is None:
        raise LookupError(f"there is no run {window.until}")
    return run


def last_run(store: Store, until: int, end: str = FOREVER) -> Run | None:
    """Give the last run up to a snapshot, before a time; where all of it was imported, that snapshot."""
    (row,) = store.rows(
        "select max(id) as run from snapshots"
        " where id <= :until and status <> 'imported' and started_at < :end",
        {"until": until, "end": end},
    )
    return find_run(store, until if row["run"] is None else row["run"])


def recoveries(store: Store, window: Window) -> tuple[Recovery, ...]:
    """Give the ends of failures and holds in a window, by time and scope."""
    rows = store.rows(
        f"""
        select snapshots.started_at as at, scopes.name as scope, gateways.name as gateway,
               trouble.outcome as state,
               sightings.outcome = 'moved' and trouble.outcome = 'held'
                   and sightings.listing = trouble.listing as accepted,
               began.started_at as since,
               max(0, strftime('%s', snapshots.started_at) - strftime('%s', began.started_at)) as seconds
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join snapshots as began on began.id = sightings.since
        join sightings as trouble on trouble.scope = sightings.scope and trouble.snapshot = sightings.since
            and trouble.outcome in {PROBLEMS}
        join scopes on scopes.id = sightings.scope
        join gateways on gateways.id = scopes.gateway
        where sightings.snapshot > :since and sightings.snapshot <= :until and {IN_TIME}
        and sightings.outcome in ('moved', 'recovered')
        order by snapshots.started_at, sightings.snapshot, scopes.name
        """,  # noqa: S608 - our own words
        asdict(window),
    )
    return tuple(Recovery(**{**row, "accepted": bool(row["accepted"])}) for row in rows)


def moved(store: Store, window: Window) -> dict[str, int]:
    """Count what the moves of a window added, removed and changed, confirmed or not."""
    (row,) = store.rows(
        """
        select coalesce(sum(transitions.added), 0) as added, coalesce(sum(transitions.removed), 0) as removed,
               coalesce(sum(transitions.changed), 0) as changed
        from sightings join transitions on transitions.id = sightings.transition
        where sightings.snapshot > :since and sightings.snapshot <= :until and sightings.outcome = 'moved'
        """,
        {"since": window.since, "until": window.until},
    )
    return row


def any_news(store: Store, window: Window) -> bool:
    """Say whether anything happened to any scope in a window."""
    sql = f"""
        select 1 from sightings join snapshots on snapshots.id = sightings.snapshot
        where sightings.snapshot > :since and sightings.snapshot <= :until and {IN_TIME}
        and sightings.outcome <> 'reread' limit 1
    """  # noqa: S608 - our own words
    return bool(store.rows(sql, asdict(window)))


def coverage(store: Store, *, until: int | None = None, asked_only: bool = False) -> tuple[Coverage, ...]:
    """Give what is known of each scope at the end of a run, by name.

    Args:
        store: an open database.
        until: the run; None for the newest.
        asked_only: leave out scopes that this run did not ask.
    """
    rows = store.rows(_COVERAGE, {"until": until, "asked_only": asked_only})
    return tuple(Coverage(**row) for row in rows)


_COVERAGE = f"""
with point as (select coalesce(:until, (select max(id) from snapshots)) as until),
seen as (
    select scopes.*, scopes.asked as asked_now, point.until, (
        select max(sightings.id) from sightings
        where sightings.scope = scopes.id and sightings.snapshot <= point.until
    ) as last_sighting, (
        select sightings.listing from sightings
        where sightings.scope = scopes.id and sightings.snapshot <= point.until
        and sightings.outcome in {SETS_LISTING} order by sightings.id desc limit 1
    ) as listing_then, (
        select max((select max(snapshots.id) from snapshots
                    where snapshots.covered = coverage_scopes.coverage and snapshots.id <= point.until))
        from coverage_scopes where coverage_scopes.scope = scopes.id
    ) as last_run
    from scopes, point
)
select seen.name as scope, gateways.name as gateway, seen.group_name as "group", seen.auth,
       seen.key_hint as key,
       case when :until is null and not seen.asked_now then 'retired'
            when last.outcome in {PROBLEMS} then last.outcome
            when seen.listing_then is null then 'new' else 'ok' end as state,
       case when last.outcome in {PROBLEMS} then began.started_at end as state_since,
       listings.size as models,
       case when last.outcome = 'held' then held.size end as held_models,
       (select count(distinct changes.model) from missing
        join changes on changes.transition = missing.transition
        where missing.scope = seen.id and changes.kind = 'removed' and missing.since <= seen.until
       ) as pending_removals,
       asked.started_at as last_asked,
       case when last.outcome = 'failed'
            then (select snapshots.started_at from snapshots where snapshots.id = (
                  select max((select max(covering.id) from snapshots as covering
                              where covering.covered = coverage_scopes.coverage
                              and covering.id < began.id))
                  from coverage_scopes where coverage_scopes.scope = seen.id))
            else asked.started_at end as last_answered,
       last.error_class, case when last.outcome in {PROBLEMS} then last.error end as message
from seen
join gateways on gateways.id = seen.gateway
left join sightings as last on last.id = seen.last_sighting
left join snapshots as began on began.id = coalesce(last.since, last.snapshot)
left join snapshots as asked on asked.id = seen.last_run
left join listings on listings.id = seen.listing_then
left join listings as held on held.id = last.listing
where not :asked_only or seen.last_run = seen.until
order by seen.name
"""  # noqa: S608 - our own words


def catalog(
    store: Store, only: Callable[[str], bool] = lambda _scope: True, moment: Moment = NOW
) -> list[dict[str, Any]]:
    """Give what is offered at a moment: a row per gateway and model, with the scopes that are offered it.

    Only scopes for whose names `only` holds are looked at. Each row has gateway, model, owned_by, created,
    scopes (names), groups, and records (the distinct bodies, as JSON text).
    """
    offered = [each for each in known(store, moment, only) if not each.retired]
    by_listing: dict[int, list[Known]] = {}
    for each in offered:
        by_listing.setdefault(each.listing, []).append(each)
    rows = store.rows(
        """
        select listing_records.listing, gateways.name as gateway, models.name as model, records.owned_by,
               records.created, records.body
        from json_each(:listings) as wanted
        join listing_records on listing_records.listing = wanted.value
        join records on records.id = listing_records.record
        join models on models.id = records.model
        join gateways on gateways.id = models.gateway
        order by gateways.name, models.name, listing_records.listing
        """,
        {"listings": json.dumps(sorted(by_listing))},
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        entry = found.setdefault(
            (row["gateway"], row["model"]),
            {
                "gateway": row["gateway"],
                "model": row["model"],
                "owned_by": row["owned_by"],
                "created": row["created"],
                "scopes": [],
                "groups": [],
                "records": [],
            },
        )
        scopes = by_listing[row["listing"]]
        entry["scopes"] += [each.scope for each in scopes]
        entry["groups"] += [each.group for each in scopes if each.group]
        if row["body"] not in entry["records"]:
            entry["records"].append(row["body"])
    return [
        entry | {"scopes": sorted(entry["scopes"]), "groups": sorted(set(entry["groups"]))}
        for entry in found.values()
    ]
