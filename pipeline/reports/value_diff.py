"""The difference between two long values: the leaves of JSON, also in a string, or the position in a text."""

from __future__ import annotations

from typing import Any

from pipeline.core.canonical import as_text, decode, from_text, is_deep
from pipeline.core.jsonpath import leaves
from pipeline.core.text import printable
from pipeline.core.types import FieldChange

_CONTEXT = 3
"""The difference begins after one part in so many of a clipped text."""


def differing_leaves(field: FieldChange) -> tuple[FieldChange, ...]:
    """Return the leaves in which two objects differ, by their paths within them.

    A string that contains JSON counts as its content. The result is empty if a side is neither an object nor
    an array of objects, or if only the formatting differs.
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
    value = None if side is None else _parse_string(from_text(side))
    found = dict(leaves(value)) if isinstance(value, dict | list) else {}
    return {} if "" in found else {path: as_text(leaf) for path, leaf in found.items()}


def _parse_string(value: Any) -> Any:
    """Return the value of a string that contains JSON; anything else as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[") or is_deep(value):
        return value
    try:
        return decode(value.encode())
    except ValueError:
        return value


def clip_to_difference(before: str, after: str, *, longest: int) -> tuple[str, str]:
    """Return two printable texts, clipped so that the difference between them stays visible."""
    old, new = (printable(text, longest=len(text) * 8) for text in (before, after))
    if old[: longest - 1] == new[: longest - 1]:
        pairs = enumerate(zip(old, new, strict=False))
        first = next((at for at, pair in pairs if len(set(pair)) > 1), min(len(old), len(new)))
        begin = first - longest // _CONTEXT
        old, new = f"…{old[begin:]}", f"…{new[begin:]}"
    return printable(old, longest=longest), printable(new, longest=longest)
