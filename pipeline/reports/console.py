"""Reports and events as plain lines for a terminal or a log, without control characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from pipeline.core.diff import SHAPE
from pipeline.core.jsonpath import generalise
from pipeline.core.text import count, printable
from pipeline.core.times import duration, minute
from pipeline.core.types import FieldChange, Kind
from pipeline.history.types import Coverage, Event, Recovery
from pipeline.reports.folding import Batch, Flapping, fold_batches, fold_flapping
from pipeline.reports.types import Report
from pipeline.reports.value_diff import clip_to_difference, differing_leaves

URGENT_PREFIX = "! "
"""Marks the line of an urgent event."""

KIND_SYMBOLS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.RETURNED: "↩", Kind.CHANGED: "~"}

_MAX_VALUE = 80
_MAX_SCOPES = 3
_MAX_LEAVES = 3


def report_lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report: changes, urgent ones first, then recoveries, failures and holds."""
    shown = sorted((event for event in report.events if not event.quiet), key=lambda each: not each.urgent)
    quiet = len(report.events) - len(shown)
    yield from event_lines(shown)
    if quiet:
        yield f"{count(quiet, 'quiet change')}: see `modelwatch changes --all`"
        yield from _shape_lines(report.events)
    run = report.run
    if not shown:
        yield f"no changes; {run.answered} of {count(run.scopes, 'scope')} answered"
    yield from recovery_lines(report.recoveries)
    yield from incident_lines(report.coverage)


def _shape_lines(events: Iterable[Event]) -> Iterator[str]:
    """Yield one line for each field that all records of a gateway gained or lost."""
    found: dict[tuple[str, str, bool], set[str]] = {}
    for event in events:
        for change in event.fields:
            if change.category == SHAPE:
                key = (event.gateway, generalise(change.field), change.before is None)
                found.setdefault(key, set()).add(event.model)
    for (gateway, field, is_new), models in sorted(found.items()):
        label = "new field" if is_new else "field removed"
        yield f"{printable(gateway)}: {label}: {printable(field)}, in {count(len(models), 'model')}"


def event_lines(events: Iterable[Event], *, quiet_too: bool = False, each: bool = False) -> Iterator[str]:
    """Yield the lines of events; those of the same run and scopes are under one heading.

    Args:
        events: in their order.
        quiet_too: include quiet changes.
        each: yield a line for every event; otherwise flapping models and batches are folded.
    """
    shown = [event for event in events if quiet_too or not event.quiet]
    steady, flapping = (shown, []) if each else fold_flapping(shown)
    for (at, gateway, scopes), group in groupby(steady, key=lambda e: (e.at, e.gateway, e.scopes)):
        members = list(group)
        yield f"{minute(at)}  {scopes_text(gateway, scopes, members[0].groups)}"
        yield from change_lines(members, each=each)
    if flapping:
        yield "flapping"
    yield from (line for model in flapping for line in _flapping_lines(model))


def change_lines(events: Iterable[Event], *, each: bool = False, removed: str = "  removed") -> Iterator[str]:
    """Yield the lines of events of one run and the same scopes; `removed` follows the ids of removals."""
    rest, batches = (list(events), []) if each else fold_batches(list(events))
    yield from (line for batch in batches for line in _batch_lines(batch, removed))
    for event in rest:
        yield from _lines(event, removed)


def _batch_lines(batch: Batch[Event], removed: str) -> Iterator[str]:
    first = batch.members[0]
    line = f"  {KIND_SYMBOLS[first.kind]} {len(batch.members)} models {printable(batch.label)}".rstrip()
    match first.kind:
        case Kind.REMOVED:
            yield f"{line}{removed}{_since(first)}"
        case Kind.RETURNED:
            yield f"{line}{_returned(first)}"
        case _:
            yield line
            yield from (f"      {field_text(field)}" for field in first.fields)


def _flapping_lines(flapping: Flapping) -> Iterator[str]:
    event = flapping.last
    model = f"{KIND_SYMBOLS[event.kind]} {printable(event.model)}"
    line = f"  {model}  {flapping.steps} changes since {minute(flapping.first.at)}"
    if event.kind != Kind.CHANGED:
        yield f"{line}, now {'removed' if event.kind == Kind.REMOVED else 'offered'}"
        return
    yield f"{line}, now"
    for field in flapping.fields:
        if field.before == field.after:
            yield f"      {printable(field.field)}: {_side(field.after)}, as before"
        else:
            yield f"      {field_text(field)}"


def _lines(event: Event, removed: str) -> Iterator[str]:
    line = f"{URGENT_PREFIX if event.urgent else '  '}{KIND_SYMBOLS[event.kind]} {printable(event.model)}"
    match event.kind:
        case Kind.REMOVED:
            line += f"{removed}{_since(event)}{_similar_model(event)}"
        case Kind.RETURNED:
            line += _returned(event)
        case Kind.ADDED:
            line += _similar_model(event)
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


def _returned(event: Event) -> str:
    return f"  returned after {duration(event.away_seconds or 0)}"


def _similar_model(event: Event) -> str:
    if event.case_variant:
        return f"  (differs only in case from {printable(event.case_variant)})"
    return f"  (probably replaced by {printable(event.successor)})" if event.successor else ""


def recovery_lines(recoveries: Iterable[Recovery]) -> Iterator[str]:
    """Yield a line for each distinct end of a failure or hold, with its scopes."""
    yield from _by_scopes((end.gateway, end.scope, _recovery(end)) for end in recoveries)


def _recovery(end: Recovery) -> str:
    if end.state == "failed":
        return f"recovered after {duration(end.seconds)}"
    since = minute(end.since)
    if end.accepted:
        return f"answer held since {since} accepted"
    return f"answer held since {since} dropped: the next answers differed"


def incident_lines(coverage: Iterable[Coverage]) -> Iterator[str]:
    """Yield a line for each failure, hold and number of pending removals, with its scopes."""
    yield from _by_scopes(
        (scope.gateway, scope.scope, line) for scope in coverage for line in _open_incidents(scope)
    )


def _open_incidents(scope: Coverage) -> Iterator[str]:
    if scope.state in ("held", "failed"):
        yield f"{scope.state} since {minute(scope.state_since or '')}: {printable(scope.message or '')}"
    if scope.pending_removals:
        yield f"{count(scope.pending_removals, 'pending removal')}, not confirmed yet"


def _by_scopes(lines: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Yield each line once for all scopes of a gateway that have it; the input is (gateway, scope, text)."""
    scopes: dict[tuple[str, str], list[str]] = {}
    for gateway, scope, line in lines:
        scopes.setdefault((gateway, line), []).append(scope)
    for (gateway, line), names in scopes.items():
        yield f"{scopes_text(gateway, tuple(names), ())}: {line}"


def scopes_text(gateway: str, scopes: tuple[str, ...], groups: tuple[str, ...]) -> str:
    """Return the names of up to three scopes, else their number and groups."""
    if len(scopes) <= _MAX_SCOPES:
        return " ".join(printable(scope) for scope in scopes)
    of = f" in {', '.join(printable(group) for group in groups[:_MAX_SCOPES])}" if groups else ""
    return f"{printable(gateway)}: {len(scopes)} scopes{of}"


def field_text(field: FieldChange) -> str:
    """Return a field change as `context_length: 8 → 16`; of long values only the differing parts."""
    name = printable(field.field)
    if leaves := differing_leaves(field):
        more = f", and {len(leaves) - _MAX_LEAVES} more" if len(leaves) > _MAX_LEAVES else ""
        return f"{name}: {', '.join(map(field_text, leaves[:_MAX_LEAVES]))}{more}"
    if field.before is None or field.after is None:
        return f"{name}: {_side(field.before)} → {_side(field.after)}"
    before, after = clip_to_difference(field.before, field.after, longest=_MAX_VALUE)
    return f"{name}: {before} → {after}"


def _side(value: str | None) -> str:
    return "(none)" if value is None else printable(value, longest=_MAX_VALUE)
