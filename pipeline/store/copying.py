"""Copy the file while others write it, and give back what it no longer needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.database import Store, translated


def backup(source: Path, target: Path, *, overwrite: bool) -> int:
    """Write a copy of a database as it is at one moment, whole or not at all; gives its size in bytes.

    Raises:
        StoreError: there is nothing to copy, the target is there already, or the copy cannot be written.
    """
    _refuse(source, target, overwrite=overwrite)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with Store.read(source, any_age=True) as store:
            _copy(store, draft, target)
        with translated(target):
            shutil.copymode(source, draft)
            _sync(draft)
            draft.replace(target)
            _sync(target.parent)
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
    with translated(target):
        # Only what this connection may do to its own file is forbidden; a copy is another file.
        store.db.execute("pragma query_only = off")
        store.db.execute("vacuum into ?", [str(draft.absolute())])
    with translated(target), Store.read(draft, any_age=True) as copy:
        faults = [says for (says,) in copy.stream("pragma integrity_check") if says != "ok"]
    if faults:
        raise StoreError(f"the copy is damaged ({faults[0]}): see that the disk is well", path=target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def compact(store: Store) -> tuple[int, int]:
    """Give unused pages back to the disk; gives the file's size before and after, in bytes.

    Who reads meanwhile goes on reading what was there when it began.
    """
    store.settle()
    before = store.path.stat().st_size
    with translated(store.path):
        store.db.execute("vacuum")
    store.settle()
    return before, store.path.stat().st_size
