"""What crosses the wire: a request as received, an answer, and the steps by which it is sent."""

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


_PAGE = "<!doctype html><title>{title}</title><p>{title}</p>\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came: `path` with its query, `headers` found whatever their case."""

    method: str
    path: str
    headers: Message = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def place(self) -> str:
        """The path without its query, percent-encoding kept."""
        return self.path.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body and its headers; `chunked` sends the body without telling its length."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[Header, ...] = ()
    chunked: bool = False

    def plus(self, *headers: Header) -> Answer:
        """The same answer with more headers."""
        return replace(self, headers=(*self.headers, *headers))

    def gzipped(self) -> Answer:
        """The same answer, compressed."""
        packed = replace(self, body=_squeezed(self.body))
        return packed.plus(("Content-Encoding", "gzip"))

    def head(self) -> bytes:
        """Status line and headers, up to the blank line, with the whole body's length."""
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
    """Let this many seconds pass; a server that stops does not wait for them."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection: politely, or with a TCP reset."""

    reset: bool = False


Step = Send | Wait | Cut


def sent(answer: Answer) -> Iterator[Step]:
    """The right way to send an answer: all at once, so that head and body share a segment."""
    body = chunk(answer.body) + b"0\r\n\r\n" if answer.chunked else answer.body
    yield Send(answer.head() + body)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body, without the end of the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def says(value: Any, *, status: int = 200) -> Answer:
    """A JSON answer."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Answer(status, text.encode("utf-8", "surrogatepass"))


def complains(status: int, message: str, *, kind: str = "new_api_error", **more: str) -> Answer:
    """An error as the servers word it under `/v1`, with a request id of its own in the text."""
    text = f"{message} (request id: {request_id()})"
    return says({"error": {"message": text, "type": kind, "code": "", **more}}, status=status)


def declines(message: str, *, status: int = 200) -> Answer:
    """An error as the servers word it under `/api`: by default with a status that says all is well."""
    return says({"success": False, "message": message}, status=status)


def grants(data: Any) -> Answer:
    """A success as the servers word it under `/api`."""
    return says({"success": True, "message": "", "data": data})


def moved(to: str, *, status: int = 301) -> Answer:
    """A redirect; `to` may be a path or a whole URL."""
    return Answer(status, headers=(("Location", to),))


def page(title: str) -> Answer:
    """A small web page, with the status of a success."""
    return Answer(body=_PAGE.format(title=title).encode(), content_type="text/html; charset=utf-8")


def request_id() -> str:
    """An id that no other answer has."""
    return secrets.token_hex(12)


@lru_cache(maxsize=32)
def tag(body: bytes) -> str:
    """The entity tag of a body; weak, because it stays when the body is compressed."""
    return f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


@lru_cache(maxsize=32)
def _squeezed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)


def is_fresh(answer: Answer, asked: Asked) -> bool:
    """Whether the client says that it has this very body already."""
    wanted = asked.headers.get("If-None-Match", "")
    held = {part.strip().removeprefix("W/") for part in wanted.split(",")}
    return "*" in held or tag(answer.body).removeprefix("W/") in held


def takes_gzip(asked: Asked) -> bool:
    """Whether the client named gzip among the encodings that it reads."""
    for part in asked.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, quality = part.replace(" ", "").partition(";q=")
        if name in {"gzip", "*"}:
            return quality.strip("0.") != "" or not quality
    return False


def _phrase(status: int) -> str:
    """The status in words; none for a number that HTTP gives no name."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
