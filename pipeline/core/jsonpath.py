"""Paths into JSON values: `a.b`, `providers.*.latency`, `permission[].id`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

_STEP = re.compile(r'"(?:[^"\\]|\\.)*"|[^.]+')


_NO_STEP = re.compile(r"[.\"*\[\]]")


Path = tuple[str, ...]
"""Steps into a value; `*` stands for every key of an object and every element of an array."""


@cache
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


def remove(value: Any, paths: Iterable[Path]) -> Any:
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
        case list() if _holds_objects(value):
            items = ((str(index), item) for index, item in enumerate(value))
        case _:
            yield prefix, value
            return
    for key, item in items:
        step = key if isinstance(value, list) else _spelled(key)
        yield from leaves(item, f"{prefix}.{step}" if prefix else step)


def _spelled(key: str) -> str:
    """Write a name so that it is one step, and no place in an array: in quotes where it must be."""
    return json.dumps(key, ensure_ascii=False) if not key or key.isdecimal() or _NO_STEP.search(key) else key


def transform(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """Give a value with what stands at a path put through `change`; the value itself is not touched."""
    if not path:
        return change(value)
    step, rest = path[0], path[1:]
    match value:
        case dict() if step == "*":
            return {key: transform(item, rest, change) for key, item in value.items()}
        case dict() if step in value:
            return {**value, step: transform(value[step], rest, change)}
        case list() if step == "*":
            return [transform(item, rest, change) for item in value]
        case _:
            return value


def covers(path: Path, leaf: str) -> bool:
    """Say whether a leaf, as `leaves` names it, stands at a path or below it."""
    steps = _steps(leaf)
    return len(steps) >= len(path) and all(
        want in ("*", have) for want, have in zip(path, steps, strict=False)
    )


def generalise(leaf: str) -> str:
    """Give a leaf's path with `*` for the places in arrays."""
    return ".".join("*" if step.isdecimal() else step for step in _steps(leaf))


def has_leaf(value: Any, leaf: str) -> bool:
    """Say whether a value has a leaf of that path, at whatever places in arrays."""
    return _stands(value, _steps(leaf))


def _stands(value: Any, steps: Sequence[str]) -> bool:
    if not steps:
        return not (isinstance(value, dict) and value) and not _holds_objects(value)
    step, rest = steps[0], steps[1:]
    if step == "*" or step.isdecimal():
        return _holds_objects(value) and any(_stands(item, rest) for item in value)
    name = json.loads(step) if step.startswith('"') else step
    return isinstance(value, dict) and name in value and _stands(value[name], rest)


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def last_key(leaf: str) -> str:
    """Give the last name in a leaf's path as JSON writes it; places in arrays are no names."""
    name = next((step for step in reversed(_steps(leaf)) if not step.isdecimal()), "")
    return name if name.startswith('"') else json.dumps(name, ensure_ascii=False)


@lru_cache(4096)
def _steps(leaf: str) -> list[str]:
    return _STEP.findall(leaf)


def graft(value: Any, other: Any, path: Path) -> Any:
    """Give a value with what stands at a path taken from another value, where that has it."""
    step, rest = path[0], path[1:]
    match value, other:
        case (dict(), dict()) | (list(), list()) if step == "*" and not rest:
            return other
        case dict(), dict() if step == "*":
            return {
                key: graft(item, other[key], rest) if rest and key in other else item
                for key, item in value.items()
            }
        case dict(), dict() if step in other:
            if not rest:
                return {**value, step: other[step]}
            return {**value, step: graft(value[step], other[step], rest)} if step in value else value
        case list(), list() if step == "*" and rest and len(value) == len(other):
            return [graft(item, its, rest) for item, its in zip(value, other, strict=True)]
        case _:
            return value
