"""The marker of a history: a file beside the database, so that a lost database is no new history."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import StoreError


def marker_of(path: Path) -> Path:
    """Return the marker of a database; a pattern such as `modelwatch.db*` does not match its name."""
    database = Path(os.path.realpath(path))
    return database.with_name(f".{database.name}.history")


def refuse_lost(path: Path, *, new: bool = False) -> None:
    """Raise `StoreError` where a database that had a history is missing or empty.

    Args:
        path: the database.
        new: begin a new history; refused where the database is not lost.
    """
    state = _lost_as(path)
    if new:
        if state is None:
            raise StoreError("is not lost: move it away to begin a new history with --new", path=path)
        return
    if state and marker_of(path).exists():
        raise StoreError(
            f"is {state}, though it had a history: restore it from a backup,"
            " or begin a new history with `modelwatch run --new`",
            path=path,
        )


def _lost_as(path: Path) -> str | None:
    """Return `missing` or `empty`; None for a file with content, and for what cannot be seen."""
    try:
        return None if path.stat().st_size else "empty"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return None
