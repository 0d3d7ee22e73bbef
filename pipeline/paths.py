"""Paths into JSON values: `a.b`, `providers.*.latency`, `permission[].id`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Path = tuple[str, ...]
"""Steps into a value; `*` stands for every key of an object and every element of an array."""


def parse(text: str) -> Path:
    """Read a path; `[]` after a name means each element, the same as `.*`.

    Raises:
        ValueError: the path is empty or has an empty step.
    """
    path = tuple(text.replace("[]", ".*").split("."))
    if not all(path):
        raise ValueError(f"{text!r} is no path: write names joined by dots, such as 'pricing.input'")
    return path


def find(value: Any, path: Path) -> Any:
    """Give what stands at a path without `*`; None when nothing does."""
    for step in path:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def without(value: Any, paths: Iterable[Path]) -> Any:
    """Give a value with everything at these paths left out; the value itself is not touched."""
    for path in paths:
        value = _drop(value, path)
    return value


def _drop(value: Any, path: Path) -> Any:
    step, rest = path[0], path[1:]
    match value:
        case dict() if step == "*":
            return {key: _drop(item, rest) for key, item in value.items()} if rest else {}
        case dict() if step in value:
            if rest:
                return {**value, step: _drop(value[step], rest)}
            return {key: item for key, item in value.items() if key != step}
        case list() if step == "*":
            return [_drop(item, rest) for item in value] if rest else []
        case _:
            return value


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give every leaf with its path; objects are walked into, and arrays that hold objects."""
    match value:
        case dict() if value:
            items: Iterable[tuple[str, Any]] = value.items()
        case list() if any(isinstance(item, dict) for item in value):
            items = ((str(index), item) for index, item in enumerate(value))
        case _:
            yield prefix, value
            return
    for key, item in items:
        yield from leaves(item, f"{prefix}.{key}" if prefix else key)
