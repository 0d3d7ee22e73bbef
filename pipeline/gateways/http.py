"""One request and its answer: time-outs, retries, redirects, the limit on a body, and errors by class."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode, urljoin, urlsplit

from pipeline.core.times import http_date, retry_after
from pipeline.core.types import Limits
from pipeline.errors import FetchError, Refused, Throttled, Unreachable, Unreadable
from pipeline.gateways.decompress import decompress
from pipeline.gateways.redact import Redactor
from pipeline.gateways.types import HttpRequest, HttpResponse, Transport

_LOG = logging.getLogger("modelwatch")


_GOOD = range(200, 300)


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


_MOST_REDIRECTS = 3


_ERROR_BODY = 64 * 1024


_BYTES = re.compile(r":\s+(?:bytearray\()?b['\"].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx or 304 answer; `body` is decompressed, `time` is when it was given by the server's clock."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    cookies: Sequence[str]
    time: int


async def send(connections: Transport, question: HttpRequest, limits: Limits, scrub: Redactor) -> Reply:
    """Ask until there is an answer or no more hope.

    Raises:
        FetchError: of the class that says what is wrong; its text is free of secrets.
    """
    try:
        return await _once(connections, question, limits, scrub)
    except FetchError as error:
        if limits.attempts == 1 or _again(error, limits) is False:
            raise
        return await _persist(connections, question, limits, scrub, error)


async def _persist(
    connections: Transport, question: HttpRequest, limits: Limits, scrub: Redactor, error: FetchError
) -> Reply:
    """Go on after a first attempt that failed, with pauses."""
    import stamina

    failed: list[FetchError] = [error]
    attempts = stamina.retry_context(
        on=lambda error: _again(error, limits),
        attempts=limits.attempts,
        timeout=None,
        wait_initial=limits.backoff,
        wait_max=min(limits.backoff * 16, limits.max_wait),
        wait_jitter=limits.backoff,
    )
    async for attempt in attempts:
        with attempt:
            if failed:
                raise failed.pop()
            return await _once(connections, question, limits, scrub)
    raise AssertionError("the attempts end with an answer or an error")


def _again(error: Exception, limits: Limits) -> bool | float:
    """Say whether to try again; a number is the seconds to wait before."""
    match error:
        case Throttled(retry_after=None) | Unreachable():
            return True
        case Throttled(retry_after=float(wait)):
            return wait if wait <= limits.max_wait else False
        case _:
            return False


async def _once(connections: Transport, question: HttpRequest, limits: Limits, scrub: Redactor) -> Reply:
    """Ask once; an error is clean before anybody, a log of retries among them, can see it."""
    try:
        return await _follow(connections, question, limits, scrub)
    except FetchError as error:
        error.reword(scrub.text(error.message))
        raise
    except ValueError as error:
        raise Unreachable(scrub.text(f"{_place(question.url)} cannot be asked: {error}")) from error


async def _follow(connections: Transport, question: HttpRequest, limits: Limits, scrub: Redactor) -> Reply:
    url = f"{question.url}?{urlencode(question.params)}" if question.params else question.url
    for _ in range(_MOST_REDIRECTS + 1):
        reply, onward = await _hop(connections, question, url, limits, scrub)
        if onward is None:
            return reply
        url = _same_place(url, urljoin(url, onward))
    raise Unreadable(f"{question.url} redirects in circles")


async def _hop(
    connections: Transport, question: HttpRequest, url: str, limits: Limits, scrub: Redactor
) -> tuple[Reply, str | None]:
    try:
        async with connections.ask(question, url, patience=limits.timeout) as answer:
            good = answer.status in _GOOD
            onward = answer.headers.get("location") if answer.status in _REDIRECTS else None
            body = (
                b"" if onward else await _read(answer, limits.max_body if good else _ERROR_BODY, cut=not good)
            )
    except TimeoutError as error:
        raise Unreachable(f"no answer from {_place(url)} within {limits.timeout:g} s") from error
    except ConnectionError as error:
        # It may go on with the bytes that it stumbled over, cut off anywhere: half a key, perhaps.
        raise Unreachable(f"{_place(url)} cannot be reached: {_BYTES.sub('', str(error))}") from error
    if _LOG.isEnabledFor(logging.DEBUG):
        _LOG.debug("%s", scrub.text(f"{question.method} {_place(url)}: {answer.status}"))
    body = scrub.body(body)
    if onward is None and not good and answer.status != HTTPStatus.NOT_MODIFIED:
        raise _refusal(answer, url, body)
    return Reply(answer.status, body, answer.headers, answer.cookies, _time(answer)), onward


async def _read(answer: HttpResponse, limit: int, *, cut: bool) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in decompress(answer):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            if cut:
                break
            raise Unreadable(f"the answer is larger than {limit:,} bytes (the limit is `max_body`)")
    return b"".join(pieces)


def _same_place(before: str, after: str) -> str:
    """Follow a redirect only where the credentials may go: the same host, and never from https to http."""
    old, new = urlsplit(before), urlsplit(after)
    upgrade = (old.scheme, new.scheme) == ("http", "https") and old.port is None and new.port is None
    same_origin = (old.scheme, old.port) == (new.scheme, new.port)
    if old.hostname == new.hostname and (same_origin or upgrade):
        # A user in the new address would sign the request in place of the scope.
        return new._replace(netloc=new.netloc.rpartition("@")[2]).geturl()
    where = f"{new.scheme}://{new.hostname}" + (f":{new.port}" if new.port else "")
    raise Unreadable(
        f"{_place(before)} redirects to {where}; nothing was sent there. "
        "If that is the right address, write it as `url`"
    )


def _refusal(answer: HttpResponse, url: str, body: bytes) -> FetchError:
    status = answer.status
    said = _said(body)
    text = f"{_place(url)} answered {status}{f': {said}' if said else ''}"
    match status:
        case 401 | 403:
            return Refused(text, status=status)
        case 429 | 503:
            return Throttled(
                text,
                status=status,
                retry_after=retry_after(answer.headers.get("retry-after", ""), _time(answer)),
            )
        case _ if status >= 500:  # noqa: PLR2004 - the class of server errors
            return Unreachable(text, status=status)
        case _:
            return Unreadable(text, status=status)


def _said(body: bytes) -> str:
    """Find what a gateway says in its error body: JSON in one of the usual forms, or a short plain text."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text[:200]
    for name in ("error", "errors"):
        if isinstance(value, dict) and value.get(name):
            value = value[name]
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("message") or value.get("detail") or value.get("msg") or ""
    return str(value or "")


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _time(answer: HttpResponse) -> int:
    at = http_date(answer.headers.get("date", ""))
    return int(time.time()) if at is None else at
