"""Where two long values differ: the leaves of JSON, be it in a text, or the place in a text."""

from __future__ import annotations

from typing import Any

from pipeline.core.canonical import as_text, decode, from_text, is_deep
from pipeline.core.jsonpath import leaves
from pipeline.core.text import printable
from pipeline.core.types import FieldChange

_BEFORE = 3
"""Such a part of what is shown of a text is what stands before the difference."""


def inside(field: FieldChange) -> tuple[FieldChange, ...]:
    """Give the leaves in which two objects differ, JSON in a text too, by their paths within it.

    Nothing where a side is no object and no array of objects, or where only their spelling differs.
    """
    old, new = (_leaves(side) for side in (field.before, field.after))
    if not (old and new):
        return ()
    return tuple(
        FieldChange(path, old.get(path), new.get(path), field.category)
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _leaves(side: str | None) -> dict[str, str]:
    value = None if side is None else _opened(from_text(side))
    found = dict(leaves(value)) if isinstance(value, dict | list) else {}
    return {} if "" in found else {path: as_text(leaf) for path, leaf in found.items()}


def _opened(value: Any) -> Any:
    """Read a text that is JSON."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[") or is_deep(value):
        return value
    try:
        return decode(value.encode())
    except ValueError:
        return value


def apart(before: str, after: str, *, longest: int) -> tuple[str, str]:
    """Give two texts, safe to print and clipped, so that what is shown of them differs where they do."""
    old, new = (printable(text, longest=len(text) * 8) for text in (before, after))
    if old[: longest - 1] == new[: longest - 1]:
        same = next((at for at, pair in enumerate(zip(old, new, strict=False)) if len(set(pair)) > 1), None)
        begin = (min(len(old), len(new)) if same is None else same) - longest // _BEFORE
        old, new = f"…{old[begin:]}", f"…{new[begin:]}"
    return printable(old, longest=longest), printable(new, longest=longest)
