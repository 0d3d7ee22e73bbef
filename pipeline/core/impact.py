"""The impact of changes: whether a field change matters, whether it is for the worse, how severe a change is.

For the worse are a higher price, a lower limit and a lost capability.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from pipeline.core.canonical import as_text, from_text
from pipeline.core.categories import QUIET_CATEGORIES, SHAPE
from pipeline.core.prices import PriceChange, is_same_price
from pipeline.core.types import GROUP_FIELD, FieldChange, FlapStep, Kind, Severity
from pipeline.core.values import is_alike, is_same_date, parse_date, parse_length, parse_number

URGENT_CATEGORIES = frozenset({"price", "lifecycle"})
"""The field categories whose changes are urgent for a watched model."""


LOUD_SHAPES = frozenset({"price", "limits", "lifecycle"})
"""The field categories whose fields are never quiet, not even where nearly all records gain or lose them."""

_ORDER = ("price", "limits", "lifecycle", "capabilities", "other", SHAPE)
"""The field categories in the order in which people read them; all others follow."""


def by_importance(fields: Iterable[FieldChange], *, urgent: bool = False) -> list[FieldChange]:
    """Return fields in the order for people: what is for the worse, then prices and limits; texts last.

    Fields of an urgent change begin with those that make it urgent.
    """

    def order(field: FieldChange) -> tuple[bool, bool, int]:
        rank = _ORDER.index(field.category) if field.category in _ORDER else len(_ORDER)
        return not (urgent and is_pressing(field)), not is_reduction(field), rank

    return sorted(fields, key=order)


def severity(
    kind: Kind, prices: Sequence[PriceChange], fields: Sequence[FieldChange], *, urgent: bool
) -> Severity:
    """Return the severity of a change.

    Args:
        kind: of the event or net change.
        prices: the prices that differ, with those whose unit is unknown.
        fields: the other fields that differ; those of a shape for the kind `shape`.
        urgent: a watched model was removed or returned, or has another price or shutdown date.
    """
    if kind == Kind.SHAPE:
        loud = [field for field in fields if is_significant(field)]
        lost = any(field.before is not None and field.after is None for field in loud)
        worse = lost or any(field.flap_step == FlapStep.ANNOUNCED for field in loud)
        return Severity.BREAKING if worse else Severity.NOTABLE if loud else Severity.QUIET
    significant = [field for field in fields if is_significant(field)]
    prices = [price for price in prices if price.flap_step != FlapStep.REPEATED]
    if kind in (Kind.CHANGED, Kind.GROUP) and not (prices or significant):
        return Severity.QUIET
    is_removed = kind == Kind.REMOVED or is_group_gone(kind, significant)
    pressing = any(map(is_pressing, significant)) or any(price.before != price.after for price in prices)
    # The end of an alarm goes where the alarm went.
    is_back = kind == Kind.RETURNED or any(field.field == GROUP_FIELD for field in significant)
    if urgent and (is_removed or is_back or pressing):
        return Severity.URGENT
    increased = any(direction(price) > 0 or price.flap_step == FlapStep.ANNOUNCED for price in prices)
    worse = is_removed or increased or any(map(is_reduction, significant))
    return Severity.BREAKING if worse else Severity.NOTABLE


def is_group_gone(kind: Kind, fields: Iterable[FieldChange]) -> bool:
    """Return whether a change of this kind, with these fields, is that a group does not exist any more."""
    return kind == Kind.GROUP and any(each.field == GROUP_FIELD and each.after is None for each in fields)


def is_pressing(field: FieldChange) -> bool:
    """Return whether a field change is urgent for a watched model: of its price, or of its lifecycle."""
    return field.category in URGENT_CATEGORIES and field.before != field.after and is_significant(field)


def direction(price: PriceChange) -> int:
    """Return 1 for a price that rose, -1 for one that fell, and 0 where a side is missing."""
    if price.before is None or price.after is None or price.before == price.after:
        return 0
    return 1 if price.after > price.before else -1


def is_significant(field: FieldChange) -> bool:
    """Return whether a field change is not quiet, and not a limit or an end that is unset on both sides.

    A price, limit or date that is written in another way is none: `8192` and `"8192"`.

    A field of a shape is significant if it is a price, a limit or of the lifecycle. The repeated changes of a
    value that keeps changing are quiet, and that it has settled is significant.
    """
    if field.flap_step == FlapStep.REPEATED or not is_loud(field):
        return False
    if field.flap_step == FlapStep.SETTLED:
        return True
    category = field.shape_of if field.category == SHAPE else field.category
    before, after = field.before, field.after
    if before is not None and after is not None and is_same_value(before, after, category or ""):
        return False
    if category == "price":
        return _value(field.before) is not None or _value(field.after) is not None
    return category not in ("limits", "lifecycle") or _is_set(field.before) or _is_set(field.after)


def is_loud(field: FieldChange) -> bool:
    """Return whether the category of a field is not quiet; that of a shape counts by its meaning."""
    if field.category == SHAPE:
        return field.shape_of in LOUD_SHAPES
    return field.category not in QUIET_CATEGORIES


def is_same_value(before: str, after: str, category: str) -> bool:
    """Return whether two values of a field are equal: as amounts, as numbers of a limit, as dates of an end.

    Args:
        before: a value as text, as in a `FieldChange`.
        after: the other.
        category: the category of the field, by its meaning.
    """
    if category == "price":
        return is_same_price(before, after)
    if category == "limits":
        return before == after or is_alike(from_text(before), from_text(after), _is_same_limit)
    if category == "lifecycle":
        return before == after or is_alike(from_text(before), from_text(after), is_same_date)
    return before == after


def _is_same_limit(one: Any, other: Any) -> bool:
    numbers = [parse_number(value) for value in (one, other)]
    return numbers[0] is not None and numbers[0] == numbers[1]


def limits(field: FieldChange) -> tuple[int | None, int | None] | None:
    """Return a limit before and after, in its own unit; None for a side where it is unset.

    None for a field of another category, or with a side that is not a number.
    """
    if field.category != "limits":
        return None
    before, after = parse_length(_value(field.before)), parse_length(_value(field.after))
    unreadable = (before is None and _is_set(field.before)) or (after is None and _is_set(field.after))
    return None if unreadable else (before, after)


def shutdown_dates(field: FieldChange) -> tuple[str | None, str | None] | None:
    """Return a shutdown date before and after (ISO 8601); None for a side where it is unset.

    None for a field of another category, such as a stage, and for one without a date on either side.
    """
    if field.category != "lifecycle":
        return None
    before, after = (
        parse_date(_value(side)) if _is_set(side) else None for side in (field.before, field.after)
    )
    unreadable = (before is None and _is_set(field.before)) or (after is None and _is_set(field.after))
    return None if unreadable or before is after is None else (before, after)


def is_reduction(field: FieldChange) -> bool:
    """Return whether a limit is lower than before or lost, or a capability is lost.

    A value that keeps changing is as bad as the worse of the two.
    """
    if field.flap_step == FlapStep.ANNOUNCED:
        one = replace(field, flapping=None)
        return is_reduction(one) or is_reduction(replace(one, before=field.after, after=field.before))
    match field.category:
        case "limits":
            before, after = limits(field) or (None, None)
            return before is not None and (after is None or after < before)
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
    """Return whether a limit or an end is set: gateways write 0, -1, false, null or "" for none."""
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
