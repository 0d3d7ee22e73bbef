"""Drop history from before a bound; what is told of the time since, now or later, stays the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from pipeline.care.departures import remember
from pipeline.care.keeping import Kept, keep
from pipeline.care.readings import DialectsOf
from pipeline.care.rebuilding import correct_readings
from pipeline.care.replaying import sightings
from pipeline.care.unneeded import drop_ids, drop_unneeded
from pipeline.store import Store
from pipeline.store.patience import DAYS


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was dropped, in rows by table; `bound` is earlier than asked for where a report is still owed."""

    bound: str
    rows: Mapping[str, int]


def prune(store: Store, known: DialectsOf, *, bound: str) -> Pruned:
    """Drop what happened before a time and is needed for nothing since, in one transaction.

    Args:
        store: an open database; the caller holds its lock.
        known: gives the dialects in which a listing may have been read.
        bound: in ISO 8601 UTC.
    """
    with store.transaction():
        bound = min([bound, *_owed(store)])
        dropped: dict[str, int] = {}
        kept = _kept(store, bound)
        remember(store, {scope: each.exact for scope, each in kept.items()})
        for each in kept.values():
            _begin_at(store, each, dropped)
        _drop_deliveries(store, bound, dropped)
        _drop_snapshots(store, bound, dropped)
        before = _listed(store)
        for table, count in drop_unneeded(store).items():
            dropped[table] = dropped.get(table, 0) + count
        # The reading that gave a record its facts may have gone with its listing.
        correct_readings(store, known, only=before)
        return Pruned(bound, {table: count for table, count in dropped.items() if count})


def _owed(store: Store) -> list[str]:
    """Give when the runs began of which a report is still to be written, or to be made."""
    rows = store.rows(
        """
        select min(snapshots.started_at) as at from deliveries
        join snapshots on snapshots.id > coalesce(deliveries.since, 0) and snapshots.id <= deliveries.until
            and snapshots.status <> 'imported'
        where deliveries.state = 'waiting'
        union all
        select min(snapshots.started_at) from destinations
        join sightings on sightings.snapshot > destinations.told and sightings.outcome <> 'reread'
        join snapshots on snapshots.id = sightings.snapshot and snapshots.status <> 'imported'
        """
    )
    return [row["at"] for row in rows if row["at"]]


def _kept(store: Store, bound: str) -> dict[int, Kept]:
    waiting: dict[int, list[tuple[int, int]]] = {}
    for scope, transition, since in store.stream("select scope, transition, since from missing"):
        waiting.setdefault(scope, []).append((transition, since))
    found = {}
    for scope, seen in groupby(sightings(store), key=lambda each: each.scope):
        kept = keep(list(seen), waiting.get(scope, ()), bound)
        if kept:
            found[scope] = kept
    return found


def _begin_at(store: Store, kept: Kept, dropped: dict[str, int]) -> None:
    """Let a scope's ledger begin with what it was offered at the base."""
    row = {"base": kept.base}
    ids = store.stream(
        """
        select id from sightings
        where scope = (select scope from sightings where id = :base) and id < :base
        """,
        row,
    )
    gone = [*(number for (number,) in ids), *kept.stale]
    store.connection.execute(
        """
        update scopes set sighting = (
            select max(id) from sightings where scope = scopes.id
            and id not in (select value from json_each(:gone)))
        where id = (select scope from sightings where id = :base)
        """,
        row | {"gone": json.dumps(gone)},
    )
    drop_ids(store, "sightings", gone, dropped)
    store.connection.execute(
        """
        update sightings set
            outcome = 'baseline', transition = null, since = null, patience = null, error = null,
            name = (select scopes.name from scopes where scopes.id = sightings.scope) || ' baseline'
        where id = :base
        """,
        row,
    )


def _drop_deliveries(store: Store, bound: str, dropped: dict[str, int]) -> None:
    """Drop what is in the outbox of reports that were written long ago."""
    rows = store.stream(
        """
        select deliveries.id from deliveries join snapshots on snapshots.id = deliveries.until
        where snapshots.started_at < :bound and deliveries.state <> 'waiting'
        """,
        {"bound": bound},
    )
    drop_ids(store, "deliveries", [number for (number,) in rows], dropped)


def _drop_snapshots(store: Store, bound: str, dropped: dict[str, int]) -> None:
    rows = store.stream(_UNNEEDED_SNAPSHOTS, {"bound": bound})
    drop_ids(store, "snapshots", [number for (number,) in rows], dropped)


_UNNEEDED_SNAPSHOTS = f"""
    with old as (select * from snapshots where started_at < :bound),
    recent as (select * from snapshots where started_at >= :bound),
    runs as (
        select coverage_scopes.scope, snapshots.id, snapshots.started_at < :bound as is_old from snapshots
        join coverage_scopes on coverage_scopes.coverage = snapshots.covered
    ),
    needed as (
        select snapshot as id from sightings
        union select since from sightings where since is not null
        union select since from missing
        union select since from deliveries where since is not null
        union select until from deliveries
        -- where the next report of each destination begins
        union select told from destinations
        union select max(id) from snapshots
        union select max(id) from snapshots where scopes > 0
        -- where the windows of what is kept begin
        union select id - 1 from recent
        -- when a scope was last asked, and last answered before it failed
        union select max(id) from runs where is_old group by scope
        union select max(id) from runs where id < (select min(id) from recent) group by scope
        union select max(runs.id) from sightings join runs on runs.scope = sightings.scope
            and runs.id < coalesce(sightings.since, sightings.snapshot)
            where sightings.outcome = 'failed' group by sightings.id
        -- from which run on patience counts
        union select (
            select early.id from snapshots as early
            where early.started_at < strftime('%Y-%m-%dT%H:%M:%SZ', run.started_at, '-{DAYS} days')
            and early.id < sightings.snapshot order by early.started_at desc limit 1)
            from sightings join snapshots as run on run.id = sightings.snapshot
            where sightings.outcome = 'moved'
    )
    select id from old where id not in (select id from needed where id is not null)
"""  # noqa: S608 - a number of our own


def _listed(store: Store) -> set[int]:
    """Give the records of listings that nothing needs any more, which other listings may have too."""
    kept = "select listing from sightings union select listing from scopes union select held from scopes"
    rows = store.stream(
        f"""
        select distinct record from listing_records where listing not in (
            select listing from ({kept}) where listing is not null
            union select before from transitions where id in (select transition from sightings)
            union select after from transitions where id in (select transition from sightings))
        """  # noqa: S608 - our own names
    )
    return {record for (record,) in rows}
