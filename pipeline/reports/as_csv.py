"""Changes as CSV (RFC 4180): a line per field changed, a line per model added, removed or returned."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from pipeline.reports.report import Event
from pipeline.types import Kind

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
