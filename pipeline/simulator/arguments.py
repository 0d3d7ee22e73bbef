"""Calling a function with values that came as JSON, checked against its annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_Result = TypeVar("_Result")


_IN_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    dict: "an object",
    Iterable[str]: "a list of texts",
}


def call(function: Callable[..., _Result], values: Mapping[str, Any]) -> _Result:
    """Call a function; its `*models` come as a text or a list named `models`, its `**fields` as an object.

    Raises:
        ValueError: a value that is missing, not taken or of another type; values are never repeated.
    """
    takes, kinds = inspect.signature(function).parameters, get_type_hints(function)
    for name in values:
        if name not in takes:
            raise ValueError(f"There is no {name!r} here: write {', '.join(takes) or 'nothing'}.")
    given = _opened(values, takes)
    positional: list[Any] = []
    for name, parameter in takes.items():
        match parameter.kind:
            case parameter.VAR_POSITIONAL:
                positional = _listed(name, given.pop(name, None))
            case parameter.VAR_KEYWORD:
                pass
            case _ if name in given:
                _check(name, given[name], kinds[name])
            case _ if parameter.default is parameter.empty:
                raise ValueError(f"{name} is missing: write {_spelled(kinds[name])}.")
    return function(*positional, **given)


def _opened(values: Mapping[str, Any], takes: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The values, with those of the `**fields` object beside the others."""
    given = dict(values)
    for name in [one.name for one in takes.values() if one.kind is one.VAR_KEYWORD and one.name in values]:
        more = given.pop(name)
        _check(name, more, dict | None)
        if twice := sorted(given.keys() & (more or {})):
            raise ValueError(f"{', '.join(twice)} stands in {name} and beside it: write it once.")
        given |= more or {}
    return given


def _listed(name: str, value: Any) -> list[str]:
    _check(name, value, str | Iterable[str] | None)
    return [value] if isinstance(value, str) else list(value or ())


def _check(name: str, value: Any, wanted: Any) -> None:
    if not _fits(value, wanted):
        raise ValueError(f"{name} should be {_spelled(wanted)}.")


def _fits(value: Any, wanted: Any) -> bool:
    if get_origin(wanted) is UnionType:
        return any(_fits(value, one) for one in get_args(wanted))
    if wanted == Iterable[str]:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    # Exact, because to Python true is an int and JSON's true is no number.
    return type(value) in ((int, float) if wanted is float else (wanted,))


def _spelled(wanted: Any) -> str:
    kinds = get_args(wanted) if get_origin(wanted) is UnionType else (wanted,)
    return " or ".join(_IN_WORDS[kind] for kind in kinds)
