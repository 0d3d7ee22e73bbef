"""The status of a history: its last run, the state of every scope, and the unsent reports."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.history.types import Coverage, Run
from pipeline.store import Store
from pipeline.store.coverage import coverage
from pipeline.store.outbox import unsent, unsteady_scopes
from pipeline.store.runs import find_run


@dataclass(frozen=True, slots=True)
class Status:
    """The last run (None before the first), the state of every scope, and how many reports are unsent.

    `unsteady` has the scopes that failed or were held three times in the day before that run: their problems
    are mailed at most every six hours.
    """

    run: Run | None
    coverage: tuple[Coverage, ...]
    waiting: int
    refused: int
    unsteady: tuple[str, ...] = ()


def find_status(store: Store) -> Status:
    """Return the status as of the last run."""
    run = find_run(store)
    unsteady = tuple(sorted(unsteady_scopes(store, run.started_at))) if run else ()
    return Status(run, coverage(store), **unsent(store), unsteady=unsteady)
