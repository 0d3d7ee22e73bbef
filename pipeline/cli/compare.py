"""The command `diff`: compare two times, two snapshots or two scopes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from pipeline.api import Home, Moment, ScopeListing
from pipeline.cli.options import Name, csv_option, with_home
from pipeline.cli.terminal import paint, raw
from pipeline.core.canonical import pretty
from pipeline.core.prices import prices_of_fields
from pipeline.core.text import count
from pipeline.core.text import printable as safe
from pipeline.core.times import minute
from pipeline.core.types import Kind
from pipeline.errors import CHANGES_EXIT
from pipeline.history.compare import ComparedPairs, ComparedSide, Comparison, Difference
from pipeline.history.types import Event
from pipeline.reports.console import change_lines, scopes_text
from pipeline.reports.csv_json import field_value, price_cells, price_value, sides, usd_cells, write_csv


@click.command()
@with_home
@click.argument("before", type=Name("scopes"))
@click.argument("after", default="now", type=Name("scopes"))
@click.option("--all", "quiet_too", is_flag=True, help="Show quiet differences too: names, descriptions.")
@click.option("--each", is_flag=True, help="Show each difference, bulk additions and removals too.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when they differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; it marks and includes quiet differences.")
@csv_option("Print CSV; it includes quiet differences, with their class.")
def diff(
    home: Home,
    before: str,
    after: str,
    *,
    quiet_too: bool,
    each: bool,
    exit_code: bool,
    as_json: bool,
    as_csv: bool,
    bom: bool,
) -> int:
    """Compare the models on offer at two moments, or of two scopes. The default for AFTER is now.

    BEFORE and AFTER are each a time (2026-05-01, 2d ago, now), a snapshot ('#123'), a scope (aihubmix/prod),
    a gateway or a glob of scopes, or a scope at a moment (aihubmix/prod@2026-05-01, aihubmix/prod@#123).
    A moment alone stands for all scopes, or for the scopes that the other side names.
    """
    found = home.diff(before, after)
    if as_json:
        raw(pretty(diff_value(found)))
    elif as_csv:
        raw(write_csv(DIFF_COLUMNS, diff_rows(found), bom=bom))
    else:
        click.echo("\n".join(paint(diff_lines(found, quiet_too=quiet_too, each=each))))
    return CHANGES_EXIT if exit_code and found.differs else 0


def diff_value(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values."""
    return {
        "before": _side_value(found.before),
        "after": _side_value(found.after),
        "differs": found.differs,
        "compared": [
            {
                "pairs": [{"before": old.scope, "after": new.scope} for old, new in part.pairs],
                "models": {"before": part.before[0].size, "after": part.after[0].size},
                "changes": [
                    {
                        "kind": str(each.kind),
                        "model": each.model,
                        "fields": [field_value(field) for field in each.fields],
                        "prices": [price_value(price) for price in each.prices],
                        "quiet": each.quiet,
                    }
                    | ({"models": list(each.models)} if each.models else {})
                    for each in part.differences
                ],
            }
            for part in found.parts
        ],
        "only_before": [_scope_value(each) for each in found.only_before],
        "only_after": [_scope_value(each) for each in found.only_after],
    }


def _side_value(side: ComparedSide) -> dict[str, Any]:
    return {"asked": side.text, "at": side.moment.at, "snapshot": side.moment.run}


def _scope_value(scope: ScopeListing) -> dict[str, Any]:
    return {"gateway": scope.gateway, "scope": scope.scope, "models": scope.size}


DIFF_COLUMNS = (
    "before_scope",
    "after_scope",
    "kind",
    "model",
    "field",
    "before",
    "after",
    "class",
    "before_usd_per_1m",
    "after_usd_per_1m",
    "models",
    "shape_of",
    "before_price",
    "after_price",
    "currency",
    "unit",
)
"""The columns of the CSV: a row for each pair of scopes, model and field."""


def diff_rows(found: Comparison) -> Iterator[Sequence[Any]]:
    """Yield the rows of the CSV; a scope of one side alone has the kind `new` or `gone`."""
    for part in found.parts:
        for old, new in part.pairs:
            for each in part.differences:
                head = (old.scope, new.scope, str(each.kind), each.model)
                if not each.fields:
                    yield (*head, *[None] * 12)
                prices = prices_of_fields(each.fields, each.prices)
                for field in each.fields:
                    price = prices.get(field)
                    change = (field.field, *sides(field), field.category)
                    shape = (len(each.models) or None, field.shape_of)
                    yield (*head, *change, *usd_cells(price), *shape, *price_cells(price))
    for scope in found.only_before:
        yield (scope.scope, None, "gone", *[None] * 13)
    for scope in found.only_after:
        yield (None, scope.scope, "new", *[None] * 13)


def diff_lines(found: Comparison, *, quiet_too: bool = False, each: bool = False) -> Iterator[str]:
    """Yield the differences in lines; scopes with the same differences share a heading.

    Args:
        found: the comparison.
        quiet_too: include names, descriptions and the like.
        each: show bulk additions and removals one by one.
    """
    equal: list[ComparedPairs] = []
    hidden = 0
    for part in found.parts:
        shown = [difference for difference in part.differences if quiet_too or not difference.quiet]
        hidden += len(part.differences) - len(shown)
        if shown:
            yield _heading(found, part)
            yield from change_lines([_event(part, difference) for difference in shown], each=each, removed="")
        elif not part.differences:
            equal.append(part)
    for scopes, state in ((found.only_before, "retired, or no answer yet"), (found.only_after, "new")):
        yield from (f"{safe(scope.scope)}: {state}, {count(scope.size, 'model')}" for scope in scopes)
    yield from (f"no difference: {names}" for names in _equal_scopes(equal))
    if not found.parts and not found.only_after and not found.only_before:
        yield "no scope has a list on both sides"
    if hidden:
        yield f"({hidden} quiet: --all shows them)"


def _heading(found: Comparison, part: ComparedPairs) -> str:
    old, new = part.pairs[0]
    sizes = f"{old.size} → {count(new.size, 'model')}"
    before, after = _moment(found.before.moment), _moment(found.after.moment)
    if part.in_time:
        return f"{_scopes(part.after)}  {before} → {after}  {sizes}"
    if before == after == "now":
        return f"{_scopes(part.before)} → {_scopes(part.after)}  {sizes}"
    return f"{_scopes(part.before)} {before} → {_scopes(part.after)} {after}  {sizes}"


def _moment(moment: Moment) -> str:
    if moment.at:
        return minute(moment.at)
    return "now" if moment.run is None else f"#{moment.run}"


def _scopes(scopes: Sequence[ScopeListing]) -> str:
    groups = sorted({each.group for each in scopes if each.group})
    return scopes_text(scopes[0].gateway, tuple(each.scope for each in scopes), tuple(groups))


def _equal_scopes(parts: Sequence[ComparedPairs]) -> Iterator[str]:
    """Yield the names of the scopes without differences: one text for each gateway, and for each pair."""
    by_gateway: dict[str, list[ScopeListing]] = {}
    for part in parts:
        if part.in_time:
            by_gateway.setdefault(part.after[0].gateway, []).extend(part.after)
        else:
            yield f"{_scopes(part.before)} and {_scopes(part.after)}"
    yield from map(_scopes, by_gateway.values())


def _event(part: ComparedPairs, difference: Difference) -> Event:
    """Return a difference as an event, for `change_lines`."""
    return Event(
        at="",
        snapshot=0,
        kind=difference.kind,
        gateway=part.after[0].gateway,
        model=difference.model,
        scopes=(),
        groups=(),
        fields=difference.fields,
        prices=difference.prices,
        models=difference.models,
        listed=part.after[0].size if difference.kind == Kind.SHAPE else None,
    )
