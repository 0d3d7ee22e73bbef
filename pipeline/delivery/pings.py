"""Ping a dead man's switch as healthchecks.io has it: `/start`, then the bare address or `/{exit status}`."""

from __future__ import annotations

import logging
import threading
import time
import uuid

from pipeline.core.addresses import is_web_address
from pipeline.core.types import Resolve
from pipeline.delivery.types import MonitoringFailure, Ping, address
from pipeline.errors import Unresolved

LONGEST = 10_000
"""Bytes of a body that every healthchecks server keeps."""


_START = "start"


_PAUSE = 0.1
"""The share of the time-out that goes by between two tries."""


_NOT_FOUND = b"(not found)"


_DONE, _BROKEN = 2, 5


_BUSY = frozenset({408, 429})


class Pings:
    """The pings of one run; they share an id.

    Each is sent from a thread of its own, that no server, name server or command can hold up a run.
    Nothing is raised: what went wrong is what `end` gives.
    """

    def __init__(self, ping: Ping, resolve: Resolve) -> None:
        """Prepare to ping.

        Args:
            ping: where.
            resolve: gives the secret that a reference leads to; raises Unresolved.
        """
        self._timeout = ping.timeout
        self._url = ping.url
        self._resolve = resolve
        self._run = str(uuid.uuid4())
        self._start: _Sending | None = None

    def start(self) -> None:
        """Say that the run begins; does not wait."""
        self._start = self._send(_START, "", time.monotonic() + self._timeout, again=True)

    def end(self, exit_status: int, summary: str, *, again: bool = True) -> MonitoringFailure | None:
        """Say how the run ended; waits no longer than the time-out for all that is under way.

        Args:
            exit_status: 0 to 255; 0 is success.
            summary: goes with it, cut to what is kept.
            again: try a second time when the first does not get through.
        """
        until = time.monotonic() + self._timeout
        if self._start:
            # A start that came after the end would look like another run; but the end matters more.
            self._start.over.wait(self._timeout / 2)
        word = str(exit_status or "")
        sending = self._send(word, summary, until, again=again)
        return sending.failure if sending.over.wait(until - time.monotonic()) else self._late()

    def _send(self, word: str, body: str, until: float, *, again: bool) -> _Sending:
        sending = _Sending()
        arguments = (sending, word, clipped(body), until, again)
        # A daemon: the program may end while a name server keeps it waiting.
        thread = threading.Thread(target=self._work, args=arguments, name="ping", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            sending.failure = MonitoringFailure(
                "the ping failed: the machine has no room for a thread", lasting=False
            )
            sending.over.set()
        return sending

    def _work(self, sending: _Sending, word: str, body: bytes, until: float, again: bool) -> None:  # noqa: FBT001
        try:
            sending.failure = self._try(word, body, until)
            if again and sending.failure and not sending.failure.lasting:
                time.sleep(self._timeout * _PAUSE)
                sending.failure = self._try(word, body, until)
        except Exception as error:  # noqa: BLE001 - told by its kind: its text may hold the address
            sending.failure = MonitoringFailure(f"the ping failed: {type(error).__name__}", lasting=False)
        finally:
            sending.over.set()

    def _try(self, word: str, body: bytes, until: float) -> MonitoringFailure | None:
        try:
            base = self._base()
        except Unresolved as error:
            return MonitoringFailure(f"the ping failed: {error.message}", lasting=True)
        if not is_web_address(base):
            return MonitoringFailure(
                "the ping failed: what [ping] url leads to is no web address", lasting=True
            )
        return self._ask(address(base, word, self._run), body, until)

    def _base(self) -> str:
        return self._url if is_web_address(self._url) else self._resolve(self._url).reveal().strip()

    def _ask(self, url: str, body: bytes, until: float) -> MonitoringFailure | None:
        import httpx

        patience = until - time.monotonic()
        if patience <= 0:
            return self._late()
        try:
            with _unlogged(), httpx.Client(timeout=patience, headers={"User-Agent": "modelwatch"}) as client:
                if body:
                    headers = {"Content-Type": "text/plain; charset=utf-8"}
                    answer = client.post(url, content=body, headers=headers)
                else:
                    answer = client.get(url)
        except httpx.TimeoutException:
            return self._late()
        except httpx.TransportError:
            return MonitoringFailure("the ping failed: its server cannot be reached", lasting=False)
        return _understood(answer.status_code, answer.content)

    def _late(self) -> MonitoringFailure:
        return MonitoringFailure(f"the ping failed: no answer within {self._timeout:g} s", lasting=False)


class _Sending:
    """A ping under way; `failure` counts once it is `over`."""

    __slots__ = ("failure", "over")

    def __init__(self) -> None:
        self.over = threading.Event()
        self.failure: MonitoringFailure | None = None


class _unlogged(logging.Filter):  # noqa: N801 - read as a verb
    """While it is entered, httpx logs nothing of what this thread sends: a line would have the address."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread

    def __enter__(self) -> None:
        logging.getLogger("httpx").addFilter(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("httpx").removeFilter(self)


def _understood(status: int, said: bytes) -> MonitoringFailure | None:
    kind = status // 100
    if kind == _DONE:
        # healthchecks.io answers so also for a check that it does not have.
        if _NOT_FOUND not in said[:100]:
            return None
        return MonitoringFailure("the ping was in vain: there is no such check; see [ping] url", lasting=True)
    lasting = kind != _BROKEN and status not in _BUSY
    cure = ": see that [ping] url is the check's address" if lasting else ""
    return MonitoringFailure(f"the ping was answered {status}{cure}", lasting=lasting)


def clipped(text: str) -> bytes:
    """Give a text as UTF-8, cut between two lines to what is kept; says that something is missing."""
    whole = text.encode("utf-8", "backslashreplace")
    if len(whole) < LONGEST:
        return whole
    rest = "\n…".encode()
    return whole[: LONGEST - len(rest) - 1].decode("utf-8", "ignore").rpartition("\n")[0].encode() + rest
