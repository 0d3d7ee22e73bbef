"""Know bodies again: what was made of one is given for every other that is the same to the byte."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

_MOST_BYTES = 16 * 1024 * 1024


_MOST_OF_A_LENGTH = 8


T = TypeVar("T")


class BodyCache(Generic[T]):
    """Keeps the last few megabytes of bodies. To compare costs far less than to make a digest of each."""

    def __init__(self) -> None:
        self._of_length: OrderedDict[int, list[tuple[bytes, T]]] = OrderedDict()
        self._size = 0

    def get(self, body: bytes) -> T | None:
        """Give what was made of a body, None when it is not known."""
        found = self._of_length.get(len(body), ())
        return next((made for other, made in found if other == body), None)

    def put(self, body: bytes, made: T) -> None:
        """Keep what was made of a body; older ones are let go of when there are too many."""
        same_length = self._of_length.setdefault(len(body), [])
        same_length.append((body, made))
        self._size += len(body)
        if len(same_length) > _MOST_OF_A_LENGTH:
            self._size -= len(same_length.pop(0)[0])
        while self._size > _MOST_BYTES:
            length, dropped = self._of_length.popitem(last=False)
            self._size -= length * len(dropped)
