"""Back up the database while others write it, and return its unused space to the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.types import Share
from pipeline.errors import StoreError
from pipeline.store.database import Store, store_errors
from pipeline.store.files import clear_drafts, draft_file, flush, make_directory, restrict


def write_backup(source: Path, target: Path, *, overwrite: bool, share: Share = Share.OWNER) -> int:
    """Write a copy of one state of a database, all or nothing; return its size in bytes.

    See https://www.sqlite.org/lang_vacuum.html#vacuuminto.

    Args:
        source: the database.
        target: the copy; an existing file keeps its mode, a new one is not readable for more than the source.
        overwrite: replace an existing file.
        share: who may read a new file, beside its owner, if they may read the source.

    Raises:
        StoreError: there is nothing to copy, the target exists, or the copy cannot be written.
    """
    with Store.read(source, allow_old=True) as store, store_errors(target):
        _refuse(source, target, overwrite=overwrite)
        clear_drafts(target.parent)
        with draft_file(target, share) as (draft, descriptor):
            if not target.exists():
                restrict(descriptor, source)
            _copy(store, draft, target)
            flush(draft)
            draft.replace(target)
            flush(target.parent)
            return target.stat().st_size


@contextmanager
def working_copy(source: Path, database: Path, *, share: Share = Share.OWNER) -> Iterator[Path]:
    """Yield the path of a copy of one state of another database, with the present schema, for the block.

    Args:
        source: the other database; nothing is written to it.
        database: the one beside which the copy is.
        share: who may read a new directory of the database, beside its owner.

    Raises:
        StoreError: there is nothing to copy, it is the same database, or newer than this program, or it
            cannot be read or copied.
    """
    database = Path(os.path.realpath(database))
    if not source.exists():
        raise StoreError("does not exist: name the database of a site, or a backup of it", path=source)
    if database.exists() and database.samefile(source):
        raise StoreError("is the database itself: name that of another site", path=source)
    with Store.read(source, allow_old=True) as store, store_errors(database):
        make_directory(database.parent, share)
        clear_drafts(database.parent)
        with draft_file(database, Share.OWNER) as (draft, _):
            _copy(store, draft, source)
            with Store.open(draft) as copy:
                # Without a log, it is one file.
                copy.connection.execute("pragma journal_mode = delete").fetchall()
            yield draft


def _refuse(source: Path, target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        raise StoreError("is a directory: name the file to write", path=target)
    if not target.parent.is_dir():
        raise StoreError(f"cannot be written: there is no directory {target.parent}", path=target)
    if target.exists() and source.exists() and target.samefile(source):
        raise StoreError("is the database itself: name another file", path=target)
    if target.exists() and not overwrite:
        raise StoreError("exists already: name another file, or pass --force", path=target)


def _copy(store: Store, draft: Path, target: Path) -> None:
    with store_errors(target):
        # `query_only` also forbids `vacuum into`, although this writes to another file.
        store.connection.execute("pragma query_only = off")
        # The bytes of a name need not be UTF-8, which a text of Python's `sqlite3` must be.
        store.connection.execute("vacuum into cast(? as text)", [os.fsencode(draft.absolute())])
    with store_errors(target), Store.read(draft, allow_old=True) as copy:
        faults = [message for (message,) in copy.stream("pragma integrity_check") if message != "ok"]
    if faults:
        raise StoreError(f"the copy is damaged ({faults[0]}): check the disk", path=target)


def compact(store: Store) -> tuple[int, int]:
    """Return unused pages to the disk; return the size of the database before and after, in bytes.

    While a reader is active, it keeps its state; the file shrinks after it ends.

    Raises:
        StoreError: the disk has too little space for it; the database is unchanged.
    """
    before = _size(store)
    try:
        with store_errors(store.path):
            store.connection.execute("vacuum")
            store.try_checkpoint()
    except StoreError as error:
        raise StoreError(
            "its unused space could not be freed: free some space on the disk and prune again",
            path=store.path,
        ) from error
    return before, _size(store)


def _size(store: Store) -> int:
    ((pages, size),) = store.stream("select page_count, page_size from pragma_page_count, pragma_page_size")
    return int(pages) * int(size)
