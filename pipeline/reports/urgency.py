"""TODO."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pipeline.core.types import Kind
from pipeline.core.watchlist import Watch
from pipeline.history.types import Event
from pipeline.reports.report import Report

_URGENT = frozenset({"price", "lifecycle"})
"""A changed field of these classes is urgent."""


def is_urgent(event: Event, watch: Watch) -> bool:
    """Say whether a watched model went, has another price, or another end."""
    if not (watch.has(event.model) and any(map(watch.covers, event.scopes))):
        return False
    return event.kind == Kind.REMOVED or any(field.category in _URGENT for field in event.fields)


def marked(events: Iterable[Event], watch: Watch) -> tuple[Event, ...]:
    """Give the events, in their order; those that are urgent say so."""
    return tuple(replace(event, urgent=True) if is_urgent(event, watch) else event for event in events)


def mark(report: Report, watch: Watch) -> Report:
    """Give a report in which what is urgent is marked."""
    return replace(report, events=marked(report.events, watch))
