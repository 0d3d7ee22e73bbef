"""The groups of users are rows of `models`, too: the page of that table leaves them out."""

from __future__ import annotations

from typing import Any

from datasette import hookimpl
from datasette.filters import FilterArguments

IS_MODEL = "not (name glob 'group:*' and gateway in (select gateway from scopes where lists_groups))"
"""A copy of the rule in `store/models.py`, since the plug-ins import nothing of the package."""


@hookimpl
def filters_from_request(request: Any, database: str, table: str, datasette: Any) -> Any:
    """Restrict the table `models` of a database of modelwatch to models."""
    del request

    async def restrict() -> FilterArguments | None:
        db = datasette.get_database(database)
        if table != "models" or "groups" not in await db.view_names():
            return None
        return FilterArguments(where_clauses=[IS_MODEL])

    return restrict
