"""Remember how models left whose leaving is too old to be kept, so that a return is still told as one.

Which sightings must stay when old ones go, so that what is told of the rest stays the same.

A scope keeps an unbroken end of its ledger. It begins with the last sighting that said what it is offered
before anything that is still needed:

* what happened since the bound;
* the moves whose removals were confirmed since, or wait to be;
* the thirty days before these, from which patience counts how often a model had left;
* the beginnings of failures and holds that ended, or go on, in what is kept.

How a model had left before that is remembered as a departure.

Drop history from before a bound; what is told of the time since, now or later, stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from pipeline.maintenance.collect import drop_ids, drop_unneeded
from pipeline.maintenance.facts import DialectsOf
from pipeline.maintenance.rebuild import correct_readings
from pipeline.maintenance.replay import SETTERS, TROUBLE, Seen, sightings
from pipeline.store import Store, flap_levels
from pipeline.store.bulk import BulkWriter
from pipeline.store.flapping import DAYS

_LEAVINGS = """
    with bounds as (select cast(key as integer) as scope, value as exact from json_each(:exact)),
    gone as (
        select moved.scope, removed.model, max(moved.id) as leaving from bounds
        join sightings as moved on moved.scope = bounds.scope and moved.id < bounds.exact
            and moved.outcome = 'moved'
        join changes as removed on removed.transition = moved.transition and removed.kind = 'removed'
        group by moved.scope, removed.model
    ),
    left_for as (
        select gone.*, (
            select min(back.id) from sightings as back
            join changes as added on added.transition = back.transition and added.kind = 'added'
            where back.scope = gone.scope and back.outcome = 'moved' and back.id > gone.leaving
            and added.model = gone.model
        ) as back
        from gone
    )
    select left_for.scope, left_for.model, left_for.leaving, changes.before as record, models.name,
           confirmed.flap_level, first.started_at as at
    from left_for
    join sightings as leaving on leaving.id = left_for.leaving
    join changes on changes.transition = leaving.transition and changes.model = left_for.model
    join models on models.id = left_for.model
    left join sightings as confirmed on confirmed.transition = leaving.transition
        and confirmed.scope = left_for.scope and confirmed.outcome = 'confirmed'
        and confirmed.id > leaving.id and (left_for.back is null or confirmed.id < left_for.back)
        and leaving.id = (
            select min(first.id) from sightings as first
            where first.scope = confirmed.scope and first.snapshot >= confirmed.since
            and first.transition = confirmed.transition and first.outcome = 'moved'
        )
    left join snapshots as first on first.id = confirmed.since
    order by confirmed.id desc
"""


def remember(store: Store, exact: Mapping[int, int]) -> None:
    """Write how the models of scopes left last before a sighting: which one, by scope.

    Must run inside a transaction, before the sightings go.
    """
    rows = store.rows(_LEAVINGS, {"exact": json.dumps(exact)})
    level = flap_levels(store, {row["leaving"] for row in rows})
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        effective = row["flap_level"] == level[row["leaving"], row["model"]]
        key = (row["scope"], row["model"])
        if effective or key not in found:
            found[key] = row | {"at": row["at"] if effective else None}
    _write(store, found)


def _write(store: Store, found: Mapping[tuple[int, int], Mapping[str, Any]]) -> None:
    known = {
        (row["scope"], row["model"]): row
        for row in store.rows("select id, scope, model, sighting from departures")
    }
    writer = BulkWriter(store)
    free = writer.next_id("departures")
    for key, row in sorted(found.items()):
        old = known.get(key)
        if old and old["sighting"] >= row["leaving"]:
            continue
        values = {
            "name": f"{row['name']} left" + (f" {row['at']}" if row["at"] else ""),
            "scope": row["scope"],
            "model": row["model"],
            "record": row["record"],
            "left_at": row["at"],
            "sighting": row["leaving"],
        }
        number = old["id"] if old else free
        free += old is None
        store.db.table("departures").insert({"id": number, **values}, replace=True)


_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Kept:
    """What a scope keeps.

    Args:
        base: the sighting that becomes its baseline; those before it go.
        exact: from this sighting on patience counts as it always did; departures before it are remembered.
        stale: confirmations of moves that are not kept as moves.
    """

    base: int
    exact: int
    stale: tuple[int, ...]


def keep(seen: Sequence[Seen], waiting: Sequence[tuple[int, int]], bound: str) -> Kept | None:
    """Say what a scope keeps of its sightings, given in order; None when that is all of them.

    Args:
        seen: the scope's sightings.
        waiting: its removals that are not confirmed yet, as transition and first snapshot.
        bound: what happened at or after this time is kept whole, in ISO 8601 UTC.
    """
    cut = next((each.id for each in seen if each.at >= bound), _NEVER)
    confirmed = [
        (each.transition, each.since) for each in seen if each.id >= cut and each.outcome == "confirmed"
    ]
    moves = [_move(seen, transition, since) for transition, since in [*confirmed, *waiting]]
    exact = min([cut, *(move.id for move in moves if move)])
    recent = before(min([bound, *(each.at for each in seen if each.id >= exact)]), DAYS)
    first = min(exact, next((each.id for each in seen if each.at >= recent), _NEVER))
    base = _base(seen, first)
    if base is None or (base is seen[0] and base.outcome == "baseline"):
        return None
    return Kept(base.id, exact, tuple(_stale(seen, base)))


def before(at: str, days: int) -> str:
    """Give the time so many days before another, in ISO 8601 UTC."""
    return (datetime.fromisoformat(at) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _move(seen: Sequence[Seen], transition: int | None, since: int | None) -> Seen | None:
    """Find the move that a confirmation is of, as those who tell of it do."""
    return next(
        (
            each
            for each in seen
            if each.outcome == "moved" and each.transition == transition and each.snapshot >= (since or 0)
        ),
        None,
    )


def _base(seen: Sequence[Seen], first: int) -> Seen | None:
    """Find the last sighting before `first` that set the listing, with all troubles that go on after it."""
    while True:
        base = next((each for each in reversed(seen) if each.id < first and each.outcome in SETTERS), None)
        if base is None:
            return None
        begun = {each.since for each in seen if each.id > base.id and each.outcome != "confirmed"}
        troubles = [each.id for each in seen if each.outcome in TROUBLE and each.snapshot in begun]
        earliest = min(troubles, default=_NEVER)
        if earliest > base.id:
            return base
        first = earliest


def _stale(seen: Sequence[Seen], base: Seen) -> list[int]:
    moved = [each for each in seen if each.id > base.id and each.outcome == "moved"]
    return [
        each.id
        for each in seen
        if each.id > base.id
        and each.outcome == "confirmed"
        and not any(move.transition == each.transition and move.id < each.id for move in moved)
    ]


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
        join sightings on sightings.snapshot > destinations.reported_until and sightings.outcome <> 'reread'
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
            outcome = 'baseline', transition = null, since = null, flap_level = null, error = null,
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
        union select reported_until from destinations
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
