"""What matters of a change, and what is for the worse: a price raised, a limit cut, a capability gone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pipeline.core.canonical import as_text, from_text
from pipeline.core.diff import QUIET, SHAPE
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange
from pipeline.core.values import parse_length


def direction(price: PriceChange) -> int:
    """Say whether a price rose (1) or fell (-1); 0 where there is nothing to compare."""
    if price.before is None or price.after is None or price.before == price.after:
        return 0
    return 1 if price.after > price.before else -1


def is_significant(field: FieldChange) -> bool:
    """Say whether a field matters: no text, no shape, and no limit that said nothing before and after."""
    if field.category in (QUIET, SHAPE):
        return False
    return field.category != "limits" or _says(field.before) or _says(field.after)


def _says(side: str | None) -> bool:
    value = None if side is None else from_text(side)
    return bool(value) and not (isinstance(value, int | Decimal) and value < 0)


Lengths = tuple[int | None, int | None]
"""What a limit was and is, in tokens or whatever it counts; None where nothing is said, as 0 says nothing."""


def limit_sides(field: FieldChange) -> Lengths | None:
    """Read both sides of a limit; None where a side says something else, or the field is none."""
    before, after = (
        None if side is None else parse_length(from_text(side)) for side in (field.before, field.after)
    )
    other = (before is None and _says(field.before)) or (after is None and _says(field.after))
    return None if other or field.category != "limits" else (before, after)


def is_reduction(field: FieldChange) -> bool:
    """Say whether a limit is lower than it was, or a capability is gone."""
    match field.category:
        case "limits":
            was, now = limit_sides(field) or (None, None)
            return was is not None and now is not None and now < was
        case "capabilities":
            before, after = (
                None if side is None else from_text(side) for side in (field.before, field.after)
            )
            listed = not isinstance(before, str) or "," in before
            return listed and not _parts(before) <= _parts(after)
        case _:
            return False


def _parts(value: Any) -> set[str]:
    """Give what a field says that a model can do: the words of a list, of a list in a text, or yes."""
    match value:
        case list() | dict():
            parts = list(map(as_text, value))
        case str():
            parts = [part.strip() for part in value.split(",")]
        case True:
            parts = ["yes"]
        case _:
            parts = []
    # Sentences are notes: that one is worded anew takes nothing away.
    return {part for part in parts if part and " " not in part}
