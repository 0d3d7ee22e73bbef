"""The gateway: started and stopped, its users, lists and faults changed while it runs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Self

from pipeline.simulator.accounts import Accounts
from pipeline.simulator.control import EXAMPLES, PREFIX, handle_control
from pipeline.simulator.faults import Faults
from pipeline.simulator.groups import Groups
from pipeline.simulator.messages import (
    Action,
    Request,
    Response,
    accepts_gzip,
    etag,
    matches_etag,
    request_id,
    send_whole,
)
from pipeline.simulator.paging import STYLES, Paging
from pipeline.simulator.replay import Replay
from pipeline.simulator.routes import LIST, LOGIN, respond
from pipeline.simulator.server import Server

# Bounds the memory of a gateway that runs for weeks.
_KEPT_REQUESTS = 10_000


class Gateway:
    """A gateway of the One-API, New-API and AiHubMix family on a loopback port, for as long as `with` lasts.

    `user`, `key` and `group` add or replace; `signs_out` ends a user's sessions; `auto` sets the groups of
    the group `auto`. `runs` serves sign-in and price list as a release of New-API; `falls_back` gives the
    anonymous list for invalid keys. `offers`, `drops`, `flaps` and `alternates` change the lists; `shuffles`,
    `noisy` and `pages` change how they are written; `fails` and `heals` add and end faults. All may be called
    at any time, from any thread.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        control: bool = True,
        replay: Replay | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create a gateway; it listens from `start` on.

        Args:
            port: 0 takes a free one at the first start and keeps it.
            control: serve `/control/`, by which clients change the gateway.
            replay: recorded answers to serve in place of the lists.
            clock: seconds since the epoch.
        """
        self.accounts = Accounts()
        self.groups = Groups(clock)
        self.user, self.key, self.signs_out = self.accounts.user, self.accounts.key, self.accounts.signs_out
        self.runs, self.falls_back, self.auto = self.accounts.runs, self.accounts.falls_back, self.groups.auto
        self.group, self.offers, self.drops = self.groups.group, self.groups.offers, self.groups.drops
        self.flaps, self.alternates = self.groups.flaps, self.groups.alternates
        self.shuffles, self.noisy = self.groups.shuffles, self.groups.noisy
        self._faults = Faults()
        self._replay = replay
        self._clock = clock
        self._port = port
        self._has_control = control
        self._has_etags = False
        self._paging: Paging | None = None
        self._compresses = False
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque(maxlen=_KEPT_REQUESTS)
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end.

        Raises:
            RuntimeError: the port is not chosen before the first start.
        """
        if not self._port:
            raise RuntimeError("The gateway has no port yet: start it first.")
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """The last ten thousand requests, oldest first, without those to `/control` and `/replay`."""
        with self._lock:
            return list(self._requests)

    def start(self) -> None:
        """Serve in a thread, unless it already does.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            server = Server(self._port, self._respond)
            self._port = server.server_port
            server.start()
            self._server = server

    def stop(self) -> None:
        """Free the port and close every connection; a later start continues with the same state."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def wait(self) -> None:
        """Return when the gateway is stopped."""
        if self._server is not None:
            self._server.thread.join()

    def fails(
        self,
        /,
        fault: str,
        *,
        who: str | None = None,
        times: int | None = None,
        at: str | None = None,
        **options: Any,
    ) -> None:
        """Add a fault; faults with `times` apply one after the other.

        Args:
            fault: one of `FAULTS`.
            who: the caller whose requests fail: a key, a signed-in user or `anonymous`; None: everyone.
            times: number of requests; None: until `heals`.
            at: the only path that fails; None: every path.
            options: of the fault.

        Raises:
            ValueError: an unknown fault, option or `who`; the message lists the valid ones.
        """
        target = None if who is None else self.accounts.target(who)
        self._faults.add(fault, who=target, times=times, at=at, options=options)

    def heals(self, who: str | None = None) -> None:
        """End the faults of one caller; with None, all faults.

        Raises:
            ValueError: an unknown `who`.
        """
        self._faults.clear(None if who is None else self.accounts.target(who))

    def tags(self, *, on: bool = True) -> None:
        """Send an ETag with each list, and 304 to a request that names it."""
        self._has_etags = on

    def pages(self, style: str | None = "link", *, size: int = 2, deaf: bool = False) -> None:
        """Cut the list into pages; None ends it.

        Args:
            style: one of `STYLES`.
            size: records on a page.
            deaf: ignore the parameters of requests, so that every answer is the first page.

        Raises:
            ValueError: an unknown style, or a size below one.
        """
        if style is not None and style not in STYLES:
            raise ValueError(f"There is no style {style!r}: write one of {', '.join(STYLES)}.")
        if size < 1:
            raise ValueError(f"size is {size}: write how many records a page has.")
        self._paging = None if style is None else Paging(style, size, deaf)

    def compresses(self, encoding: str | None = "gzip") -> None:
        """Compress responses to clients that accept it; None ends it.

        Raises:
            ValueError: an encoding other than gzip.
        """
        if encoding not in {None, "gzip"}:
            raise ValueError(f"{encoding!r} is not supported: write gzip.")
        self._compresses = encoding is not None

    def _respond(self, request: Request) -> Iterator[Action]:
        if self._has_control and request.place.startswith(PREFIX):
            return send_whole(handle_control(self._verbs(), request))
        if self._replay is not None and request.place in {"/replay", "/replay/next"}:
            return send_whole(self._replay.position(request))
        with self._lock:
            self._requests.append(request)
        caller = self.accounts.caller(request.headers)
        # A login has no caller yet, so that only the faults of everyone apply.
        who = None if request.place == LOGIN else caller.who
        behaviour = self._faults.take(who, request.place) or (lambda correct: send_whole(correct()))
        return behaviour(lambda: self._with_headers(self._correct(request), request))

    def _correct(self, request: Request) -> Response:
        if self._replay is not None and (request.method, request.place) == ("GET", LIST):
            return self._replay.current()
        response = respond(self.groups, self.accounts, request)
        if self._paging and (request.method, request.place, response.status) == ("GET", LIST, HTTPStatus.OK):
            return self._paging.page(response, request)
        return response

    def _with_headers(self, response: Response, request: Request) -> Response:
        """Return the response with the common headers, and with an ETag and compressed if set so."""
        response = response.with_headers(
            ("Date", formatdate(self._clock(), usegmt=True)), ("X-Oneapi-Request-Id", request_id())
        )
        if not response.body or response.status != HTTPStatus.OK:
            return response
        if self._has_etags and request.method == "GET":
            tag = ("ETag", etag(response.body))
            if matches_etag(response, request):
                return Response(304, headers=response.headers).with_headers(tag)
            response = response.with_headers(tag)
        if self._compresses:
            response = response.with_headers(("Vary", "Accept-Encoding"))
            if accepts_gzip(request):
                return response.gzipped()
        return response

    def _verbs(self) -> dict[str, Callable[..., None]]:
        return {verb: getattr(self, verb) for verb in EXAMPLES}
