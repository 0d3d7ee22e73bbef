"""Remove old report files from the reports directory and those of `files` destinations.

Only a file that this program named is removed: its name has the start of its last run. `latest`, feeds,
calendars, links and directories stay, and the reports that wait in the outbox.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pipeline.core.failures import is_reminder
from pipeline.core.times import compact, iso, shifted
from pipeline.delivery.types import REPORTS, Destination, Files
from pipeline.errors import StoreError
from pipeline.reports.types import FORMS
from pipeline.store import Store
from pipeline.store.outbox import deliveries
from pipeline.store.runs import last_start

_RUN = r"(?P<at>\d{8}T\d{6}Z)(?:-\d+)?"

_REPORT = re.compile(rf"(?:\d{{8}}T\d{{6}}Z--)?{_RUN}\.(?:csv|json)", re.ASCII)
"""The name of a file in the reports directory, with its run; see `files.write_report` and `write_window`."""

_FORM = re.compile(rf"{_RUN}\.(?:{'|'.join(FORMS)})", re.ASCII)
"""The name of a file of a `files` destination."""


_FOR_EVER = 100 * 365 * 86_400.0
"""Seconds that reports are kept at most, if they are removed at all; no time is so long before another."""


def remove_old_reports(
    store: Store, destinations: Iterable[Destination], *, keep: float, at: str, bound: Callable[[], str]
) -> list[str]:
    """Remove the reports of runs before a bound; return a line for each directory where that failed.

    The caller holds the lock of the database. A failure has a line in its first run, then once a day.

    Args:
        store: an open database.
        destinations: those of the config, and the reports directory.
        keep: the seconds to keep them; 0 for ever.
        at: the start of the newest run (ISO 8601 UTC).
        bound: returns the oldest time to keep (ISO 8601 UTC); raises `StoreError` where the clock may be
            wrong, so that nothing is removed. It is called only if there may be old files.
    """
    if not keep or keep > _FOR_EVER:
        return []
    old: dict[Path, list[tuple[str, str]]] = {}
    for each in destinations:
        if isinstance(each.channel, Files):
            pattern = _REPORT if each.name == REPORTS else _FORM
            old.setdefault(each.channel.path, []).extend(
                _files_before(each.channel.path, pattern, shifted(at, -keep))
            )
    if not any(old.values()):
        return []
    try:
        oldest = bound()
    except StoreError:
        return []
    waiting = {delivery.at for delivery in deliveries(store, "waiting")}
    previous = last_start(store, before=at)
    lines = []
    for directory, files in old.items():
        chosen = [(start, name) for start, name in files if start < oldest and start not in waiting]
        for start, error in _remove(directory, chosen):
            if is_reminder(shifted(start, keep), previous, at):
                lines.append(
                    f"{directory}: old reports cannot be removed: {error.strerror}: let the job's user"
                    " write to it, or set `keep_reports` to 0"
                )
            break
    return lines


def _files_before(directory: Path, pattern: re.Pattern[str], oldest: str) -> Iterator[tuple[str, str]]:
    """Yield the start of the run (ISO 8601 UTC) and the name of each regular file of an earlier run."""
    first = compact(oldest)
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                found = pattern.fullmatch(entry.name)
                if found and found["at"] < first and entry.is_file(follow_symlinks=False):
                    start = _start(found["at"])
                    if start:
                        yield start, entry.name
    except OSError:
        return  # it is not there yet, or the delivery of the next report names the cause


def _start(text: str) -> str | None:
    """Return the time in the name of a file in ISO 8601; None if there is no such time."""
    try:
        return iso(datetime.strptime(f"{text[:-1]}+0000", "%Y%m%dT%H%M%S%z"))
    except ValueError:
        return None


def _remove(directory: Path, files: Iterable[tuple[str, str]]) -> Iterator[tuple[str, OSError]]:
    """Remove files, the oldest first; yield the start of the run of each that stays, and why."""
    for start, name in sorted(files):
        try:
            _remove_file(directory / name)
        except OSError as error:
            yield start, error


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)
