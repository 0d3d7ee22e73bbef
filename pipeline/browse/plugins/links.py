"""Addresses of pages by name, to which reports lead; they redirect to the page.

Datasette loads this file by its path, also where modelwatch is not installed. The other half is `Links` in
`reports/types.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from datasette import Response, hookimpl

OURS = frozenset({"catalog", "change_log", "health"})
"""Views that identify a database of modelwatch."""

_ROWS = {
    "model": (
        "models",
        """
        select models.id from models join gateways on gateways.id = models.gateway
        where gateways.name = :gateway and models.name = :model
        """,
    ),
    "scope": ("scopes", "select id from scopes where name = :scope"),
    "gateway": ("gateways", "select id from gateways where name = :gateway"),
}
"""By the name of an address: the table, and the statement that finds the row."""

_PARAMETERS = ("gateway", "model", "scope")


@hookimpl
def register_routes() -> list[tuple[str, Callable[..., Any]]]:
    """Register `model?gateway=…&model=…`, `scope?scope=…`, `gateway?gateway=…`, `changes?since=…&until=…`."""
    return [(r"^/-/modelwatch/(?P<page>model|scope|gateway|changes)$", _lead)]


async def _lead(request: Any, datasette: Any) -> Response:
    name = await _database(datasette)
    if name is None:
        return Response.text("There is no database of modelwatch here.", status=404)
    page = request.url_vars["page"]
    if page == "changes":
        window = {key: request.args[key] for key in ("since", "until") if key in request.args}
        address = str(datasette.urls.query(name, "what_changed"))
        return Response.redirect(f"{address}?{urlencode(window)}" if window else address)
    table, sql = _ROWS[page]
    values = {key: str(request.args.get(key) or "") for key in _PARAMETERS}
    row = (await datasette.get_database(name).execute(sql, values)).first()
    address = str(datasette.urls.table(name, table))
    if row is not None:
        return Response.redirect(f"{address}/{row['id']}")
    return Response.redirect(f"{address}?{urlencode({'name__exact': values[page]})}")


async def _database(datasette: Any) -> str | None:
    """Return the name of the first database of modelwatch."""
    for name, database in datasette.databases.items():
        if not name.startswith("_") and set(await database.view_names()) >= OURS:
            return str(name)
    return None
