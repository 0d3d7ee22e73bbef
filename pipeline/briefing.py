"""From the history to what a report says to a person: a window of it, as far as somebody wants to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pipeline import history
from pipeline.destinations import Filter
from pipeline.globs import matches
from pipeline.moves import Window
from pipeline.reports import Coverage, Event, Recovery, Report
from pipeline.reports.brief import Brief, Day, Ended, Ending, Severity, Started, Trouble
from pipeline.store import Store
from pipeline.types import Kind
from pipeline.watchlist import NOTHING, Watch, marked

if TYPE_CHECKING:  # a run that tells nobody, beside its files, makes no brief
    from pipeline.findings import Findings

DAYS = 28
"""So many days are counted in the picture of a report."""

AHEAD = 90
"""Announced ends are told of so many days ahead."""

_REMEMBERED = 4
"""So many windows are remembered, and for so many filters what is told of one."""

EVERYTHING = Filter()
"""The usual filter: all scopes and models, of whatever is not quiet."""

_K = TypeVar("_K")
_V = TypeVar("_V")

_OF_TROUBLE = {"failed": Severity.URGENT, "held": Severity.BREAKING}


def brief(store: Store, window: Window, *, watch: Watch = NOTHING, wanted: Filter = EVERYTHING) -> Brief:
    """Give all that the report of a window says to somebody who wants to be told of some scopes and models.

    The same history, window and filter give the same brief, but for what is only known as it is now: models
    missing and not confirmed, and announced ends.
    """
    return Briefs(store, watch).brief(window, wanted)


class Briefs:
    """Briefs of one and the same history: what it says of a window is read once for all who are told of it.

    Args:
        store: an open database, to whose ledger nothing is written meanwhile.
        watch: the models that the config watches.
    """

    def __init__(self, store: Store, watch: Watch) -> None:
        self._store = store
        self._watch = watch
        self._found: dict[Window, Findings] = {}
        self._events: dict[Window, tuple[Event, ...]] = {}
        self._short: dict[tuple[Window, Filter], Brief] = {}

    def brief(self, window: Window, wanted: Filter) -> Brief:
        """Give all that the report of a window says to somebody."""
        short = self.short(window, wanted)
        return replace(
            short,
            days=self._days(short, window, wanted),
            endings=_endings(self._store, short, wanted, self._of(window).groups),
        )

    def short(self, window: Window, wanted: Filter) -> Brief:
        """Give a brief without the weeks before and the ends ahead: enough to know whether there is news."""
        if (window, wanted) not in self._short:
            self._short = _newest(self._short)
            self._short[window, wanted] = self._made(window, wanted)
        return self._short[window, wanted]

    def _made(self, window: Window, wanted: Filter) -> Brief:
        from pipeline.reports.netting import lines

        found = self._of(window)
        report = _wanted(found.report, wanted, found.groups)
        coverage = tuple(scope for scope in found.coverage if _is_about(scope.scope, wanted, found.groups))
        told_of_models = bool(wanted.models or wanted.owners)
        return Brief(
            since=report.since,
            run=report.run,
            least=wanted.severity,
            lines=lines(report.events, found.groups),
            troubles=tuple(_troubles(coverage, found, wanted.severity)),
            ended=tuple(_ended(report.recoveries, found, wanted.severity)),
            started=() if told_of_models else tuple(_started(found, wanted)),
            missing=tuple((scope.scope, scope.unconfirmed) for scope in coverage if scope.unconfirmed),
            coverage=coverage,
            events=report.events,
            recoveries=report.recoveries,
        )

    def _of(self, window: Window) -> Findings:
        from pipeline.findings import find

        if window not in self._found:
            self._found = _newest(self._found)
            self._found[window] = find(self._store, window, self._watch)
        return self._found[window]

    def _days(self, short: Brief, window: Window, wanted: Filter) -> tuple[Day, ...]:
        """Count the changes of each of the last days, from the first run on, up to the window's end."""
        last = date.fromisoformat(short.run.started_at[:10])
        days = [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(DAYS))]
        (first,) = self._store.rows("select min(started_at) as at from snapshots")
        days = [day for day in days if day >= first["at"][:10]] or days[-1:]
        before = history.window(self._store, since=days[0])
        whole = Window(min(before.since, window.until), window.until, days[0], window.end)
        if whole not in self._events:
            self._events = _newest(self._events)
            self._events[whole] = marked(history.changes(self._store, whole), self._watch)
        events = _of_interest(self._events[whole], wanted, self._of(window).groups)
        counts = Counter((event.at[:10], event.kind) for event in events if not event.quiet)
        return tuple(Day(day, **{str(kind): counts[day, kind] for kind in Kind}) for day in days)


def _newest(found: dict[_K, _V]) -> dict[_K, _V]:
    """Let go of what was asked for long ago: there may be hundreds of windows in an outbox."""
    return dict(list(found.items())[1 - _REMEMBERED :])


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


def _severity(found: Findings, was: str, scope: str, since: str) -> Severity:
    """Say how much trouble matters: a hold is urgent where it keeps back what somebody depends on."""
    if was == "held" and (scope, since) in found.lacking:
        return Severity.URGENT
    return _OF_TROUBLE[was]


class _Same(NamedTuple):
    """What scopes that are told together have in common, in the order in which they are told."""

    old: bool
    place: int
    gateway: str
    state: str
    since: str
    error_class: str
    message: str
    watched: tuple[str, ...]


def _troubles(coverage: Iterable[Coverage], found: Findings, least: Severity) -> Iterator[Trouble]:
    """Tell of the trouble that goes on, once for all scopes that have the same."""
    alike: dict[_Same, list[Coverage]] = {}
    for scope in coverage:
        if scope.state not in _OF_TROUBLE:
            continue
        since = scope.state_since or ""
        if _severity(found, scope.state, scope.scope, since).reaches(least):
            same = _Same(
                old=scope.scope not in found.began,
                place=list(_OF_TROUBLE).index(scope.state),
                gateway=scope.gateway,
                state=scope.state,
                since=since,
                error_class=scope.error_class or "",
                message=scope.message or "",
                watched=found.lacking.get((scope.scope, since), ()),
            )
            alike.setdefault(same, []).append(scope)
    for same, scopes in sorted(alike.items(), key=lambda item: (*item[0][:3], item[1][0].scope)):
        yield Trouble(
            severity=_severity(found, same.state, scopes[0].scope, same.since),
            state=same.state,
            gateway=same.gateway,
            scopes=tuple(scope.scope for scope in scopes),
            since=same.since,
            new=not same.old,
            error_class=same.error_class or None,
            message=same.message,
            models=_common([scope.models for scope in scopes]),
            held_models=_common([scope.held_models for scope in scopes]),
            last_answered=max((scope.last_answered for scope in scopes if scope.last_answered), default=None),
            watched=same.watched,
        )


def _common(numbers: Sequence[int | None]) -> int | None:
    return numbers[0] if len(set(numbers)) == 1 else None


def _ended(recoveries: Iterable[Recovery], found: Findings, least: Severity) -> Iterator[Ended]:
    """Tell what is over to whoever was told, or would have been, that it had begun."""
    alike: dict[tuple[object, ...], list[Recovery]] = {}
    for end in recoveries:
        if _severity(found, end.was, end.scope, end.since).reaches(least):
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


def _started(found: Findings, wanted: Filter) -> Iterator[Started]:
    if not Severity.NOTABLE.reaches(wanted.severity):
        return
    alike: dict[tuple[str, int], list[str]] = {}
    for gateway, scope, models in found.started:
        if _is_about(scope, wanted, found.groups):
            alike.setdefault((gateway, models), []).append(scope)
    for (gateway, models), scopes in alike.items():
        yield Started(gateway, tuple(scopes), models)


def _endings(store: Store, short: Brief, wanted: Filter, groups: Mapping[str, str]) -> tuple[Ending, ...]:
    from pipeline.endings import announced

    today = date.fromisoformat(short.run.started_at[:10])
    found = announced(store, today=today, until=today + timedelta(days=AHEAD))
    return tuple(
        Ending(each.day, each.days, each.gateway, each.model, scopes)
        for each in found
        if matches(each.model, wanted.models)
        and each.days >= -DAYS
        and (scopes := tuple(scope for scope in each.scopes if _is_about(scope, wanted, groups)))
    )
