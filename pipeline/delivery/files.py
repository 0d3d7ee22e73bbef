"""Report files, written whole or not at all, and named after their run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.core.times import compact
from pipeline.core.types import Share
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.errors import DeliveryError
from pipeline.history.types import Run
from pipeline.reports.csv_json import as_csv, as_json
from pipeline.reports.report import build_report
from pipeline.reports.types import Report
from pipeline.store import Store
from pipeline.store.files import atomic_write, clear_drafts, make_directory
from pipeline.store.outbox import shares_second
from pipeline.store.windows import Window


def write_files(directory: Path, texts: Mapping[str, str], *, share: Share | None) -> list[Path]:
    """Write texts by file name, so that they survive a power failure; return the paths.

    Args:
        directory: is created as needed.
        texts: by the name of the file.
        share: who may read new files and directories, beside their owner; None for those whom the umask
            lets.

    Raises:
        DeliveryError: the directory or a file cannot be written.
    """
    try:
        make_directory(directory, share)
        clear_drafts(directory)
        for name, text in texts.items():
            # The database, which survives a power failure, will record the delivery as sent.
            atomic_write(directory / name, text.encode(), share=share)
    except OSError as error:
        raise DeliveryError(f"{directory}: the report cannot be written: {error.strerror}") from error
    return [directory / name for name in texts]


def write_report(store: Store, directory: Path, report: Report, *, share: Share | None) -> list[Path]:
    """Write a report as CSV and JSON, named after its run and `latest`; return the paths of the former.

    Raises:
        DeliveryError: a file cannot be written.
    """
    return _write(directory, report, stem=run_stem(store, report.run), latest=True, share=share)


def write_window(
    store: Store,
    directory: Path,
    window: Window,
    *,
    watch: Watch = NO_WATCH,
    share: Share,
) -> list[Path]:
    """Write the report of a window, in which there was a run, beside the regular reports; return the paths.

    Raises:
        DeliveryError: a file cannot be written.
    """
    report = build_report(store, window, watch)
    stem = f"{compact(window.start)}--{run_stem(store, report.run)}"
    return _write(directory, report, stem=stem, latest=False, share=share)


def _write(directory: Path, report: Report, *, stem: str, latest: bool, share: Share | None) -> list[Path]:
    texts = {".csv": as_csv(report.events), ".json": as_json(report)}
    names = (stem, "latest") if latest else (stem,)
    files = {f"{name}{end}": text for end, text in texts.items() for name in names}
    written = write_files(directory, files, share=share)
    return [path for path in written if path.stem == stem]


def run_stem(store: Store, run: Run) -> str:
    """Return the file name of a run's report, without its suffix; runs in one second differ by their id."""
    stem = compact(run.started_at)
    return f"{stem}-{run.snapshot}" if shares_second(store, run.snapshot, run.started_at) else stem
