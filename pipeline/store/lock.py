"""The lock beside a database: one process at a time writes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import Locked
from pipeline.store.database import Store, store_errors


@contextmanager
def writing(path: Path, *, since: str, must_exist: bool = False) -> Iterator[Store]:
    """Open a database to write, under its lock; checkpoint it at the end of the block.

    Args:
        path: the database.
        since: the time now, in ISO 8601, which the error of a second process shows.
        must_exist: refuse to create it.

    Raises:
        Locked: another process holds the lock.
        StoreError: it cannot be used, or does not exist.
    """
    if must_exist:
        Store.read(path, allow_old=True).close()
    with lock(path, since=since), Store.open(path) as store:
        yield store
        store.checkpoint()


@contextmanager
def lock(path: Path, *, since: str) -> Iterator[None]:
    """Hold the lock of a database until the end of the block; it also ends with the process.

    See https://man7.org/linux/man-pages/man2/flock.2.html.

    Args:
        path: the database.
        since: the time now, in ISO 8601, which the error of a second process shows.

    Raises:
        Locked: another process holds it; the message has its id, and since when it runs.
    """
    file = path.with_name(path.name + ".lock")
    with store_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, file)
        with store_errors(file):
            os.truncate(descriptor, 0)
            os.write(descriptor, f"pid {os.getpid()}, since {since}\n".encode())
        yield
        os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "it has just started"
        raise Locked(f"another run holds the lock ({holder}): wait for it to end", path=file) from None
