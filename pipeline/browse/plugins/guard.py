"""Who may ask the server, and how much a query may take: host names, and limits of each connection.

A page at another name that resolves to this address could read everything through the browser of somebody who
visits it: https://developer.mozilla.org/en-US/docs/Web/Security/Attacks/DNS_rebinding
"""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl
from weakref import ref

from datasette import hookimpl
from datasette.utils.asgi import Response

LONGEST_VALUE = 1_000_000
"""Bytes of one value of a query. Datasette checks its time limit every thousand steps, each of one value."""

LARGEST_RESULT = 30_000_000
"""Bytes of all values of a query."""

MOST_MEMORY = 200_000_000
"""Bytes that SQLite may take for all queries at once: https://www.sqlite.org/pragma.html#pragma_hard_heap_limit"""

LONGEST_PATTERN = 500
"""Characters of a pattern of `like` or `glob`: a comparison takes the length of the value times its own."""

MOST_FACETS = 20
"""Facets of one page; Datasette counts each in a query of its own."""

REFUSED_FUNCTIONS = frozenset({"fts3_tokenizer", "load_extension"})
"""The first shows an address in memory: https://www.sqlite.org/fts3.html#custom_application_defined_tokenizers"""

Message = MutableMapping[str, Any]
App = Callable[[Message, Any, Callable[[Message], Awaitable[None]]], Awaitable[None]]


@hookimpl(tryfirst=True)
def asgi_wrapper(datasette: Any) -> Callable[[App], App]:
    """Answer only requests for an address, this machine, or a name of the config, where it has names.

    Those that a page of another site makes are not answered either then, and none with too many facets.
    """
    names = (datasette.plugin_config("modelwatch") or {}).get("names")

    def wrapped(app: App) -> App:
        async def serve(scope: Message, receive: Any, send: Any) -> None:
            refusal = None if scope["type"] == "lifespan" else _refusal(scope, names)
            if refusal is None:
                await app(scope, receive, send)
            else:
                await Response.text(refusal, status=400).asgi_send(send)

        return serve

    return wrapped


_UNKNOWN_NAME = (
    "This server is not known by this name. Use its IP address, or start it with the name:"
    " modelwatch browse --name NAME\n"
)


_OF_ANOTHER_SITE = "A page of another site may not load this. Open the address yourself.\n"

_TOO_MANY_FACETS = f"A page has at most {MOST_FACETS} facets.\n"


def _refusal(scope: Message, names: Collection[str] | None) -> str | None:
    """Return why a request is not answered; None for one that is."""
    if names is not None:
        if not _is_known(scope["headers"], names):
            return _UNKNOWN_NAME
        if _is_of_another_site(dict(scope["headers"])):
            return _OF_ANOTHER_SITE
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    facets = [name for name, _ in query if name.startswith("_facet") and name != "_facet_size"]
    return _TOO_MANY_FACETS if len(facets) > MOST_FACETS else None


def _is_of_another_site(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a page of another site loads this, rather than a person who follows a link.

    Such a page cannot read the answer, but its queries take time.
    See https://www.w3.org/TR/fetch-metadata/.
    """
    if headers.get(b"sec-fetch-site") != b"cross-site":
        return False
    return headers.get(b"sec-fetch-mode") != b"navigate" or headers.get(b"sec-fetch-dest") != b"document"


def _is_known(headers: Collection[tuple[bytes, bytes]], names: Collection[str]) -> bool:
    """Return whether a request has one host, which is an address, this machine, or one of some names."""
    hosts = [value.decode("latin-1") for name, value in headers if name.lower() == b"host"]
    if len(hosts) != 1:
        return False
    host, _, port = hosts[0].rpartition(":")
    if not host or not port.isdecimal():
        host = hosts[0]
    host = host.lower().removesuffix(".")
    return host == "localhost" or host in {name.lower() for name in names} or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


@hookimpl
def prepare_connection(conn: sqlite3.Connection) -> None:
    """Limit what a query on a connection may take and call."""
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    conn.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LONGEST_PATTERN)
    conn.execute(f"pragma hard_heap_limit = {MOST_MEMORY}")
    conn.row_factory = _LimitedRows()
    conn.set_authorizer(_authorize)


def _authorize(action: int, _first: str | None, function: str | None, *_: str | None) -> int:
    is_refused = action == sqlite3.SQLITE_FUNCTION and (function or "").lower() in REFUSED_FUNCTIONS
    return sqlite3.SQLITE_DENY if is_refused else sqlite3.SQLITE_OK


class _LimitedRows:
    """Makes the rows of a connection's cursors, until those of one cursor are too large."""

    def __init__(self) -> None:
        self._cursor: Callable[[], sqlite3.Cursor | None] = lambda: None
        self._size = 0

    def __call__(self, cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> sqlite3.Row:
        if self._cursor() is not cursor:
            self._cursor, self._size = ref(cursor), 0
        self._size += sum(len(value) for value in values if isinstance(value, str | bytes))
        if self._size > LARGEST_RESULT:
            raise sqlite3.OperationalError("the result of the query is too large: select less")
        return sqlite3.Row(cursor, values)
