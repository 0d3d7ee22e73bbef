"""The status of a history: its last run, the state of every scope, and the unsent reports."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.history.types import Coverage, Run
from pipeline.store import Store
from pipeline.store.coverage import coverage
from pipeline.store.outbox import unsent
from pipeline.store.runs import find_run


@dataclass(frozen=True, slots=True)
class Status:
    """The last run (None before the first), the state of every scope, and how many reports are unsent."""

    run: Run | None
    coverage: tuple[Coverage, ...]
    waiting: int
    refused: int


def find_status(store: Store) -> Status:
    """Return the status as of the last run."""
    return Status(find_run(store), coverage(store), **unsent(store))
