"""Changes as CSV (RFC 4180): a line per field changed, a line per model added, removed or returned.

Reports and events as JSON, in the shape that `report.schema.json` beside this file describes.
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
from pipeline.reports.report import Report

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
"""The columns, in their order: new ones are only ever added at the end."""


_FORMULA = re.compile("^[=+\\-@\t\r\n\x00＝＋－＠]")


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def as_csv(events: Iterable[Event]) -> str:
    """Write events as CSV, header always, lines ending in CR LF.

    A text that a spreadsheet would take for a formula is prefixed with `'`; numbers never are.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for event in events:
        writer.writerows([cell(value) for value in row] for row in _rows(event))
    return text.getvalue()


def cell(value: str | int | None) -> str:
    """Write one cell, harmless in a spreadsheet."""
    text = "" if value is None else str(value)
    guard = "'" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else ""
    return guard + text.replace("\x00", "\\u0000")


def _rows(event: Event) -> Iterator[tuple[str | int | None, ...]]:
    head = (event.gateway, event.model)
    urgent = "yes" if event.urgent else None
    tail = (" ".join(event.scopes), " ".join(event.groups), event.since, event.away_seconds, urgent)
    if event.kind != Kind.CHANGED or not event.fields:
        yield (event.at, event.kind, *head, None, None, None, None, *tail)
    for field in event.fields:
        yield (event.at, Kind.CHANGED, *head, field.field, field.before, field.after, field.category, *tail)


SCHEMA = "modelwatch/report/1"


def schema() -> dict[str, Any]:
    """Give the JSON Schema of a report."""
    text = resources.files("pipeline.reports").joinpath("report.schema.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value


def as_json(report: Report) -> str:
    """Write a report; ends with a line feed."""
    return pretty(report_value(report))


def report_value(report: Report) -> dict[str, Any]:
    """Give a report as plain values."""
    return {
        "schema": SCHEMA,
        "window": {"since": report.since, "until": report.run.started_at},
        "run": asdict(report.run),
        "totals": report.totals,
        "changes": [event_value(event) for event in report.events],
        "recoveries": [asdict(recovery) for recovery in report.recoveries],
        "coverage": [_then(coverage) for coverage in report.coverage],
    }


def _then(coverage: Coverage) -> dict[str, Any]:
    """Give what was known at the end of the window; what is unconfirmed is only known as it is now."""
    value = coverage_value(coverage)
    del value["unconfirmed"]
    return value


def event_value(event: Event) -> dict[str, Any]:
    """Give an event as plain values."""
    value = asdict(event)
    return value | {
        "kind": str(event.kind),
        "scopes": list(event.scopes),
        "groups": list(event.groups),
        "quiet": event.quiet,
        "fields": [field_value(field) for field in event.fields],
        "prices": [price_value(price) for price in event.prices],
    }


def coverage_value(coverage: Coverage) -> dict[str, Any]:
    """Give a scope's coverage as plain values; `error` is null while the scope answers."""
    value = asdict(coverage)
    error_class, message = value.pop("error_class"), value.pop("message")
    return value | {"error": {"class": error_class, "message": message} if message else None}


def field_value(field: FieldChange) -> dict[str, Any]:
    """Give a field's change; a side on which the field is absent is left out."""
    sides = {"before": field.before, "after": field.after}
    return {"field": field.field, "class": field.category} | {
        side: from_text(text) for side, text in sides.items() if text is not None
    }


def price_value(price: PriceChange) -> dict[str, Any]:
    """Give a price's change, in USD per what it is for; null where there was none."""
    return asdict(price) | {"percent": price.percent}
