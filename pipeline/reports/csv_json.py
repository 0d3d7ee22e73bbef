"""Reports and events as CSV (RFC 4180) and as JSON in the shape of `report.schema.json`.

The CSV has a row for each field that changed, and one for each model added, removed or returned. Both stay
small however many scopes there are: scopes are named where they are few, and counted where they are many.
`modelwatch changes --json` and `modelwatch scopes --json` name each.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from decimal import Decimal
from importlib import resources
from typing import Any, TypeVar

from msgspec.structs import asdict

from pipeline.core.amounts import USD
from pipeline.core.canonical import from_text, pretty
from pipeline.core.prices import UNIT_1M, PriceChange, prices_of_fields
from pipeline.core.text import UNSAFE
from pipeline.core.times import shifted
from pipeline.core.types import FieldChange, FlapStep, HoldKind, Kind
from pipeline.history.types import Coverage, Event, Recovery, ScopeCounts
from pipeline.reports.types import FirstAnswer, Report

_T = TypeVar("_T")

COLUMNS = (
    "at",
    "kind",
    "gateway",
    "model",
    "field",
    "before",
    "after",
    "class",
    "scopes",
    "groups",
    "since",
    "away_seconds",
    "urgent",
    "severity",
    "before_usd_per_1m",
    "after_usd_per_1m",
    "flapping",
    "models",
    "shape_of",
    "before_price",
    "after_price",
    "currency",
    "unit",
    "scope_count",
    "group_count",
)
"""The columns, in their order; new ones are appended."""

SCHEMA = "modelwatch/report/3"
"""The value of `schema` in every report."""

MOST_NAMES = 100
"""So many scopes or groups are all named in a report; of more, the first `FIRST_NAMES`."""

FIRST_NAMES = 20

_MOST_ALIKE = 20
"""So many entries of a gateway with the same state and class stay apart; more become one."""

_INVISIBLE = (
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff"
)
_EQUALS = "=\u207c\u208c\u2e40\u30a0\ua78a\ufe66\uff1d\U0001f7f0"
_PLUSES = "+\u207a\u208a\u2795\ufb29\ufe62\uff0b"
_DASHES = (
    "\\-\u02d7\u058a\u05be\u2010-\u2015\u2043\u207b\u208b\u2212\u2796"
    "\u2e3a\u2e3b\ufe31\ufe32\ufe58\ufe63\uff0d"
)
_ATS = "@\ufe6b\uff20"
_FORMULA = re.compile(f"[\t\r\n\x00]|[\\s{UNSAFE}{_INVISIBLE}]*[{_EQUALS}{_PLUSES}{_DASHES}{_ATS}]")
"""The beginning of a formula: https://owasp.org/www-community/attacks/CSV_Injection.

Spreadsheets skip blanks, drop what is invisible, and take signs of other widths, and dashes, for those of a
formula.
"""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

_ID_COLUMN = "model"

_OF_MODELS = (Kind.SHAPE, Kind.GROUP)
"""The kinds of events that are of several models."""

_BOM = "\ufeff"
"""By this mark, Excel recognises UTF-8."""


def as_csv(events: Iterable[Event], *, bom: bool = False, guard_ids: bool = False) -> str:
    """Return events as CSV with a header; see `write_csv`."""
    rows = (row for event in events for row in _rows(event))
    return write_csv(COLUMNS, rows, bom=bom, guard_ids=guard_ids)


def named(names: Sequence[str]) -> list[str]:
    """Return the names to write into a report: all of them, or of more than a hundred the first twenty."""
    return list(names if len(names) <= MOST_NAMES else names[:FIRST_NAMES])


def write_csv(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, bom: bool = False, guard_ids: bool = False
) -> str:
    """Return rows as CSV with a header; lines end in CR LF.

    A `'` precedes any text that a spreadsheet would evaluate as a formula, but no number, and no id in the
    column `model`, by which rows are joined with other data.

    Args:
        columns: the names of the columns.
        rows: the cells; None is an empty one.
        bom: for Excel: the text begins with a byte order mark, and ids are guarded too.
        guard_ids: guard the ids too.
    """
    text = io.StringIO()
    text.write(_BOM if bom else "")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([cell(column) for column in columns])
    verbatim = columns.index(_ID_COLUMN) if _ID_COLUMN in columns and not (bom or guard_ids) else None
    writer.writerows(
        [cell(value, verbatim=place == verbatim) for place, value in enumerate(row)] for row in rows
    )
    return text.getvalue()


def cell(value: str | int | Decimal | None, *, verbatim: bool = False) -> str:
    """Return the text of one cell, guarded by a `'` if a spreadsheet would evaluate it as a formula.

    Args:
        value: None is an empty cell; a decimal is written without an exponent.
        verbatim: do not guard it.
    """
    text = "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
    is_formula = _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return ("'" if is_formula and not verbatim else "") + text.replace("\x00", "\\u0000")


def sides(field: FieldChange) -> tuple[str | None, str | None]:
    """Return a field before and after as cells: a number that the gateway writes as a text is a bare number.

    The quotes of a text stay where both sides would look equal without them.
    """
    before, after = _bare(field.before), _bare(field.after)
    return (field.before, field.after) if before == after else (before, after)


def flap_cell(change: FieldChange | PriceChange) -> str | None:
    """Return the cell for a value that keeps changing: its step; None for any other.

    `settled as before` is a value that settled where it was before the first change, so that its sides are
    equal.
    """
    if change.flap_step == FlapStep.SETTLED and change.before == change.after:
        return f"{change.flap_step} as before"
    return change.flap_step


def _bare(text: str | None) -> str | None:
    """Return a JSON string that holds a number without its quotes; any other text as it is."""
    inner = text[1:-1] if text and text[0] == text[-1] == '"' else ""
    return inner if _NUMBER.fullmatch(inner) else text


def _rows(event: Event) -> Iterator[tuple[str | int | Decimal | None, ...]]:
    model = (event.gateway, event.model)
    urgent = "yes" if event.urgent else None
    names = (event.scopes, event.groups)
    counts = tuple(map(len, names))
    scopes, groups = (" ".join(named(each)) for each in names)
    tail = (scopes, groups, event.since, event.away_seconds, urgent)
    if event.kind not in (Kind.CHANGED, *_OF_MODELS) or not event.fields:
        yield (event.at, event.kind, *model, *[None] * 4, *tail, event.severity, *[None] * 9, *counts)
    prices = prices_of_fields(event.fields, event.prices)
    for field in event.fields:
        change = (field.field, *sides(field), field.category)
        price = prices.get(field)
        shape = (len(event.models), field.shape_of) if event.kind in _OF_MODELS else (None, None)
        kind = event.kind if event.kind in _OF_MODELS else Kind.CHANGED
        head = (event.at, kind, *model, *change, *tail, event.severity)
        yield (*head, *usd_cells(price), flap_cell(field), *shape, *price_cells(price), *counts)


def usd_cells(price: PriceChange | None) -> tuple[Decimal | None, Decimal | None]:
    """Return the sides of a price as cells if it is one of 1M tokens in USD."""
    is_usd = price is not None and (price.unit, price.currency) == (UNIT_1M, USD)
    return (price.before, price.after) if price and is_usd else (None, None)


def price_cells(price: PriceChange | None) -> tuple[Decimal | str | None, ...]:
    """Return a price as cells: the sides per unit, the currency and the unit."""
    return (price.before, price.after, price.currency, price.unit) if price else (None,) * 4


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    text = resources.files("pipeline.reports").joinpath("report.schema.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value


def as_json(report: Report) -> str:
    """Return a report as JSON; it ends with a line feed."""
    return pretty(report_value(report))


def report_value(report: Report) -> dict[str, Any]:
    """Return a report as a JSON object."""
    return {
        "schema": SCHEMA,
        "window": {"since": report.since, "until": report.run.started_at},
        "run": asdict(report.run),
        "totals": report.totals,
        "changes": [_short(event_value(event)) for event in report.events],
        "recoveries": recoveries_value(each for each in report.recoveries if not each.steady),
        "first_answers": [_first_answer_value(each) for each in report.first_answers],
        "scopes": counts_value(report.scopes),
        "coverage": problems_value(report.coverage),
        "commands": {"changes": _changes_command(report), "scopes": "modelwatch scopes --json"},
    }


def _changes_command(report: Report) -> str:
    """Return the command that prints the changes of a report with all of their scopes."""
    since = f"--since {shifted(report.since, 1)} " if report.since else ""
    return f"modelwatch changes {since}--until {shifted(report.run.started_at, 1)} --json"


def _short(value: dict[str, Any]) -> dict[str, Any]:
    """Return an event with the names that a report has."""
    return value | {"scopes": named(value["scopes"]), "groups": named(value["groups"])}


def counts_value(counts: Iterable[ScopeCounts], *, retired: bool = False) -> dict[str, Any]:
    """Return the number of scopes in each state as a JSON object, with those of each gateway."""
    counts = tuple(counts)
    states = ("asked", "ok", "held", "failed", "new", *(("retired",) if retired else ()))

    def total(of: Iterable[ScopeCounts]) -> dict[str, Any]:
        of = tuple(of)
        return {state: sum(getattr(each, state) for each in of) for state in states}

    return total(counts) | {"gateways": [{"gateway": each.gateway} | total([each]) for each in counts]}


def _scopes_value(scopes: Iterable[str]) -> dict[str, Any]:
    """Return the number of scopes, and the names that a report has."""
    names = sorted(scopes)
    return {"scope_count": len(names), "scopes": named(names)}


def _folded(
    values: Iterable[_T], exactly: Callable[[_T], Hashable], roughly: Callable[[_T], Hashable]
) -> Iterator[tuple[list[_T], int]]:
    """Yield the values that are alike, in the order of their first, and how many unlike ones are in them.

    Those that are `exactly` alike are together. Where more than `_MOST_ALIKE` of these are `roughly` alike,
    they are one.
    """
    rough: dict[Hashable, dict[Hashable, list[_T]]] = {}
    for value in values:
        rough.setdefault(roughly(value), {}).setdefault(exactly(value), []).append(value)
    for by_key in rough.values():
        if len(by_key) <= _MOST_ALIKE:
            yield from ((members, 1) for members in by_key.values())
        else:
            yield [value for members in by_key.values() for value in members], len(by_key)


def _common(values: Iterable[_T]) -> _T | None:
    """Return the value that all values are equal to; None where they differ."""
    first, *others = set(values)
    return None if others else first


def _latest(times: Iterable[str | None]) -> str | None:
    return max((time for time in times if time), default=None)


def problems_value(coverage: Iterable[Coverage]) -> list[dict[str, Any]]:
    """Return scopes that are held, failing or new, or have pending removals, as JSON, those alike in one."""
    found = _folded(
        coverage,
        lambda each: (
            *(each.gateway, each.state, each.state_since, each.error_class, each.cure),
            # This message names the scope.
            "" if each.hold == HoldKind.ANONYMOUS else each.message,
            *(each.urgent, each.hold, each.recurrence, each.last_asked, each.pending_models),
        ),
        lambda each: (each.gateway, each.state, each.error_class, each.hold, each.urgent),
    )
    return [_problem_value(members, variants) for members, variants in found]


def _problem_value(members: Sequence[Coverage], variants: int) -> dict[str, Any]:
    first = members[0]
    again = first.recurrence
    return {
        "gateway": first.gateway,
        "state": first.state,
        "state_since": first.state_since,
        "urgent": first.urgent,
        "hold": first.hold,
        "error": _error_value(first),
        "recurrence": {"times": again.times, "since": again.since} if again else None,
        **_scopes_value(each.scope for each in members),
        **_groups_value(each.group for each in members),
        "models": _common(each.models for each in members),
        "held_models": _common(each.held_models for each in members),
        "listed_groups": _common(each.listed_groups for each in members),
        "pending_models": named(first.pending_models),
        "pending_removals": first.pending_removals,
        "last_asked": _latest(each.last_asked for each in members),
        "last_answered": _latest(each.last_answered for each in members),
        "variants": variants,
    }


def _groups_value(groups: Iterable[str | None]) -> dict[str, Any]:
    names = sorted({group for group in groups if group is not None})
    return {"group_count": len(names), "groups": named(names)}


def recoveries_value(recoveries: Iterable[Recovery]) -> list[dict[str, Any]]:
    """Return failures and holds that ended as JSON; those alike together."""
    found = _folded(
        recoveries,
        lambda each: tuple(_recovery_value(each).values()),
        lambda each: (each.gateway, each.state, each.accepted, each.error_class, each.urgent, each.hold),
    )
    return [
        _recovery_value(members[0])
        | _scopes_value({each.scope for each in members})
        | {
            "models": _common(each.models for each in members),
            "models_before": _common(each.models_before for each in members),
            "variants": variants,
        }
        for members, variants in found
    ]


def _recovery_value(recovery: Recovery) -> dict[str, Any]:
    value = asdict(recovery)
    del value["scope"], value["recurrence"], value["steady"]
    return value


def _first_answer_value(answer: FirstAnswer) -> dict[str, Any]:
    size = "listed_groups" if answer.lists_groups else "models"
    return {"gateway": answer.gateway, "models": None, "listed_groups": None, size: answer.models} | (
        _scopes_value(answer.scopes)
    )


def event_value(event: Event) -> dict[str, Any]:
    """Return an event as a JSON object; only a change of shape or of a group has `models` and `listed`."""
    value = asdict(event)
    models, listed = list(value.pop("models")), value.pop("listed")
    del value["watched_models"]
    shape: dict[str, Any] = {"models": models} if event.kind in _OF_MODELS else {}
    shape |= {} if listed is None else {"listed": listed}
    return (
        value
        | {
            "kind": str(event.kind),
            "scopes": list(event.scopes),
            "scope_count": len(event.scopes),
            "groups": list(event.groups),
            "group_count": len(event.groups),
            "quiet": event.quiet,
            "severity": str(event.severity),
            "fields": [field_value(field) for field in event.fields],
            "prices": [price_value(price) for price in event.prices],
        }
        | shape
    )


def field_value(field: FieldChange) -> dict[str, Any]:
    """Return a field change as a JSON object, without the side on which the field is absent."""
    sides = {"before": field.before, "after": field.after}
    return (
        {"field": field.field, "class": field.category}
        | ({"shape_of": field.shape_of} if field.shape_of else {})
        | {side: from_text(text) for side, text in sides.items() if text is not None}
        | _flapping_value(field)
    )


def price_value(price: PriceChange) -> dict[str, Any]:
    """Return a price change as a JSON object: per `unit`, null where there is no price.

    Only a price with a condition has `from_tokens` or `window`; only one that is not in USD has `currency`.
    """
    names = ("name", "before", "after", "unit", "source", "percent")
    conditions = {name: value for name in ("from_tokens", "window") if (value := getattr(price, name))}
    currency = {} if price.currency == USD else {"currency": price.currency}
    return {name: getattr(price, name) for name in names} | conditions | currency | _flapping_value(price)


def current_price_value(price: PriceChange) -> dict[str, Any]:
    """Return a price after a change as a JSON object; see the table `record_prices`."""
    names = ("name", "unit", "from_tokens", "window", "currency")
    return {name: getattr(price, name) for name in names} | {"amount": price.after}


def _flapping_value(change: FieldChange | PriceChange) -> dict[str, Any]:
    """Return the mark of a value that keeps changing; empty for any other."""
    if change.flapping is None:
        return {}
    mark = {name: value for name, value in asdict(change.flapping).items() if value is not None}
    return {"flapping": mark | {"step": str(change.flapping.step)}}


def coverage_value(coverage: Coverage) -> dict[str, Any]:
    """Return a scope's coverage as a JSON object; `error` is null while the scope is healthy."""
    value = asdict(coverage)
    value["pending_models"] = list(coverage.pending_models)
    del value["began"], value["recurrence"], value["cure"]
    if coverage.listed_groups is None:
        del value["listed_groups"]
    del value["error_class"], value["message"]
    return value | {"error": _error_value(coverage)}


def _error_value(coverage: Coverage) -> dict[str, Any] | None:
    message = coverage.message
    return {"class": coverage.error_class, "message": message} if message else None
