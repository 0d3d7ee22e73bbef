"""A cache of functions of names, whose entries stay small whatever a gateway sends."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sized
from functools import lru_cache, wraps
from typing import Protocol, TypeVar


class _Text(Hashable, Sized, Protocol):
    """A text or a tuple."""


Key = TypeVar("Key", bound=_Text)
Value = TypeVar("Value")


def cache_short(entries: int, longest: int) -> Callable[[Callable[[Key], Value]], Callable[[Key], Value]]:
    """Return a decorator like `lru_cache` for a function of one argument, a text or a tuple.

    Args:
        entries: the results that are kept.
        longest: the length of an argument above which its result is computed each time.
    """

    def decorate(function: Callable[[Key], Value]) -> Callable[[Key], Value]:
        kept = lru_cache(entries)(function)

        @wraps(function)
        def call(key: Key) -> Value:
            return kept(key) if len(key) <= longest else function(key)

        return call

    return decorate
