"""Build the report of a window, and mark the events that are urgent for the watched models."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from pipeline.core.impact import is_group_gone, is_pressing
from pipeline.core.types import Kind
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.history.changes import find_events
from pipeline.history.types import Event
from pipeline.reports.types import FirstAnswer, Report
from pipeline.store import Store
from pipeline.store.coverage import count_scopes, exceptional_coverage, first_answers, recoveries
from pipeline.store.runs import last_run, last_run_of
from pipeline.store.windows import Window


def build_report(store: Store, window: Window, watch: Watch = NO_WATCH) -> Report:
    """Return the report of a window that ends with a run, urgent events marked."""
    run = last_run_of(store, window)
    before = last_run(store, window.since)
    exceptional = exceptional_coverage(store, until=run.snapshot, asked_only=True)
    return Report(
        since=before.started_at if before else None,
        run=run,
        events=mark_urgent(find_events(store, window, watch=watch), watch),
        recoveries=recoveries(store, window),
        coverage=exceptional,
        first_answers=_first_answers(store, window),
        scopes=count_scopes(store, exceptional, until=run.snapshot),
    )


def _first_answers(store: Store, window: Window) -> tuple[FirstAnswer, ...]:
    """Return the first answers in a window, those of a gateway with the same number of models together."""
    by_size: dict[tuple[str, int, bool], list[str]] = {}
    for gateway, scope, size, lists_groups in first_answers(store, window):
        by_size.setdefault((gateway, size, lists_groups), []).append(scope)
    return tuple(
        FirstAnswer(gateway, tuple(scopes), size, lists_groups)
        for (gateway, size, lists_groups), scopes in by_size.items()
    )


def mark_urgent(events: Iterable[Event], watch: Watch) -> tuple[Event, ...]:
    """Return the events in their order, those urgent that concern a watched model."""
    return tuple(replace(event, urgent=True) if _is_urgent(event, watch) else event for event in events)


def _is_urgent(event: Event, watch: Watch) -> bool:
    if event.kind == Kind.GROUP:
        is_back = event.away_seconds is not None
        moved = is_back or is_group_gone(event.kind, event.fields) or any(map(is_pressing, event.fields))
        return moved and bool(event.watched_models)
    if not (watch.has(event.model) and any(map(watch.covers, event.scopes))):
        return False
    return event.kind in (Kind.REMOVED, Kind.RETURNED) or any(map(is_pressing, event.fields))
