"""HTTP requests and responses, and the actions by which a response is sent."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.message import Message
from functools import lru_cache
from http import HTTPStatus
from typing import Any

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A received request; `path` includes the query."""

    method: str
    path: str
    headers: Message = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def place(self) -> str:
        """The path without its query, percent-encoded as received."""
        return self.path.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Response:
    """A status, a body and its headers; `chunked` sends the body in chunks, without Content-Length."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[Header, ...] = ()
    chunked: bool = False

    def with_headers(self, *headers: Header) -> Response:
        """Return the response with more headers."""
        return replace(self, headers=(*self.headers, *headers))

    def gzipped(self) -> Response:
        """Return the response with its body compressed."""
        compressed = replace(self, body=_gzipped(self.body))
        return compressed.with_headers(("Content-Encoding", "gzip"))

    def head(self) -> bytes:
        """Return the status line and headers, up to and including the blank line."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        if self.body:
            lines.append(f"Content-Type: {self.content_type}")
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            lines.append(f"Content-Length: {len(self.body)}")
        lines.extend(f"{name}: {value}" for name, value in self.headers)
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait this many seconds, or until the server stops."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection, normally or with a TCP reset."""

    reset: bool = False


Action = Send | Wait | Close


def send_whole(response: Response) -> Iterator[Action]:
    """Yield one `Send` with head and body, so that both fit into one TCP segment."""
    body = chunk(response.body) + b"0\r\n\r\n" if response.chunked else response.body
    yield Send(response.head() + body)


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body, without the final empty chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def json_response(value: Any, *, status: int = 200) -> Response:
    """Return a JSON response."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(status, text.encode("utf-8", "surrogatepass"))


def v1_error(status: int, message: str, *, kind: str = "new_api_error", **more: str) -> Response:
    """Return an error in the form used under `/v1`; the message ends with a new request id."""
    text = f"{message} (request id: {request_id()})"
    return json_response({"error": {"message": text, "type": kind, "code": "", **more}}, status=status)


def api_error(message: str, *, status: int = 200) -> Response:
    """Return an error in the form used under `/api`, where the default status is 200."""
    return json_response({"success": False, "message": message}, status=status)


def api_success(data: Any) -> Response:
    """Return a success in the form used under `/api`."""
    return json_response({"success": True, "message": "", "data": data})


def redirect(to: str, *, status: int = 301) -> Response:
    """Return a redirect; `to` may be a path or an absolute URL."""
    return Response(status, headers=(("Location", to),))


def html_page(title: str) -> Response:
    """Return a small web page with status 200."""
    page = f"<!doctype html><title>{title}</title><p>{title}</p>\n"
    return Response(body=page.encode(), content_type="text/html; charset=utf-8")


def request_id() -> str:
    """Return a new random id."""
    return secrets.token_hex(12)


@lru_cache(maxsize=32)
def etag(body: bytes) -> str:
    """Return the ETag of a body; weak, since the compressed body has the same one."""
    return f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def matches_etag(response: Response, request: Request) -> bool:
    """Return whether the request's If-None-Match names the response's body."""
    wanted = request.headers.get("If-None-Match", "")
    tags = {part.strip().removeprefix("W/") for part in wanted.split(",")}
    return "*" in tags or etag(response.body).removeprefix("W/") in tags


def accepts_gzip(request: Request) -> bool:
    """Return whether the request's Accept-Encoding allows gzip."""
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, quality = part.replace(" ", "").partition(";q=")
        if name in {"gzip", "*"}:
            return quality.strip("0.") != "" or not quality
    return False


@lru_cache(maxsize=32)
def _gzipped(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)


def _phrase(status: int) -> str:
    """Return the reason phrase; empty for a status that HTTP does not name."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
