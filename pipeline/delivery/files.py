"""Atomic writes of files, and the report files, named after their run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.core.times import compact
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.errors import DeliveryError
from pipeline.history.types import Run
from pipeline.reports.csv_json import as_csv, as_json
from pipeline.reports.report import build_report
from pipeline.reports.types import Report
from pipeline.store import Store
from pipeline.store.outbox import shares_second
from pipeline.store.windows import Window

_DRAFT = ".draft"


def atomic_write(
    path: Path, content: bytes, *, mode: int | None = None, durable: bool = True, shared: bool = False
) -> None:
    """Write a hidden draft beside a file, then replace the file with it.

    Args:
        path: in an existing directory.
        content: all of the file.
        mode: the permissions, whatever the umask; None for those that the umask leaves.
        durable: wait until the content is on disk, where it survives a power failure.
        shared: other processes may write the same file at the same time.

    Raises:
        OSError: it cannot be written; the file is unchanged.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}{_DRAFT}" if shared else f".{path.name}{_DRAFT}")
    try:
        with draft.open("wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_files(directory: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write texts by file name; return the paths.

    Raises:
        DeliveryError: the directory or a file cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Drafts of a killed run: this process holds the lock, so no other is writing here.
        for draft in directory.glob(f".*{_DRAFT}"):
            draft.unlink(missing_ok=True)
        for name, text in texts.items():
            # The database, which survives a power failure, will record the delivery as sent.
            atomic_write(directory / name, text.encode())
    except OSError as error:
        raise DeliveryError(f"{directory}: the report cannot be written: {error.strerror}") from error
    return [directory / name for name in texts]


def write_report(store: Store, directory: Path, report: Report) -> list[Path]:
    """Write a report as CSV and JSON, named after its run and `latest`; return the paths of the former.

    Raises:
        DeliveryError: a file cannot be written.
    """
    return _write(directory, report, stem=run_stem(store, report.run), latest=True)


def write_window(store: Store, directory: Path, window: Window, *, watch: Watch = NO_WATCH) -> list[Path]:
    """Write the report of a window, in which there was a run, beside the regular reports; return the paths.

    Raises:
        DeliveryError: a file cannot be written.
    """
    report = build_report(store, window, watch)
    stem = f"{compact(window.start)}--{run_stem(store, report.run)}"
    return _write(directory, report, stem=stem, latest=False)


def _write(directory: Path, report: Report, *, stem: str, latest: bool) -> list[Path]:
    texts = {".csv": as_csv(report.events), ".json": as_json(report)}
    names = (stem, "latest") if latest else (stem,)
    written = write_files(directory, {f"{name}{end}": text for end, text in texts.items() for name in names})
    return [path for path in written if path.stem == stem]


def run_stem(store: Store, run: Run) -> str:
    """Return the file name of a run's report, without its suffix; runs in one second differ by their id."""
    stem = compact(run.started_at)
    return f"{stem}-{run.snapshot}" if shares_second(store, run.snapshot, run.started_at) else stem
