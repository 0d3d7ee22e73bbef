"""How models end: in lines for people, and as rows of CSV.

The commands that ask what became of models: history, lifecycle.

The story of a model: in lines for people, as JSON, and as rows of CSV.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import Place, Time, now, placed
from pipeline.cli.run import database_of
from pipeline.core.prices import PriceChange
from pipeline.core.text import count
from pipeline.core.text import printable as safe
from pipeline.core.times import duration, iso, minute
from pipeline.core.watchlist import matches
from pipeline.history.deprecations import Announced, Vanished
from pipeline.history.timeline import THERE, Timeline, TimelineStep, What
from pipeline.reports.console import field_text, who
from pipeline.reports.csv_json import field_value

if TYPE_CHECKING:
    from pipeline.store import Store


_ANNOUNCED = ("date", "days", "gateway", "model", "lifecycle", "scopes")


_GONE = ("at", "since", "gateway", "model", "scopes", "back")


Table = tuple[Sequence[str], list[Sequence[Any]]]


def announced_rows(found: Sequence[Announced]) -> Table:
    """Give columns and rows of what is announced."""
    return _ANNOUNCED, [
        (each.day, each.days, each.gateway, each.model, each.lifecycle, " ".join(each.scopes))
        for each in found
    ]


def gone_rows(found: Sequence[Vanished]) -> Table:
    """Give columns and rows of what went without notice."""
    return _GONE, [
        (each.at, each.since, each.gateway, each.model, " ".join(each.scopes), " ".join(each.back))
        for each in found
    ]


def announced_lines(announced: Sequence[Announced], gone: Sequence[Vanished], days: int) -> Iterator[str]:
    """Say what is announced, by day, and how much went without notice."""
    if not announced:
        yield f"nothing that is offered is announced to end within {count(days, 'day')}"
    for each in announced:
        stage = f"  ({safe(each.lifecycle)})" if each.lifecycle else ""
        whom = who(each.gateway, each.scopes, ())
        yield f"{each.day}  {when(each.days)}  {safe(each.model)}{stage}  {whom}"
    if gone:
        yield (
            f"{count(len({(each.gateway, each.model) for each in gone}), 'model')} went without notice "
            f"in the last {count(days, 'day')}: --unannounced shows them"
        )


def when(days: int) -> str:
    """Say how far a day is: `in 3 days`, `today`, `2 days ago, still offered`."""
    if days == 0:
        return "today"
    return f"in {count(days, 'day')}" if days > 0 else f"{count(-days, 'day')} ago, still offered"


def gone_lines(gone: Sequence[Vanished], days: int) -> Iterator[str]:
    """Say what went without notice, oldest first."""
    if not gone:
        yield f"nothing went without notice in the last {count(days, 'day')}"
    for each in gone:
        since = f", missing since {minute(each.since)}" if each.since and each.since != each.at else ""
        back = _back(each)
        yield f"{minute(each.at)}  - {safe(each.model)}  {who(each.gateway, each.scopes, ())}{since}{back}"


def _back(gone: Vanished) -> str:
    if not gone.back:
        return ""
    return (
        "; offered again"
        if gone.back == gone.scopes
        else f"; offered again to {' '.join(map(safe, gone.back))}"
    )


_MOST_MODELS = 20


@click.command()
@placed
@click.argument("model")
@click.option("--scope", "globs", multiple=True, help="Only in scopes that match this glob; may be repeated.")
@click.option(
    "--since", type=Time(), help="Only what happened from this time on: 2h, 1d, 3w (ago), or a date."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row for each scope, step and field.")
def history(
    place: Place, model: str, *, globs: tuple[str, ...], since: str | None, as_json: bool, as_csv: bool
) -> None:
    """Tell the story of a model: offered from, until, away, back, and what it cost when; for which scopes.

    MODEL is an id as the gateway writes it, or a glob that few ids match.
    """
    from pipeline.cli import terminal
    from pipeline.cli.terminal import can_draw, raw
    from pipeline.core.canonical import pretty
    from pipeline.store import Store

    with Store.read(database_of(place)) as store:
        found = _stories(store, model, globs)
    if as_json:
        raw(pretty([timeline_value(story, since) for story in found]))
    elif as_csv:
        raw(
            terminal.as_csv(TIMELINE_COLUMNS, [row for story in found for row in timeline_rows(story, since)])
        )
    else:
        parts = [list(of_it) for _, of_it in groupby(found, key=lambda each: (each.model, each.gateway))]
        bars = can_draw()
        click.echo("\n\n".join("\n".join(timeline_lines(part, since, bars=bars)) for part in parts))


def _stories(store: Store, model: str, globs: tuple[str, ...]) -> list[Timeline]:
    """Find the stories that are asked for.

    Raises:
        UsageError: there is no such model, or no such scope, or too many match.
    """
    from pipeline.core.text import printable as safe
    from pipeline.history.selectors import named, unknown
    from pipeline.history.timeline import timelines

    names = named(store, model)
    if not names:
        raise click.UsageError(unknown(store, model))
    if len(names) > _MOST_MODELS:
        raise click.UsageError(
            f"{safe(model)} matches {len(names)} models, {safe(names[0])} to {safe(names[-1])}: "
            f"narrow it to {_MOST_MODELS} at most"
        )
    found = [story for name in names for story in timelines(store, name, lambda scope: matches(scope, globs))]
    if not found:
        raise click.UsageError(f"no scope that matches {' or '.join(globs)} was ever offered {safe(model)}")
    return found


@click.command()
@placed
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="So many days from now, and back.",
)
@click.option("--unannounced", is_flag=True, help="Show what went without notice in the last days instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with both.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def deprecations(place: Place, *, days: int, unannounced: bool, as_json: bool, as_csv: bool) -> None:
    """Show which models are announced to end soon, or should have ended, and which went without notice."""
    from dataclasses import asdict

    from pipeline.cli import terminal
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.history.deprecations import announced, vanished
    from pipeline.store import Store

    at = datetime.fromisoformat(now()).astimezone(UTC)
    with Store.read(database_of(place)) as store:
        to_come = announced(store, today=at.date(), until=at.date() + timedelta(days=days))
        gone = vanished(store, since=iso(at - timedelta(days=days)))
    if as_json:
        told = {"announced": list(map(asdict, to_come)), "unannounced": list(map(asdict, gone))}
        raw(pretty(told))
    elif as_csv:
        columns, rows = gone_rows(gone) if unannounced else announced_rows(to_come)
        raw(terminal.as_csv(columns, rows))
    else:
        click.echo("\n".join(gone_lines(gone, days) if unannounced else announced_lines(to_come, gone, days)))


TIMELINE_COLUMNS = (
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


def timeline_value(story: Timeline, since: str | None) -> dict[str, Any]:
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


def _step_value(step: TimelineStep) -> dict[str, Any]:
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


def _later(story: Timeline, since: str | None) -> Sequence[TimelineStep]:
    return [step for step in story.steps if since is None or step.at >= since]


def unit_of(price: PriceChange) -> str | None:
    """Name the unit of a price; None where it is not known."""
    return f"USD per {price.per}" if price.per else None


def timeline_rows(story: Timeline, since: str | None) -> Iterator[Sequence[Any]]:
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


def timeline_lines(stories: Sequence[Timeline], since: str | None, *, bars: bool) -> Iterator[str]:
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


def _who(story: Timeline) -> str:
    names = [safe(scope) for scope in story.scopes]
    if len(names) <= _FEW:
        return " ".join(names)
    more = len(names) - _NAMED
    also = f" and {more} more" if more > 0 else ""
    return f"{len(names)} scopes: {' '.join(names[:_NAMED])}{also}"


def _step(step: TimelineStep) -> Iterator[str]:
    for number, text in enumerate(_told(step)):
        yield f"{_INDENT}{text}" if number else f"    {minute(step.at)}  {text}"


def _told(step: TimelineStep) -> Iterator[str]:
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


def _cost(step: TimelineStep) -> str:
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


def _now(story: Timeline) -> str:
    if story.state == "retired":
        asked = f" since {minute(story.last_asked)}" if story.last_asked else ""
        return f"no longer asked{asked}; {'offered' if story.offered else 'not offered'} then"
    said = "offered" if story.offered else "not offered"
    if story.state in ("held", "failed"):
        said += f", as far as is known: {story.state} since {minute(story.state_since or '')}"
    return said


def _drawn(steps: Iterable[TimelineStep], *, bars: bool) -> Iterator[str]:
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
