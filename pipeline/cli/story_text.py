"""The story of a model: in lines for people, as JSON, and as rows of CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from pipeline.pricing import PriceChange
from pipeline.reports.as_json import field_value
from pipeline.reports.as_text import count, duration, field_text, minute
from pipeline.reports.display import shown as safe
from pipeline.stories import THERE, Step, Story, What

COLUMNS = (
    "gateway",
    "model",
    "scope",
    "at",
    "what",
    "field",
    "before",
    "after",
    "percent",
    "unit",
    "since",
    "away_seconds",
)
"""The columns of the CSV: a row for each scope, step and field."""

_NAMED = 4
_FEW = 3
_BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 40
_INDENT = " " * 22
_SOURCES = {"estimate": " (an estimate)", "ratio": " (from its ratios)"}
_SAYS = {
    What.FIRST: "offered, in the first answer",
    What.ADDED: "offered from now on",
    What.READ: "in the list since it is read by other rules",
    What.UNREAD: "not in the list since it is read by other rules",
    What.MISSING: "missing since then, to be confirmed by the next answers",
}


def value(story: Story, since: str | None) -> dict[str, Any]:
    """Give a story as plain values; with `since` only its steps from then on."""
    return {
        "gateway": story.gateway,
        "model": story.model,
        "scopes": list(story.scopes),
        "groups": list(story.groups),
        "state": story.state,
        "state_since": story.state_since,
        "last_asked": story.last_asked,
        "offered": story.offered,
        "steps": [_step_value(step) for step in _later(story, since)],
    }


def _step_value(step: Step) -> dict[str, Any]:
    return {
        "at": step.at,
        "what": str(step.what),
        "since": step.since,
        "away_seconds": step.away_seconds,
        "prices": [price_value(price) for price in step.prices],
        "fields": [field_value(field) for field in step.fields],
        "quiet": step.quiet,
    }


def price_value(price: PriceChange) -> dict[str, Any]:
    """Give a change of a price as plain values."""
    return {
        "name": price.name,
        "before": price.before,
        "after": price.after,
        "percent": price.percent,
        "unit": unit_of(price),
        "source": price.source,
    }


def _later(story: Story, since: str | None) -> Sequence[Step]:
    return [step for step in story.steps if since is None or step.at >= since]


def unit_of(price: PriceChange) -> str | None:
    """Name the unit of a price; None where it is not known."""
    return f"USD per {price.per}" if price.per else None


def rows(story: Story, since: str | None) -> Iterator[Sequence[Any]]:
    """Give a story as rows of CSV."""
    for scope in story.scopes:
        for step in _later(story, since):
            head = (story.gateway, story.model, scope, step.at, str(step.what))
            tail = (step.since, step.away_seconds)
            if not (step.prices or step.fields):
                yield (*head, None, None, None, None, None, *tail)
            for price in step.prices:
                yield (*head, price.name, price.before, price.after, price.percent, unit_of(price), *tail)
            for field in step.fields:
                yield (*head, field.field, field.before, field.after, None, None, *tail)


def lines(stories: Sequence[Story], since: str | None, *, bars: bool) -> Iterator[str]:
    """Give the stories of one model at one gateway in lines; with `bars` prices that moved are drawn too."""
    yield f"{safe(stories[0].model)} at {safe(stories[0].gateway)}"
    for story in stories:
        yield f"  {_who(story)}"
        steps = _later(story, since)
        if len(steps) < len(story.steps):
            yield f"    ({count(len(story.steps) - len(steps), 'earlier step')})"
        for step in steps:
            yield from _step(step)
        quiet = sum(step.quiet for step in steps)
        if quiet:
            yield f"    ({count(quiet, 'quiet change')}: `modelwatch show` tells them)"
        yield f"    now               {_now(story)}"
        yield from (f"    {line}" for line in _drawn(steps, bars=bars))


def _who(story: Story) -> str:
    names = [safe(scope) for scope in story.scopes]
    if len(names) <= _FEW:
        return " ".join(names)
    more = len(names) - _NAMED
    also = f" and {more} more" if more > 0 else ""
    return f"{len(names)} scopes: {' '.join(names[:_NAMED])}{also}"


def _step(step: Step) -> Iterator[str]:
    for number, text in enumerate(_told(step)):
        yield f"{_INDENT}{text}" if number else f"    {minute(step.at)}  {text}"


def _told(step: Step) -> Iterator[str]:
    """Say what happened, then each price and field on its own line."""
    match step.what:
        case What.REMOVED:
            since = f", missing since {minute(step.since)}" if step.since and step.since != step.at else ""
            yield f"removed{since}"
        case What.RETURNED:
            yield f"back after {duration(step.away_seconds or 0)}"
        case What.CHANGED:
            pass
        case _:
            yield _SAYS[step.what] + _cost(step)
            return
    yield from map(price_text, step.prices)
    yield from map(field_text, step.fields)


def _cost(step: Step) -> str:
    """Say what a model costs that begins to be offered."""
    of_unit: dict[str, list[PriceChange]] = {}
    for price in step.prices:
        of_unit.setdefault(_per(price), []).append(price)
    parts = [
        ", ".join(f"{price.name} {_usd(price.after)}" for price in prices) + per
        for per, prices in of_unit.items()
    ]
    source = _SOURCES.get(step.prices[0].source or "", "") if step.prices else ""
    return f"; {', '.join(parts)}{source}" if parts else ""


def price_text(price: PriceChange) -> str:
    """Write how a price changed: `input: $5 → $2.5 per 1M tokens (-50%)`."""
    source = _SOURCES.get(price.source or "", "")
    if price.per is None:
        return f"{safe(price.name)}: {_plain(price.before)} → {_plain(price.after)}{_percent(price)}"
    text = f"{price.name}: {_usd(price.before)} → {_usd(price.after)}"
    return f"{text}{_per(price)}{_percent(price)}{source}"


def _per(price: PriceChange) -> str:
    return "" if price.per == "call" else f" per {price.per}"


def _usd(price: Decimal | None) -> str:
    return "no price" if price is None else f"${price:f}"


def _plain(price: Decimal | None) -> str:
    return "(none)" if price is None else f"{price:f}"


def _percent(price: PriceChange) -> str:
    return "" if price.percent is None else f" ({price.percent:+f}%)"


def _now(story: Story) -> str:
    if story.state == "retired":
        asked = f" since {minute(story.last_asked)}" if story.last_asked else ""
        return f"no longer asked{asked}; {'offered' if story.offered else 'not offered'} then"
    said = "offered" if story.offered else "not offered"
    if story.state in ("held", "failed"):
        said += f", as far as is known: {story.state} since {minute(story.state_since or '')}"
    return said


def _drawn(steps: Iterable[Step], *, bars: bool) -> Iterator[str]:
    """Say where each price that moved more than once came from and went to."""
    of_price: dict[str, list[PriceChange]] = {}
    for step in steps:
        if step.what not in THERE - {What.CHANGED, What.RETURNED}:
            for price in step.prices:
                of_price.setdefault(price.name, []).append(price)
    for name, changes in of_price.items():
        values = [changes[0].before, *(price.after for price in changes)]
        known = [price for price in values if price is not None]
        if len(changes) > 1 and len(known) > 1:
            whole = PriceChange(name, known[0], known[-1], changes[-1].per)
            drawn = f"  {sparkline(known)}" if bars else ""
            yield f"{price_text(whole)} in {count(len(changes), 'change')}{drawn}"


def sparkline(values: Sequence[Decimal]) -> str:
    """Draw values as bars, the lowest to the highest; the last forty when there are more."""
    values = values[-_MOST_BARS:]
    low, high = min(values), max(values)
    if low == high:
        return _BARS[0] * len(values)
    return "".join(_BARS[int((each - low) / (high - low) * (len(_BARS) - 1))] for each in values)
