"""Compare several JSON values that should be one: where they differ, and whether only in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.core import canonical

ELEMENT = "[]"
"""The step into each element of an array."""


ANY = "*"
"""The step into each key of an object, or into one that no path of the config can name."""


Steps = tuple[str, ...]


_LONGEST_KEY = 60


_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Variation:
    """A place in which values differ; `texts` are the different values there, None where there is none."""

    at: Steps
    texts: tuple[str | None, ...]
    only_order: bool


def variations(values: Sequence[Any], at: Steps = ()) -> Iterator[Variation]:
    """Give the places in which values differ.

    Objects are compared key by key; arrays of objects each with its like, by a key that names them or else
    by their places; anything else as a whole.
    """
    if _are_equal(values):
        return
    if all(isinstance(value, dict) for value in values):
        for key in sorted({key for value in values for key in value}):
            yield from variations([value.get(key, _ABSENT) for value in values], (*at, _step(key)))
    elif all(isinstance(value, list) for value in values) and not _are_reordered(values):
        yield from _in_arrays(values, at)
    else:
        yield _variation(values, at, only_order=_are_reordered(values))


def _in_arrays(arrays: Sequence[list[Any]], at: Steps) -> Iterator[Variation]:
    name = _naming_key(arrays)
    if name is not None:
        if not _are_equal([[element[name] for element in array] for array in arrays]):
            yield _variation(arrays, at, only_order=True)
        arrays = [sorted(array, key=lambda element: canonical.encode(element[name])) for array in arrays]
    elif not _are_objects(arrays) or any(len(one) != len(other) for one, other in pairwise(arrays)):
        yield _variation(arrays, at, only_order=False)
        return
    for elements in zip(*arrays, strict=True):
        yield from variations(elements, (*at, ELEMENT))


def _naming_key(arrays: Sequence[list[Any]]) -> str | None:
    """Find a key that tells the elements of each array apart, and has the same values in all arrays."""
    if not _are_objects(arrays):
        return None
    common = set.intersection(*(set(element) for array in arrays for element in array))
    return next((key for key in sorted(common) if _is_name(key, arrays)), None)


def _is_name(key: str, arrays: Sequence[list[Any]]) -> bool:
    columns = [[element[key] for element in array] for array in arrays]
    if not all(isinstance(value, str) and value for column in columns for value in column):
        return False
    return all(len(set(column)) == len(column) and set(column) == set(columns[0]) for column in columns)


def _are_objects(arrays: Sequence[list[Any]]) -> bool:
    elements = [element for array in arrays for element in array]
    return bool(elements) and all(isinstance(element, dict) for element in elements)


def _variation(values: Sequence[Any], at: Steps, *, only_order: bool) -> Variation:
    texts = (None if value is _ABSENT else canonical.as_text(value) for value in values)
    return Variation(at, tuple(dict.fromkeys(texts)), only_order)


def _are_equal(values: Sequence[Any]) -> bool:
    return len({None if value is _ABSENT else canonical.encode(value) for value in values}) == 1


def _are_reordered(values: Sequence[Any]) -> bool:
    return len({_unordered(value) for value in values}) == 1


def _unordered(value: Any) -> tuple[str, ...]:
    match value:
        case list():
            return ("array", *sorted(map(canonical.encode, value)))
        case str():
            return ("text", *sorted(part.strip() for part in value.split(",")))
        case _:
            return ("absent",) if value is _ABSENT else ("other", canonical.encode(value))


def _step(key: str) -> str:
    """Give the step to a key; a key that would not read as one step can be reached by `*` alone."""
    plain = key and key.isprintable() and len(key) <= _LONGEST_KEY
    return key if plain and "." not in key and ELEMENT not in key else ANY


def generalise(places: Iterable[Steps]) -> dict[Steps, Steps]:
    """Give each place its general form: below an object, places that differ in one key alone are one.

    `providers.x.latency` and `providers.y.latency` are `providers.*.latency`; a first step and a last key
    stay as they are, for they are names of fields.
    """
    general = {place: place for place in places}
    for index in range(1, max(map(len, general), default=0)):
        alike: dict[Steps, set[Steps]] = defaultdict(set)
        for form in set(general.values()):
            if _is_between(form, index):
                alike[_with_any(form, index)].add(form)
        merged = {form: wide for wide, forms in alike.items() if len(forms) > 1 for form in forms}
        general = {place: merged.get(form, form) for place, form in general.items()}
    return general


def _is_between(steps: Steps, index: int) -> bool:
    return steps[index : index + 1] not in ((), (ELEMENT,)) and any(
        step != ELEMENT for step in steps[index + 1 :]
    )


def _with_any(steps: Steps, index: int) -> Steps:
    return (*steps[:index], ANY, *steps[index + 1 :])


def format_path(steps: Steps) -> str:
    """Write a place as the config does: `permission[].id`, `providers.*.latency`."""
    return ".".join(steps).replace(f".{ELEMENT}", ELEMENT)
