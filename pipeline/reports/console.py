"""Reports and events as plain lines for a terminal or a log, without control characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import groupby

from pipeline.core.categories import QUIET_CATEGORIES, SHAPE
from pipeline.core.impact import by_importance
from pipeline.core.prices import PriceChange, split_prices
from pipeline.core.text import count, printable
from pipeline.core.times import duration, minute
from pipeline.core.types import GROUP_PREFIX, FieldChange, FlapMark, FlapStep, Kind, Severity
from pipeline.history.types import Coverage, Event, Recovery
from pipeline.reports.folding import Batch, Flapping, fold_batches, fold_flapping, worst_first
from pipeline.reports.render.fields import price, price_now, usd, with_source
from pipeline.reports.render.locales import Locale, plain
from pipeline.reports.types import Report
from pipeline.reports.value_diff import clip_to_difference, differing_leaves

URGENT_PREFIX = "! "
"""Marks the line of an urgent event."""

KIND_SYMBOLS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.RETURNED: "↩", Kind.CHANGED: "~", Kind.SHAPE: "~"}

_MAX_VALUE = 80
_MAX_SCOPES = 3
_MAX_LEAVES = 3
_MAX_FIELDS = 6
_MAX_MODELS = 6


def report_lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report: changes, the worst first, then recoveries, failures and holds."""
    shown = worst_first(event for event in report.events if not event.quiet)
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
    """Yield one line for each field that nearly all models of a gateway gained or lost, quietly."""
    found: dict[tuple[str, str, bool], set[str]] = {}
    for event in events:
        if event.kind == Kind.SHAPE and event.quiet:
            for change in event.fields:
                models = found.setdefault((event.gateway, change.field, change.before is None), set())
                models.update(event.models)
    for (gateway, field, is_new), models in sorted(found.items()):
        label = "new field" if is_new else "field removed"
        yield f"{printable(gateway)}: {label}: {printable(field)}, in {count(len(models), 'model')}"


def _shape_text(event: Event) -> str:
    """Return a change of shape as `context_length: lost by 9 of 10 models: vega, lyra, and 7 more`."""
    done = "lost by" if event.fields[0].after is None else "new in"
    fields = _some([field.field for field in event.fields], _MAX_FIELDS)
    number = f"{len(event.models)} of {count(event.listed or len(event.models), 'model')}"
    return f"{fields}: {done} {number}: {_some(event.models, _MAX_MODELS)}"


def _some(names: Sequence[str], most: int) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*map(printable, names[:most]), *more])


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
    parts = [*batches, *(Batch("", [event]) for event in rest)]
    for part in parts if each else sorted(parts, key=lambda part: _rank(part.members[0])):
        lone = len(part.members) == 1
        yield from _lines(part.members[0], removed) if lone else _batch_lines(part, removed)


def _rank(event: Event) -> tuple[int, bool]:
    """Return the place of an event's line among those of the same run and scopes: the worst first."""
    return list(Severity).index(event.severity), event.kind != Kind.REMOVED


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
            yield from (f"      {text}" for text in change_texts(first.fields, first.prices))


def _flapping_lines(flapping: Flapping) -> Iterator[str]:
    event = flapping.last
    model = f"{KIND_SYMBOLS[event.kind]} {printable(event.model)}"
    line = f"  {model}  {flapping.steps} changes since {minute(flapping.first.at)}"
    if event.kind != Kind.CHANGED:
        yield f"{line}, now {'removed' if event.kind == Kind.REMOVED else 'offered'}"
        return
    yield f"{line}, now"
    yield from (f"      {text}" for text in _net_texts(flapping.fields, flapping.prices))


def _net_texts(fields: Sequence[FieldChange], prices: Sequence[PriceChange]) -> Iterator[str]:
    """Yield the texts of net changes: first what differs, then what is as it was before."""
    differing = [field for field in fields if field.before != field.after]
    yield from change_texts(differing, [change for change in prices if change.before != change.after])
    same = [change for change in prices if change.before == change.after is not None and change.unit]
    for change in same:
        yield f"{plain(price_now(_english(), change))}, as before"
    for field in by_importance(field for field in fields if field.before == field.after):
        if not (same and field.category == "price"):
            yield f"{printable(field.field)}: {_side(field.after)}, as before"


def _lines(event: Event, removed: str) -> Iterator[str]:
    line = f"{URGENT_PREFIX if event.urgent else '  '}{KIND_SYMBOLS[event.kind]} {printable(event.model)}"
    if event.kind == Kind.SHAPE:
        yield f"{line}{_shape_text(event)}"
        return
    match event.kind:
        case Kind.REMOVED if event.listed is not None:
            line = line.removesuffix(printable(event.model)) + _group_gone(event.model, event.listed)
            yield f"{line}{_since(event)}"
            return
        case Kind.REMOVED:
            line += f"{removed}{_since(event)}{_similar_model(event)}"
        case Kind.RETURNED:
            line += _returned(event)
        case Kind.ADDED:
            line += _similar_model(event)
        case _:
            pass
    texts = change_texts(event.fields, event.prices)
    if event.kind == Kind.CHANGED and len(texts) == 1:
        yield f"{line}  {texts[0]}"
        return
    yield line
    yield from (f"      {text}" for text in texts)


def _group_gone(record: str, models: int) -> str:
    group = printable(record.removeprefix(GROUP_PREFIX))
    return f"group {group} is gone ({count(models, 'model')})"


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
        names = _some(scope.pending_models, _MAX_MODELS)
        yield f"{count(scope.pending_removals, 'pending removal')}, not confirmed yet: {names}"


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


def change_texts(fields: Sequence[FieldChange], prices: Iterable[PriceChange]) -> list[str]:
    """Return a text for each price and each other field of a change: prices first, descriptions last.

    Args:
        fields: the fields that differ.
        prices: the price changes of the facts; a field that repeats one of them has no text of its own.
    """
    known, others = split_prices(fields, prices)
    quiet = [field for field in fields if field.category in (*QUIET_CATEGORIES, SHAPE)]
    return [*map(price_text, known), *map(field_text, by_importance((*others, *quiet)))]


@cache
def _english() -> Locale:
    return Locale("en")


def price_text(change: PriceChange) -> str:
    """Return a price change as in reports: `input $2.00 → $3.00 per 1M tokens (+50 %)`."""
    return plain(price(_english(), change))


def prices_text(prices: Sequence[PriceChange]) -> str:
    """Return prices after a change in one text: `input $1.00, output $2.00 per 1M tokens`; empty for none.

    A unit that prices share is written once, after them.
    """
    by_unit: dict[tuple[str, str | None], list[PriceChange]] = {}
    for change in prices:
        if change.after is not None and change.unit:
            by_unit.setdefault((change.unit, change.source), []).append(change)
    return ", ".join(_with_unit(members) for members in by_unit.values())


def _with_unit(prices: Sequence[PriceChange]) -> str:
    *others, last = prices
    first = (plain(price_now(_english(), change, with_unit=False)) for change in others)
    return ", ".join((*first, plain(with_source(_english(), price_now(_english(), last), last.source))))


def usd_text(amount: Decimal, unit: str, source: str | None = None) -> str:
    """Return a price as in reports: `$2.00 per 1M tokens`; unit and source are those of a `PriceChange`."""
    return plain(with_source(_english(), usd(_english(), amount, unit), source))


def field_text(field: FieldChange) -> str:
    """Return a field change as `context_length: 8 → 16`; of long values only the differing parts."""
    name = printable(field.field)
    if field.flapping:
        return _flapping_text(name, field, field.flapping)
    if leaves := differing_leaves(field):
        more = f", and {len(leaves) - _MAX_LEAVES} more" if len(leaves) > _MAX_LEAVES else ""
        return f"{name}: {', '.join(map(field_text, leaves[:_MAX_LEAVES]))}{more}"
    before, after = _sides(field)
    return f"{name}: {before} → {after}"


def _flapping_text(name: str, field: FieldChange, mark: FlapMark) -> str:
    """Return the text of a field whose value keeps changing, or has settled."""
    before, after = _sides(field)
    match mark.step:
        case FlapStep.ANNOUNCED:
            return f"{name} keeps changing between {after} and {before}"
        case FlapStep.SETTLED:
            same = ", as before," if field.before == field.after else ""
            changes = f"{count(mark.changes or 0, 'change')} in {duration(mark.seconds or 0)}"
            return f"{name} settled at {after}{same} after {changes}"
        case FlapStep.REPEATED:
            return f"{field_text(replace(field, flapping=None))}  (keeps changing)"


def _sides(field: FieldChange) -> tuple[str, str]:
    """Return both sides of a field, cut to where they differ if they are long."""
    if field.before is None or field.after is None or field.before == field.after:
        return _side(field.before), _side(field.after)
    return clip_to_difference(field.before, field.after, longest=_MAX_VALUE)


def _side(value: str | None) -> str:
    return "(none)" if value is None else printable(value, longest=_MAX_VALUE)
