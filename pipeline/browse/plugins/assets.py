"""Static files, Content-Security-Policy, and escapes for unsafe characters on the pages of modelwatch."""

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
"""Views that identify a database of modelwatch."""

STRICT = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
"""The policy of the start page: files of this server, nothing inline."""

LENIENT = (
    f"{STRICT}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
"""The policy of Datasette's own pages, which have inline scripts and styles."""

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but for tab and line ends
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional
    "\u200b-\u200d\u2060-\u2065\ufeff"  # zero width
    "\u2028\u2029]"  # line and paragraph separator
)
"""The unsafe characters of `pipeline.core.text`, without those that HTML shows as spaces."""


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
    """Return the URL of a static file, with a digest of its content, so that it can be cached forever."""
    return str(datasette.urls.path(f"/-/modelwatch/{hashlib.sha256(_FILES[name]).hexdigest()[:12]}/{name}"))


@hookimpl
def prepare_jinja2_environment(env: Any, datasette: Any) -> None:
    """Add the function `modelwatch_file(name)`, which returns the URL of a static file."""
    env.globals["modelwatch_file"] = lambda name: address(datasette, name)


@hookimpl
def register_routes() -> list[tuple[str, Callable[..., Any]]]:
    """Register the static files below `/-/`, since `/modelwatch` is the database of that name."""
    return [(r"^/-/modelwatch/[0-9a-f]{12}/(?P<name>.+)$", _file)]


async def _file(request: Any) -> Response:
    name = request.url_vars["name"]
    if name not in _FILES:
        return Response.text("There is no such file.", status=404)
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(_FILES[name].decode(), headers=headers, content_type=TYPES[Path(name).suffix])


@hookimpl
def extra_css_urls(database: str | None, view_name: str, datasette: Any) -> Any:
    """Add style sheets to Datasette's pages of databases of modelwatch."""
    return _for_ours(database, view_name, datasette, ("site.css", "tables.css"))


@hookimpl
def extra_js_urls(database: str | None, view_name: str, datasette: Any) -> Any:
    """Add scripts to Datasette's pages of databases of modelwatch: local times, and folded SQL."""
    return _for_ours(database, view_name, datasette, ("times.js", "tables.js"))


def _for_ours(database: str | None, view_name: str, datasette: Any, names: tuple[str, ...]) -> Any:
    async def found() -> list[str]:
        if view_name == "index" or not database or not await _is_ours(datasette, database):
            return []
        return [address(datasette, name) for name in names]

    return found


async def _is_ours(datasette: Any, name: str) -> bool:
    return set(await datasette.get_database(name).view_names()) >= OURS


async def _policy(datasette: Any, path: str) -> str | None:
    """Return the policy of the page at a path; None for pages of other databases."""
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
    """Add the policy to the pages of modelwatch, and escape unsafe characters in them."""

    def wrapped(app: App) -> App:
        async def serve(scope: Message, receive: Receive, send: Send) -> None:
            policy = await _policy(datasette, scope["path"]) if scope["type"] == "http" else None
            if policy and scope["method"] not in _READING and not _is_of_datasette(datasette, scope["path"]):
                await Response.text("Only GET is served here.\n", status=405, headers=_ALLOWED).asgi_send(
                    send
                )
                return
            await app(scope, receive, send if policy is None else _Page(_unguessed(send), policy).send)

        return serve

    return wrapped


_READING = frozenset({"GET", "HEAD", "OPTIONS"})

_ALLOWED = {"allow": "GET, HEAD"}


def _is_of_datasette(datasette: Any, path: str) -> bool:
    """Return whether a path is of Datasette itself, as `/-/logout` is."""
    return path.removeprefix(datasette.setting("base_url").rstrip("/")).startswith("/-/")


def _unguessed(send: Send) -> Send:
    """Return `send` for an answer whose type no browser may guess."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message["headers"] if pair[0].lower() != _NO_GUESS[0]]
            message = {**message, "headers": [*headers, _NO_GUESS]}
        await send(message)

    return sent


_NO_GUESS = (b"x-content-type-options", b"nosniff")


class _Page:
    """The messages of a response: those of an HTML page are collected and changed, others are sent on."""

    def __init__(self, send: Send, policy: str) -> None:
        self._send = send
        self._policy = policy
        self._start: Message | None = None
        self._body: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Send a message, or collect it until the page is complete."""
        if message["type"] == "http.response.start" and _is_html(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body.append(message.get("body", b""))
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        page = UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", b"".join(self._body).decode()).encode()
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(page)).encode()))
        if not any(name.lower() == b"content-security-policy" for name, _ in headers):
            headers.append((b"content-security-policy", self._policy.encode()))
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": page})


def _is_html(start: Message) -> bool:
    return any(n.lower() == b"content-type" and v.startswith(b"text/html") for n, v in start["headers"])
