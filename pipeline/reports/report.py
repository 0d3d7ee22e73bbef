"""TODO."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.core.types import Kind
from pipeline.history.changes import find_events
from pipeline.history.runs import _run, coverage, last_run_of, recoveries
from pipeline.history.types import Coverage, Event, Recovery, Run
from pipeline.store import Store
from pipeline.store.changes import Window


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a rendering needs; the same history gives the same report.

    Args:
        since: the start of the run before the window; None when the window begins with the history.
        run: the last run of the window.
        events: by time, then gateway, kind and model.
        recoveries: by time, then scope.
        coverage: the scopes that the last run asked.
    """

    since: str | None
    run: Run
    events: tuple[Event, ...]
    recoveries: tuple[Recovery, ...]
    coverage: tuple[Coverage, ...]

    @property
    def totals(self) -> dict[str, int]:
        """How many events there are of each kind."""
        counts = Counter(event.kind for event in self.events)
        return {str(kind): counts[kind] for kind in Kind}


def build_report(store: Store, window: Window) -> Report:
    """Give the report of a window; the window must end with a run."""
    run = last_run_of(store, window)
    before = _run(store, window.since)
    return Report(
        since=before.started_at if before else None,
        run=run,
        events=find_events(store, window),
        recoveries=recoveries(store, window),
        coverage=coverage(store, until=run.snapshot, asked_only=True),
    )
