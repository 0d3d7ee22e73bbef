"""One request and its answer: time-outs, retries, redirects, the limit on a body, and errors by class."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from pipeline.errors import FetchError, Refused, Throttled, Unreachable, Unreadable
from pipeline.fetch.scrub import Scrubber
from pipeline.fetch.unpack import unpacked
from pipeline.types import Limits

_LOG = logging.getLogger("modelwatch")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_ERROR_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Question:
    """A request as it is sent; `headers` hold secrets and are never shown."""

    url: str
    method: str = "GET"
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx or 304 answer; `body` is decompressed, `time` is when it was given by the server's clock."""

    status: int
    body: bytes
    headers: httpx.Headers
    time: int


Clients = Callable[[str], httpx.AsyncClient]
"""Gives the client that asks at an address; raises Unreachable where there can be none."""


async def exchange(clients: Clients, question: Question, limits: Limits, scrub: Scrubber) -> Reply:
    """Ask until there is an answer or no more hope.

    Raises:
        FetchError: of the class that says what is wrong; its text is free of secrets.
    """
    try:
        return await _once(clients, question, limits, scrub)
    except FetchError as error:
        if limits.attempts == 1 or _again(error, limits) is False:
            raise
        return await _persist(clients, question, limits, scrub, error)


async def _persist(
    clients: Clients, question: Question, limits: Limits, scrub: Scrubber, error: FetchError
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
            return await _once(clients, question, limits, scrub)
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


async def _once(clients: Clients, question: Question, limits: Limits, scrub: Scrubber) -> Reply:
    """Ask once; an error is clean before anybody, a log of retries among them, can see it."""
    try:
        return await _follow(clients, question, limits, scrub)
    except FetchError as error:
        error.reword(scrub.text(error.message))
        raise
    except (httpx.InvalidURL, ValueError) as error:
        raise Unreachable(scrub.text(f"{_place(question.url)} cannot be asked: {error}")) from error


async def _follow(clients: Clients, question: Question, limits: Limits, scrub: Scrubber) -> Reply:
    url = question.url
    for _ in range(_MOST_REDIRECTS + 1):
        reply, onward = await _hop(clients(url), question, url, limits, scrub)
        if onward is None:
            return reply
        url = _same_place(url, urljoin(url, onward))
    raise Unreadable(f"{question.url} redirects in circles")


async def _hop(
    client: httpx.AsyncClient, question: Question, url: str, limits: Limits, scrub: Scrubber
) -> tuple[Reply, str | None]:
    try:
        async with client.stream(
            question.method,
            url,
            params=question.params or None,
            headers=question.headers,
            json=question.json,
            timeout=limits.timeout,
        ) as response:
            onward = response.headers.get("location") if response.status_code in _REDIRECTS else None
            limit = limits.max_body if response.is_success else _ERROR_BODY
            body = b"" if onward else await _read(response, limit, cut=not response.is_success)
    except httpx.TimeoutException as error:
        raise Unreachable(f"no answer from {_place(url)} within {limits.timeout:g} s") from error
    except httpx.TransportError as error:
        raise Unreachable(f"{_place(url)} cannot be reached: {_reason(error)}") from error
    if _LOG.isEnabledFor(logging.DEBUG):
        _LOG.debug("%s", scrub.text(f"{question.method} {_place(url)}: {response.status_code}"))
    if onward is None and not response.is_success and response.status_code != httpx.codes.NOT_MODIFIED:
        raise _refusal(response, scrub.body(body))
    return Reply(response.status_code, scrub.body(body), response.headers, _time(response)), onward


async def _read(response: httpx.Response, limit: int, *, cut: bool) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in unpacked(response):
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
        return after
    where = f"{new.scheme}://{new.hostname}" + (f":{new.port}" if new.port else "")
    raise Unreadable(
        f"{_place(before)} redirects to {where}; nothing was sent there. "
        "If that is the right address, write it as `url`"
    )


def _refusal(response: httpx.Response, body: bytes) -> FetchError:
    status = response.status_code
    said = _said(body)
    text = f"{_place(str(response.url))} answered {status}{f': {said}' if said else ''}"
    match status:
        case 401 | 403:
            return Refused(text, status=status)
        case 429 | 503:
            return Throttled(text, status=status, retry_after=_retry_after(response))
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


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    at = _http_date(text)
    return None if at is None else max(0.0, at - _time(response))


def _time(response: httpx.Response) -> int:
    at = _http_date(response.headers.get("date", ""))
    return int(time.time()) if at is None else at


def _http_date(text: str) -> int | None:
    try:
        at = parsedate_to_datetime(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
