"""Copy the file while others write it, and give back what it no longer needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.database import Store, store_errors


def write_backup(source: Path, target: Path, *, overwrite: bool) -> int:
    """Write a copy of a database as it is at one moment, whole or not at all; gives its size in bytes.

    Raises:
        StoreError: there is nothing to copy, the target is there already, or the copy cannot be written.
    """
    _refuse(source, target, overwrite=overwrite)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with Store.read(source, allow_old=True) as store:
            _copy(store, draft, target)
        with store_errors(target):
            shutil.copymode(source, draft)
            sync(draft)
            draft.replace(target)
            sync(target.parent)
            return target.stat().st_size
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            draft.with_name(draft.name + ending).unlink(missing_ok=True)


def _refuse(source: Path, target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        raise StoreError("is a directory: name the file to write", path=target)
    if not target.parent.is_dir():
        raise StoreError(f"cannot be written: there is no directory {target.parent}", path=target)
    if target.exists() and source.exists() and target.samefile(source):
        raise StoreError("is the database itself: name another file", path=target)
    if target.exists() and not overwrite:
        raise StoreError("is there already: name another file, or say --force", path=target)


def _copy(store: Store, draft: Path, target: Path) -> None:
    with store_errors(target):
        # Only what this connection may do to its own file is forbidden; a copy is another file.
        store.connection.execute("pragma query_only = off")
        store.connection.execute("vacuum into ?", [str(draft.absolute())])
    with store_errors(target), Store.read(draft, allow_old=True) as copy:
        faults = [says for (says,) in copy.stream("pragma integrity_check") if says != "ok"]
    if faults:
        raise StoreError(f"the copy is damaged ({faults[0]}): see that the disk is well", path=target)


def sync(path: Path) -> None:
    """Bring a file, or what a directory holds, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def compact(store: Store) -> tuple[int, int]:
    """Give unused pages back to the disk; gives the size of the database before and after, in bytes.

    Who reads meanwhile goes on reading what was there when it began; the file gets smaller when it has ended.

    Raises:
        StoreError: there was no room to do it in; the database is as it was.
    """
    before = _size(store)
    try:
        with store_errors(store.path):
            store.connection.execute("vacuum")
            # Whoever reads is not waited for: the next run moves what was written into the file.
            store.connection.execute("pragma busy_timeout = 0")
            store.connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    except StoreError as error:
        says = "its unused space could not be given back: free some space on the disk and prune again"
        raise StoreError(says, path=store.path) from error
    return before, _size(store)


def _size(store: Store) -> int:
    ((pages, size),) = store.stream("select page_count, page_size from pragma_page_count, pragma_page_size")
    return int(pages) * int(size)
