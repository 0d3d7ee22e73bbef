"""Reports and events as CSV (RFC 4180) and as JSON in the shape of `report.schema.json`.

The CSV has a row for each field that changed, and one for each model added, removed or returned.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib import resources
from typing import Any

from pipeline.core.canonical import from_text, pretty
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Kind
from pipeline.history.types import Coverage, Event
from pipeline.reports.types import Report

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
)
"""The columns, in their order; new ones are appended."""

SCHEMA = "modelwatch/report/2"
"""The value of `schema` in every report."""

# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile("^[=+\\-@\t\r\n\x00＝＋－＠]")

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def as_csv(events: Iterable[Event]) -> str:
    """Return events as CSV with a header; lines end in CR LF.

    A `'` precedes any text that a spreadsheet would evaluate as a formula, but no number.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for event in events:
        writer.writerows([cell(value) for value in row] for row in _rows(event))
    return text.getvalue()


def cell(value: str | int | None) -> str:
    """Return the text of one cell, guarded by a `'` if a spreadsheet would evaluate it as a formula."""
    text = "" if value is None else str(value)
    guard = "'" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else ""
    return guard + text.replace("\x00", "\\u0000")


def _rows(event: Event) -> Iterator[tuple[str | int | None, ...]]:
    model = (event.gateway, event.model)
    urgent = "yes" if event.urgent else None
    tail = (" ".join(event.scopes), " ".join(event.groups), event.since, event.away_seconds, urgent)
    if event.kind != Kind.CHANGED or not event.fields:
        yield (event.at, event.kind, *model, None, None, None, None, *tail)
    for field in event.fields:
        yield (event.at, Kind.CHANGED, *model, field.field, field.before, field.after, field.category, *tail)


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
        "changes": [event_value(event) for event in report.events],
        "recoveries": [asdict(recovery) for recovery in report.recoveries],
        "coverage": [_past_coverage_value(coverage) for coverage in report.coverage],
    }


def event_value(event: Event) -> dict[str, Any]:
    """Return an event as a JSON object."""
    return asdict(event) | {
        "kind": str(event.kind),
        "scopes": list(event.scopes),
        "groups": list(event.groups),
        "quiet": event.quiet,
        "fields": [field_value(field) for field in event.fields],
        "prices": [price_value(price) for price in event.prices],
    }


def field_value(field: FieldChange) -> dict[str, Any]:
    """Return a field change as a JSON object, without the side on which the field is absent."""
    sides = {"before": field.before, "after": field.after}
    return {"field": field.field, "class": field.category} | {
        side: from_text(text) for side, text in sides.items() if text is not None
    }


def price_value(price: PriceChange) -> dict[str, Any]:
    """Return a price change as a JSON object: in USD per `unit`, null where there is no price."""
    return asdict(price) | {"percent": price.percent}


def coverage_value(coverage: Coverage) -> dict[str, Any]:
    """Return a scope's coverage as a JSON object; `error` is null while the scope is healthy."""
    value = asdict(coverage)
    error_class, message = value.pop("error_class"), value.pop("message")
    return value | {"error": {"class": error_class, "message": message} if message else None}


def _past_coverage_value(coverage: Coverage) -> dict[str, Any]:
    """Return the coverage at the end of a window; pending removals are left out, as they are those of now."""
    value = coverage_value(coverage)
    del value["pending_removals"]
    return value
