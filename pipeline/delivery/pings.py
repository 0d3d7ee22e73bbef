"""Pings to a dead man's switch: `/start`, then the bare URL for success or `/{exit status}` for a failure.

https://healthchecks.io/docs/http_api/
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from pipeline.core.addresses import is_web_address
from pipeline.core.types import Resolve
from pipeline.delivery.deadline import Deadline
from pipeline.delivery.types import MonitoringFailure, Ping
from pipeline.errors import Unresolved

MAX_BODY = 10_000
"""Bytes of a body that every healthchecks server keeps."""

_START = "start"

_PAUSE = 0.1
"""The share of the timeout to wait between two attempts."""

_MAX_ANSWER = 100
"""Bytes of the answer that are read."""

_NOT_FOUND = b"(not found)"

_SUCCESS, _SERVER_ERROR = 2, 5

_TEMPORARY = frozenset({408, 429})


class Pings:
    """The pings of one run, which share an id.

    Each is sent from its own thread, so that no server, name server or command delays the run. No method
    raises: `end` returns the failure.
    """

    def __init__(self, ping: Ping, resolve: Resolve) -> None:
        """Prepare to ping.

        Args:
            ping: the check.
            resolve: resolves a reference to its secret, or raises Unresolved.
        """
        self._timeout = ping.timeout
        self._url = ping.url
        self._resolve = resolve
        self._run = str(uuid.uuid4())
        self._start: _Attempt | None = None

    def start(self) -> None:
        """Ping that the run starts; returns at once."""
        self._start = self._send(_START, "", time.monotonic() + self._timeout, retry=True)

    def end(self, exit_status: int, summary: str, *, retry: bool = True) -> MonitoringFailure | None:
        """Ping that the run ended, with its exit status; wait for both pings, at most for the timeout.

        Args:
            exit_status: 0 to 255; 0 is success.
            summary: the body, cut to `MAX_BODY`.
            retry: try a second time if the first fails.
        """
        until = time.monotonic() + self._timeout
        if self._start:
            # A start that arrives after the end would begin another run, but the end must not be lost.
            self._start.done.wait(self._timeout / 2)
        attempt = self._send(str(exit_status or ""), summary, until, retry=retry)
        in_time = attempt.done.wait(until - time.monotonic())
        for each in filter(None, (self._start, attempt)):
            each.deadline.expire()
        return attempt.failure if in_time else self._timed_out()

    def _send(self, signal: str, body: str, until: float, *, retry: bool) -> _Attempt:
        attempt = _Attempt()
        arguments = (attempt, signal, clip(body), until, retry)
        # A daemon thread, so that the program can exit while the thread waits for a name server.
        thread = threading.Thread(target=self._work, args=arguments, name="ping", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            attempt.failure = MonitoringFailure("the ping failed: no thread can be started", permanent=False)
            attempt.done.set()
        return attempt

    def _work(self, attempt: _Attempt, signal: str, body: bytes, until: float, retry: bool) -> None:  # noqa: FBT001
        try:
            attempt.failure = self._try(signal, body, until, attempt.deadline)
            if retry and attempt.failure and not attempt.failure.permanent:
                time.sleep(self._timeout * _PAUSE)
                attempt.failure = self._try(signal, body, until, attempt.deadline)
        except Exception as error:  # noqa: BLE001 - log only the class: the text may hold the URL
            attempt.failure = MonitoringFailure(f"the ping failed: {type(error).__name__}", permanent=False)
        finally:
            attempt.deadline.close()
            attempt.done.set()

    def _try(self, signal: str, body: bytes, until: float, deadline: Deadline) -> MonitoringFailure | None:
        try:
            base = self._base()
        except Unresolved as error:
            return MonitoringFailure(f"the ping failed: {error.message}", permanent=True)
        if not is_web_address(base):
            text = "the ping failed: the secret that [ping] url refers to is not a web address"
            return MonitoringFailure(text, permanent=True)
        return self._request(ping_url(base, signal, self._run), body, until, deadline)

    def _base(self) -> str:
        return self._url if is_web_address(self._url) else self._resolve(self._url).reveal().strip()

    def _request(self, url: str, body: bytes, until: float, deadline: Deadline) -> MonitoringFailure | None:
        import httpx

        from pipeline.delivery.http_client import PLAIN, UnusableEnvironment, beginning, client_for

        timeout = until - time.monotonic()
        if timeout <= 0:
            return self._timed_out()
        headers = {"User-Agent": "modelwatch", **PLAIN}
        if body:
            headers["Content-Type"] = "text/plain; charset=utf-8"
        try:
            with (
                _httpx_not_logging(),
                client_for(url, timeout) as client,
                client.stream(
                    "POST" if body else "GET",
                    url,
                    content=body or None,
                    headers=headers,
                    extensions={"trace": deadline.trace},
                ) as response,
            ):
                return _failure(response.status_code, beginning(response, _MAX_ANSWER))
        except httpx.TimeoutException:
            return self._timed_out()
        except UnusableEnvironment as error:
            return MonitoringFailure(f"the ping failed: {error}", permanent=False)
        except httpx.TransportError:
            return MonitoringFailure("the ping failed: its server cannot be reached", permanent=False)

    def _timed_out(self) -> MonitoringFailure:
        return MonitoringFailure(f"the ping failed: no answer within {self._timeout:g} s", permanent=False)


class _Attempt:
    """A ping that is being sent; `failure` is valid once it is `done`."""

    __slots__ = ("deadline", "done", "failure")

    def __init__(self) -> None:
        self.deadline = Deadline()
        self.done = threading.Event()
        self.failure: MonitoringFailure | None = None


@contextmanager
def _httpx_not_logging() -> Iterator[None]:
    """Keep httpx from logging the requests of this thread: its lines would hold the secret URL."""
    logger, thread = logging.getLogger("httpx"), threading.get_ident()

    def is_of_another_thread(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(is_of_another_thread)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another_thread)


def _failure(status: int, body: bytes) -> MonitoringFailure | None:
    kind = status // 100
    if kind == _SUCCESS:
        # healthchecks.io answers 200 also for a check that does not exist.
        if _NOT_FOUND not in body:
            return None
        return MonitoringFailure("the ping failed: there is no such check: see [ping] url", permanent=True)
    permanent = kind != _SERVER_ERROR and status not in _TEMPORARY
    cure = ": see that [ping] url is the check's address" if permanent else ""
    return MonitoringFailure(f"the ping was answered {status}{cure}", permanent=permanent)


def ping_url(base: str, signal: str, run: str) -> str:
    """Return the URL of a ping: the signal at the end of the path, the run's id in the query.

    Args:
        base: the check's URL, with or without a trailing slash and a query.
        signal: `start`, an exit status, or "" for success.
        run: an id that the pings of one run share.
    """
    parts = urlsplit(base)
    path = parts.path.rstrip("/") + (f"/{signal}" if signal else "")
    query = "&".join(part for part in (parts.query, f"rid={run}") if part)
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def clip(text: str) -> bytes:
    """Return a text in UTF-8, cut at the end of a line to less than `MAX_BODY` bytes; `…` marks the cut."""
    whole = text.encode("utf-8", "backslashreplace")
    if len(whole) < MAX_BODY:
        return whole
    mark = "\n…".encode()
    return whole[: MAX_BODY - len(mark) - 1].decode("utf-8", "ignore").rpartition("\n")[0].encode() + mark
