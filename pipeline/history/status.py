"""The status of a history: its last run, the state of every scope, and the unsent reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.history.types import Coverage, Run
from pipeline.history.watch import Finding, pending_groups
from pipeline.store import Store
from pipeline.store.coverage import coverage
from pipeline.store.outbox import unsent, unsteady_scopes
from pipeline.store.runs import find_run


@dataclass(frozen=True, slots=True)
class Status:
    """The last run (None before the first), the state of every scope, and how many reports are unsent.

    `unsteady` has the scopes that failed or were held three times in the day before that run: their problems
    are mailed at most every six hours. `groups` has the scopes whose group may be gone, and how far that is
    confirmed.
    """

    run: Run | None
    coverage: tuple[Coverage, ...]
    waiting: int
    refused: int
    unsteady: tuple[str, ...] = ()
    groups: Mapping[str, Finding] = field(default_factory=dict)


def find_status(store: Store, watch: Watch = NO_WATCH) -> Status:
    """Return the status as of the last run; `watch` has the thresholds of scopes."""
    run = find_run(store)
    unsteady = tuple(sorted(unsteady_scopes(store, run.started_at))) if run else ()
    return Status(
        run, coverage(store), **unsent(store), unsteady=unsteady, groups=pending_groups(store, watch)
    )
