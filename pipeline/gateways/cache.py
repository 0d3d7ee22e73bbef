"""Bounded cache keyed by exact response bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

_MAX_BYTES = 16 * 1024 * 1024
_MAX_PER_LENGTH = 8

T = TypeVar("T")


class BodyCache(Generic[T]):
    """A cache of the last few megabytes of bodies, by their length: comparing is cheaper than hashing."""

    def __init__(self) -> None:
        self._by_length: OrderedDict[int, list[tuple[bytes, T, int]]] = OrderedDict()
        self._size = 0

    def get(self, body: bytes) -> T | None:
        """Return the value kept for a body, or None."""
        candidates = self._by_length.get(len(body), ())
        return next((value for other, value, _ in candidates if other == body), None)

    def bodies(self, least: int) -> Iterator[bytes]:
        """Yield what is kept of at least so many bytes."""
        for length, kept in self._by_length.items():
            if length >= least:
                yield from (body for body, _, _ in kept)

    def clear(self) -> None:
        """Drop all that is kept."""
        self._by_length.clear()
        self._size = 0

    def put(self, body: bytes, value: T, size: int = 0) -> None:
        """Keep a value for a body, and evict the oldest ones above the limit.

        Args:
            body: the body.
            value: the value.
            size: the bytes that the value takes beside the body.
        """
        same_length = self._by_length.setdefault(len(body), [])
        same_length.append((body, value, len(body) + size))
        self._size += len(body) + size
        if len(same_length) > _MAX_PER_LENGTH:
            self._size -= same_length.pop(0)[2]
        while self._size > _MAX_BYTES:
            _, evicted = self._by_length.popitem(last=False)
            self._size -= sum(size for _, _, size in evicted)
