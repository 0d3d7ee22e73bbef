"""The gateway as a test or a demo holds it: started, scripted, asked, stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Self

from pipeline.simulator.accounts import Accounts
from pipeline.simulator.answers import Answer, Asked, Step, is_fresh, request_id, sent, tag, takes_gzip
from pipeline.simulator.control import EXAMPLES, PREFIX, obeys
from pipeline.simulator.faults import Faults
from pipeline.simulator.replay import Replay
from pipeline.simulator.routes import LIST, LOGIN, answer
from pipeline.simulator.server import Server
from pipeline.simulator.world import World

# A gateway that runs for weeks must not grow with every request.
_REMEMBERED = 10_000


class Gateway:
    """A gateway of the One-API, New-API and AiHubMix family on a loopback port, for as long as `with` lasts.

    Its verbs say what it does from now on: `user`, `key` and `group` add or replace who may ask, `signs_out`
    ends a user's sessions; `offers`, `drops` and `flaps` change the lists; `shuffles` and `noisy` change how
    they are told. They may be called at any time, from any thread.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        control: bool = True,
        replay: Replay | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Port 0 is a free one, chosen at the first start and kept; `control` lets clients script, too."""
        self.accounts = Accounts()
        self.world = World(clock)
        self.user, self.key, self.signs_out = self.accounts.user, self.accounts.key, self.accounts.signs_out
        self.group, self.offers, self.drops = self.world.group, self.world.offers, self.world.drops
        self.flaps, self.shuffles, self.noisy = self.world.flaps, self.world.shuffles, self.world.noisy
        self._faults = Faults()
        self._replay = replay
        self._clock = clock
        self._port = port
        self._is_controlled = control
        self._tags = False
        self._compresses = False
        self._lock = threading.Lock()
        self._asked: deque[Asked] = deque(maxlen=_REMEMBERED)
        self._running: Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL without a slash at its end.

        Raises:
            RuntimeError: the port is not chosen before the first start.
        """
        if not self._port:
            raise RuntimeError("The gateway has no port yet: start it first.")
        return f"http://127.0.0.1:{self._port}"

    @property
    def asked(self) -> list[Asked]:
        """What clients asked, oldest first, without `/control` and `/replay`; the last ten thousand."""
        with self._lock:
            return list(self._asked)

    def start(self) -> None:
        """Serve in a thread; nothing happens when it serves already.

        Raises:
            OSError: the port is taken.
        """
        if self._running is None:
            server = Server(self._port, self._steps)
            self._port = server.server_port
            server.start()
            self._running = server

    def stop(self) -> None:
        """Free the port and end every connection; what was scripted stays for the next start."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def wait(self) -> None:
        """Return when the gateway is stopped; an interrupt passes through."""
        if self._running is not None:
            self._running.thread.join()

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
        """Let answers go wrong: those to `who` (a key, a signed-in user, `nobody`; None: everyone).

        For `times` answers, or until `heals`; only at the path `at`, if given. Faults with `times` queue up.

        Raises:
            ValueError: an unknown fault, option or `who`; the message names the known ones.
        """
        aim = None if who is None else self.accounts.who(who)
        self._faults.add(fault, who=aim, times=times, at=at, options=options)

    def heals(self, who: str | None = None) -> None:
        """End the faults aimed at one caller; with None, all faults.

        Raises:
            ValueError: an unknown `who`.
        """
        self._faults.heal(None if who is None else self.accounts.who(who))

    def tags(self, *, on: bool = True) -> None:
        """Offer an ETag with each right answer to GET, and say 304 to a client that has it."""
        self._tags = on

    def compresses(self, encoding: str | None = "gzip") -> None:
        """Compress answers to clients that accept it; None ends it.

        Raises:
            ValueError: an encoding other than gzip.
        """
        if encoding not in {None, "gzip"}:
            raise ValueError(f"{encoding!r} cannot be made here: write gzip.")
        self._compresses = encoding is not None

    def _steps(self, asked: Asked) -> Iterator[Step]:
        if self._is_controlled and asked.place.startswith(PREFIX):
            return sent(obeys(self._verbs(), asked))
        if self._replay is not None and asked.place in {"/replay", "/replay/next"}:
            return sent(self._replay.told(asked))
        with self._lock:
            self._asked.append(asked)
        caller = self.accounts.caller(asked.headers)
        # Whoever signs in is not yet anyone: only what befalls everyone befalls them.
        who = None if asked.place == LOGIN else caller.who
        sending = self._faults.take(who, asked.place) or (lambda right: sent(right()))
        return sending(lambda: self._dressed(self._right(asked), asked))

    def _right(self, asked: Asked) -> Answer:
        if self._replay is not None and (asked.method, asked.place) == ("GET", LIST):
            return self._replay.now()
        return answer(self.world, self.accounts, asked)

    def _dressed(self, answer: Answer, asked: Asked) -> Answer:
        """The answer with the headers that every answer has, and with what the client asked for."""
        answer = answer.plus(
            ("Date", formatdate(self._clock(), usegmt=True)), ("X-Oneapi-Request-Id", request_id())
        )
        if not answer.body or answer.status != HTTPStatus.OK:
            return answer
        if self._tags and asked.method == "GET":
            if is_fresh(answer, asked):
                return Answer(304, headers=answer.headers).plus(("ETag", tag(answer.body)))
            answer = answer.plus(("ETag", tag(answer.body)))
        if self._compresses:
            answer = answer.plus(("Vary", "Accept-Encoding"))
            if takes_gzip(asked):
                return answer.gzipped()
        return answer

    def _verbs(self) -> dict[str, Callable[..., None]]:
        return {verb: getattr(self, verb) for verb in EXAMPLES}
