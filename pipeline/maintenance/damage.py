"""Whether an unexpected error comes from a damaged database, and from which row."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import StoreError
from pipeline.maintenance.facts import DialectsOf
from pipeline.maintenance.verify import verify
from pipeline.store import Store


def find_damage(path: Path, dialects_of: DialectsOf) -> StoreError | None:
    """Return the first problem of a database as an error; None if nothing is wrong with it.

    Args:
        path: the database.
        dialects_of: returns the dialects that may have parsed a listing.
    """
    try:
        with Store.read(path) as store:
            for check in verify(store, dialects_of):
                for problem in check.problems:
                    where = problem.table if problem.id is None else f"{problem.table} {problem.id}"
                    return StoreError(
                        f"is damaged, first in {where} ({problem.message}): {problem.cure};"
                        " `modelwatch verify` shows all",
                        path=path,
                    )
    except StoreError as error:
        return error
    except UnicodeDecodeError:
        # SQLite cannot even say what is wrong, since the text of the schema is in its message.
        return StoreError("is damaged, its schema is not UTF-8: restore it from a backup", path=path)
    except Exception:  # noqa: BLE001 - a fault of a check
        return None
    return None
