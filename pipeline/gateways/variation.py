"""Places where JSON values that should be equal differ, and whether only their order differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from pipeline.core import canonical

ELEMENT = "[]"
"""The step into each element of an array."""

ANY = "*"
"""The step into each key of an object, or into a key that no path of the config can name."""

Steps = tuple[str, ...]

_MAX_KEY = 60
_ABSENT = object()


class Variation(Struct, frozen=True):
    """A place where values differ, and its different values as text; None where the place is absent."""

    at: Steps
    texts: tuple[str | None, ...]
    only_order: bool


def variations(values: Sequence[Any], at: Steps = ()) -> Iterator[Variation]:
    """Yield the places where values differ.

    Objects are compared key by key; arrays of objects element by element, paired by an identifying key or
    else by position; anything else as a whole.
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
    key = _identifying_key(arrays)
    if key is not None:
        if not _are_equal([[element[key] for element in array] for array in arrays]):
            yield _variation(arrays, at, only_order=True)
        arrays = [sorted(array, key=lambda element: canonical.encode(element[key])) for array in arrays]
    elif not _are_objects(arrays) or any(len(one) != len(other) for one, other in pairwise(arrays)):
        yield _variation(arrays, at, only_order=False)
        return
    for elements in zip(*arrays, strict=True):
        yield from variations(elements, (*at, ELEMENT))


def _identifying_key(arrays: Sequence[list[Any]]) -> str | None:
    """Return a key that is unique within each array, and has the same values in all arrays."""
    if not _are_objects(arrays):
        return None
    common = set.intersection(*(set(element) for array in arrays for element in array))
    return next((key for key in sorted(common) if _is_identifying(key, arrays)), None)


def _is_identifying(key: str, arrays: Sequence[list[Any]]) -> bool:
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
    """Return the step to a key; `*` for a key that no path of the config can spell as one step."""
    plain = key and key.isprintable() and len(key) <= _MAX_KEY
    return key if plain and "." not in key and ELEMENT not in key else ANY


def generalise(places: Iterable[Steps]) -> dict[Steps, Steps]:
    """Return the general form of each place: places that differ only in one inner key become one.

    `providers.x.latency` and `providers.y.latency` become `providers.*.latency`. The first step and the last
    key are names of fields and stay.
    """
    general = {place: place for place in places}
    for index in range(1, max(map(len, general), default=0)):
        alike: dict[Steps, set[Steps]] = defaultdict(set)
        for form in set(general.values()):
            if _is_inner_key(form, index):
                alike[_with_any(form, index)].add(form)
        merged = {form: wider for wider, forms in alike.items() if len(forms) > 1 for form in forms}
        general = {place: merged.get(form, form) for place, form in general.items()}
    return general


def _is_inner_key(steps: Steps, index: int) -> bool:
    return steps[index : index + 1] not in ((), (ELEMENT,)) and any(
        step != ELEMENT for step in steps[index + 1 :]
    )


def _with_any(steps: Steps, index: int) -> Steps:
    return (*steps[:index], ANY, *steps[index + 1 :])


def format_path(steps: Steps) -> str:
    """Return a place as the config writes it: `permission[].id`, `providers.*.latency`."""
    return ".".join(steps).replace(f".{ELEMENT}", ELEMENT)
