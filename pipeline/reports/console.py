"""Reports and events as plain lines for a terminal or a log, without control characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from pipeline.core.categories import QUIET_CATEGORIES, SHAPE
from pipeline.core.impact import by_importance, is_group_gone, is_pressing
from pipeline.core.prices import UNIT_1M, PriceChange, split_prices
from pipeline.core.text import count, printable, sentence
from pipeline.core.times import duration, minute
from pipeline.core.types import GROUP_FIELD, PROBLEMS, FieldChange, HoldKind, Kind, Severity
from pipeline.history.types import Coverage, Event, Recovery, ScopeRows
from pipeline.reports.folding import Batch, Flapping, fold_batches, fold_flapping, worst_first
from pipeline.reports.render.changes import group_texts, models_count, shape
from pipeline.reports.render.fields import field_now, fields, price, price_now, shutdown, usd, with_source
from pipeline.reports.render.locales import Locale, plain, untrusted
from pipeline.reports.render.scopes import cure, problem_key
from pipeline.reports.types import FirstAnswer, Report

URGENT_PREFIX = "! "
"""Marks the line of an urgent event."""

KIND_SYMBOLS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.RETURNED: "↩", Kind.CHANGED: "~", Kind.SHAPE: "~"}

_MAX_SCOPES = 3
_MAX_MODELS = 6
_LONGEST_MESSAGE = 1000

_MOST_LINES = 20
"""So many lines on scopes of a gateway with the same kind of problem are all shown."""

_FIRST_LINES = 10
"""So many of more are shown; the scopes of the others are counted."""


def report_lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report: changes, the worst first, then recoveries, failures and holds.

    Without changes the last line is that there were none, or that answers are a baseline.
    """
    shown = worst_first(event for event in report.events if not event.quiet)
    quiet = len(report.events) - len(shown)
    yield from event_lines(shown, today=report.run.started_at)
    if quiet:
        yield f"{count(quiet, 'quiet change')}: see `modelwatch changes --all`"
        yield from _shape_lines(report.events)
    run = report.run
    yield from recovery_lines(report.recoveries)
    yield from incident_lines(report.coverage)
    baseline = _baseline(report.first_answers)
    if not shown:
        yield f"{baseline or 'no changes'}; {run.answered} of {count(run.scopes, 'scope')} answered"
    elif baseline:
        yield baseline


def _baseline(first_answers: Sequence[FirstAnswer]) -> str:
    """Return the sizes of the scopes that answered for the first time; empty if there is none."""
    texts = []
    for each in first_answers:
        size = count(each.models, "group" if each.lists_groups else "model")
        texts.append(f"{scopes_text(each.gateway, each.scopes, ())} {size}{' each' * (len(each.scopes) > 1)}")
    return f"Baseline recorded: {_some(texts, _MAX_MODELS)}" if texts else ""


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
    head = shape(_english(), event.fields, len(event.models), event.listed or len(event.models))
    return f"{plain(head)}: {_some(event.models, _MAX_MODELS)}"


def _some(names: Sequence[str], most: int) -> str:
    return plain(_english().join_some(map(untrusted, names), most))


def event_lines(
    events: Iterable[Event], *, quiet_too: bool = False, each: bool = False, today: str = ""
) -> Iterator[str]:
    """Yield the lines of events; those of the same run and scopes are under one heading.

    Args:
        events: in their order.
        quiet_too: include quiet changes.
        each: yield a line for every event; otherwise flapping models and batches are folded.
        today: the day (ISO 8601) from which the days until a shutdown are counted; empty to leave them out.
    """
    events = list(events)
    shown = [event for event in events if quiet_too or not event.quiet]
    steady, flapping = (shown, []) if each else fold_flapping(shown, events)
    for (at, gateway, scopes), group in groupby(steady, key=lambda e: (e.at, e.gateway, e.scopes)):
        members = list(group)
        yield f"{minute(at)}  {scopes_text(gateway, scopes, members[0].groups)}"
        yield from change_lines(members, each=each, today=today)
    if flapping:
        yield "flapping"
    yield from (line for model in flapping for line in _flapping_lines(model))


def change_lines(
    events: Iterable[Event], *, each: bool = False, removed: str = "  removed", today: str = ""
) -> Iterator[str]:
    """Yield the lines of events of one run and the same scopes; `removed` follows the ids of removals.

    `today` is that of `event_lines`.
    """
    rest, batches = (list(events), []) if each else fold_batches(list(events))
    parts = [*batches, *(Batch("", [event]) for event in rest)]
    for part in parts if each else sorted(parts, key=lambda part: _rank(part.members[0])):
        lone = len(part.members) == 1
        yield from _lines(part.members[0], removed, today) if lone else _batch_lines(part, removed, today)


def _rank(event: Event) -> tuple[int, bool]:
    """Return the place of an event's line among those of the same run and scopes: the worst first."""
    return list(Severity).index(event.severity), event.kind != Kind.REMOVED


def _batch_lines(batch: Batch[Event], removed: str, today: str) -> Iterator[str]:
    first = batch.members[0]
    counted = plain(models_count(_english(), len(batch.members), batch.label))
    names = _some([event.model for event in batch.members], _MAX_MODELS)
    line = f"  {KIND_SYMBOLS[first.kind]} {counted}: {names}"
    match first.kind:
        case Kind.REMOVED:
            yield f"{line}{removed}{_since(batch.members)}"
        case Kind.RETURNED:
            yield f"{line}{_returned(batch.members)}"
        case _:
            yield line
            yield from (f"      {text}" for text in change_texts(first.fields, first.prices, today=today))


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
        yield f"{price_now_text(change)}, as before"
    for field in by_importance(field for field in fields if field.before == field.after):
        if not (same and field.category == "price"):
            yield f"{plain(field_now(_english(), field)) or printable(field.field)}, as before"


def _lines(event: Event, removed: str, today: str) -> Iterator[str]:
    if event.kind == Kind.GROUP:
        yield from _group_lines(event)
        return
    line = f"{URGENT_PREFIX if event.urgent else '  '}{KIND_SYMBOLS[event.kind]} {printable(event.model)}"
    if event.kind == Kind.SHAPE:
        yield f"{line}{_shape_text(event)}"
        return
    match event.kind:
        case Kind.REMOVED:
            line += f"{removed}{_since([event])}{_similar_model(event)}"
        case Kind.RETURNED:
            line += _returned([event])
        case Kind.ADDED:
            line += _similar_model(event)
        case _:
            pass
    texts = change_texts(event.fields, event.prices, urgent=event.urgent, today=today)
    if event.kind == Kind.CHANGED and len(texts) == 1:
        yield f"{line}  {texts[0]}"
        return
    yield line
    yield from (f"      {text}" for text in texts)


def _group_lines(event: Event) -> Iterator[str]:
    prices, others = split_prices(event.fields, event.prices)
    quiet = [field for field in event.fields if field.category in QUIET_CATEGORIES]
    (name,) = event.groups
    texts = group_texts(
        _english(),
        name,
        prices,
        (*others, *quiet),
        models=event.listed,
        watched=event.watched_models,
        away=event.away_seconds,
    )
    is_gone = is_group_gone(event.kind, event.fields)
    is_back = not is_gone and any(field.field == GROUP_FIELD for field in event.fields)
    symbol = KIND_SYMBOLS[Kind.REMOVED if is_gone else Kind.ADDED if is_back else Kind.CHANGED]
    for text in texts:
        mark = URGENT_PREFIX if event.urgent else "  "
        yield f"{mark}{symbol} {plain(text)}{_since([event]) if is_gone else ''}"


def _since(events: Sequence[Event]) -> str:
    """Return since when removed models are missing; empty where that is the time of their removal."""
    times = sorted({minute(event.since) for event in events if event.since})
    if not times or times == [minute(events[0].at)]:
        return ""
    if len(times) == 1:
        return f", missing since {times[0]}"
    return f", first missing between {times[0]} and {times[-1]}"


def _returned(events: Sequence[Event]) -> str:
    """Return after how long models returned."""
    least, most = (duration(choose(event.away_seconds or 0 for event in events)) for choose in (min, max))
    return f"  returned after {most}" if least == most else f"  returned after {least} to {most}"


def _similar_model(event: Event) -> str:
    if event.case_variant:
        return f"  (differs only in case from {printable(event.case_variant)})"
    return f"  (probably replaced by {printable(event.successor)})" if event.successor else ""


def recovery_lines(recoveries: Iterable[Recovery]) -> Iterator[str]:
    """Yield a line for each distinct end of a failure or hold, with its scopes."""
    alike: dict[Recovery, list[str]] = {}
    for end in recoveries:
        alike.setdefault(replace(end, scope="", models_before=None), []).append(end.scope)
    yield from _by_scopes(
        (end.gateway, scope, text)
        for end, scopes in alike.items()
        for text in (_recovery(end),)
        for scope in scopes
    )


def _recovery(end: Recovery) -> str:
    if end.steady and end.recurrence:
        verb = "failed" if end.state == "failed" else "was held"
        times = count(end.recurrence.times, "time")
        return f"well for 24 h, after it {verb} {times} since {minute(end.recurrence.since)}"
    if end.state == "failed":
        return f"recovered after {duration(end.seconds)}"
    since = minute(end.since)
    if end.accepted:
        return f"answer held since {since} accepted"
    if end.hold == HoldKind.ANONYMOUS and end.models is not None:
        return f"own list again ({count(end.models, 'model')}), after {duration(end.seconds)}"
    return f"answer held since {since} dropped, a later answer differed"


def incident_lines(
    coverage: Iterable[Coverage],
    *,
    last_answers: bool = False,
    references: Mapping[str, str | None] = MappingProxyType({}),
) -> Iterator[str]:
    """Yield a line for each failure and hold, with what to do about it, and for pending removals.

    With `last_answers` also when failing scopes answered last. `references` are those of the keys by scope,
    which name files; only the owner's terminal may show them.
    """
    problems: dict[tuple[Any, ...], list[Coverage]] = {}
    pending: dict[tuple[Any, ...], list[Coverage]] = {}
    for scope in coverage:
        if scope.state in PROBLEMS:
            again = scope.recurrence
            times = again and (again.times, again.since, again.lasts_since is None)
            text = (scope.state, scope.state_since, scope.message, times)
            last = last_answers and scope.last_answered and minute(scope.last_answered)
            problem = (scope.gateway, problem_key(scope), *text, last, scope.cure is not None)
            problems.setdefault(problem, []).append(scope)
        if scope.pending_removals:
            models = (scope.pending_removals, scope.pending_models, scope.listed_groups is None)
            pending.setdefault((scope.gateway, *models), []).append(scope)
    for members, more in _first_of_each(problems, of=2):
        first, names = members[0], tuple(scope.scope for scope in members)
        if more:
            state = "fail" if first.state == "failed" else "are held"
            yield f"{_more(first.gateway, names)} {state} for reasons of this kind, {_ALL_SCOPES}"
            continue
        keys = [references.get(scope.scope, scope.key) for scope in members]
        advice = f" {cure_text(problem_key(first), names, keys, auth=first.auth)}" if not first.cure else ""
        why = _problem(first, last_answer=last_answers)
        yield f"{scopes_text(first.gateway, names, ())}: {why}{advice}"
    for members, more in _first_of_each(pending, of=1):
        first, names = members[0], tuple(scope.scope for scope in members)
        if more:
            yield f"{_more(first.gateway, names)} have pending removals, {_ALL_SCOPES}"
        else:
            yield f"{scopes_text(first.gateway, names, ())}: {_pending(first)}"


def _first_of_each(
    found: Mapping[tuple[Any, ...], list[Coverage]], *, of: int
) -> Iterator[tuple[list[Coverage], bool]]:
    """Yield the scopes that share a line, with False; then those of the other lines of a kind, with True.

    Lines whose keys begin with the same `of` values are of one kind; of more than twenty, the first ten stay.
    """
    numbers = Counter(key[:of] for key in found)
    shown: Counter[tuple[Any, ...]] = Counter()
    rest: dict[tuple[Any, ...], list[Coverage]] = {}
    for key, members in found.items():
        kind = key[:of]
        shown[kind] += 1
        if numbers[kind] <= _MOST_LINES or shown[kind] <= _FIRST_LINES:
            yield members, False
        else:
            rest.setdefault(kind, []).extend(members)
    yield from ((members, True) for members in rest.values())


_ALL_SCOPES = "see `modelwatch scopes --json`"


def _more(gateway: str, scopes: Sequence[str]) -> str:
    return f"{printable(gateway)}: {len(scopes)} more scopes"


def unsteady_lines(scopes: Iterable[str]) -> Iterator[str]:
    """Yield a line for the unsteady scopes of each gateway, by their names."""
    text = "unsteady, its problem comes and goes: its end is reported after 24 h"
    yield from _by_scopes((scope.partition("/")[0], scope, text) for scope in scopes)


def cure_text(
    key: str,
    scopes: Sequence[str],
    keys: Sequence[str | None],
    *,
    auth: str = "key",
) -> str:
    """Return what to do about a failure or hold, as in reports; the arguments are those of `cure`."""
    return plain(cure(_english(), key, scopes, keys, auth=auth))


def state_text(state: str, since: str | None) -> str:
    """Return since when (ISO 8601 UTC) a scope is failing or held: `failing since 2026-05-01 06:00`."""
    return f"{'failing' if state == 'failed' else state} since {minute(since or '')}"


def _problem(scope: Coverage, *, last_answer: bool) -> str:
    """Return since when a scope is held or failing, and why, as a sentence."""
    state = state_text(scope.state, scope.state_since)
    if scope.recurrence and scope.recurrence.lasts_since is not None:
        state += f", {count(scope.recurrence.times, 'time')} since {minute(scope.recurrence.since)}"
    elif scope.recurrence:
        verb = "failing and recovering" if scope.state == "failed" else "being held"
        times = count(scope.recurrence.times, "time")
        state = f"answers keep {verb}, {times} since {minute(scope.recurrence.since)}"
    if scope.state == "failed" and last_answer:
        last = f"last answered {minute(scope.last_answered)}" if scope.last_answered else "never answered"
        state = f"{state} ({last})"
    return sentence(f"{state}: {printable(scope.message or '', longest=_LONGEST_MESSAGE)}")


def _pending(scope: Coverage) -> str:
    """Return the models, or groups, whose removal is not confirmed yet."""
    names = _some(scope.pending_models, _MAX_MODELS)
    if scope.listed_groups is not None:
        return f"{names} may be gone, not confirmed yet"
    return f"{count(scope.pending_removals, 'pending removal')}, not confirmed yet: {names}"


def left_out_lines(found: Iterable[ScopeRows]) -> Iterator[str]:
    """Yield a line for the rows that are left out, with the scopes of a gateway that share it."""
    yield from _by_scopes((each.gateway, each.scope, each.text) for each in found)


def _by_scopes(lines: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Yield each line once for all scopes of a gateway that have it; the input is (gateway, scope, text)."""
    scopes: dict[tuple[str, str], list[str]] = {}
    for gateway, scope, line in lines:
        scopes.setdefault((gateway, line), []).append(scope)
    for (gateway, line), names in scopes.items():
        yield f"{scopes_text(gateway, tuple(names), ())}: {line}"


def scopes_text(
    gateway: str, scopes: tuple[str, ...], groups: tuple[str, ...], *, number: int | None = None
) -> str:
    """Return the names of up to three scopes, else their number and groups.

    `number` is that of all of them, if `scopes` has only the first.
    """
    number = len(scopes) if number is None else number
    if number <= _MAX_SCOPES:
        return " ".join(printable(scope) for scope in scopes)
    of = f" in {', '.join(printable(group) for group in groups[:_MAX_SCOPES])}" if groups else ""
    return f"{printable(gateway)}: {number} scopes{of}"


def change_texts(
    fields: Sequence[FieldChange], prices: Iterable[PriceChange], *, urgent: bool = False, today: str = ""
) -> list[str]:
    """Return a text for each price and each other field of a change: prices first, descriptions last.

    Args:
        fields: the fields that differ.
        prices: the price changes of the facts; a field that repeats one of them has no text of its own.
        urgent: the fields that make the change urgent are first.
        today: that of `event_lines`.
    """
    known, others = split_prices(fields, prices)
    quiet = [field for field in fields if field.category in (*QUIET_CATEGORIES, SHAPE)]
    pressing = [field for field in others if urgent and is_pressing(field)]
    rest = by_importance((*(field for field in others if field not in pressing), *quiet))
    return [*field_texts(pressing, today=today), *map(price_text, known), *field_texts(rest, today=today)]


@lru_cache(2)
def _english(today: str = "") -> Locale:
    return Locale("en", today=today)


def price_text(change: PriceChange) -> str:
    """Return a price change as in reports: `input $2.00 → $3.00 per 1M tokens (+50 %)`."""
    return plain(price(_english(), change))


def price_now_text(change: PriceChange) -> str:
    """Return the price after a change with its name: `input $3.00 per 1M tokens`."""
    return plain(price_now(_english(), change))


def prices_text(prices: Sequence[PriceChange]) -> str:
    """Return prices after a change in one text: `input $1.00, output $2.00 per 1M tokens`; empty for none.

    A unit that prices share is written once, after them. Prices with conditions are counted.
    """
    by_unit: dict[tuple[str, str | None], list[PriceChange]] = {}
    known = [change for change in prices if change.after is not None and change.unit]
    for change in known:
        if not (change.from_tokens or change.window):
            by_unit.setdefault((change.unit or "", change.source), []).append(change)
    others = len(known) - sum(map(len, by_unit.values()))
    more = [f"{count(others, 'price')} with conditions"] if others else []
    return ", ".join((*map(_with_unit, by_unit.values()), *more))


def _with_unit(prices: Sequence[PriceChange]) -> str:
    *others, last = prices
    first = (plain(price_now(_english(), change, with_unit=False)) for change in others)
    return ", ".join((*first, plain(with_source(_english(), price_now(_english(), last), last.source))))


def amount_text(change: PriceChange) -> str:
    """Return the price after a change without its name: `$0.04 per image`."""
    english = _english()
    return plain(with_source(english, price_now(english, change, with_name=False), change.source))


def dollars_text(amount: float) -> str:
    """Return an amount in USD as in reports, without a unit: `$2.00`."""
    change = PriceChange("", None, Decimal(str(amount)), UNIT_1M)
    return plain(price_now(_english(), change, with_unit=False, with_name=False))


def usd_text(amount: Decimal, unit: str, source: str | None = None) -> str:
    """Return a price as in reports: `$2.00 per 1M tokens`; unit and source are those of a `PriceChange`."""
    return plain(with_source(_english(), usd(_english(), amount, unit), source))


def field_texts(changes: Sequence[FieldChange], *, today: str = "") -> list[str]:
    """Return field changes as in reports: `context 1,000,000 → 256,000 (−74 %)`, `shutdown 1 Aug 2026 (new)`.

    Of long values only the differing parts; with `today` (ISO 8601) also the days until a shutdown.
    """
    return [plain(text) for text in fields(_english(today[:10]), changes)]


def shutdown_text(day: str, days: int) -> str:
    """Return a shutdown date (ISO 8601) and its distance in days: `shutdown 1 Aug 2026, in 92 days`."""
    today = date.fromisoformat(day) - timedelta(days=days)
    return plain(shutdown(_english(today.isoformat()), day))
