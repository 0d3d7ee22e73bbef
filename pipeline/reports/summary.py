"""From the history to what a report says to a person: a window of it, as far as somebody wants to be told.

What the ledger says of a window, whoever is told of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple, TypeVar

from pipeline.core.types import Kind, Severity
from pipeline.core.watchlist import NOTHING, Watch, matches
from pipeline.history.changes import find_events
from pipeline.history.runs import coverage
from pipeline.history.types import Coverage, Event, Recovery
from pipeline.reports.report import Report, build_report
from pipeline.reports.types import Day, Ended, Ending, Filter, Started, Summary, Trouble
from pipeline.reports.urgency import mark, marked
from pipeline.store import Store, changes
from pipeline.store.changes import IN_TIME, Window


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
    report = mark(build_report(store, window), watch)
    asked = _asked(store, window)
    everybody = coverage(store, until=report.run.snapshot)
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


def summarise(
    store: Store, window: Window, *, watch: Watch = NOTHING, wanted: Filter = EVERYTHING
) -> Summary:
    """Give all that the report of a window says to somebody who wants to be told of some scopes and models.

    The same history, window and filter give the same brief, but for what is only known as it is now: models
    missing and not confirmed, and announced ends.
    """
    return Summaries(store, watch).brief(window, wanted)


class Summaries:
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
        self._short: dict[tuple[Window, Filter], Summary] = {}

    def brief(self, window: Window, wanted: Filter) -> Summary:
        """Give all that the report of a window says to somebody."""
        short = self.short(window, wanted)
        return replace(
            short,
            days=self._days(short, window, wanted),
            endings=_endings(self._store, short, wanted, self._of(window).groups),
        )

    def short(self, window: Window, wanted: Filter) -> Summary:
        """Give a brief without the weeks before and the ends ahead: enough to know whether there is news."""
        if (window, wanted) not in self._short:
            self._short = _newest(self._short)
            self._short[window, wanted] = self._made(window, wanted)
        return self._short[window, wanted]

    def _made(self, window: Window, wanted: Filter) -> Summary:
        from pipeline.reports.folding import lines

        found = self._of(window)
        report = _wanted(found.report, wanted, found.groups)
        coverage = tuple(scope for scope in found.coverage if _is_about(scope.scope, wanted, found.groups))
        told_of_models = bool(wanted.models or wanted.owners)
        return Summary(
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

        if window not in self._found:
            self._found = _newest(self._found)
            self._found[window] = find(self._store, window, self._watch)
        return self._found[window]

    def _days(self, short: Summary, window: Window, wanted: Filter) -> tuple[Day, ...]:
        """Count the changes of each of the last days, from the first run on, up to the window's end."""
        last = date.fromisoformat(short.run.started_at[:10])
        days = [(last - timedelta(days=ago)).isoformat() for ago in reversed(range(DAYS))]
        (first,) = self._store.rows("select min(started_at) as at from snapshots")
        days = [day for day in days if day >= first["at"][:10]] or days[-1:]
        before = changes.window(self._store, since=days[0])
        whole = Window(min(before.since, window.until), window.until, days[0], window.end)
        if whole not in self._events:
            self._events = _newest(self._events)
            self._events[whole] = marked(find_events(self._store, whole), self._watch)
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


def _endings(store: Store, short: Summary, wanted: Filter, groups: Mapping[str, str]) -> tuple[Ending, ...]:
    from pipeline.history.deprecations import announced

    today = date.fromisoformat(short.run.started_at[:10])
    found = announced(store, today=today, until=today + timedelta(days=AHEAD))
    return tuple(
        Ending(each.day, each.days, each.gateway, each.model, scopes)
        for each in found
        if matches(each.model, wanted.models)
        and each.days >= -DAYS
        and (scopes := tuple(scope for scope in each.scopes if _is_about(scope, wanted, groups)))
    )
