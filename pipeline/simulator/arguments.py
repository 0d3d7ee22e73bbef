"""Calling a function with JSON values, which are checked against its annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_Result = TypeVar("_Result")

_TYPE_NAMES: dict[Any, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    dict: "an object",
    dict[str, Any]: "an object",
    Iterable[str]: "a list of strings",
}


def call(function: Callable[..., _Result], values: Mapping[str, Any]) -> _Result:
    """Call a function; `*models` is a string or list named `models`, `**fields` an object named `fields`.

    Raises:
        ValueError: a missing argument, an unknown one or one of the wrong type; the message has no values.
    """
    parameters, types = inspect.signature(function).parameters, get_type_hints(function)
    for name in values:
        if name not in parameters:
            raise ValueError(f"There is no argument {name!r}: write {', '.join(parameters) or 'nothing'}.")
    given = _merged(values, parameters)
    positional: list[Any] = []
    for name, parameter in parameters.items():
        match parameter.kind:
            case parameter.VAR_POSITIONAL:
                positional = _listed(name, given.pop(name, None))
            case parameter.VAR_KEYWORD:
                pass
            case _ if name in given:
                _check(name, given[name], types[name])
            case _ if parameter.default is parameter.empty:
                raise ValueError(f"{name} is missing: write {_describe(types[name])}.")
    return function(*positional, **given)


def _merged(values: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Return the values, with those of the `**fields` object among the others."""
    given = dict(values)
    for name in [
        one.name for one in parameters.values() if one.kind is one.VAR_KEYWORD and one.name in values
    ]:
        more = given.pop(name)
        _check(name, more, dict | None)
        if twice := sorted(given.keys() & (more or {})):
            raise ValueError(f"{', '.join(twice)} is given both inside and outside {name}: write it once.")
        given |= more or {}
    return given


def _listed(name: str, value: Any) -> list[str]:
    _check(name, value, str | Iterable[str] | None)
    return [value] if isinstance(value, str) else list(value or ())


def _check(name: str, value: Any, wanted: Any) -> None:
    if not _fits(value, wanted):
        raise ValueError(f"{name} must be {_describe(wanted)}.")


def _fits(value: Any, wanted: Any) -> bool:
    if get_origin(wanted) is UnionType:
        return any(_fits(value, one) for one in get_args(wanted))
    if wanted == Iterable[str]:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if wanted == dict[str, Any]:
        return isinstance(value, dict)
    # Exact types, since Python's bool is a subclass of int.
    return type(value) in ((int, float) if wanted is float else (wanted,))


def _describe(wanted: Any) -> str:
    types = get_args(wanted) if get_origin(wanted) is UnionType else (wanted,)
    return " or ".join(_TYPE_NAMES[each] for each in types)
