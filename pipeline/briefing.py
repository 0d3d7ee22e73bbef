"""From the history to what a report says to a person: a window of it, as far as somebody wants to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, timedelta

from pipeline import history
from pipeline.destinations import Filter
from pipeline.endings import announced
from pipeline.globs import matches
from pipeline.moves import Window
from pipeline.reports import Coverage, Event, Recovery, Report
from pipeline.reports.brief import Brief, Day, Ended, Ending, Severity, Started, Trouble
from pipeline.reports.netting import lines
from pipeline.store import Store
from pipeline.types import Kind
from pipeline.watchlist import NOTHING, Watch, mark, marked

DAYS = 28
"""So many days are counted in the picture of a report."""

AHEAD = 90
"""Announced ends are told of so many days ahead."""

EVERYTHING = Filter()
"""The usual filter: all scopes and models, of whatever is not quiet."""

_IN_TIME = """
    snapshots.started_at < :end and (snapshots.status <> 'imported' or snapshots.started_at >= :start)
"""
"""Says whether a snapshot of a window's numbers is in its time, too."""

_OF_TROUBLE = {"failed": Severity.URGENT, "held": Severity.BREAKING}


def brief(store: Store, window: Window, *, watch: Watch = NOTHING, wanted: Filter = EVERYTHING) -> Brief:
    """Give all that the report of a window says to somebody who wants to be told of some scopes and models.

    The same history, window and filter give the same brief, but for what is only known as it is now: models
    missing and not confirmed, and announced ends.
    """
    return replace(
        short(store, window, watch=watch, wanted=wanted),
        days=_days(store, window, watch, wanted),
        endings=_endings(store, window, wanted),
    )


def short(store: Store, window: Window, *, watch: Watch = NOTHING, wanted: Filter = EVERYTHING) -> Brief:
    """Give a brief without the weeks before and the ends ahead: enough to know whether there is any news."""
    groups = _groups(store)
    report = _wanted(mark(history.report(store, window), watch), wanted, groups)
    began = _began(store, window)
    asked = {name for name in _asked(store, window) if _is_about(name, wanted, groups)}
    everybody = history.coverage(store, until=report.run.snapshot)
    coverage = tuple(scope for scope in everybody if scope.scope in asked)
    told_of_models = bool(wanted.models or wanted.owners)
    return Brief(
        since=report.since,
        run=report.run,
        least=wanted.severity,
        lines=lines(report.events, groups),
        troubles=tuple(_troubles(coverage, began, wanted.severity)),
        ended=tuple(_ended(report.recoveries, wanted.severity)),
        started=() if told_of_models else tuple(_started(store, window, wanted, groups)),
        missing=tuple((scope.scope, scope.unconfirmed) for scope in coverage if scope.unconfirmed),
        coverage=coverage,
        events=report.events,
        recoveries=report.recoveries,
    )


def _groups(store: Store) -> dict[str, str]:
    """Give the group of each scope that names one."""
    rows = store.rows("select name, group_name from scopes where group_name is not null")
    return {row["name"]: row["group_name"] for row in rows}


def _is_about(scope: str, wanted: Filter, groups: Mapping[str, str]) -> bool:
    return matches(scope, wanted.scopes) and matches(groups.get(scope, ""), wanted.groups)


def _wanted(report: Report, wanted: Filter, groups: Mapping[str, str]) -> Report:
    """Leave in a report what somebody wants to be told of, whatever its severity."""
    return replace(
        report,
        events=tuple(_of_interest(report.events, wanted, groups)),
        recoveries=tuple(end for end in report.recoveries if _is_about(end.scope, wanted, groups)),
    )


def _of_interest(events: Iterable[Event], wanted: Filter, groups: Mapping[str, str]) -> Iterator[Event]:
    for event in events:
        if not (matches(event.model, wanted.models) and matches(event.owned_by or "", wanted.owners)):
            continue
        scopes = tuple(scope for scope in event.scopes if _is_about(scope, wanted, groups))
        if scopes == event.scopes:
            yield event
        elif scopes:
            of_them = tuple(sorted({groups[scope] for scope in scopes if scope in groups}))
            yield replace(event, scopes=scopes, groups=of_them)


def _asked(store: Store, window: Window) -> frozenset[str]:
    """Give the scopes that were asked in a window: one that has left the config is not spoken of any more."""
    rows = store.rows(
        f"""
        select distinct scopes.name from coverage_scopes join scopes on scopes.id = coverage_scopes.scope
        where coverage_scopes.coverage in (
            select snapshots.covered from snapshots
            where snapshots.id > :since and snapshots.id <= :until and {_IN_TIME})
        """,  # noqa: S608 - our own words
        asdict(window),
    )
    return frozenset(row["name"] for row in rows)


def _began(store: Store, window: Window) -> frozenset[str]:
    """Give the scopes whose trouble began in a window, be it over or not."""
    rows = store.rows(
        f"""
        select distinct scopes.name from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        where sightings.snapshot > :since and sightings.snapshot <= :until and {_IN_TIME}
        and sightings.outcome in ('failed', 'held') and coalesce(sightings.since, sightings.snapshot) > :since
        """,  # noqa: S608 - our own words
        asdict(window),
    )
    return frozenset(row["name"] for row in rows)


def _troubles(coverage: Iterable[Coverage], began: frozenset[str], least: Severity) -> Iterator[Trouble]:
    alike: dict[tuple[object, ...], list[Coverage]] = {}
    for scope in coverage:
        if scope.state in _OF_TROUBLE:
            new = scope.scope in began and _OF_TROUBLE[scope.state].reaches(least)
            key = (not new, scope.gateway, scope.state, scope.state_since, scope.error_class, scope.message)
            alike.setdefault(key, []).append(scope)
    for (old, *_), scopes in sorted(alike.items(), key=lambda item: _trouble_place(item[1], item[0])):
        first = scopes[0]
        yield Trouble(
            severity=_OF_TROUBLE[first.state],
            state=first.state,
            gateway=first.gateway,
            scopes=tuple(scope.scope for scope in scopes),
            since=first.state_since or "",
            new=not old,
            error_class=first.error_class,
            message=first.message or "",
            models=_common([scope.models for scope in scopes]),
            held_models=_common([scope.held_models for scope in scopes]),
            last_answered=max((scope.last_answered for scope in scopes if scope.last_answered), default=None),
        )


def _trouble_place(scopes: Sequence[Coverage], key: tuple[object, ...]) -> tuple[object, ...]:
    return key[0], list(_OF_TROUBLE).index(scopes[0].state), scopes[0].gateway, scopes[0].scope


def _common(numbers: Sequence[int | None]) -> int | None:
    return numbers[0] if len(set(numbers)) == 1 else None


def _ended(recoveries: Iterable[Recovery], least: Severity) -> Iterator[Ended]:
    """Tell what is over to whoever was told, or would have been, that it had begun."""
    alike: dict[tuple[object, ...], list[Recovery]] = {}
    for end in recoveries:
        if _OF_TROUBLE[end.was].reaches(least):
            alike.setdefault((end.at, end.gateway, end.was, end.believed, end.since), []).append(end)
    for ends in alike.values():
        first = ends[0]
        yield Ended(
            severity=Severity.NOTABLE,
            was=first.was,
            gateway=first.gateway,
            scopes=tuple(end.scope for end in ends),
            believed=first.believed,
            since=first.since,
            at=first.at,
            seconds=first.seconds,
        )


def _started(store: Store, window: Window, wanted: Filter, groups: Mapping[str, str]) -> Iterator[Started]:
    if not Severity.NOTABLE.reaches(wanted.severity):
        return
    rows = store.rows(
        f"""
        select gateways.name as gateway, scopes.name as scope, listings.size as models from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        join gateways on gateways.id = scopes.gateway
        join listings on listings.id = sightings.listing
        where sightings.snapshot > :since and sightings.snapshot <= :until and {_IN_TIME}
        and sightings.outcome = 'baseline' order by gateways.name, scopes.name
        """,  # noqa: S608 - our own words
        asdict(window),
    )
    alike: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        if _is_about(row["scope"], wanted, groups):
            alike.setdefault((row["gateway"], row["models"]), []).append(row["scope"])
    for (gateway, models), scopes in alike.items():
        yield Started(gateway, tuple(scopes), models)


def _days(store: Store, window: Window, watch: Watch, wanted: Filter) -> tuple[Day, ...]:
    """Count the changes of each of the last days, from the first run on, up to that of the window's end."""
    run = history.report_run(store, window)
    last = date.fromisoformat(run.started_at[:10])
    (first,) = store.rows("select min(started_at) as at from snapshots")
    days = [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(DAYS))]
    days = [day for day in days if day >= first["at"][:10]]
    before = history.window(store, since=days[0])
    whole = Window(min(before.since, window.until), window.until, days[0], window.end)
    events = _of_interest(marked(history.changes(store, whole), watch), wanted, _groups(store))
    counts = Counter((event.at[:10], event.kind) for event in events if not event.quiet)
    return tuple(Day(day, **{str(kind): counts[day, kind] for kind in Kind}) for day in days)


def _endings(store: Store, window: Window, wanted: Filter) -> tuple[Ending, ...]:
    run = history.report_run(store, window)
    today = date.fromisoformat(run.started_at[:10])
    groups = _groups(store)
    found = announced(store, today=today, until=today + timedelta(days=AHEAD))
    return tuple(
        Ending(each.day, each.days, each.gateway, each.model, scopes)
        for each in found
        if matches(each.model, wanted.models)
        and each.days >= -DAYS
        and (scopes := tuple(scope for scope in each.scopes if _is_about(scope, wanted, groups)))
    )
