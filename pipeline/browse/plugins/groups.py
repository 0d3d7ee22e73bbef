"""The groups of users are rows of `models` and `records`, too: the pages of these tables leave them out."""

from __future__ import annotations

from typing import Any

from datasette import hookimpl
from datasette.filters import FilterArguments

_GROUPS = """
select id from models where name glob 'group:*' and gateway in (select gateway from scopes where lists_groups)
"""
"""A copy of the rule in `store/models.py`, since the plug-ins import nothing of the package."""

WITHOUT_GROUPS = {"models": f"id not in ({_GROUPS})", "records": f"model not in ({_GROUPS})"}
"""The condition of each table; the view `groups` has the groups."""


@hookimpl
def filters_from_request(request: Any, database: str, table: str, datasette: Any) -> Any:
    """Restrict the pages and exports of models and records to models, where there are groups."""
    del request

    async def restrict() -> FilterArguments | None:
        db = datasette.get_database(database)
        if table not in WITHOUT_GROUPS or "groups" not in await db.view_names():
            return None
        if not (await db.execute("select 1 from scopes where lists_groups limit 1")).rows:
            return None
        return FilterArguments(where_clauses=[WITHOUT_GROUPS[table]])

    return restrict
