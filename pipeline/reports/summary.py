"""Summarise a window for one destination: net changes, incidents, shutdowns and daily counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.times import elapsed, local_day, midnight
from pipeline.core.types import GROUP_PREFIX, HoldKind, Kind, Severity
from pipeline.core.watchlist import NO_WATCH, Watch, matches
from pipeline.history.changes import find_events, select_models, select_scopes
from pipeline.history.types import Coverage, Event, Recovery
from pipeline.history.watch import Pending, not_removed, pending_findings, watched_pending
from pipeline.reports.report import build_report, mark_urgent
from pipeline.reports.types import (
    DayCounts,
    Filter,
    FirstAnswer,
    Incident,
    NetChange,
    Removal,
    Report,
    ResolvedIncident,
    Shutdown,
    Summary,
)
from pipeline.store import Store
from pipeline.store.catalog import NOW, Moment, history_start
from pipeline.store.coverage import (
    exceptional_coverage,
    gateways_asked,
    models_missing_from_held,
    scope_counts,
    scopes_asked,
    scopes_of_lost_groups,
)
from pipeline.store.groups import group_listings, scopes_of_groups
from pipeline.store.models import ListedModels
from pipeline.store.mutes import NO_MUTES, Mutes, mutes, mutes_ended
from pipeline.store.offers import ScopeModel
from pipeline.store.recurrences import Recurrence
from pipeline.store.runs import find_run, is_newest
from pipeline.store.scopes import keyless_scopes, scope_groups
from pipeline.store.windows import FOREVER, Window, time_window

CHART_DAYS = 28
"""The number of days in the chart of a report."""

DAYS_AHEAD = 90
"""The number of days ahead for which shutdowns are listed."""

_CACHED_WINDOWS = 4

DEFAULT_FILTER = Filter()
"""All scopes and models, severity notable and above."""

_K = TypeVar("_K")
_V = TypeVar("_V")

_PROBLEMS = ("failed", "held")
"""The states of scopes that are incidents."""


def summarise(
    store: Store,
    window: Window,
    *,
    watch: Watch = NO_WATCH,
    wanted: Filter = DEFAULT_FILTER,
    zone: str = "UTC",
) -> Summary:
    """Return the summary of a window for one filter.

    The same history, window and filter give the same summary, whatever happened after the window; how far
    pending removals are confirmed is known for the newest run only.
    """
    return Summaries(store, watch).get(window, wanted, zone)


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
        self._absences: dict[Window, bool] = {}

    def get(self, window: Window, wanted: Filter, zone: str = "UTC") -> Summary:
        """Return the summary of a window for one filter; its days are those of a time zone (an IANA name)."""
        preview = self.preview(window, wanted)
        return replace(
            preview,
            days=self._count_days(preview, window, wanted, zone),
            shutdowns=_shutdowns(self._store, preview, wanted, self._read(window).groups),
        )

    def has_new_absences(self, window: Window) -> bool:
        """Return whether a pending removal of a watched model is to be reported since the window began."""
        if window not in self._absences:
            until, since = (
                watched_pending(self._store, self._watch, run) for run in (window.until, window.since)
            )
            new = {each.asked for _, each in until.items() - since.items()}
            self._absences = _newest(self._absences)
            # Those of a site that was merged as history are no news.
            self._absences[window] = bool(new) and not new.isdisjoint(scopes_asked(self._store, window))
        return self._absences[window]

    def has_ended_mutes(self, window: Window) -> bool:
        """Return whether a mute ended in a window: what still stands is then reported."""
        return bool(_mutes_ended(self._store, window).all)

    def preview(self, window: Window, wanted: Filter) -> Summary:
        """Return a summary without `days` and `shutdowns`: enough to decide whether there is news."""
        if (window, wanted) not in self._previews:
            self._previews = _newest(self._previews)
            self._previews[window, wanted] = self._build(window, wanted)
        return self._previews[window, wanted]

    def _build(self, window: Window, wanted: Filter) -> Summary:
        data = self._read(window)
        report = _filter_report(data.report, wanted, data.groups)
        scopes = tuple(scope for scope in data.coverage if _selects(wanted, scope.scope, data.groups))
        selected = (each for name, each in data.asked.items() if _selects(wanted, name, data.groups))
        asked = Counter(selected)
        selects_models = bool(wanted.models or wanted.owners)
        return Summary(
            since=report.since,
            run=report.run,
            min_severity=wanted.severity,
            changes=tuple(_changes(report.events, data, self._watch)),
            incidents=(*_pending(data, wanted), *_incidents(scopes, data, wanted.severity)),
            resolved=(*_resolved(report.recoveries, data, wanted.severity), *_back(data, wanted)),
            first_answers=() if selects_models else tuple(_first_answers(data, wanted)),
            pending=tuple(
                (each.scope, models)
                for each in scopes
                if (models := tuple(one for one in each.pending_models if matches(one, wanted.models)))
            ),
            coverage=scopes,
            events=report.events,
            recoveries=report.recoveries,
            scopes=scope_counts(asked, scopes),
            keyless=data.keyless,
        )

    def _read(self, window: Window) -> _WindowData:
        if window not in self._windows:
            self._windows = _newest(self._windows)
            self._windows[window] = _read_window(self._store, window, self._watch)
        return self._windows[window]

    def _count_days(
        self, preview: Summary, window: Window, wanted: Filter, zone: str
    ) -> tuple[DayCounts, ...]:
        """Return the numbers of changes on the last days of a window, from the first run on."""
        last = local_day(preview.run.started_at, zone)
        days = [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(CHART_DAYS))]
        start = history_start(self._store) or preview.run.started_at
        first = local_day(start, zone).isoformat()
        days = [day for day in days if day >= first] or days[-1:]
        begin = days[0] if zone == "UTC" else midnight(date.fromisoformat(days[0]), zone)
        since = time_window(self._store, since=begin).since
        chart = Window(min(since, window.until), window.until, begin, window.end)
        if chart not in self._events:
            self._events = _newest(self._events)
            self._events[chart] = mark_urgent(find_events(self._store, chart, watch=self._watch), self._watch)
        events = _filter_events(self._events[chart], wanted, self._read(window).groups)
        counts = Counter(
            (local_day(event.at, zone).isoformat(), event.kind) for event in events if not event.quiet
        )
        return tuple(DayCounts(day, **{str(kind): counts[day, kind] for kind in Kind}) for day in days)


def _changes(events: Iterable[Event], data: _WindowData, watch: Watch) -> Iterator[NetChange]:
    """Yield the net changes; those of muted models, which are quiet, last.

    A muted model that is watched is not muted where its removal was confirmed.
    """
    from pipeline.reports.folding import fold_events

    events = tuple(events)
    muted = {
        (event.gateway, event.model) for event in events if event.model and data.mutes.model(event.model)
    }
    muted -= {(event.gateway, event.model) for event in events if event.kind == Kind.REMOVED and event.urgent}
    if not muted:
        yield from fold_events(events, data.groups, watch)
        return
    yield from fold_events(
        tuple(each for each in events if (each.gateway, each.model) not in muted), data.groups, watch
    )
    rest = tuple(each for each in events if (each.gateway, each.model) in muted)
    for change in fold_events(rest, data.groups, watch):
        yield replace(change, severity=Severity.QUIET, muted=True)


def _newest(cache: dict[_K, _V]) -> dict[_K, _V]:
    """Return a cache without its oldest entries: an outbox may hold hundreds of windows."""
    return dict(list(cache.items())[1 - _CACHED_WINDOWS :])


def _selects(wanted: Filter, scope: str, groups: Mapping[str, str]) -> bool:
    if not (wanted.scopes or wanted.groups):
        return True
    return matches(scope, wanted.scopes) and matches(groups.get(scope, ""), wanted.groups)


def _filter_report(report: Report, wanted: Filter, groups: Mapping[str, str]) -> Report:
    """Return the part of a report that a filter selects, whatever its severity."""
    return replace(
        report,
        events=tuple(_filter_events(report.events, wanted, groups)),
        recoveries=tuple(each for each in report.recoveries if _selects(wanted, each.scope, groups)),
    )


def _filter_events(events: Iterable[Event], wanted: Filter, groups: Mapping[str, str]) -> Iterator[Event]:

    def selects(scope: str, group: str) -> bool:
        return matches(scope, wanted.scopes) and matches(group, wanted.groups)

    for event in filter(None, (select_models(event, wanted.models) for event in events)):
        # A change of shape may be one of models of several owners.
        of_several = event.kind in (Kind.SHAPE, Kind.GROUP) and event.owned_by is None
        if not (of_several or matches(event.owned_by or "", wanted.owners)):
            continue
        if selected := select_scopes(event, selects, groups):
            yield selected


def _severity(
    problem: Coverage | Recovery, since: str, missing_watched: Container[tuple[str, str]]
) -> Severity:
    """Return the severity of a hold or failure, open or ended.

    A hold is urgent where the held answer lacks a watched model, or a key gets the anonymous list. A
    transient failure is notable until it has lasted; see `Coverage`.
    """
    if problem.state == "held":
        lacks_watched = (problem.scope, since) in missing_watched
        return Severity.URGENT if problem.urgent or lacks_watched else Severity.BREAKING
    return Severity.URGENT if problem.urgent else Severity.NOTABLE


def _began(problem: Coverage, data: _WindowData) -> bool:
    """Return whether a hold or failure began in the window, or made its scope unsteady."""
    return problem.begins_after(data.since)


def _is_worse(problem: Coverage, data: _WindowData) -> bool:
    """Return whether a hold or failure that is not new became more severe, or lacks more watched models."""
    before, since = data.before.get(problem.scope), problem.state_since or ""
    if _began(problem, data):
        return False
    missing, missing_before = (
        set(each.get((problem.scope, since), ()))
        for each in (data.missing_watched, data.missing_watched_before)
    )
    if problem.lasts_after(data.since) or not missing <= missing_before:
        return True
    # An unsteady scope may have been well, or another problem may have interrupted this one.
    earlier = before if before is not None and problem.is_same_problem(before) else problem
    severity = _severity(earlier, since, data.missing_watched_before)
    return not severity.reaches(_severity(problem, since, data.missing_watched))


class _IncidentKey(NamedTuple):
    """The properties that the scopes of one incident share; incidents are sorted by the first four."""

    old: bool
    severity: int
    order: int
    gateway: str
    lasts: bool
    state: str
    since: str
    error_class: str
    message: str
    cure: str
    missing_watched: tuple[str, ...]
    hold: str
    recurrence: Recurrence | None
    muted: str


def _incidents(scopes: Iterable[Coverage], data: _WindowData, lowest: Severity) -> Iterator[Incident]:
    """Yield the open incidents of some scopes; scopes with the same incident share one."""
    incidents: dict[_IncidentKey, list[Coverage]] = {}
    severities = list(Severity)
    for scope in scopes:
        if scope.state not in _PROBLEMS:
            continue
        since = scope.state_since or ""
        severity = _severity(scope, since, data.missing_watched)
        muted = data.mutes.scope(scope.scope)
        if muted and severity != Severity.QUIET:
            severity = Severity.NOTABLE
        new = _began(scope, data) or _is_worse(scope, data) or data.mutes_ended.scope(scope.scope)
        if severity.reaches(lowest):
            key = _IncidentKey(
                old=bool(muted) or not new,
                severity=severities.index(severity),
                order=_PROBLEMS.index(scope.state),
                gateway=scope.gateway,
                lasts=scope.state == "failed" and not muted and _is_worse(scope, data),
                state=scope.state,
                since=since,
                error_class=scope.error_class or "",
                # The message names the scope.
                message="" if scope.hold == HoldKind.ANONYMOUS else scope.message or "",
                cure=scope.cure or "",
                missing_watched=data.missing_watched.get((scope.scope, since), ()),
                hold=scope.hold or "",
                recurrence=scope.recurrence,
                muted=muted or "",
            )
            incidents.setdefault(key, []).append(scope)
    for key, members in sorted(incidents.items(), key=lambda item: (*item[0][:4], item[1][0].scope)):
        yield Incident(
            severity=severities[key.severity],
            state=key.state,
            gateway=key.gateway,
            scopes=tuple(scope.scope for scope in members),
            since=key.since,
            new=not key.old,
            lasts=key.lasts,
            error_class=key.error_class or None,
            message=key.message or members[0].message or "",
            cure=key.cure or None,
            models=_common([scope.models for scope in members]),
            held_models=_common([scope.held_models for scope in members]),
            last_answered=max(
                (scope.last_answered for scope in members if scope.last_answered), default=None
            ),
            missing_watched=key.missing_watched,
            hold=key.hold or None,
            recurrence=key.recurrence,
            muted=key.muted or None,
        )


def _pending(data: _WindowData, wanted: Filter) -> Iterator[Incident]:
    """Yield the watched models with a pending removal, by scopes and beginning."""
    for (gateway, (since, group), scopes), models in _by_scopes(data.pending, data, wanted).items():
        known = any(
            (before := data.pending_before.get((scope, models[0]))) is not None and before.since == since
            for scope in scopes
        )
        yield Incident(
            severity=Severity.URGENT,
            state="pending",
            gateway=gateway,
            scopes=scopes,
            since=since,
            new=not known,
            missing_watched=tuple(models),
            group=group,
            removal=_removal(data, [(scope, model) for scope in scopes for model in models]),
        )


def _removal(data: _WindowData, pending: Iterable[ScopeModel]) -> Removal | None:
    """Return how far pending removals are confirmed, if all of them are equally far."""
    found = {data.removals.get(key) for key in pending}
    return next(iter(found)) if len(found) == 1 else None


def _back(data: _WindowData, wanted: Filter) -> Iterator[ResolvedIncident]:
    """Yield the watched models that are offered again before their removal was confirmed."""
    at = data.report.run.started_at
    unconfirmed = not_removed(data.pending_before, data.report.events)
    back = {
        key: each
        for key, each in unconfirmed.items()
        if key not in data.pending and not data.mutes.model(key[1])
    }
    for (gateway, (since, _), scopes), models in _by_scopes(back, data, wanted).items():
        yield ResolvedIncident(
            severity=Severity.NOTABLE,
            state="pending",
            gateway=gateway,
            scopes=scopes,
            accepted=False,
            since=since,
            at=at,
            seconds=elapsed(since, at),
            models=tuple(models),
        )


def _by_scopes(
    found: Mapping[ScopeModel, Pending], data: _WindowData, wanted: Filter
) -> dict[tuple[str, tuple[str, str | None], tuple[str, ...]], list[str]]:
    """Return the models that a filter selects, by gateway, beginning with any lost group, and scopes."""
    scopes_of: dict[tuple[str, tuple[str, str | None], str], list[str]] = {}
    for (scope, model), each in sorted(found.items()):
        if matches(model, wanted.models) and not wanted.owners and _selects(wanted, scope, data.groups):
            key = scope.partition("/")[0], (each.since, each.group), model
            scopes_of.setdefault(key, []).append(scope)
    models_of: dict[tuple[str, tuple[str, str | None], tuple[str, ...]], list[str]] = {}
    for (gateway, begun, model), scopes in scopes_of.items():
        models_of.setdefault((gateway, begun, tuple(scopes)), []).append(model)
    return models_of


def _common(numbers: Sequence[int | None]) -> int | None:
    return numbers[0] if len(set(numbers)) == 1 else None


def _resolved(
    recoveries: Iterable[Recovery], data: _WindowData, lowest: Severity
) -> Iterator[ResolvedIncident]:
    """Yield the incidents that ended, except those whose beginning had too low a severity to be reported.

    Those of a scope that became unsteady in the window are one; if it still has the problem, it is open.
    """
    incidents: dict[tuple[object, ...], list[Recovery]] = {}
    for recovery in _ends(recoveries, data):
        if _severity(recovery, recovery.since, data.missing_watched).reaches(lowest):
            key = (
                recovery.at,
                recovery.gateway,
                recovery.state,
                recovery.accepted,
                recovery.since,
                recovery.error_class,
                recovery.urgent,
                _was_reported(recovery, data),
                recovery.hold,
                (recovery.models, recovery.models_before) if recovery.state == "held" else None,
                recovery.recurrence,
            )
            incidents.setdefault(key, []).append(recovery)
    for members in incidents.values():
        first = members[0]
        yield ResolvedIncident(
            severity=Severity.BREAKING if first.accepted else Severity.NOTABLE,
            state=first.state,
            gateway=first.gateway,
            scopes=tuple(recovery.scope for recovery in members),
            accepted=first.accepted,
            since=first.since,
            at=first.at,
            seconds=first.seconds,
            error_class=first.error_class,
            urgent=first.urgent,
            reported=_was_reported(first, data),
            hold=first.hold,
            size=first.models,
            size_before=first.models_before,
            recurrence=first.recurrence,
            steady=first.steady,
            **(_removals_of_accepted(members, data) if first.accepted else {}),
        )


def _ends(recoveries: Iterable[Recovery], data: _WindowData) -> Iterator[Recovery]:
    """Yield the recoveries that are news, with the last one of each problem that began to come and go."""
    recoveries = list(recoveries)
    if all(each.recurrence is None for each in recoveries):
        yield from recoveries
        return
    began = {
        (each.scope, each.state, each.recurrence.since): each
        for each in recoveries
        if each.recurrence and not each.is_news and each.recurrence.became > data.since
    }
    still_open = {
        (scope.scope, scope.state, scope.recurrence.since)
        for scope in data.coverage
        if scope.recurrence and scope.recurrence.became > data.since
    }
    well = {(each.scope, each.state, each.since) for each in recoveries if each.steady}
    last = {each for key, each in began.items() if key not in still_open | well}
    earliest: dict[tuple[str, str], str] = {}
    for scope, state, since in began.keys() | still_open:
        earliest[scope, state] = min(since, earliest.get((scope, state), since))
    for recovery in recoveries:
        belongs = recovery.since >= earliest.get((recovery.scope, recovery.state), FOREVER)
        if recovery in last or recovery.accepted or recovery.steady or (recovery.is_news and not belongs):
            yield recovery


def _removals_of_accepted(accepted: Iterable[Recovery], data: _WindowData) -> dict[str, Any]:
    """Return the number of removals that accepted answers left to be confirmed, and how far they are."""
    pending = {scope.scope: scope.pending_models for scope in data.coverage if scope.pending_models}
    after = {each.scope: pending.get(each.scope, ()) for each in accepted if each.scope in data.asked}
    return {
        "removals": _common(list(map(len, after.values()))) if after else None,
        "removal": _removal(data, [(scope, each) for scope, models in after.items() for each in models]),
    }


def _was_reported(recovery: Recovery, data: _WindowData) -> bool:
    """Return whether a hold or failure that ended in the window began before it."""
    before = data.before.get(recovery.scope)
    return before is not None and (before.state, before.state_since) == (recovery.state, recovery.since)


def _first_answers(data: _WindowData, wanted: Filter) -> Iterator[FirstAnswer]:
    if not Severity.NOTABLE.reaches(wanted.severity):
        return
    for each in data.report.first_answers:
        scopes = tuple(scope for scope in each.scopes if _selects(wanted, scope, data.groups))
        if scopes:
            yield FirstAnswer(each.gateway, scopes, each.models, each.lists_groups)


def _shutdowns(
    store: Store, preview: Summary, wanted: Filter, groups: Mapping[str, str]
) -> tuple[Shutdown, ...]:
    from pipeline.history.deprecations import announced_shutdowns

    run = preview.run
    today = date.fromisoformat(run.started_at[:10])
    moment = NOW if is_newest(store, run.snapshot) else Moment(run=run.snapshot)
    found = announced_shutdowns(store, today=today, until=today + timedelta(days=DAYS_AHEAD), moment=moment)
    return tuple(
        Shutdown(each.day, each.days, each.gateway, each.model, scopes)
        for each in found
        if matches(each.model, wanted.models)
        and each.days >= -CHART_DAYS
        and (scopes := tuple(scope for scope in each.scopes if _selects(wanted, scope, groups)))
    )


class _WindowData(Struct, frozen=True):
    """The content of a window before any filter.

    Args:
        since: the snapshot after which it begins.
        report: every step.
        groups: by scope, its group; scopes without one are left out.
        asked: the gateways of the scopes asked in the window, by scope, without those whose group is gone.
        coverage: those of them that are held, failing or new at its end, or have pending removals.
        before: by name, the scopes that were held or failing before the window, if any is in or after it.
        keyless: the scopes without a key.
        missing_watched: by scope and beginning of a hold, the watched models that the held answers lacked;
            `missing_watched_before`, those of the answers before the window.
        pending: the watched models whose removal is pending, by scope and model; `pending_before`, those
            before the window.
        mutes: those in force at the end of the window, and `mutes_ended`, those that ended in it. What the
            first mute is not in `pending`, and what the others muted is not in `pending_before`.
        removals: how far they, and those of accepted answers, are confirmed; known for the newest run only.
    """

    since: int
    report: Report
    groups: Mapping[str, str]
    asked: Mapping[str, str]
    coverage: tuple[Coverage, ...]
    before: Mapping[str, Coverage]
    keyless: frozenset[str]
    missing_watched: Mapping[tuple[str, str], tuple[str, ...]]
    missing_watched_before: Mapping[tuple[str, str], tuple[str, ...]]
    pending: Mapping[ScopeModel, Pending]
    pending_before: Mapping[ScopeModel, Pending]
    removals: Mapping[ScopeModel, Removal]
    mutes: Mutes
    mutes_ended: Mutes


def _mutes_ended(store: Store, window: Window) -> Mutes:
    """Return the mutes that ended in a window."""
    first, last = (find_run(store, run) if run else None for run in (window.since, window.until))
    return mutes_ended(store, first.started_at if first else "", last.started_at) if last else NO_MUTES


def _unmuted(pending: Mapping[ScopeModel, Pending], muted: Mutes) -> dict[ScopeModel, Pending]:
    return {key: each for key, each in pending.items() if not muted.model(key[1])}


def _read_window(store: Store, window: Window, watch: Watch) -> _WindowData:
    """Read a window that ends with a run."""
    report = build_report(store, window, watch)
    asked = gateways_asked(store, window)
    lost = scopes_of_lost_groups(store, report.run.snapshot)
    still_asked = {scope: gateway for scope, gateway in asked.items() if scope not in lost} if lost else asked
    scopes = report.coverage
    if len(asked) > sum(each.asked for each in report.scopes):  # an earlier run of the window asked more
        scopes = exceptional_coverage(store, until=report.run.snapshot)
    open_holds = {
        (scope.scope, scope.state_since or ""): scope.recurrence for scope in scopes if scope.state == "held"
    }
    holds = {hold: hold[1] for hold in open_holds}
    holds |= {(each.scope, each.since): each.since for each in report.recoveries if each.state == "held"}
    rows_of_holds = holds | {hold: again.since for hold, again in open_holds.items() if again}
    has_problems = report.recoveries or any(scope.state in _PROBLEMS for scope in scopes)
    before = exceptional_coverage(store, until=window.since) if has_problems else ()
    muted, ended = mutes(store, report.run.started_at), _mutes_ended(store, window)
    pending = _unmuted(_pending_at(store, watch, asked, report.run.snapshot), muted)
    accepted = {each.scope for each in report.recoveries if each.accepted}
    removals = pending.keys() | {
        (scope.scope, model) for scope in scopes if scope.scope in accepted for model in scope.pending_models
    }
    return _WindowData(
        since=window.since,
        report=report,
        groups=scope_groups(store),
        asked=still_asked,
        coverage=tuple(each for each in scopes if each.scope in still_asked),
        keyless=keyless_scopes(store),
        before={scope.scope: scope for scope in before if scope.state in _PROBLEMS},
        missing_watched=_missing_watched(store, holds, watch, until=report.run.snapshot),
        missing_watched_before=_missing_watched(store, rows_of_holds, watch, until=window.since),
        pending=pending,
        pending_before=_unmuted(_pending_at(store, watch, asked, window.since), ended),
        removals=_removals(store, watch, removals) if is_newest(store, report.run.snapshot) else {},
        mutes=muted,
        mutes_ended=ended,
    )


def _removals(store: Store, watch: Watch, pending: Collection[ScopeModel]) -> dict[ScopeModel, Removal]:
    """Return how far pending removals are confirmed now, where that is known."""
    return {
        key: Removal(each.answers, each.needed, each.answers_left, each.earliest, each.flapping)
        for key, each in pending_findings(store, watch, pending).items()
        if each.answers is not None and each.needed is not None and each.answers_left is not None
    }


def _pending_at(store: Store, watch: Watch, asked: Container[str], until: int) -> dict[ScopeModel, Pending]:
    """Return the pending removals of watched models after a run, in the scopes that are asked."""
    return {key: each for key, each in watched_pending(store, watch, until).items() if each.asked in asked}


def _missing_watched(
    store: Store, holds: Mapping[tuple[str, str], str], watch: Watch, *, until: int
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the watched models that held answers lack, by hold; see `models_missing_from_held`.

    A held list of groups lacks the models of the groups that it lacks.
    """
    if not watch.models:
        return {}
    users = scopes_of_groups(store)
    chosen = {hold: first for hold, first in holds.items() if watch.covers(hold[0]) or hold[0] in users}
    lacking = models_missing_from_held(store, chosen, until=until)
    groups = {
        (scope, name.removeprefix(GROUP_PREFIX), until)
        for (scope, _), names in lacking.items()
        if scope in users
        for name in names
    }
    listed = ListedModels(store)
    of_groups: dict[str, set[str]] = {}
    for (user, _, _), (scope, listing) in (group_listings(store, groups) if groups else {}).items():
        if watch.covers(user) or watch.covers(scope):
            of_groups.setdefault(user, set()).update(listed.names(listing).values())
    watched = {
        hold: tuple(filter(watch.has, sorted(of_groups.get(hold[0], ())) if hold[0] in users else models))
        for hold, models in lacking.items()
    }
    return {hold: models for hold, models in watched.items() if models}
