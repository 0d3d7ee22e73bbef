"""Reports and events as plain lines for a terminal or a log; nothing in them can steer the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from pipeline.core.diff import SHAPE
from pipeline.core.jsonpath import general
from pipeline.core.text import count, printable
from pipeline.core.times import duration, minute
from pipeline.core.types import FieldChange, Kind
from pipeline.history.types import Coverage, Event, Recovery
from pipeline.reports.folding import Bulk, Flap, bulks, flaps
from pipeline.reports.report import Report
from pipeline.reports.value_diff import apart, inside

URGENT = "! "
"""Begins the line of what concerns a watched model."""


SIGNS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.RETURNED: "↩", Kind.CHANGED: "~"}


_LONGEST_VALUE = 80


_NAMED_SCOPES = 3


_LEAVES = 3


def event_lines(events: Iterable[Event], *, quiet_too: bool = False, each: bool = False) -> Iterator[str]:
    """Give the lines of events, those of the same run and scopes under one heading.

    What flaps and what comes or goes in bulk is told in one line, unless `each` is wanted.
    """
    told = [event for event in events if quiet_too or not event.quiet]
    steady, flapping = (told, []) if each else flaps(told)
    for (at, gateway, scopes), group in groupby(steady, key=lambda e: (e.at, e.gateway, e.scopes)):
        members = list(group)
        yield f"{minute(at)}  {who(gateway, scopes, members[0].groups)}"
        yield from member_lines(members, each=each)
    if flapping:
        yield "back and forth"
    yield from (line for flap in flapping for line in _flap(flap))


def member_lines(members: Iterable[Event], *, each: bool = False, gone: str = "  removed") -> Iterator[str]:
    """Give the lines of events of one run and the same scopes; `gone` is what is said of removals."""
    rest, bulk = (list(members), []) if each else bulks(members)
    yield from (line for part in bulk for line in _bulk(part, gone))
    for event in rest:
        yield from _event(event, gone)


def _bulk(bulk: Bulk, gone: str) -> Iterator[str]:
    line = f"  {SIGNS[bulk.kind]} {len(bulk.events)} models {printable(bulk.mark)}".rstrip()
    first = bulk.events[0]
    match bulk.kind:
        case Kind.REMOVED:
            yield f"{line}{gone}{_since(first)}"
        case Kind.RETURNED:
            yield f"{line}  back after {duration(first.away_seconds or 0)}"
        case _:
            yield line
            yield from (f"      {field_text(field)}" for field in first.fields)


def _flap(flap: Flap) -> Iterator[str]:
    event = flap.last
    line = f"  {SIGNS[event.kind]} {printable(event.model)}  {flap.times} times since {minute(flap.first.at)}"
    if event.kind != Kind.CHANGED:
        yield f"{line}, now {'gone' if event.kind == Kind.REMOVED else 'offered'}"
        return
    yield f"{line}, now"
    for field in flap.fields:
        if field.before == field.after:
            yield f"      {printable(field.field)}: back at {_side(field.after)}"
        else:
            yield f"      {field_text(field)}"


def report_lines(report: Report) -> Iterator[str]:
    """Give a whole report: what changed, what is held, who did not answer, and who does again.

    What is urgent comes first.
    """
    loud = sorted((event for event in report.events if not event.quiet), key=lambda each: not each.urgent)
    quiet = len(report.events) - len(loud)
    yield from event_lines(loud)
    if quiet:
        yield f"{count(quiet, 'quiet change')}: `modelwatch changes --all`"
        yield from _shape_lines(report.events)
    run = report.run
    if not loud:
        yield f"no change in what {count(run.answered, 'scope')} of {run.scopes} answered"
    yield from recovery_lines(report.recoveries)
    yield from trouble_lines(report.coverage)


def _shape_lines(events: Iterable[Event]) -> Iterator[str]:
    """Mention, once, a field that appeared in records where none had it, or is gone from all."""
    found: dict[tuple[str, str, bool], set[str]] = {}
    for event in events:
        for change in event.fields:
            if change.category == SHAPE:
                key = (event.gateway, general(change.field), change.before is None)
                found.setdefault(key, set()).add(event.model)
    for (gateway, field, new), models in sorted(found.items()):
        what = "a new field" if new else "a field is gone"
        yield f"{printable(gateway)}: {what}, {printable(field)}, in {count(len(models), 'model')}"


def recovery_lines(recoveries: Iterable[Recovery]) -> Iterator[str]:
    """Give a line for each way in which trouble ended, with the scopes for which it did."""
    yield from _shared((end.gateway, end.scope, _recovery(end)) for end in recoveries)


def _recovery(end: Recovery) -> str:
    if end.was == "failed":
        return f"answers again, after {duration(end.seconds)}"
    since = minute(end.since)
    if end.believed:
        return f"the list held since {since} is believed: it was given again"
    return f"the list held since {since} was not given again"


def trouble_lines(coverage: Iterable[Coverage]) -> Iterator[str]:
    """Give a line for each hold and failure, and for models missed but not yet removed, with their scopes."""
    yield from _shared((scope.gateway, scope.scope, line) for scope in coverage for line in _trouble(scope))


def _trouble(scope: Coverage) -> Iterator[str]:
    if scope.state in ("held", "failed"):
        yield f"{scope.state} since {minute(scope.state_since or '')}: {printable(scope.message or '')}"
    if scope.unconfirmed:
        yield f"{count(scope.unconfirmed, 'model')} missing, to be confirmed by the next answers"


def _shared(lines: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Tell what several scopes of a gateway share in one line; each line is (gateway, scope, text)."""
    scopes: dict[tuple[str, str], list[str]] = {}
    for gateway, scope, line in lines:
        scopes.setdefault((gateway, line), []).append(scope)
    for (gateway, line), names in scopes.items():
        yield f"{who(gateway, tuple(names), ())}: {line}"


def who(gateway: str, scopes: tuple[str, ...], groups: tuple[str, ...]) -> str:
    """Name scopes, or count them when they are many."""
    if len(scopes) <= _NAMED_SCOPES:
        return " ".join(printable(scope) for scope in scopes)
    of = f" in {', '.join(printable(group) for group in groups[:_NAMED_SCOPES])}" if groups else ""
    return f"{printable(gateway)}: {len(scopes)} scopes{of}"


def _event(event: Event, gone: str) -> Iterator[str]:
    line = f"{URGENT if event.urgent else '  '}{SIGNS[event.kind]} {printable(event.model)}"
    match event.kind:
        case Kind.REMOVED:
            line += f"{gone}{_since(event)}{_kin(event)}"
        case Kind.RETURNED:
            line += f"  back after {duration(event.away_seconds or 0)}"
        case Kind.ADDED:
            line += _kin(event)
        case Kind.CHANGED if len(event.fields) == 1:
            yield f"{line}  {field_text(event.fields[0])}"
            return
        case _:
            pass
    yield line
    for field in event.fields:
        yield f"      {field_text(field)}"


def _since(event: Event) -> str:
    return f", missing since {minute(event.since)}" if event.since and event.since != event.at else ""


def _kin(event: Event) -> str:
    if event.twin:
        return f"  (only the case differs from {printable(event.twin)})"
    return f"  (perhaps now {printable(event.candidate)})" if event.candidate else ""


def field_text(field: FieldChange) -> str:
    """Write a field's change: `context_length: 8 → 16`; of long values what differs within them."""
    name = printable(field.field)
    if found := inside(field):
        more = f", and {len(found) - _LEAVES} more" if len(found) > _LEAVES else ""
        return f"{name}: {', '.join(map(field_text, found[:_LEAVES]))}{more}"
    if field.before is None or field.after is None:
        return f"{name}: {_side(field.before)} → {_side(field.after)}"
    before, after = apart(field.before, field.after, longest=_LONGEST_VALUE)
    return f"{name}: {before} → {after}"


def _side(value: str | None) -> str:
    if value is None:
        return "(none)"
    text = printable(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
