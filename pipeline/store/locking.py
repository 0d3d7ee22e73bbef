"""The lock beside a database: one process at a time runs the job."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import Locked
from pipeline.store.cures import translated


@contextmanager
def lock(path: Path, *, since: str) -> Iterator[None]:
    """Hold the lock beside a database for as long as the block runs; it goes with the process.

    Args:
        path: the database.
        since: the time now, in ISO 8601, for whoever comes second.

    Raises:
        Locked: another run holds it; says which and since when.
    """
    file = path.with_name(path.name + ".lock")
    with translated(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(descriptor, file)
        with translated(file):
            os.truncate(descriptor, 0)
            os.write(descriptor, f"pid {os.getpid()}, since {since}\n".encode())
        yield
        os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "it has just started"
        raise Locked(f"another run holds the lock ({holder}): wait for it to end", path=file) from None
