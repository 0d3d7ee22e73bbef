"""The command `history`: the timeline of a model, in lines, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

import click
from msgspec.structs import replace

from pipeline.api import Home
from pipeline.cli.options import MOMENTS, Name, Time, csv_option, names_option, with_home
from pipeline.cli.terminal import can_draw, paint, raw
from pipeline.core.canonical import pretty
from pipeline.core.impact import by_importance
from pipeline.core.prices import PriceChange
from pipeline.core.text import count
from pipeline.core.text import printable as safe
from pipeline.core.times import duration, minute
from pipeline.core.types import FlapStep
from pipeline.history.timeline import FIRST_OFFERS, StepKind, Timeline, TimelineStep
from pipeline.reports.console import field_texts, price_now_text, price_text, prices_text, state_text
from pipeline.reports.csv_json import field_value, flap_cell, price_value, sides, write_csv

_MOST_MODELS = 20


@click.command()
@with_home
@click.argument("model", type=Name("models"))
@names_option("scope", "globs", "Only in scopes that match this glob")
@click.option("--since", type=Time(), help=f"Only events from this time on: {MOMENTS}.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@csv_option("Print CSV, a row for each scope, step and field.")
def history(
    home: Home,
    model: str,
    *,
    globs: tuple[str, ...],
    since: str | None,
    as_json: bool,
    as_csv: bool,
    bom: bool,
) -> None:
    """Show the timeline of a model: when each scope was offered it, and at what price.

    MODEL is an id as the gateway writes it, or a glob that matches at most 20 ids.
    """
    found = home.history(model, scopes=globs, at_most=_MOST_MODELS)
    if as_json:
        raw(pretty([timeline_value(timeline, since) for timeline in found]))
    elif as_csv:
        rows = [row for timeline in found for row in timeline_rows(timeline, since)]
        raw(write_csv(TIMELINE_COLUMNS, rows, bom=bom))
    else:
        bars = can_draw()
        parts = [
            "\n".join(paint(timeline_lines(list(timelines), since, bars=bars)))
            for _, timelines in groupby(found, key=lambda each: (each.model, each.gateway))
        ]
        click.echo("\n\n".join(parts))


def timeline_value(timeline: Timeline, since: str | None) -> dict[str, Any]:
    """Return a timeline as JSON values, with the steps from `since` on."""
    return {
        "gateway": timeline.gateway,
        "model": timeline.model,
        "scopes": list(timeline.scopes),
        "groups": list(timeline.groups),
        "state": timeline.state,
        "state_since": timeline.state_since,
        "last_asked": timeline.last_asked,
        "offered": timeline.offered,
        "steps": [
            {
                "at": step.at,
                "kind": str(step.kind),
                "since": step.since,
                "away_seconds": step.away_seconds,
                "prices": [price_value(price) for price in step.prices],
                "fields": [field_value(field) for field in step.fields],
                "quiet": step.quiet,
                "group": step.group,
            }
            for step in _later(timeline, since)
        ],
    }


TIMELINE_COLUMNS = (
    "gateway",
    "model",
    "scope",
    "at",
    "kind",
    "field",
    "before",
    "after",
    "percent",
    "unit",
    "since",
    "away_seconds",
    "flapping",
    "group",
)
"""The columns of the CSV: a row for each scope, step and field."""


def timeline_rows(timeline: Timeline, since: str | None) -> Iterator[Sequence[Any]]:
    """Yield the rows of a timeline, with the steps from `since` on."""
    for scope in timeline.scopes:
        for step in _later(timeline, since):
            head = (timeline.gateway, timeline.model, scope, step.at, str(step.kind))
            tail = (step.since, step.away_seconds)
            if not (step.prices or step.fields):
                yield (*head, None, None, None, None, None, *tail, None, step.group)
            for price in step.prices:
                yield (
                    *head,
                    price.name,
                    price.before,
                    price.after,
                    price.percent,
                    price.unit,
                    *tail,
                    flap_cell(price),
                    step.group,
                )
            for field in step.fields:
                yield (*head, field.field, *sides(field), None, None, *tail, flap_cell(field), step.group)


def _later(timeline: Timeline, since: str | None) -> Sequence[TimelineStep]:
    return [step for step in timeline.steps if since is None or step.at >= since]


def timeline_lines(timelines: Sequence[Timeline], since: str | None, *, bars: bool) -> Iterator[str]:
    """Yield the lines of one model's timelines at one gateway.

    Args:
        timelines: at least one.
        since: leave out earlier steps.
        bars: draw a chart of each price that changed more than once.
    """
    yield f"{safe(timelines[0].model)} at {safe(timelines[0].gateway)}"
    for timeline in timelines:
        yield f"  {_scopes(timeline)}"
        steps = _later(timeline, since)
        if len(steps) < len(timeline.steps):
            yield f"    ({count(len(timeline.steps) - len(steps), 'earlier step')})"
        for step in steps:
            yield from _step_lines(step, pruned=timeline.pruned)
        quiet = sum(step.quiet for step in steps)
        if quiet:
            yield f"    ({count(quiet, 'quiet change')}: `modelwatch show` shows them)"
        yield f"    now               {_state(timeline)}"
        yield from (f"    {line}" for line in _charts(steps, bars=bars))


_MOST_SCOPES = 3


_NAMED_SCOPES = 4


def _scopes(timeline: Timeline) -> str:
    names = [safe(scope) for scope in timeline.scopes]
    if len(names) <= _MOST_SCOPES:
        return " ".join(names)
    more = len(names) - _NAMED_SCOPES
    also = f" and {more} more" if more > 0 else ""
    return f"{len(names)} scopes: {' '.join(names[:_NAMED_SCOPES])}{also}"


def _state(timeline: Timeline) -> str:
    last = timeline.steps[-1] if timeline.steps else None
    if last and last.kind == StepKind.GROUP_GONE:
        return f"not offered, group {safe(last.group or '')} is gone"
    if last and last.kind == StepKind.GROUP_MISSING:
        return f"offered in the last list of group {safe(last.group or '')}"
    offered = "offered" if timeline.offered else "not offered"
    if timeline.state == "retired":
        since = f" since {minute(timeline.last_asked)}" if timeline.last_asked else ""
        return f"no longer asked{since}; {offered} then"
    if timeline.state in ("held", "failed"):
        state = state_text(timeline.state, timeline.state_since)
        return f"{offered}, as of the last accepted answer; {state}"
    return offered


_INDENT = " " * 22


def _step_lines(step: TimelineStep, *, pruned: bool) -> Iterator[str]:
    for number, text in enumerate(_step_texts(step, pruned=pruned)):
        yield f"{_INDENT}{text}" if number else f"    {minute(step.at)}  {text}"


_TEXTS = {
    StepKind.FIRST: "offered, in the first answer",
    StepKind.ADDED: "added",
    StepKind.LISTED: "listed, under new parsing rules",
    StepKind.UNLISTED: "not listed, under new parsing rules",
    StepKind.MISSING: "missing, to be confirmed by the next answers",
}


_FIRST_KEPT = "offered, in the first kept answer"


def _step_texts(step: TimelineStep, *, pruned: bool) -> Iterator[str]:
    """Yield the event, and each changed price and field."""
    match step.kind:
        case StepKind.REMOVED:
            since = f", missing since {minute(step.since)}" if step.since and step.since != step.at else ""
            yield f"removed{since}"
        case StepKind.RETURNED:
            yield f"returned after {duration(step.away_seconds or 0)}"
        case StepKind.GROUP_GONE:
            since = f", missing since {minute(step.since)}" if step.since and step.since != step.at else ""
            yield f"gone with group {safe(step.group or '')}{since}"
        case StepKind.GROUP_RETURNED:
            yield f"back with group {safe(step.group or '')} after {duration(step.away_seconds or 0)}"
        case StepKind.GROUP_MISSING:
            yield f"may be gone with group {safe(step.group or '')}, to be confirmed by the next answers"
        case StepKind.CHANGED:
            pass
        case _:
            kept = pruned and step.kind == StepKind.FIRST
            yield (_FIRST_KEPT if kept else _TEXTS[step.kind]) + _first_prices(step)
            return
    yield from map(price_text, step.prices)
    yield from field_texts(by_importance(step.fields))


def _first_prices(step: TimelineStep) -> str:
    prices = prices_text(step.prices)
    return f"; {prices}" if prices else ""


def _charts(steps: Iterable[TimelineStep], *, bars: bool) -> Iterator[str]:
    """Yield a line for each price that changed more than once: first and last value, and a chart."""
    by_price: dict[str, list[PriceChange]] = {}
    for step in steps:
        if step.kind not in FIRST_OFFERS:
            for price in step.prices:
                if price.flap_step != FlapStep.SETTLED:
                    by_price.setdefault(price.name, []).append(price)
    for changes in by_price.values():
        values = [changes[0].before, *(price.after for price in changes)]
        prices = [price for price in values if price is not None]
        if len(changes) > 1 and len(prices) > 1:
            last = replace(changes[-1], source=None, flapping=None)
            whole = replace(last, before=prices[0], after=prices[-1])
            chart = f"  {sparkline(prices)}" if bars else ""
            is_same = whole.before == whole.after
            text = f"{price_now_text(whole)}, as before," if is_same else price_text(whole)
            yield f"{text} in {count(len(changes), 'change')}{chart}"


_BARS = "▁▂▃▄▅▆▇█"


_MOST_BARS = 40


def sparkline(values: Sequence[Decimal]) -> str:
    """Return values as bars, from the lowest to the highest; the last forty when there are more."""
    values = values[-_MOST_BARS:]
    low, high = min(values), max(values)
    if low == high:
        return _BARS[0] * len(values)
    return "".join(_BARS[int((each - low) / (high - low) * (len(_BARS) - 1))] for each in values)
