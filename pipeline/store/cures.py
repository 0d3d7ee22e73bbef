"""Turn every error of SQLite into one that says what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StoreError

PATIENCE_MS = 30_000
"""So long another program that writes is waited for."""


@contextmanager
def translated(path: Path, *, lost: str = "nothing was written") -> Iterator[None]:
    """Turn what SQLite and the system say of a file into a `StoreError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_cure(error).format(lost=lost), path=path) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = _CURES["FULL"].format(lost=lost) if full else f"cannot be used: {error.strerror or error}"
        raise StoreError(cure, path=path) from error


_CURES = {
    "FULL": "the disk is full; {lost}: free some space and run again",
    "READONLY": "cannot be written: see who owns the file and its directory",
    "CANTOPEN": "cannot be opened: see that its directory exists and can be written",
    "BUSY": f"another program kept it locked for {PATIENCE_MS // 1000} s; {{lost}}: run again",
    "LOCKED": f"another program kept it locked for {PATIENCE_MS // 1000} s; {{lost}}: run again",
    "NOTADB": "is no SQLite database: name another file as `database`",
    "IOERR": "cannot be read or written: see that it is a file, and that its disk is well",
    "CORRUPT": "is damaged: restore it from a copy",
}


def _cure(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "SQLITE_").split("_")[1]
    said = str(error).replace("{", "{{").replace("}", "}}")
    return _CURES.get(name, f"SQLite says: {said}")
