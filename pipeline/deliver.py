"""Write what is in the outbox: report files now, each exactly once, however often a run is cut off."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pipeline import history
from pipeline.errors import DeliveryError, StoreError
from pipeline.history import Window
from pipeline.reports import Report
from pipeline.reports.as_csv import as_csv
from pipeline.reports.as_json import as_json
from pipeline.store import Ledger, Store
from pipeline.watchlist import NOTHING, Watch, mark

FILES = "reports"
"""The destination whose deliveries are files in the reports directory."""

NOBODY = "nobody"
"""The destination of what was imported: it is history, and no news."""

_DRAFT = ".draft"


def enqueue(store: Store) -> None:
    """Put the report of all runs since the last one into the outbox, if there is any news in them.

    The duty to tell follows from the ledger: a program cut off before this line is put right by the next run.
    """
    with store.transaction():
        owe(store)


def owe(store: Store) -> None:
    """Do what `enqueue` does, inside a transaction that is open."""
    window = _untold(store)
    if history.any_news(store, window):
        _deliver(store, window, FILES)


def seal(store: Store) -> None:
    """Let no report tell of anything up to now, inside a transaction that is open."""
    window = _untold(store)
    if window.until == window.since:
        return
    sealed = store.rows(
        "select id, since from deliveries where destination = :nobody and until = :since",
        {"nobody": NOBODY, "since": window.since},
    )
    if sealed:
        # One import is one row, in however many transactions it was made.
        window = Window(sealed[0]["since"] or 0, window.until)
        store.db.table("deliveries").delete(sealed[0]["id"])
    _deliver(store, window, NOBODY)


def _untold(store: Store) -> Window:
    (last,) = store.rows(
        "select coalesce(max(until), 0) as until from deliveries where destination in (:files, :nobody)",
        {"files": FILES, "nobody": NOBODY},
    )
    return Window(last["until"], history.window(store).until)


def _deliver(store: Store, window: Window, destination: str) -> None:
    run = history.snapshot(store, window.until)
    assert run
    Ledger(store).deliver(
        {
            "name": run.started_at,
            "destination": destination,
            "since": window.since or None,
            "until": window.until,
            "sent_at": run.finished_at if destination == NOBODY else None,
        }
    )


def drain(store: Store, directory: Path, clock: Callable[[], str], *, watch: Watch = NOTHING) -> list[Path]:
    """Write every report that is still in the outbox, oldest first; gives the files written.

    What concerns the models of `watch` is marked as urgent.

    Raises:
        DeliveryError: a file cannot be written; the report stays in the outbox.
    """
    unsent = store.rows(
        "select id, coalesce(since, 0) as since, until from deliveries"
        " where destination = :files and sent_at is null order by id",
        {"files": FILES},
    )
    written: list[Path] = []
    for row in unsent:
        report = mark(history.report(store, Window(row["since"], row["until"])), watch)
        written += write_files(report, directory, stem=_stem(store, report), latest=True)
        with store.transaction():
            store.connection.execute("update deliveries set sent_at = ? where id = ?", [clock(), row["id"]])
    return written


def write_window(store: Store, directory: Path, *, since: str, watch: Watch = NOTHING) -> list[Path]:
    """Write the report from a time until now, beside the regular ones, which go on as before.

    Raises:
        DeliveryError: a file cannot be written.
        StoreError: there is no run to report of.
    """
    window = history.window(store, since=since)
    if not window.until:
        raise StoreError("holds no run yet: `modelwatch run`", path=store.path)
    report = mark(history.report(store, window), watch)
    return write_files(report, directory, stem=f"{_compact(since)}--{_stem(store, report)}", latest=False)


def _compact(at: str) -> str:
    return at.replace("-", "").replace(":", "")


def _stem(store: Store, report: Report) -> str:
    """Name a report after its run; runs of one second are told apart by their number."""
    stem = _compact(report.run.started_at)
    same = "select count(*) as runs from snapshots where started_at = :at and id < :run"
    (row,) = store.rows(same, {"at": report.run.started_at, "run": report.run.snapshot})
    return f"{stem}-{report.run.snapshot}" if row["runs"] else stem


def write_files(report: Report, directory: Path, *, stem: str, latest: bool) -> list[Path]:
    """Write a report as CSV and JSON, whole or not at all; with `latest` also as `latest.csv` and `.json`.

    Raises:
        DeliveryError: the directory or a file cannot be written.
    """
    texts = {".csv": as_csv(report.events), ".json": as_json(report)}
    paths = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Drafts of a run that was killed: whoever writes now holds the lock.
        for draft in directory.glob(f".*{_DRAFT}"):
            draft.unlink(missing_ok=True)
        for ending, text in texts.items():
            for name in (stem, "latest") if latest else (stem,):
                _replace(directory / f"{name}{ending}", text)
            paths.append(directory / f"{stem}{ending}")
    except OSError as error:
        raise DeliveryError(
            f"{directory}: the report cannot be written: {error.strerror}; it goes with the next run"
        ) from error
    return paths


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}{_DRAFT}")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            # It is marked as written in a database that outlives a loss of power; so must the file.
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
