"""Everything that can go wrong with an answer, and to whose answers it happens."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pipeline.simulator.answers import (
    Answer,
    Cut,
    Send,
    Step,
    Wait,
    chunk,
    complains,
    declines,
    moved,
    page,
    says,
    sent,
)
from pipeline.simulator.arguments import call

# What a fault makes of the right answer. The answer is made only when it is needed, so that a model
# that comes and goes does not count an answer that nobody got.
Sending = Callable[[Callable[[], Answer]], Iterator[Step]]


_MEGABYTE = 1 << 20


_FINAL = range(200, 600)


_MOST_BYTES = 1 << 30


_TEXT = "text/plain; charset=utf-8"


def _instead(answer: Answer) -> Sending:
    return lambda _right: sent(answer)


def _latency(*, seconds: float = 1.0) -> Sending:
    def steps(right: Callable[[], Answer]) -> Iterator[Step]:
        yield Wait(seconds)
        yield from sent(right())

    return steps


def _reset() -> Sending:
    return lambda _right: iter((Cut(reset=True),))


def _closed() -> Sending:
    return lambda _right: iter((Cut(),))


def _truncated() -> Sending:
    def steps(right: Callable[[], Answer]) -> Iterator[Step]:
        answer = right()
        yield Send(answer.head() + answer.body[: len(answer.body) // 2])
        yield Cut()

    return steps


def _short_chunked() -> Sending:
    def steps(right: Callable[[], Answer]) -> Iterator[Step]:
        answer = replace(right(), chunked=True)
        half = answer.body[: len(answer.body) // 2]
        # An empty chunk would be the proper end of the body.
        yield Send(answer.head() + (chunk(half) if half else b""))
        yield Cut()

    return steps


def _throttled(*, retry_after: float | str | None = None) -> Sending:
    return _instead(_told_to_wait(Answer(429), retry_after))


def _unavailable(*, retry_after: float | str | None = None) -> Sending:
    answer = Answer(503, b"Service Unavailable\n", _TEXT)
    return _instead(_told_to_wait(answer, retry_after))


def _broken(*, status: int = 500, text: bool = False) -> Sending:
    if text:
        return _instead(Answer(_final(status), b"Internal Server Error\n", _TEXT))
    _final(status)
    return lambda _right: sent(complains(status, "The database did not answer"))


def _refused() -> Sending:
    return lambda _right: sent(complains(401, "This key is no longer good"))


def _html(*, title: str = "Welcome") -> Sending:
    return _instead(page(title))


def _unsuccessful(*, message: str = "The group of this user could not be read") -> Sending:
    return _instead(declines(message))


def _error(*, message: str = "The upstream is overloaded") -> Sending:
    return lambda _right: sent(replace(complains(500, message), status=200))


def _data(value: Any) -> Sending:
    return _instead(says({"success": True, "object": "list", "data": value}))


def _missing() -> Sending:
    return _instead(says({"success": True, "object": "list"}))


def _garbage() -> Sending:
    return _instead(Answer(body=b'{"object":"list","data":[{"id":'))


def _huge(*, megabytes: int = 64, chunked: bool = False) -> Sending:
    body = b'{"success":true,"object":"list","data":[],"padding":"%b"}' % _filler(b"x", megabytes * _MEGABYTE)
    return _instead(Answer(body=body, chunked=chunked))


def _deep(*, levels: int = 100_000) -> Sending:
    nest = _filler(b"[", levels) + _filler(b"]", levels)
    return _instead(Answer(body=b'{"object":"list","data":%b}' % nest))


def _bomb(*, megabytes: int = 256) -> Sending:
    return _instead(Answer(body=_packed(megabytes), headers=(("Content-Encoding", "gzip"),)))


def _redirect(*, to: str, status: int = 302) -> Sending:
    return _instead(moved(to, status=_final(status)))


def _drip(*, seconds: float = 0.1, size: int = 64) -> Sending:
    if size < 1:
        raise ValueError("a piece has one byte at least: write a size above zero.")

    def steps(right: Callable[[], Answer]) -> Iterator[Step]:
        answer = right()
        yield Send(answer.head())
        for start in range(0, len(answer.body), size):
            yield Wait(seconds)
            yield Send(answer.body[start : start + size])

    return steps


def _status(*, code: int) -> Sending:
    if _final(code) in {204, 304}:
        return _instead(Answer(code))
    return lambda _right: sent(complains(code, f"Answered with the status {code}"))


FAULTS: dict[str, Callable[..., Sending]] = {
    "latency": _latency,
    "reset": _reset,
    "closed": _closed,
    "truncated": _truncated,
    "short-chunked": _short_chunked,
    "throttled": _throttled,
    "unavailable": _unavailable,
    "broken": _broken,
    "refused": _refused,
    "html": _html,
    "unsuccessful": _unsuccessful,
    "error": _error,
    "null": lambda: _data(None),
    "missing": _missing,
    "empty": lambda: _data([]),
    "shape": lambda: _data("no list"),
    "garbage": _garbage,
    "huge": _huge,
    "deep": _deep,
    "bomb": _bomb,
    "redirect": _redirect,
    "drip": _drip,
    "status": _status,
}


@dataclass(slots=True, kw_only=True)
class Fault:
    """A fault in waiting: `left` answers long, or until healed when None."""

    who: str | None = field(repr=False)
    at: str | None
    left: int | None
    sending: Sending = field(repr=False)

    def hits(self, who: str | None, place: str) -> bool:
        """Whether it is aimed at this caller and this path; None aims at all."""
        return self.who in {None, who} and self.at in {None, place}


class Faults:
    """The faults in waiting; safe to change while requests are answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(
        self,
        fault: str,
        *,
        who: str | None = None,
        times: int | None = None,
        at: str | None = None,
        options: dict[str, Any],
    ) -> None:
        """Put a fault behind the others of the same aim; one that would never end makes room for it.

        Raises:
            ValueError: an unknown fault, an option that it does not take, or `times` below one.
        """
        if times is not None and times < 1:
            raise ValueError(f"times is {times}: write how many answers the fault lasts, or leave it out.")
        new = Fault(who=who, at=at, left=times, sending=_made(fault, options))
        with self._lock:
            aim = (who, at)
            self._waiting = [old for old in self._waiting if (old.who, old.at) != aim or old.left is not None]
            self._waiting.append(new)

    def heal(self, who: str | None = None) -> None:
        """End the faults aimed at one caller, or all faults."""
        with self._lock:
            self._waiting = [old for old in self._waiting if who is not None and old.who != who]

    def take(self, who: str | None, place: str) -> Sending | None:
        """The fault that befalls this answer: the oldest of the most particular ones."""
        with self._lock:
            hits = [fault for fault in self._waiting if fault.hits(who, place)]
            if not hits:
                return None
            fault = min(hits, key=lambda one: (one.who is None, one.at is None))
            if fault.left is not None:
                fault.left -= 1
                if not fault.left:
                    self._waiting.remove(fault)
            return fault.sending


def _made(name: str, options: dict[str, Any]) -> Sending:
    maker = FAULTS.get(name)
    if maker is None:
        raise ValueError(f"There is no fault {name!r}: write one of {', '.join(FAULTS)}.")
    try:
        return call(maker, options)
    except ValueError as error:
        raise ValueError(f"The fault {name}: {error}") from error


def _final(status: int) -> int:
    if status not in _FINAL:
        raise ValueError(f"{status} ends no request: write a status from {_FINAL[0]} to {_FINAL[-1]}.")
    return status


def _told_to_wait(answer: Answer, retry_after: float | str | None) -> Answer:
    return answer if retry_after is None else answer.plus(("Retry-After", str(retry_after)))


def _filler(byte: bytes, count: int) -> bytes:
    if not 0 <= count <= _MOST_BYTES:
        raise ValueError(f"an answer of {count} bytes cannot be made: {_MOST_BYTES} is the most.")
    return byte * count


@lru_cache(maxsize=4)
def _packed(megabytes: int) -> bytes:
    """A small gzip of a large list: megabytes of spaces, which JSON allows, and then no models."""
    packer = zlib.compressobj(9, wbits=31)
    spaces = packer.compress(_filler(b" ", megabytes * _MEGABYTE))
    return b"".join((spaces, packer.compress(b'{"object":"list","data":[]}'), packer.flush()))
