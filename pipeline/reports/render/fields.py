"""Prices and fields before and after as text: units, percentages, lists, and differences in long values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from pipeline.core.canonical import from_text
from pipeline.core.impact import direction, limits
from pipeline.core.prices import UNIT_CALL, PriceChange
from pipeline.core.types import FieldChange
from pipeline.reports.render.locales import Locale, Piece, Text, untrusted
from pipeline.reports.value_diff import clip_to_difference, differing_leaves

_MAX_VALUE = 60
_MAX_ITEMS = 8
_MAX_LEAVES = 3

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)

_FIELD_NAMES = {
    "context_length": "context",
    "context_window": "context",
    "max_context_length": "context",
    "max_output": "max_output",
    "max_output_tokens": "max_output",
    "max_completion_tokens": "max_output",
}


def distinct(prices: Sequence[PriceChange]) -> list[PriceChange]:
    """Return prices without those that repeat another field of the same name; the shortest path stays."""
    found: dict[object, PriceChange] = {}
    for change in sorted(prices, key=lambda each: len(each.name)):
        name = change.name.rpartition(".")[2] if change.unit is None else change.name
        found.setdefault((name, change.before, change.after, change.unit), change)
    return [change for change in prices if change in found.values()]


def price(locale: Locale, change: PriceChange) -> Text:
    """Return a price change as `input $2.40 → $1.80 per 1M tokens (−25 %)`."""
    values = (change.before, change.after)
    sides = (None if value is None else _amount(locale, change, value) for value in values)
    text = _sides(locale, _price_name(locale, change), *sides, unit=_unit_key(change))
    tone = {1: "worse", -1: "better"}.get(direction(change), "")
    text = _with_percent(locale, text, change.percent, tone)
    if change.source not in ("estimate", "ratio"):
        return text
    return locale.text(f"source.{change.source}", what=text)


def price_now(locale: Locale, change: PriceChange) -> Text:
    """Return the price after a change; empty where there is none."""
    if change.after is None:
        return ()
    amount = locale.text(_unit_key(change), price=_amount(locale, change, change.after))
    return locale.text("value", name=_price_name(locale, change), value=amount)


def _unit_key(change: PriceChange) -> str:
    if change.unit is None:
        return "price.no_unit"
    return "price.per_call" if change.unit == UNIT_CALL else "price.per_1m"


def _price_name(locale: Locale, change: PriceChange) -> Text:
    if change.unit is None:
        return (untrusted(change.name),)
    return locale.text(f"price.{change.name.replace(' ', '_')}")


def _amount(locale: Locale, change: PriceChange, value: Decimal) -> Text:
    return (Piece(locale.number(value) if change.unit is None else locale.money(value)),)


def _sides(
    locale: Locale, name: Text, before: Text | None, after: Text | None, *, unit: str = "price.no_unit"
) -> Text:
    """Return the values before and after, or that one is new or was removed."""
    if after is None:
        return locale.text("value.removed", name=name, before=locale.text(unit, price=before or ()))
    now = locale.text(unit, price=after)
    if before is None:
        return locale.text("value.new", name=name, after=now)
    return locale.text("value.changed", name=name, before=before, after=now)


def _with_percent(locale: Locale, text: Text, percent: Decimal | None, tone: str) -> Text:
    if percent is None:
        return text
    return locale.text("with_percent", what=text, percent=Piece(locale.percent(percent), tone))


def field(locale: Locale, change: FieldChange) -> Text:
    """Return a field change as `context 1,000,000 → 256,000 (−74 %)` or `features −tools +audio`."""
    name = _field_name(locale, change)
    if limit := _limit(locale, name, change):
        return limit
    if items := _list_difference(change):
        return locale.text("value", name=name, value=items)
    if leaves := differing_leaves(change):
        named = locale.join(field(locale, each) for each in leaves[:_MAX_LEAVES])
        more = len(leaves) - _MAX_LEAVES
        what = locale.text("and_more", what=named, n=more) if more > 0 else named
        return locale.text("value.within", name=name, what=what)
    sides = [None if side is None else _side(locale, side) for side in (change.before, change.after)]
    if None not in sides and sides[0] == sides[1]:
        texts = _unquoted(change.before or ""), _unquoted(change.after or "")
        clipped = clip_to_difference(*texts, longest=_MAX_VALUE)
        sides = [(Piece(side, "value"),) for side in clipped]
    return _sides(locale, name, *sides)


def field_now(locale: Locale, change: FieldChange) -> Text:
    """Return the value of a field after a change; empty where the field is absent."""
    if change.after is None:
        return ()
    return locale.text("value", name=_field_name(locale, change), value=_side(locale, change.after))


def varying_fields(locale: Locale, fields: Sequence[FieldChange]) -> Text:
    """Return the names of fields whose values differ from model to model."""
    return locale.text("value.varying", fields=locale.join(_field_name(locale, each) for each in fields))


def _field_name(locale: Locale, change: FieldChange) -> Text:
    known = _FIELD_NAMES.get(change.field.rpartition(".")[2])
    return locale.text(f"field.{known}") if known else (untrusted(change.field),)


def _limit(locale: Locale, name: Text, change: FieldChange) -> Text:
    """Return the change of a limit, an unset side as absent; empty for any other field."""
    before, after = limits(change) or (None, None)
    if before == after:
        return ()
    sides = (None if side is None else _number(locale, side) for side in (before, after))
    text = _sides(locale, name, *sides)
    if before is None or after is None:
        return text
    percent = PriceChange("", Decimal(before), Decimal(after)).percent
    return _with_percent(locale, text, percent, "worse" if after < before else "better")


def _side(locale: Locale, text: str) -> Text:
    if _INTEGER.fullmatch(text):
        return _number(locale, int(text))
    items = _strings(text)
    if items and len(items) <= _MAX_ITEMS:
        return locale.join(untrusted(item, "value", longest=_MAX_VALUE) for item in items)
    return (untrusted(_unquoted(text), "value", longest=_MAX_VALUE),)


def _number(locale: Locale, value: int) -> Text:
    return (Piece(locale.number(value)),)


def _unquoted(text: str) -> str:
    """Return the value of a JSON string; any other JSON as it is."""
    value = from_text(text)
    return value if isinstance(value, str) else text


def _strings(text: str | None) -> list[str]:
    """Return the items of a list of strings; empty for any other value."""
    value = from_text(text) if text and text.startswith("[") else None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []


def _list_difference(change: FieldChange) -> Text:
    """Return the items that a list lost and gained; empty for no list, many items, or another order."""
    before, after = _strings(change.before), _strings(change.after)
    if not before or not after or len({*before} ^ {*after}) > _MAX_ITEMS:
        return ()
    items = [(item, "−", "worse") for item in before if item not in after]
    items += [(item, "+", "better") for item in after if item not in before]
    pieces: list[Piece] = []
    for item, sign, tone in items:
        space = (Piece(" "),) if pieces else ()
        pieces += (*space, Piece(sign, tone), untrusted(item, "value", longest=_MAX_VALUE))
    return tuple(pieces)
