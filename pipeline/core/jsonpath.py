"""Paths into JSON values: `a.b`, `providers.*.latency`, `permission[].id`.

A `Path` names places in any value; a leaf, as `leaves` writes it, names one place in one value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from pipeline.core.caches import cache_short
from pipeline.core.limits import MAX_NAME

_STEP = re.compile(r'"(?:[^"\\]|\\.)*"|[^.]+')
_MAY_BE_INDEX = re.compile(r"(?:^|\.)\d+(?:\.|$)")
_NEEDS_QUOTES = re.compile(r"[.\"*\[\]]")

Path = tuple[str, ...]
"""Steps into a value; `*` stands for every key of an object and every element of an array."""


@cache
def parse(text: str) -> Path:
    """Parse a path; `[]` after a name, or at the beginning, means each element, the same as `.*`.

    Raises:
        ValueError: the path is empty or has an empty step.
    """
    text_of_stars = text.replace("[]", ".*")
    path = tuple(text_of_stars.removeprefix("." if text.startswith("[].") else "").split("."))
    if not all(path):
        raise ValueError(f"{text!r} is no path: write names joined by dots, such as 'pricing.input'")
    return path


def find(value: Any, path: Path) -> Any:
    """Return the value at a path without `*`; None where there is none."""
    for step in path:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def put(value: Any, path: Path, new: Any) -> Any:
    """Return a copy of an object with a value at a path without `*`; what is on the way becomes an object."""
    if not path:
        return new
    inside = value if isinstance(value, dict) else {}
    return {**inside, path[0]: put(inside.get(path[0]), path[1:], new)}


def remove(value: Any, paths: Iterable[Path]) -> Any:
    """Return a copy of a value without everything at these paths."""
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
    """Yield every leaf with its path; objects are descended into, and arrays that hold objects."""
    match value:
        case dict() if value:
            items: Iterable[tuple[str, Any]] = value.items()
        case list() if _holds_objects(value):
            items = ((str(index), item) for index, item in enumerate(value))
        case _:
            yield prefix, value
            return
    for key, item in items:
        step = key if isinstance(value, list) else _quoted(key)
        path = f"{prefix}.{step}" if prefix else step
        if isinstance(item, dict | list):
            yield from leaves(item, path)
        else:
            yield path, item


def has_leaf(value: Any, path: Sequence[str]) -> bool:
    """Return whether a value has a leaf at these steps, which `generalise` and `split` returned."""
    if not path:
        return not ((isinstance(value, dict) and value) or _holds_objects(value))
    rest = path[1:]
    match value:
        case dict():
            key = name_of(path[0])
            return key in value and has_leaf(value[key], rest)
        case list() if path[0] == "*" and _holds_objects(value):
            return any(has_leaf(item, rest) for item in value)
        case _:
            return False


def name_of(step: str) -> str:
    """Return the name that a step stands for."""
    return json.loads(step) if step.startswith('"') else step


def _quoted(key: str) -> str:
    """Return a name as one step; in quotes if it would be parsed as an index or as several steps."""
    return (
        json.dumps(key, ensure_ascii=False)
        if not key or key.isdecimal() or _NEEDS_QUOTES.search(key)
        else key
    )


def transform(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """Return a copy of a value with `change` applied to everything at a path."""
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
    """Return whether a leaf is at a path or below it."""
    steps = split(leaf)
    return len(steps) >= len(path) and all(
        want in ("*", have) for want, have in zip(path, steps, strict=False)
    )


def generalise(leaf: str) -> str:
    """Return a leaf's path with `*` for its indexes in arrays."""
    if not _MAY_BE_INDEX.search(leaf):
        return leaf
    return ".".join("*" if step.isdecimal() else step for step in split(leaf))


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def last_key(leaf: str) -> str:
    """Return the last key in a leaf's path as JSON writes it; indexes in arrays are not keys."""
    name = next((step for step in reversed(split(leaf)) if not (step.isdecimal() or step == "*")), "")
    return name if name.startswith('"') else json.dumps(name, ensure_ascii=False)


@cache_short(4096, MAX_NAME)
def split(leaf: str) -> list[str]:
    """Return the steps of a leaf's path; a name that is quoted stays so."""
    return _STEP.findall(leaf)


def graft(value: Any, other: Any, path: Path) -> Any:
    """Return a copy of a value with everything at a path replaced by that of another value, if it has it."""
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
