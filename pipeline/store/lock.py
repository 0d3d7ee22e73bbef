"""The lock of a database: one process at a time writes, whatever the names by which it opens the file."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pipeline.core.types import Share
from pipeline.errors import Locked
from pipeline.store.database import SENDING_TIMEOUT_MS, Store, store_errors
from pipeline.store.files import atomic_write, clear_drafts, make_directory, open_file
from pipeline.store.marker import marker_of, refuse_lost

_LOCKED_BYTE = 1 << 62
"""Its lock is that of the file: far behind what a database can hold, and the bytes that SQLite locks.

See https://www.sqlite.org/fileformat.html#the_lock_byte_page.
"""


@contextmanager
def writing(
    path: Path, *, since: str, must_exist: bool = False, new: bool = False, share: Share = Share.OWNER
) -> Iterator[Store]:
    """Open a database to write, under its lock; checkpoint it at the end of the block.

    Args:
        path: the database.
        since: the time now, in ISO 8601, which the error of a second process shows.
        must_exist: refuse to create it.
        new: begin a new history where an earlier one is lost.
        share: who may read new files and directories, beside their owner.

    Raises:
        Locked: another process holds the lock.
        StoreError: it cannot be used, does not exist, or has lost its history.
    """
    if must_exist:
        Store.read(path, allow_old=True).close()
    refuse_lost(path, new=new)
    with lock(path, since=since, create=True, share=share), Store.open(path, share=share) as store:
        _mark_history(store, since, share)
        try:
            yield store
        finally:
            _mark_history(store, since, share)
        store.checkpoint()


@contextmanager
def open_to_send(path: Path) -> Iterator[Store]:
    """Open a database to record what is sent, without its lock: other processes may write meanwhile.

    Each write waits for theirs, so that no result is lost: see `SENDING_TIMEOUT_MS`.

    Raises:
        StoreError: it cannot be used, or does not exist.
    """
    Store.read(path, allow_old=True).close()
    with Store.open(path) as store:
        store.wait_for_others(SENDING_TIMEOUT_MS)
        yield store


def _mark_history(store: Store, now: str, share: Share) -> None:
    """Write the marker of a database with a history, if there is none; see `refuse_lost`."""
    marker = marker_of(store.path)
    if marker.exists() or not store.rows("select 1 from snapshots limit 1"):
        return
    with store_errors(marker, effect="the history is recorded"):
        clear_drafts(marker.parent)
        content = f"{store.path.name} has a history since {now} or earlier.\n"
        atomic_write(marker, content.encode(), share=share)


@contextmanager
def lock(path: Path, *, since: str, create: bool = False, share: Share = Share.OWNER) -> Iterator[None]:
    """Hold the lock of a database until the end of the block; it also ends with the process.

    Two locks are held. That of the file beside the database is https://man7.org/linux/man-pages/man2/flock.2.html;
    that file has the holder. That of the database itself holds for each of its names, links and mounts:
    https://man7.org/linux/man-pages/man2/fcntl_locking.2.html, open file description locks. Its descriptor
    stays open until the end, since the first one of a file that a process closes drops the locks of SQLite:
    https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_

    Args:
        path: the database.
        since: the time now, in ISO 8601, which the error of a second process shows.
        create: create the database, empty, where there is none.
        share: who may read new files and directories, beside their owner.

    Raises:
        Locked: another process holds it; the message has its id, and since when it runs.
    """
    database = Path(os.path.realpath(path))
    file = database.with_name(database.name + ".lock")
    with ExitStack() as held:
        with store_errors(file):
            make_directory(file.parent, share)
            descriptor = _open(file, held, share, create=True)
        _lock_beside(descriptor, file)
        with store_errors(database):
            if create or database.exists():
                _lock_itself(_open(database, held, share, create=create), file)
        with store_errors(file):
            os.truncate(descriptor, 0)
            os.write(descriptor, f"pid {os.getpid()}, since {since}\n".encode())
        yield
        # The note is for others only: the work is done.
        with suppress(OSError):
            os.truncate(descriptor, 0)


@contextmanager
def lock_directory(path: Path) -> Iterator[None]:
    """Hold the lock of a directory whose files this program replaces, until the end of the block.

    On a file system without locks, nothing is held.

    Raises:
        Locked: another process holds it.
        OSError: the directory cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Locked("another process writes there: wait for it to end", path=path) from None
        yield
    finally:
        os.close(descriptor)


def _open(file: Path, held: ExitStack, share: Share, *, create: bool) -> int:
    descriptor = open_file(file, share, create=create)
    held.callback(os.close, descriptor)
    return descriptor


def _lock_beside(descriptor: int, file: Path) -> None:
    with store_errors(file):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "it has just started"
            raise Locked(f"another run holds the lock ({holder}): wait for it to end", path=file) from None


def _lock_itself(descriptor: int, file: Path) -> None:
    set_lock = getattr(fcntl, "F_OFD_SETLK", None)
    if set_lock is None:
        return
    request = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _LOCKED_BYTE, 1, 0)
    try:
        fcntl.fcntl(descriptor, set_lock, request)
    except BlockingIOError:
        raise Locked(
            "another run holds the lock, under another name of the file: wait for it to end", path=file
        ) from None
