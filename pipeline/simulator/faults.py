"""Faults: wrong responses and broken connections, and the requests that they apply to."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pipeline.simulator.arguments import call
from pipeline.simulator.messages import (
    Action,
    Close,
    Response,
    Send,
    Wait,
    api_error,
    chunk,
    html_page,
    json_response,
    redirect,
    send_whole,
    v1_error,
)

Behaviour = Callable[[Callable[[], Response]], Iterator[Action]]
"""A function from the correct response to the actions of the fault.

The response is made by a function, since a response that is not sent must not advance a flapping model.
"""

_MEGABYTE = 1 << 20
_FINAL = range(200, 600)
_MOST_BYTES = 1 << 30
_TEXT = "text/plain; charset=utf-8"


def _respond(response: Response) -> Behaviour:
    return lambda _correct: send_whole(response)


def _latency(*, seconds: float = 1.0) -> Behaviour:
    def actions(correct: Callable[[], Response]) -> Iterator[Action]:
        yield Wait(seconds)
        yield from send_whole(correct())

    return actions


def _reset() -> Behaviour:
    return lambda _correct: iter((Close(reset=True),))


def _closed() -> Behaviour:
    return lambda _correct: iter((Close(),))


def _truncated() -> Behaviour:
    def actions(correct: Callable[[], Response]) -> Iterator[Action]:
        response = correct()
        yield Send(response.head() + response.body[: len(response.body) // 2])
        yield Close()

    return actions


def _short_chunked() -> Behaviour:
    def actions(correct: Callable[[], Response]) -> Iterator[Action]:
        response = replace(correct(), chunked=True)
        half = response.body[: len(response.body) // 2]
        # An empty chunk would end the body.
        yield Send(response.head() + (chunk(half) if half else b""))
        yield Close()

    return actions


def _throttled(*, retry_after: float | str | None = None) -> Behaviour:
    return _respond(_with_retry_after(Response(429), retry_after))


def _unavailable(*, retry_after: float | str | None = None) -> Behaviour:
    response = Response(503, b"Service Unavailable\n", _TEXT)
    return _respond(_with_retry_after(response, retry_after))


def _broken(*, status: int = 500, text: bool = False) -> Behaviour:
    if text:
        return _respond(Response(_final(status), b"Internal Server Error\n", _TEXT))
    _final(status)
    return lambda _correct: send_whole(v1_error(status, "The database did not respond"))


def _refused() -> Behaviour:
    return lambda _correct: send_whole(v1_error(401, "This key is no longer valid"))


def _html(*, title: str = "Welcome") -> Behaviour:
    return _respond(html_page(title))


def _unsuccessful(*, message: str = "The group of this user could not be read") -> Behaviour:
    return _respond(api_error(message))


def _error(*, message: str = "The upstream is overloaded") -> Behaviour:
    return lambda _correct: send_whole(replace(v1_error(500, message), status=200))


def _says(
    *, fields: dict[str, Any] | None = None, headers: dict[str, Any] | None = None, status: int = 200
) -> Behaviour:
    """Return the correct list with more members in its envelope, more headers, and another status."""
    final = _final(status)

    def actions(correct: Callable[[], Response]) -> Iterator[Action]:
        response = correct()
        value = {**json.loads(response.body), **(fields or {})}
        more = tuple((name, str(text)) for name, text in (headers or {}).items())
        yield from send_whole(json_response(value, status=final).with_headers(*more))

    return actions


def _data(value: Any) -> Behaviour:
    return _respond(json_response({"success": True, "object": "list", "data": value}))


def _missing() -> Behaviour:
    return _respond(json_response({"success": True, "object": "list"}))


def _garbage() -> Behaviour:
    return _respond(Response(body=b'{"object":"list","data":[{"id":'))


def _huge(*, megabytes: int = 64, chunked: bool = False) -> Behaviour:
    body = b'{"success":true,"object":"list","data":[],"padding":"%b"}' % _filler(b"x", megabytes * _MEGABYTE)
    return _respond(Response(body=body, chunked=chunked))


def _deep(*, levels: int = 100_000) -> Behaviour:
    nest = _filler(b"[", levels) + _filler(b"]", levels)
    return _respond(Response(body=b'{"object":"list","data":%b}' % nest))


def _bomb(*, megabytes: int = 256) -> Behaviour:
    return _respond(Response(body=_gzip_bomb(megabytes), headers=(("Content-Encoding", "gzip"),)))


def _redirect(*, to: str, status: int = 302) -> Behaviour:
    return _respond(redirect(to, status=_final(status)))


def _drip(*, seconds: float = 0.1, size: int = 64) -> Behaviour:
    if size < 1:
        raise ValueError("a piece has at least one byte: write a size above zero.")

    def actions(correct: Callable[[], Response]) -> Iterator[Action]:
        response = correct()
        yield Send(response.head())
        for start in range(0, len(response.body), size):
            yield Wait(seconds)
            yield Send(response.body[start : start + size])

    return actions


def _status(*, code: int) -> Behaviour:
    if _final(code) in {204, 304}:
        return _respond(Response(code))
    return lambda _correct: send_whole(v1_error(code, f"Responded with status {code}"))


FAULTS: dict[str, Callable[..., Behaviour]] = {
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
    "says": _says,
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
    """A fault and the requests that it applies to: `left` more, or None for no limit."""

    who: str | None = field(repr=False)
    at: str | None
    left: int | None
    behaviour: Behaviour = field(repr=False)

    def matches(self, who: str | None, place: str) -> bool:
        """Return whether it applies to a caller and path; None applies to all."""
        return self.who in {None, who} and self.at in {None, place}


class Faults:
    """The active faults; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(
        self,
        fault: str,
        *,
        who: str | None = None,
        times: int | None = None,
        at: str | None = None,
        options: dict[str, Any],
    ) -> None:
        """Add a fault; it replaces one without limit for the same caller and path, and follows the others.

        Raises:
            ValueError: an unknown fault, an unknown option, or `times` below one.
        """
        if times is not None and times < 1:
            raise ValueError(
                f"times is {times}: write how many requests the fault applies to, or leave it out."
            )
        new = Fault(who=who, at=at, left=times, behaviour=_behaviour(fault, options))
        with self._lock:
            target = (who, at)
            self._faults = [
                old for old in self._faults if (old.who, old.at) != target or old.left is not None
            ]
            self._faults.append(new)

    def clear(self, who: str | None = None) -> None:
        """Remove the faults of one caller, or all faults."""
        with self._lock:
            self._faults = [old for old in self._faults if who is not None and old.who != who]

    def take(self, who: str | None, place: str) -> Behaviour | None:
        """Return the behaviour for one request: that of the oldest of the most specific faults, or None."""
        with self._lock:
            matching = [fault for fault in self._faults if fault.matches(who, place)]
            if not matching:
                return None
            fault = min(matching, key=lambda one: (one.who is None, one.at is None))
            if fault.left is not None:
                fault.left -= 1
                if not fault.left:
                    self._faults.remove(fault)
            return fault.behaviour


def _behaviour(name: str, options: dict[str, Any]) -> Behaviour:
    fault = FAULTS.get(name)
    if fault is None:
        raise ValueError(f"There is no fault {name!r}: write one of {', '.join(FAULTS)}.")
    try:
        return call(fault, options)
    except ValueError as error:
        raise ValueError(f"The fault {name}: {error}") from error


def _final(status: int) -> int:
    if status not in _FINAL:
        raise ValueError(f"{status} is not a final status: write one from {_FINAL[0]} to {_FINAL[-1]}.")
    return status


def _with_retry_after(response: Response, retry_after: float | str | None) -> Response:
    return response if retry_after is None else response.with_headers(("Retry-After", str(retry_after)))


def _filler(byte: bytes, count: int) -> bytes:
    if not 0 <= count <= _MOST_BYTES:
        raise ValueError(
            f"a body of {count} bytes is not possible: the size must be 0 to {_MOST_BYTES} bytes."
        )
    return byte * count


@lru_cache(maxsize=4)
def _gzip_bomb(megabytes: int) -> bytes:
    """Return a gzip body of an empty list preceded by megabytes of spaces, which JSON allows."""
    packer = zlib.compressobj(9, wbits=31)
    spaces = packer.compress(_filler(b" ", megabytes * _MEGABYTE))
    return b"".join((spaces, packer.compress(b'{"object":"list","data":[]}'), packer.flush()))
