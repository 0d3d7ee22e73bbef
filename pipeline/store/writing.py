"""Open a database to write: as the only one, and settled at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.store.database import Store
from pipeline.store.locking import lock


@contextmanager
def writing(path: Path, *, since: str, there: bool = False) -> Iterator[Store]:
    """Open a database to write, with its lock; what was written in the block is settled at its end.

    Args:
        path: the database.
        since: the time now, in ISO 8601, for whoever comes second.
        there: it must be there already, and a database of ours.

    Raises:
        Locked: another run holds the lock.
        StoreError: it cannot be used, or is not there.
    """
    if there:
        Store.read(path, any_age=True).close()
    with lock(path, since=since), Store.open(path) as store:
        yield store
        store.settle()
