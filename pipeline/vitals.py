"""Say how the job stands after a run, from what is recorded."""

from __future__ import annotations

from pipeline import history
from pipeline.moves import Window
from pipeline.reports import Report
from pipeline.signs import Vitals
from pipeline.store import Store
from pipeline.types import Kind


def vitals(store: Store, exit_status: int, told: Report | None = None) -> Vitals:
    """Give how the job stands.

    Args:
        store: an open database.
        exit_status: what the run that is over leaves with.
        told: the report of that run; without one its changes are read from the database.
    """
    newest = history.snapshot(store)
    run = None if newest and newest.status == "imported" else newest
    if run and (told is None or told.run.snapshot != run.snapshot):
        told = history.report(store, Window(run.snapshot - 1, run.snapshot))
    return Vitals(
        exit_status=exit_status,
        run=run,
        last_success=_last_success(store),
        changes=told.totals if run and told else dict.fromkeys(map(str, Kind), 0),
        coverage=history.coverage(store),
        unsent=sum(history.unsent(store).values()),
    )


def _last_success(store: Store) -> str | None:
    # An accepted hold asked nobody, and an import heard nobody.
    rows = store.rows(
        "select finished_at from snapshots where scopes > 0 and status = 'done' and failed = 0 and held = 0"
        " order by id desc limit 1"
    )
    return rows[0]["finished_at"] if rows else None
