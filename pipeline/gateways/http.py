"""One HTTP request and its response: timeouts, retries, redirects, the size limit, error classes."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from pipeline.core.masking import MASK
from pipeline.core.network import connection_reason, lacks_descriptors, lacks_tls, lacks_trust
from pipeline.core.times import parse_http_date, retry_after
from pipeline.core.types import Limits
from pipeline.errors import FetchError, Refused, Throttled, Unreachable, Unreadable
from pipeline.gateways.bodies import as_array, as_utf8
from pipeline.gateways.decompress import decompress
from pipeline.gateways.redact import Redactor
from pipeline.gateways.refusals import cure_of_message, cure_of_refusal, longest_sentence
from pipeline.gateways.types import HttpRequest, HttpResponse, Room, Transport
from pipeline.gateways.urls import (
    is_same_gateway,
    origin,
    with_params,
    without_query,
    without_user,
)

_LOG = logging.getLogger("modelwatch")

# stamina logs each retry. Where no log is set up, in workers and notebooks, it would go to stderr:
# https://docs.python.org/3/howto/logging.html#what-happens-if-no-configuration-is-provided
logging.getLogger("stamina").addHandler(logging.NullHandler())

_SUCCESS = range(200, 300)
_CURES = {407: "set the proxy of the environment to http://USER:PASSWORD@HOST:PORT, with a valid password"}
_WEB = frozenset({"http", "https"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_MAX_CHUNKS = 256
_MAX_ERROR_BODY = 64 * 1024
_QUOTED_BYTES = re.compile(r":\s+(?:bytearray\()?b['\"].*", re.DOTALL)


class Reply(Struct, frozen=True):
    """A response with status 2xx or 304, its body decompressed and redacted.

    `time` is the moment of the response in Unix seconds, by the server's clock where it sends a `Date`;
    `url` is its address after redirects, with parameters that are secret masked. With `is_last`, the body is
    the last one again.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    cookies: Sequence[str]
    time: int
    url: str
    is_last: bool = False


async def send(transport: Transport, request: HttpRequest, limits: Limits, redactor: Redactor) -> Reply:
    """Send a request, and retry it as long as `limits` allow.

    Raises:
        FetchError: of the class of the failure; its message holds no secret.
    """
    try:
        return await _attempt(transport, request, limits, redactor)
    except FetchError as error:
        if limits.attempts == 1 or _retries(error, limits) is False:
            raise
        return await _retry(transport, request, limits, redactor, error)


async def _retry(
    transport: Transport, request: HttpRequest, limits: Limits, redactor: Redactor, first: FetchError
) -> Reply:
    """Repeat a request whose first attempt failed, with growing pauses.

    The first failure is raised again inside the loop, so that it counts as an attempt and is waited for.
    """
    import stamina

    attempts = stamina.retry_context(
        on=lambda error: _retries(error, limits),
        attempts=limits.attempts,
        timeout=None,
        wait_initial=limits.backoff,
        wait_max=min(limits.backoff * 16, limits.max_wait),
        wait_jitter=limits.backoff,
    )
    failed: list[FetchError] = [first]
    async for attempt in attempts:
        with attempt:
            if failed:
                raise failed.pop()
            return await _attempt(transport, request, limits, redactor)
    raise AssertionError("the attempts end with an answer or an error")


def _retries(error: Exception, limits: Limits) -> bool | float:
    """Return whether to retry after an error; a number is the seconds to wait before."""
    match error:
        case Throttled(retry_after=None) | Unreachable():
            return True
        case Throttled(retry_after=float(wait)):
            return wait if wait <= limits.max_wait else False
        case _:
            return False


async def _attempt(transport: Transport, request: HttpRequest, limits: Limits, redactor: Redactor) -> Reply:
    """Send a request once; errors are redacted here, before the log of retries can show them."""
    try:
        return await _follow(transport, request, limits, redactor)
    except FetchError as error:
        error.reword(redactor.text)
        raise
    except ValueError as error:
        message = f"{without_query(request.url)} cannot be asked: {error}"
        raise Unreachable(redactor.text(message)) from error


async def _follow(transport: Transport, request: HttpRequest, limits: Limits, redactor: Redactor) -> Reply:
    """Send a request and follow redirects within the same gateway."""
    url = with_params(request.url, request.params)
    for _ in range(_MAX_REDIRECTS + 1):
        reply, location = await _hop(transport, request, url, limits, redactor)
        if location is None:
            return reply
        url = _redirected(url, urljoin(url, location))
    raise Unreadable(f"{without_query(url)} redirects more than {_MAX_REDIRECTS} times")


async def _hop(
    transport: Transport, request: HttpRequest, url: str, limits: Limits, redactor: Redactor
) -> tuple[Reply, str | None]:
    """Return the reply of one URL, and the location that it redirects to."""
    room = request.room or Room(limits.max_body, asyncio.Lock())
    try:
        sent_to = with_params(url, request.secret_params)
        async with transport.send(request, sent_to, read_timeout=limits.timeout) as response:
            location = response.headers.get("location") if response.status in _REDIRECTS else None
            body = b"" if location else await _read_body(response, room, redactor.seen())
    except TimeoutError as error:
        raise Unreachable(f"no answer from {without_query(url)} within {limits.timeout:g} s") from error
    except ConnectionError as error:
        text = f"{without_query(url)} cannot be reached"
        if lacks_tls(error):
            cure = f"write http://{urlsplit(url).netloc} where `url` has https://"
            raise Unreachable(f"{text}: the server speaks no TLS", cure=cure) from error
        if lacks_trust(error):
            cure = "for your own CA, add its certificate to the file that SSL_CERT_FILE names"
            raise Unreachable(f"{text}: {connection_reason(error)}", cure=cure) from error
        if lacks_descriptors(error):
            cure = "raise the limit of open files (`ulimit -n`, `LimitNOFILE=`), or lower `concurrency`"
            raise Unreachable(f"{text}: {connection_reason(error)}", cure=cure) from error
        # A parser's message quotes the bytes at which it failed: part of a key would not be redacted.
        reason = _QUOTED_BYTES.sub("", connection_reason(error))
        raise Unreachable(f"{text}: {reason}") from error
    if _LOG.isEnabledFor(logging.DEBUG):
        _LOG.debug("%s", redactor.text(f"{request.method} {without_query(url)}: {response.status}"))
    content_type = response.headers.get("content-type", "")
    # Also the last body may have a secret: that of a scope which has a key only now.
    body = redactor.body(as_array(as_utf8(body, content_type), content_type))
    is_last = (
        response.status == HTTPStatus.OK
        and request.is_last is not None
        and request.is_last(body, response.headers)
    )
    if location is None and _is_error(response.status):
        raise _error(request, response, url, body)
    url = with_params(url, [(name, MASK) for name, _ in request.secret_params])
    moment = _time(response)
    return Reply(response.status, body, response.headers, response.cookies, moment, url, is_last), location


def _is_error(status: int) -> bool:
    return status not in _SUCCESS and status != HTTPStatus.NOT_MODIFIED


async def _read_body(response: HttpResponse, room: Room, seen: Iterable[bytes]) -> bytes:
    """Return the decoded body; of an error response only its beginning, and b"" where it cannot be decoded.

    The body of an error only explains its status: a failure to read it must not replace the status.
    """
    body = Body(seen)
    if response.status in _SUCCESS:
        try:
            async for chunk in decompress(response):
                await room.take(len(chunk))
                body.add(chunk)
        except BaseException:
            room.leave(body.size)
            # The error would keep it.
            body.clear()
            raise
        return body.joined()
    try:
        async for chunk in decompress(response):
            body.add(chunk)
            if body.size > _MAX_ERROR_BODY:
                break
    except Unreadable:
        return b""
    return body.joined()


class Body:
    """A body as it arrives: large chunks are copied once at most, and no long list of small ones is kept.

    Args:
        seen: earlier bodies; one that comes again is compared as it arrives, and not copied.
    """

    def __init__(self, seen: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._again = list(seen)
        self._first = bytearray()
        self._chunks: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        """Add the next chunk."""
        if self._again:
            self._again = [each for each in self._again if each.startswith(chunk, self.size)]
        self.size += len(chunk)
        self._chunks.append(chunk)
        if len(self._chunks) == _MAX_CHUNKS:
            # Each chunk of a few bytes takes ten times as much in the list.
            self._first += b"".join(self._chunks)
            self._chunks.clear()

    def joined(self) -> bytes:
        """Return all of it; where that is an earlier body, the same object."""
        for each in self._again:
            if len(each) == self.size:
                return each
        return b"".join((self._first, *self._chunks) if self._first else self._chunks)

    def clear(self) -> None:
        """Forget it."""
        self._again.clear()
        self._first.clear()
        self._chunks.clear()


def _redirected(url: str, target: str) -> str:
    """Return the target of a redirect; refuse one that would send the credentials to another host.

    See https://www.rfc-editor.org/rfc/rfc9110#section-15.4.
    """
    if is_same_gateway(url, target):
        return without_user(target)
    scheme = urlsplit(target).scheme
    if scheme not in _WEB:
        raise Unreadable(f"{without_query(url)} redirects to no web address ({scheme}:)")
    raise Unreadable(
        f"{without_query(url)} redirects to {origin(target)}; nothing was sent there",
        cure="if that is the right address, write it as `url`",
    )


def _error(request: HttpRequest, response: HttpResponse, url: str, body: bytes) -> FetchError:
    """Return the error of a status: https://www.rfc-editor.org/rfc/rfc9110#section-15."""
    status = response.status
    message = _error_message(body)
    answered = f"{status} (unavailable)" if status == HTTPStatus.SERVICE_UNAVAILABLE else str(status)
    text = f"{without_query(url)} answered {answered}{f': {message}' if message else ''}"
    wait = retry_after(response.headers.get("retry-after", ""), _time(response))
    match status:
        case 401 | 403:
            params = [name for name, _ in request.secret_params]
            challenge = response.headers.get("www-authenticate", "")
            cure = cure_of_refusal(message, challenge, headers=request.headers, params=params)
            return Refused(text, status=status, cure=cure)
        case 400 | 422:
            return Unreadable(text, status=status, cure=cure_of_message(message))
        case 405 if request.method == "GET":
            cure = 'if the documentation of the gateway says POST, set `method = "POST"`'
            return Unreadable(text, status=status, cure=cure)
        case 429 | 503 if status < HTTPStatus.INTERNAL_SERVER_ERROR or wait is not None:
            # Without a time to wait, a server that answers 503 may be down just as well.
            return Throttled(text, status=status, retry_after=wait)
        case _ if status >= 500:  # noqa: PLR2004 - the class of server errors
            return Unreachable(text, status=status)
        case _:
            return Unreadable(text, status=status, cure=_CURES.get(status))


def _error_message(body: bytes) -> str:
    """Return the message of an error body: JSON in one of the usual forms, or a short plain text."""
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
        said = value.get("message") or value.get("detail") or value.get("msg")
        value = said or longest_sentence(value)
    return str(value or "")


def _time(response: HttpResponse) -> int:
    at = parse_http_date(response.headers.get("date", ""))
    return int(time.time()) if at is None else at
