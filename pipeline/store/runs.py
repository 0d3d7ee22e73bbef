"""The runs of the job, from the table `snapshots`."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from pipeline.store.database import Store
from pipeline.store.windows import FOREVER, Window


class Run(Struct, frozen=True):
    """One run of the job.

    Args:
        snapshot: its row in `snapshots`.
        started_at: ISO 8601 UTC, as `finished_at`.
        status: done, partial, failed or imported.
        scopes: the number of scopes asked.
        answered: the number of scopes that answered; held answers count.
        moved: the number of scopes whose current listing changed.
    """

    snapshot: int
    started_at: str
    finished_at: str
    status: str
    scopes: int
    answered: int
    moved: int
    held: int
    failed: int


def find_run(store: Store, number: int | None = None) -> Run | None:
    """Return a run by its snapshot, or the newest; None when there is none.

    An imported run is the newest only in a history without any other.
    """
    rows = store.rows(
        """
        select id as snapshot, started_at, finished_at, status, scopes, answered, moved, held, failed
        from snapshots where id = coalesce(
            :number,
            (select max(id) from snapshots where scopes > 0 and status <> 'imported'),
            (select id from snapshots where scopes > 0 order by started_at desc, id desc limit 1)
        )
        """,
        {"number": number},
    )
    return Run(**rows[0]) if rows else None


def is_newest(store: Store, snapshot: int) -> bool:
    """Return whether no run came after a snapshot; imports do not count."""
    sql = "select 1 from snapshots where id > :snapshot and status <> 'imported' limit 1"
    return not store.rows(sql, {"snapshot": snapshot})


def last_run(store: Store, until: int, end: str = FOREVER) -> Run | None:
    """Return the last run up to a snapshot and before a time; that snapshot if all of them were imported."""
    (row,) = store.rows(
        "select max(id) as run from snapshots"
        " where id <= :until and status <> 'imported' and started_at < :end",
        {"until": until, "end": end},
    )
    return find_run(store, until if row["run"] is None else row["run"])


def last_run_of(store: Store, window: Window) -> Run:
    """Return the last run of a window, which dates its report.

    Raises:
        LookupError: the window has no run.
    """
    run = last_run(store, window.until, window.end)
    if run is None:
        raise LookupError(f"there is no run {window.until}")
    return run


def last_start(store: Store, *, before: str | None = None) -> str | None:
    """Return the start (ISO 8601 UTC) of the last run that began before a time; None where there is none."""
    (row,) = store.rows(
        "select max(started_at) as at from snapshots where started_at < :before",
        {"before": before or FOREVER},
    )
    at: str | None = row["at"]
    return at


def last_success(store: Store) -> str | None:
    """Return the end (ISO 8601 UTC) of the newest run in which every scope answered and was accepted."""
    # `accept` asks no scope, and the status of an import is `imported`.
    rows = store.rows(
        "select finished_at from snapshots where scopes > 0 and status = 'done' and failed = 0 and held = 0"
        " order by id desc limit 1"
    )
    return rows[0]["finished_at"] if rows else None


def trusted_starts(store: Store, runs: Iterable[int], at: str) -> dict[int, str]:
    """Return when runs began (ISO 8601 UTC), by their snapshots and by the clock of a run at a time.

    The clock was wrong in a run that seems to begin later than that time, or earlier than a run before it.
    Such a run counts as begun with the next one whose clock was right, so that no time seems longer than it
    was. Imported answers have times of their own, which need not be in order.

    Args:
        store: an open database.
        runs: their snapshots.
        at: the start of the run by whose clock they are found (ISO 8601 UTC).
    """
    wanted = set(runs)
    if not wanted:
        return {}
    parameters = {"first": min(wanted), "at": at}
    early = store.rows(
        "select started_at from snapshots where id < :first and started_at <= :at and status <> 'imported'"
        " order by started_at desc limit 1",
        parameters,
    )
    latest = early[0]["started_at"] if early else ""
    found: dict[int, str] = {}
    waiting: list[int] = []
    for row in store.rows(
        "select id, started_at, status from snapshots where id >= :first order by id", parameters
    ):
        run, start = row["id"], row["started_at"]
        if row["status"] == "imported":
            if run in wanted and start <= at:
                found[run] = start
                continue
        elif latest <= start <= at:
            latest = start
            found |= dict.fromkeys(waiting, start)
            waiting.clear()
            found[run] = start
            continue
        if run in wanted:
            waiting.append(run)
    return {run: found.get(run, at) for run in wanted}
