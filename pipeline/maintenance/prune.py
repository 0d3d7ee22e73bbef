"""Drop the history before a bound; reports of later time stay the same.

Each scope keeps the sightings from its *base* on: the last sighting that set its listing before all of the
following.

* sightings since the bound
* moves whose removals were confirmed since the bound, or are pending
* removals in the 30 days before these, which count for flap levels
* the beginnings of failures and holds that end or continue in the kept sightings

The table `departures` keeps how models left before that, so that a later return is still reported as one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from msgspec import Struct

from pipeline.core.times import iso, minute, shifted
from pipeline.core.types import PROBLEMS, SETS_LISTING
from pipeline.errors import StoreError
from pipeline.maintenance.collect import drop, drop_ids, drop_unneeded
from pipeline.maintenance.facts import DialectsOf, correct_facts
from pipeline.maintenance.replay import SightingRow, read_sightings
from pipeline.store import Store, compact
from pipeline.store.bulk import BulkWriter
from pipeline.store.departures import Departure, Removal, departures
from pipeline.store.flapping import FLAP_DAYS

_LAST_ID = 1 << 62
"""Larger than any id."""


class PruneResult(Struct, frozen=True):
    """The result of dropping old history.

    Args:
        asked: the oldest time to keep, in ISO 8601 UTC.
        bound: the oldest time that was kept; earlier than `asked` where a report is still to be sent.
        rows: how many rows were dropped, by table.
        sizes: the size of the database in bytes, before and after; None where it was not compacted.
    """

    asked: str
    bound: str
    rows: Mapping[str, int]
    sizes: tuple[int, int] | None


_JUMP = timedelta(days=31)
"""A clock is not trusted if it is further ahead of the newest run, or a run of the one before it."""

_SETTLED = timedelta(days=7)
"""A jump of the clock is trusted when runs have gone on for so long after it."""


def prune_bound(store: Store, keep: timedelta, now: str) -> str:
    """Return the oldest time to keep (ISO 8601 UTC): an age before the newest run, or before now if earlier.

    Args:
        store: an open database.
        keep: the age.
        now: the time now, in ISO 8601 UTC.

    Raises:
        StoreError: the clock, or that of the newest runs, is far ahead of the other runs.
    """
    rows = store.stream("select started_at from snapshots where status <> 'imported' order by id desc")
    starts = [datetime.fromisoformat(at) for (at,) in rows]
    here = datetime.fromisoformat(now)
    if not starts:
        return iso(here - keep)
    newest = starts[0]
    if here - newest > _JUMP:
        raise StoreError(
            f"the clock says {minute(now)}, far after the newest run of {minute(iso(newest))}; nothing was"
            " dropped: set the clock, or if it is right, run `modelwatch run` first",
            path=store.path,
        )
    # Runs that seem to be later than the newest were recorded by a clock that was wrong for a time.
    for later, earlier in pairwise(each for each in starts if each <= newest):
        if newest - later > _SETTLED:
            break
        if later - earlier > _JUMP:
            raise StoreError(
                f"the run of {minute(iso(later))} is far after the one before it, of {minute(iso(earlier))};"
                " nothing was dropped: set the clock if it is wrong, or prune when runs have gone on for"
                f" {_SETTLED.days} days",
                path=store.path,
            )
    return iso(min(newest, here) - keep)


def prune(store: Store, dialects_of: DialectsOf, *, bound: str, vacuum: bool = False) -> PruneResult:
    """Drop history before a time, except for what later history needs, in one transaction.

    Args:
        store: an open database; the caller holds its lock.
        dialects_of: returns the dialects that may have parsed a listing.
        bound: the time, in ISO 8601 UTC.
        vacuum: return the freed space to the disk.
    """
    with store.transaction():
        kept_since = min([bound, *_due_reports(store)])
        rows = _drop_before(store, dialects_of, kept_since)
    return PruneResult(bound, kept_since, rows, compact(store) if vacuum else None)


def _drop_before(store: Store, dialects_of: DialectsOf, bound: str) -> dict[str, int]:
    """Drop history before a time; return the number of dropped rows, by table."""
    dropped: Counter[str] = Counter()
    kept = _kept(store, bound)
    _write_departures(store, _last_removals(store, {scope: each.exact for scope, each in kept.items()}))
    for each in kept.values():
        _make_baseline(store, each, dropped)
    _drop_deliveries(store, bound, dropped)
    _drop_snapshots(store, bound, dropped)
    records = _records_to_drop(store)
    drop_unneeded(store, dropped)
    # The listing with the dialect of a record's facts may have been dropped.
    correct_facts(store, dialects_of, only=records)
    return {table: count for table, count in dropped.items() if count}


def _due_reports(store: Store) -> list[str]:
    """Return the start of the first run in each report that waits to be sent, or is not made yet."""
    rows = store.rows(
        """
        select min(snapshots.started_at) as at from deliveries
        join snapshots on snapshots.id > coalesce(deliveries.since, 0) and snapshots.id <= deliveries.until
            and (snapshots.status <> 'imported' or snapshots.news)
        where deliveries.state = 'waiting'
        union all
        select min(snapshots.started_at) from destinations
        join sightings on sightings.snapshot > destinations.reported_until and sightings.outcome <> 'reread'
        join snapshots on snapshots.id = sightings.snapshot
            and (snapshots.status <> 'imported' or snapshots.news)
        """
    )
    return [row["at"] for row in rows if row["at"]]


class Kept(Struct, frozen=True):
    """The sightings that a scope keeps, by id.

    Args:
        base: the sighting that becomes its baseline; those before it are dropped.
        exact: the first sighting with an unchanged flap level; departures before it are stored.
        stale: confirmations of moves that are not kept as moves; they are dropped.
    """

    base: int
    exact: int
    stale: tuple[int, ...]


def _kept(store: Store, bound: str) -> dict[int, Kept]:
    """Return the kept sightings of each scope; a scope that keeps all is left out."""
    pending: dict[int, list[tuple[int, int]]] = {}
    for scope, transition, since in store.stream("select scope, transition, since from missing"):
        pending.setdefault(scope, []).append((transition, since))
    found = {}
    for scope, sightings in groupby(read_sightings(store), key=lambda sighting: sighting.scope):
        kept = keep(list(sightings), pending.get(scope, ()), bound)
        if kept:
            found[scope] = kept
    return found


def keep(sightings: Sequence[SightingRow], pending: Sequence[tuple[int, int]], bound: str) -> Kept | None:
    """Return the kept sightings of a scope; None if it keeps all.

    Args:
        sightings: those of the scope, in order.
        pending: its removals that are not confirmed yet, as transition and first snapshot.
        bound: the time (ISO 8601 UTC) from which on all sightings are kept.
    """
    cut = _first_since(sightings, bound)
    confirmed = [
        (each.transition, each.since) for each in sightings if each.id >= cut and each.outcome == "confirmed"
    ]
    moves = [_move(sightings, transition, since) for transition, since in [*confirmed, *pending]]
    exact = min([cut, *(move.id for move in moves if move)])
    recent = _flap_days_before(min([bound, *(each.at for each in sightings if each.id >= exact)]))
    base = _base(sightings, min(exact, _first_since(sightings, recent)))
    if base is None or (base is sightings[0] and base.outcome == "baseline"):
        return None
    return Kept(base.id, exact, tuple(_stale(sightings, base)))


def _first_since(sightings: Sequence[SightingRow], at: str) -> int:
    return next((each.id for each in sightings if each.at >= at), _LAST_ID)


def _flap_days_before(at: str) -> str:
    return shifted(at, -FLAP_DAYS * 24 * 3600)


def _move(sightings: Sequence[SightingRow], transition: int | None, since: int | None) -> SightingRow | None:
    """Return the move of a confirmation, by the rule of reports."""
    return next(
        (
            each
            for each in sightings
            if each.outcome == "moved" and each.transition == transition and each.snapshot >= (since or 0)
        ),
        None,
    )


def _base(sightings: Sequence[SightingRow], first: int) -> SightingRow | None:
    """Return the last sighting before `first` that set the listing while no kept problem was open."""
    while True:
        base = next(
            (each for each in reversed(sightings) if each.id < first and each.outcome in SETS_LISTING), None
        )
        if base is None:
            return None
        begun = {each.since for each in sightings if each.id > base.id and each.outcome != "confirmed"}
        problems = [each.id for each in sightings if each.outcome in PROBLEMS and each.snapshot in begun]
        earliest = min(problems, default=_LAST_ID)
        if earliest > base.id:
            return base
        first = earliest


def _stale(sightings: Sequence[SightingRow], base: SightingRow) -> list[int]:
    moved = [each for each in sightings if each.id > base.id and each.outcome == "moved"]
    return [
        each.id
        for each in sightings
        if each.id > base.id
        and each.outcome == "confirmed"
        and not any(move.transition == each.transition and move.id < each.id for move in moved)
    ]


def _last_removals(store: Store, bounds: Mapping[int, int]) -> list[Removal]:
    """Return the last removal of each model from a scope before a sighting; `bounds` has these by scope."""
    rows = store.rows(
        """
        with bounds as (select cast(key as integer) as scope, value as exact from json_each(:bounds)),
        gone as (
            select moved.scope, removed.model, max(moved.id) as moved from bounds
            join sightings as moved on moved.scope = bounds.scope and moved.id < bounds.exact
                and moved.outcome = 'moved'
            join changes as removed on removed.transition = moved.transition and removed.kind = 'removed'
            group by moved.scope, removed.model
        )
        select gone.*, (
            select min(back.id) from sightings as back
            join changes as added on added.transition = back.transition and added.kind = 'added'
            where back.scope = gone.scope and back.outcome = 'moved' and back.id > gone.moved
            and added.model = gone.model
        ) as returned
        from gone
        """,
        {"bounds": json.dumps(bounds)},
    )
    return [Removal(**row) for row in rows]


def _write_departures(store: Store, removals: Iterable[Removal]) -> None:
    """Write departures, unless a later one is stored; must run before sightings are dropped."""
    known = {
        (row["scope"], row["model"]): (row["id"], row["sighting"])
        for row in store.rows("select id, scope, model, sighting from departures")
    }
    names = {row["id"]: row["name"] for row in store.rows("select id, name from models")}
    new = []
    for removal, departure in sorted(departures(store, removals).items()):
        row = _departure_row(names[removal.model], removal, departure)
        number, sighting = known.get((removal.scope, removal.model), (None, 0))
        if number is None:
            new.append(row)
        elif sighting < removal.moved:
            store.db.table("departures").update(number, row)
    BulkWriter(store).insert_new("departures", new)


def _departure_row(name: str, removal: Removal, departure: Departure) -> dict[str, object]:
    return {
        "name": f"{name} left" + (f" {departure.at}" if departure.at else ""),
        "scope": removal.scope,
        "model": removal.model,
        "record": departure.record,
        "left_at": departure.at,
        "sighting": removal.moved,
    }


def _make_baseline(store: Store, kept: Kept, dropped: Counter[str]) -> None:
    """Drop a scope's sightings before its base, and make the base its baseline."""
    row = {"base": kept.base}
    ids = store.stream(
        """
        select id from sightings
        where scope = (select scope from sightings where id = :base) and id < :base
        """,
        row,
    )
    gone = [*(number for (number,) in ids), *kept.stale]
    drop(store, "flaps", "ended in (select value from json_each(:ids))", json.dumps(gone), dropped)
    moves = json.dumps([kept.base, *gone])
    drop(store, "regains", "sighting in (select value from json_each(:ids))", moves, dropped)
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
            outcome = 'baseline', transition = null, since = null, flap_level = null, reason = null
        where id = :base
        """,
        row,
    )


def _drop_deliveries(store: Store, bound: str, dropped: Counter[str]) -> None:
    """Drop the deliveries of old reports, unless they wait to be sent."""
    rows = store.stream(
        """
        select deliveries.id from deliveries join snapshots on snapshots.id = deliveries.until
        where snapshots.started_at < :bound and deliveries.state <> 'waiting'
        """,
        {"bound": bound},
    )
    drop_ids(store, "deliveries", [number for (number,) in rows], dropped)


def _drop_snapshots(store: Store, bound: str, dropped: Counter[str]) -> None:
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
        -- where the windows of kept runs begin
        union select id - 1 from recent
        -- the last run that asked a scope, and the last that it answered before it failed
        union select max(id) from runs where is_old group by scope
        union select max(id) from runs where id < (select min(id) from recent) group by scope
        union select max(runs.id) from sightings join runs on runs.scope = sightings.scope
            and runs.id < coalesce(sightings.since, sightings.snapshot)
            where sightings.outcome = 'failed' group by sightings.id
        -- the run from which on removals count for the flap level
        union select (
            select early.id from snapshots as early
            where early.started_at < strftime('%Y-%m-%dT%H:%M:%SZ', run.started_at, '-{FLAP_DAYS} days')
            and early.id < sightings.snapshot order by early.started_at desc limit 1)
            from sightings join snapshots as run on run.id = sightings.snapshot
            where sightings.outcome = 'moved'
    )
    select id from old where id not in (select id from needed where id is not null)
"""  # noqa: S608 - a number of our own


def _records_to_drop(store: Store) -> set[int]:
    """Return the records of listings that are no longer needed; kept listings may have them too."""
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
