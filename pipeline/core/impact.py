"""The impact of changes: whether a field change matters, and whether it is for the worse.

For the worse are a higher price, a lower limit and a lost capability.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pipeline.core.canonical import as_text, from_text
from pipeline.core.diff import QUIET, SHAPE
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange
from pipeline.core.values import parse_length

URGENT_CATEGORIES = frozenset({"price", "lifecycle"})
"""The field categories whose changes are urgent for a watched model."""


def direction(price: PriceChange) -> int:
    """Return 1 for a price that rose, -1 for one that fell, and 0 where a side is missing."""
    if price.before is None or price.after is None or price.before == price.after:
        return 0
    return 1 if price.after > price.before else -1


def is_significant(field: FieldChange) -> bool:
    """Return whether a field change is neither quiet nor shape, nor a limit that is unset on both sides."""
    if field.category in (QUIET, SHAPE):
        return False
    return field.category != "limits" or _is_set(field.before) or _is_set(field.after)


def limits(field: FieldChange) -> tuple[int | None, int | None] | None:
    """Return a limit before and after, in its own unit; None for a side where it is unset.

    None for a field of another category, or with a side that is not a number.
    """
    if field.category != "limits":
        return None
    before, after = parse_length(_value(field.before)), parse_length(_value(field.after))
    unreadable = (before is None and _is_set(field.before)) or (after is None and _is_set(field.after))
    return None if unreadable else (before, after)


def is_reduction(field: FieldChange) -> bool:
    """Return whether a limit is lower than before, or a capability is lost."""
    match field.category:
        case "limits":
            before, after = limits(field) or (None, None)
            return before is not None and after is not None and after < before
        case "capabilities":
            old, new = _value(field.before), _value(field.after)
            # A single word is a setting, such as `medium`: another word is not a loss.
            is_list = not isinstance(old, str) or "," in old
            return is_list and not _capabilities(old) <= _capabilities(new)
        case _:
            return False


def _value(side: str | None) -> Any:
    return None if side is None else from_text(side)


def _is_set(side: str | None) -> bool:
    """Return whether a limit is set: gateways write 0, -1, null or an empty text for none."""
    value = _value(side)
    return bool(value) and not (isinstance(value, int | Decimal) and value < 0)


def _capabilities(value: Any) -> set[str]:
    """Return the capabilities in a list, in a comma-separated text, or `yes` for true."""
    match value:
        case list() | dict():
            found = list(map(as_text, value))
        case str():
            found = [part.strip() for part in value.split(",")]
        case True:
            found = ["yes"]
        case _:
            found = []
    # Sentences are notes: a reworded note is not a lost capability.
    return {each for each in found if each and " " not in each}
