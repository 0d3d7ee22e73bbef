"""Summarise a window for one destination: net changes, incidents, shutdowns and daily counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple, TypeVar

from pipeline.core.types import Kind, Severity
from pipeline.core.watchlist import NO_WATCH, Watch, matches
from pipeline.history.changes import find_events
from pipeline.history.types import Coverage, Event, Recovery
from pipeline.reports.report import build_report, mark_urgent
from pipeline.reports.types import (
    DayCounts,
    Filter,
    FirstAnswer,
    Incident,
    Report,
    ResolvedIncident,
    Shutdown,
    Summary,
)
from pipeline.store import Store
from pipeline.store.catalog import history_start
from pipeline.store.coverage import (
    coverage,
    first_answers,
    models_missing_from_held,
    scopes_asked,
    scopes_with_new_problems,
)
from pipeline.store.scopes import scope_groups
from pipeline.store.windows import Window, time_window

CHART_DAYS = 28
"""The number of days in the chart of a report."""

DAYS_AHEAD = 90
"""The number of days ahead for which shutdowns are listed."""

_CACHED_WINDOWS = 4

DEFAULT_FILTER = Filter()
"""All scopes and models, severity notable and above."""

_K = TypeVar("_K")
_V = TypeVar("_V")

_SEVERITIES = {"failed": Severity.URGENT, "held": Severity.BREAKING}


def summarise(
    store: Store, window: Window, *, watch: Watch = NO_WATCH, wanted: Filter = DEFAULT_FILTER
) -> Summary:
    """Return the summary of a window for one filter.

    The same history, window and filter give the same summary, except for pending removals and shutdowns:
    these are as of now.
    """
    return Summaries(store, watch).get(window, wanted)


class Summaries:
    """Summaries of one history; each window is read once for all destinations.

    Args:
        store: an open database whose ledger does not change meanwhile.
        watch: the models that the config watches.
    """

    def __init__(self, store: Store, watch: Watch) -> None:
        self._store = store
        self._watch = watch
        self._windows: dict[Window, _WindowData] = {}
        self._events: dict[Window, tuple[Event, ...]] = {}
        self._previews: dict[tuple[Window, Filter], Summary] = {}

    def get(self, window: Window, wanted: Filter) -> Summary:
        """Return the summary of a window for one filter."""
        preview = self.preview(window, wanted)
        return replace(
            preview,
            days=self._count_days(preview, window, wanted),
            shutdowns=_shutdowns(self._store, preview, wanted, self._read(window).groups),
        )

    def preview(self, window: Window, wanted: Filter) -> Summary:
        """Return a summary without `days` and `shutdowns`: enough to decide whether there is news."""
        if (window, wanted) not in self._previews:
            self._previews = _newest(self._previews)
            self._previews[window, wanted] = self._build(window, wanted)
        return self._previews[window, wanted]

    def _build(self, window: Window, wanted: Filter) -> Summary:
        from pipeline.reports.folding import fold_events

        data = self._read(window)
        report = _filter_report(data.report, wanted, data.groups)
        scopes = tuple(scope for scope in data.coverage if _selects(wanted, scope.scope, data.groups))
        selects_models = bool(wanted.models or wanted.owners)
        return Summary(
            since=report.since,
            run=report.run,
            min_severity=wanted.severity,
            changes=fold_events(report.events, data.groups, self._watch),
            incidents=tuple(_incidents(scopes, data, wanted.severity)),
            resolved=tuple(_resolved(report.recoveries, data, wanted.severity)),
            first_answers=() if selects_models else tuple(_first_answers(data, wanted)),
            pending=tuple((each.scope, each.pending_removals) for each in scopes if each.pending_removals),
            coverage=scopes,
            events=report.events,
            recoveries=report.recoveries,
        )

    def _read(self, window: Window) -> _WindowData:
        if window not in self._windows:
            self._windows = _newest(self._windows)
            self._windows[window] = _read_window(self._store, window, self._watch)
        return self._windows[window]

    def _count_days(self, preview: Summary, window: Window, wanted: Filter) -> tuple[DayCounts, ...]:
        """Return the numbers of changes on the last days of a window, from the first run on."""
        last = date.fromisoformat(preview.run.started_at[:10])
        days = [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(CHART_DAYS))]
        start = history_start(self._store) or preview.run.started_at
        days = [day for day in days if day >= start[:10]] or days[-1:]
        since = time_window(self._store, since=days[0]).since
        chart = Window(min(since, window.until), window.until, days[0], window.end)
        if chart not in self._events:
            self._events = _newest(self._events)
            self._events[chart] = mark_urgent(find_events(self._store, chart), self._watch)
        events = _filter_events(self._events[chart], wanted, self._read(window).groups)
        counts = Counter((event.at[:10], event.kind) for event in events if not event.quiet)
        return tuple(DayCounts(day, **{str(kind): counts[day, kind] for kind in Kind}) for day in days)


def _newest(cache: dict[_K, _V]) -> dict[_K, _V]:
    """Return a cache without its oldest entries: an outbox may hold hundreds of windows."""
    return dict(list(cache.items())[1 - _CACHED_WINDOWS :])


def _selects(wanted: Filter, scope: str, groups: Mapping[str, str]) -> bool:
    return matches(scope, wanted.scopes) and matches(groups.get(scope, ""), wanted.groups)


def _filter_report(report: Report, wanted: Filter, groups: Mapping[str, str]) -> Report:
    """Return the part of a report that a filter selects, whatever its severity."""
    return replace(
        report,
        events=tuple(_filter_events(report.events, wanted, groups)),
        recoveries=tuple(each for each in report.recoveries if _selects(wanted, each.scope, groups)),
    )


def _filter_events(events: Iterable[Event], wanted: Filter, groups: Mapping[str, str]) -> Iterator[Event]:
    for event in events:
        if not (matches(event.model, wanted.models) and matches(event.owned_by or "", wanted.owners)):
            continue
        scopes = tuple(scope for scope in event.scopes if _selects(wanted, scope, groups))
        if scopes == event.scopes:
            yield event
        elif scopes:
            selected_groups = tuple(sorted({groups[scope] for scope in scopes if scope in groups}))
            yield replace(event, scopes=scopes, groups=selected_groups)


def _severity(data: _WindowData, state: str, scope: str, since: str) -> Severity:
    """Return the severity of an incident; a hold is urgent where the held answer lacks a watched model."""
    if state == "held" and (scope, since) in data.missing_watched:
        return Severity.URGENT
    return _SEVERITIES[state]


class _IncidentKey(NamedTuple):
    """The properties that the scopes of one incident share; incidents are sorted by the first three."""

    old: bool
    order: int
    gateway: str
    state: str
    since: str
    error_class: str
    message: str
    missing_watched: tuple[str, ...]


def _incidents(scopes: Iterable[Coverage], data: _WindowData, lowest: Severity) -> Iterator[Incident]:
    """Yield the open incidents of some scopes; scopes with the same incident share one."""
    incidents: dict[_IncidentKey, list[Coverage]] = {}
    for scope in scopes:
        since = scope.state_since or ""
        if scope.state in _SEVERITIES and _severity(data, scope.state, scope.scope, since).reaches(lowest):
            key = _IncidentKey(
                old=scope.scope not in data.new_incidents,
                order=list(_SEVERITIES).index(scope.state),
                gateway=scope.gateway,
                state=scope.state,
                since=since,
                error_class=scope.error_class or "",
                message=scope.message or "",
                missing_watched=data.missing_watched.get((scope.scope, since), ()),
            )
            incidents.setdefault(key, []).append(scope)
    for key, members in sorted(incidents.items(), key=lambda item: (*item[0][:3], item[1][0].scope)):
        yield Incident(
            severity=_severity(data, key.state, members[0].scope, key.since),
            state=key.state,
            gateway=key.gateway,
            scopes=tuple(scope.scope for scope in members),
            since=key.since,
            new=not key.old,
            error_class=key.error_class or None,
            message=key.message,
            models=_common([scope.models for scope in members]),
            held_models=_common([scope.held_models for scope in members]),
            last_answered=max(
                (scope.last_answered for scope in members if scope.last_answered), default=None
            ),
            missing_watched=key.missing_watched,
        )


def _common(numbers: Sequence[int | None]) -> int | None:
    return numbers[0] if len(set(numbers)) == 1 else None


def _resolved(
    recoveries: Iterable[Recovery], data: _WindowData, lowest: Severity
) -> Iterator[ResolvedIncident]:
    """Yield the incidents that ended, except those whose beginning had too low a severity to be reported."""
    incidents: dict[tuple[object, ...], list[Recovery]] = {}
    for recovery in recoveries:
        if _severity(data, recovery.state, recovery.scope, recovery.since).reaches(lowest):
            key = (recovery.at, recovery.gateway, recovery.state, recovery.accepted, recovery.since)
            incidents.setdefault(key, []).append(recovery)
    for members in incidents.values():
        first = members[0]
        yield ResolvedIncident(
            severity=Severity.NOTABLE,
            state=first.state,
            gateway=first.gateway,
            scopes=tuple(recovery.scope for recovery in members),
            accepted=first.accepted,
            since=first.since,
            at=first.at,
            seconds=first.seconds,
        )


def _first_answers(data: _WindowData, wanted: Filter) -> Iterator[FirstAnswer]:
    if not Severity.NOTABLE.reaches(wanted.severity):
        return
    by_size: dict[tuple[str, int], list[str]] = {}
    for gateway, scope, models in data.first_answers:
        if _selects(wanted, scope, data.groups):
            by_size.setdefault((gateway, models), []).append(scope)
    for (gateway, models), scopes in by_size.items():
        yield FirstAnswer(gateway, tuple(scopes), models)


def _shutdowns(
    store: Store, preview: Summary, wanted: Filter, groups: Mapping[str, str]
) -> tuple[Shutdown, ...]:
    from pipeline.history.deprecations import announced_shutdowns

    today = date.fromisoformat(preview.run.started_at[:10])
    found = announced_shutdowns(store, today=today, until=today + timedelta(days=DAYS_AHEAD))
    return tuple(
        Shutdown(each.day, each.days, each.gateway, each.model, scopes)
        for each in found
        if matches(each.model, wanted.models)
        and each.days >= -CHART_DAYS
        and (scopes := tuple(scope for scope in each.scopes if _selects(wanted, scope, groups)))
    )


@dataclass(frozen=True, slots=True)
class _WindowData:
    """The content of a window before any filter.

    Args:
        report: every step.
        groups: by scope, its group; scopes without one are left out.
        coverage: the scopes asked in the window, at its end; a scope that left the config is not among them.
        new_incidents: the scopes with an incident that began in the window, open or resolved.
        first_answers: gateway, scope and number of models of the scopes that answered for the first time.
        missing_watched: by scope and beginning of a hold, the watched models that the held answers lacked.
    """

    report: Report
    groups: Mapping[str, str]
    coverage: tuple[Coverage, ...]
    new_incidents: frozenset[str]
    first_answers: tuple[tuple[str, str, int], ...]
    missing_watched: Mapping[tuple[str, str], tuple[str, ...]]


def _read_window(store: Store, window: Window, watch: Watch) -> _WindowData:
    """Read a window that ends with a run."""
    report = build_report(store, window, watch)
    asked = scopes_asked(store, window)
    scopes = coverage(store, until=report.run.snapshot)
    return _WindowData(
        report=report,
        groups=scope_groups(store),
        coverage=tuple(scope for scope in scopes if scope.scope in asked),
        new_incidents=scopes_with_new_problems(store, window),
        first_answers=first_answers(store, window),
        missing_watched=_missing_watched(store, report, scopes, watch) if watch.models else {},
    )


def _missing_watched(
    store: Store, report: Report, scopes: Iterable[Coverage], watch: Watch
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the watched models that held answers lack, for holds that are open or ended in the window."""
    holds = {(scope.scope, scope.state_since or "") for scope in scopes if scope.state == "held"}
    holds |= {(each.scope, each.since) for each in report.recoveries if each.state == "held"}
    lacking = models_missing_from_held(store, {hold for hold in holds if watch.covers(hold[0])})
    watched = {hold: tuple(filter(watch.has, models)) for hold, models in lacking.items()}
    return {hold: models for hold, models in watched.items() if models}
