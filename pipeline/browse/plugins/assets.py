"""How pages of ours are served: their files, what they may load, and no letter that hides others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from datasette import hookimpl
from datasette.utils import tilde_decode
from datasette.utils.asgi import Response

STATIC = Path(__file__).parents[1] / "static"


OURS = frozenset({"catalog", "change_log", "health"})
"""Views by which a database is known to be one of modelwatch."""


STRICT = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
"""What the start page may load: what this server has, and nothing inline."""


LENIENT = (
    f"{STRICT}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
"""For Datasette's own pages, which have scripts and styles inline; nothing comes from elsewhere either."""


TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


_HIDING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


_FILES = {
    file.relative_to(STATIC).as_posix(): file.read_bytes()
    for file in STATIC.rglob("*")
    if file.suffix in TYPES
}


Message = MutableMapping[str, Any]


Receive = Callable[[], Awaitable[Message]]


Send = Callable[[Message], Awaitable[None]]


App = Callable[[Message, Receive, Send], Awaitable[None]]


def address(datasette: Any, name: str) -> str:
    """Give the address of a file; it changes with what is in it, so that it may be kept for ever."""
    return str(datasette.urls.path(f"/-/modelwatch/{hashlib.sha256(_FILES[name]).hexdigest()[:12]}/{name}"))


@hookimpl
def prepare_jinja2_environment(env: Any, datasette: Any) -> None:
    """Let templates name our files."""
    env.globals["modelwatch_file"] = lambda name: address(datasette, name)


@hookimpl
def register_routes() -> list[tuple[str, Callable[..., Any]]]:
    """Serve our files below `/-/`, where no database can be: `/modelwatch` is the database of that name."""
    return [(r"^/-/modelwatch/[0-9a-f]{12}/(?P<name>.+)$", _file)]


async def _file(request: Any) -> Response:
    name = request.url_vars["name"]
    if name not in _FILES:
        return Response.text("There is no such file.", status=404)
    headers = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
    return Response(_FILES[name].decode(), headers=headers, content_type=TYPES[Path(name).suffix])


@hookimpl
def extra_css_urls(database: str | None, view_name: str, datasette: Any) -> Any:
    """Give Datasette's pages about our databases a style beside its own."""
    return _for_ours(database, view_name, datasette, ("tables.css",))


@hookimpl
def extra_js_urls(database: str | None, view_name: str, datasette: Any) -> Any:
    """Let times be said in the reader's zone, and draw what a row page has to draw."""
    drawn = ("vendor/d3.min.js", "vendor/plot.umd.min.js", "charts.js") if view_name == "row" else ()
    return _for_ours(database, view_name, datasette, ("times.js", "tables.js", *drawn))


def _for_ours(database: str | None, view_name: str, datasette: Any, names: tuple[str, ...]) -> Any:
    async def found() -> list[str]:
        if view_name == "index" or not database or not await _is_ours(datasette, database):
            return []
        return [address(datasette, name) for name in names]

    return found


async def _is_ours(datasette: Any, name: str) -> bool:
    return set(await datasette.get_database(name).view_names()) >= OURS


async def _policy(datasette: Any, path: str) -> str | None:
    """Give what a page at a path may load; None for pages of other databases, which are not ours to rule."""
    base = datasette.setting("base_url").rstrip("/")
    first = path.removeprefix(base).strip("/").partition("/")[0].partition(".")[0]
    if first in ("", "-"):
        return LENIENT if path.removeprefix(base).strip("/").startswith("-/") else STRICT
    try:
        database = datasette.get_database(route=tilde_decode(first))
    except KeyError:
        return None
    return LENIENT if await _is_ours(datasette, database.name) else None


@hookimpl
def asgi_wrapper(datasette: Any) -> Callable[[App], App]:
    """Rule what our pages load, and show invisible and bidirectional characters in them as escapes."""

    def wrapped(app: App) -> App:
        async def serve(scope: Message, receive: Receive, send: Send) -> None:
            policy = await _policy(datasette, scope["path"]) if scope["type"] == "http" else None
            await app(scope, receive, send if policy is None else _Page(send, policy).send)

        return serve

    return wrapped


class _Page:
    """One answer on its way: an HTML page is waited for as a whole and made plain, all else passes."""

    def __init__(self, send: Send, policy: str) -> None:
        self._send = send
        self._policy = policy
        self._start: Message | None = None
        self._body: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Pass a message of the answer on, or keep it until the page is whole."""
        if message["type"] == "http.response.start" and _is_html(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body.append(message.get("body", b""))
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        page = _HIDING.sub(lambda found: f"\\u{ord(found[0]):04x}", b"".join(self._body).decode()).encode()
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(page)).encode()))
        if not any(name.lower() == b"content-security-policy" for name, _ in headers):
            headers.append((b"content-security-policy", self._policy.encode()))
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": page})


def _is_html(start: Message) -> bool:
    return any(n.lower() == b"content-type" and v.startswith(b"text/html") for n, v in start["headers"])
