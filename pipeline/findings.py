"""What the ledger says of a window, whoever is told of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from pipeline import history
from pipeline.moves import IN_TIME, Window
from pipeline.reports import Coverage, Report
from pipeline.store import Store
from pipeline.watchlist import Watch, mark


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to tell of a window.

    Args:
        report: all of it, step by step.
        groups: by scope, its group; without those that name none.
        coverage: the scopes that were asked in it: one that has left the config is not spoken of any more.
        began: the scopes whose trouble began in it, be it over or not.
        started: the scopes that answered for the first time, with their gateway and how many models.
        lacking: by scope and the time at which a hold began, the watched models that the held answers lacked.
    """

    report: Report
    groups: Mapping[str, str]
    coverage: tuple[Coverage, ...]
    began: frozenset[str]
    started: tuple[tuple[str, str, int], ...]
    lacking: Mapping[tuple[str, str], tuple[str, ...]]


def find(store: Store, window: Window, watch: Watch) -> Findings:
    """Read what the ledger says of a window, which must end with a run."""
    report = mark(history.report(store, window), watch)
    asked = _asked(store, window)
    everybody = history.coverage(store, until=report.run.snapshot)
    return Findings(
        report=report,
        groups=_groups(store),
        coverage=tuple(scope for scope in everybody if scope.scope in asked),
        began=_began(store, window),
        started=_answered_first(store, window),
        lacking=_lacking(store, report, everybody, watch) if watch.models else {},
    )


def _groups(store: Store) -> dict[str, str]:
    """Give the group of each scope that names one."""
    rows = store.rows("select name, group_name from scopes where group_name is not null")
    return {row["name"]: row["group_name"] for row in rows}


def _asked(store: Store, window: Window) -> frozenset[str]:
    """Give the scopes that were asked in a window; where nobody was, as by `accept`, before it."""
    rows = store.rows(
        f"""
        select distinct scopes.name from coverage_scopes join scopes on scopes.id = coverage_scopes.scope
        where coverage_scopes.coverage in (
            select snapshots.covered from snapshots
            where snapshots.id > :since and snapshots.id <= :until and {IN_TIME}
            union all
            select snapshots.covered from snapshots where snapshots.id = (
                select max(id) from snapshots as run
                where run.id <= :until and run.scopes > 0 and run.status <> 'imported'
                and run.started_at < :end))
        """,  # noqa: S608 - our own words
        asdict(window),
    )
    return frozenset(row["name"] for row in rows)


def _began(store: Store, window: Window) -> frozenset[str]:
    """Give the scopes whose trouble began in a window."""
    rows = store.rows(
        f"""
        select distinct scopes.name from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        where sightings.snapshot > :since and sightings.snapshot <= :until and {IN_TIME}
        and sightings.outcome in ('failed', 'held') and coalesce(sightings.since, sightings.snapshot) > :since
        """,  # noqa: S608 - our own words
        asdict(window),
    )
    return frozenset(row["name"] for row in rows)


def _answered_first(store: Store, window: Window) -> tuple[tuple[str, str, int], ...]:
    rows = store.rows(
        f"""
        select gateways.name as gateway, scopes.name as scope, listings.size as models from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        join gateways on gateways.id = scopes.gateway
        join listings on listings.id = sightings.listing
        where sightings.snapshot > :since and sightings.snapshot <= :until and {IN_TIME}
        and sightings.outcome = 'baseline' order by gateways.name, scopes.name
        """,  # noqa: S608 - our own words
        asdict(window),
    )
    return tuple((row["gateway"], row["scope"], row["models"]) for row in rows)


def _lacking(
    store: Store, report: Report, coverage: Iterable[Coverage], watch: Watch
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Give the watched models that held answers lacked, of holds that go on or that ended in the window."""
    holds = {(scope.scope, scope.state_since) for scope in coverage if scope.state == "held"}
    holds |= {(end.scope, end.since) for end in report.recoveries if end.was == "held"}
    covered = [list(hold) for hold in holds if watch.covers(hold[0])]
    rows = store.rows(_LACKING, {"holds": json.dumps(covered)}) if covered else []
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if watch.has(row["model"]):
            found.setdefault((row["scope"], row["since"]), []).append(row["model"])
    return {hold: tuple(models) for hold, models in found.items()}


_LACKING = """
    with held as (
        select distinct scopes.name as scope, began.started_at as since, sightings.listing, (
            select known.listing from sightings as known
            where known.scope = sightings.scope and known.id < sightings.id
            and known.outcome in ('baseline', 'moved', 'reread') order by known.id desc limit 1) as known
        from json_each(:holds) as hold
        join scopes on scopes.name = hold.value ->> 0
        join sightings on sightings.scope = scopes.id and sightings.outcome = 'held'
        join snapshots as began on began.id = coalesce(sightings.since, sightings.snapshot)
            and began.started_at = hold.value ->> 1
    )
    select distinct held.scope, held.since, models.name as model from held
    join listing_records on listing_records.listing = held.known
    join records on records.id = listing_records.record
    join models on models.id = records.model
    where not exists (
        select 1 from listing_records as answered join records as theirs on theirs.id = answered.record
        where answered.listing = held.listing and theirs.model = records.model)
    order by held.scope, held.since, models.name
"""
