"""What stood before and what stands after, in words: prices with unit and percentage, fields, lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from pipeline.canonical import from_text
from pipeline.diff import QUIET, SHAPE
from pipeline.pricing import PER_CALL, PriceChange
from pipeline.renderings.words import Piece, Text, Words, foreign
from pipeline.types import FieldChange

_VALUE = 60
_ITEMS = 8
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
    """Leave out prices of which another field of that name says just the same; the shortest path stays."""
    found: dict[object, PriceChange] = {}
    for change in sorted(prices, key=lambda each: len(each.name)):
        last = change.name.rpartition(".")[2] if change.per is None else change.name
        found.setdefault((last, change.before, change.after, change.per), change)
    return [change for change in prices if change in found.values()]


def loud(fields: Sequence[FieldChange]) -> list[FieldChange]:
    """Leave out names, descriptions and the like, where there is anything else."""
    found = [field for field in fields if field.category not in (QUIET, SHAPE)]
    return found or list(fields)


def way(before: Decimal | None, after: Decimal | None) -> int:
    """Say whether a price rose (1) or fell (-1); 0 where there is nothing to compare."""
    if before is None or after is None or before == after:
        return 0
    return 1 if after > before else -1


def is_cut(field: FieldChange) -> bool:
    """Say whether a limit is lower than it was."""
    if field.category != "limits" or not (_is_number(field.before) and _is_number(field.after)):
        return False
    return int(field.after or 0) < int(field.before or 0)


def price(words: Words, change: PriceChange) -> Text:
    """Write how a price moved: `input $2.40 → $1.80 per 1M tokens (−25 %)`."""
    sides = [None if side is None else _money(words, change, side) for side in (change.before, change.after)]
    moved = _moved(words, _price_name(words, change), *sides, unit=_unit(change))
    tone = {1: "worse", -1: "better"}.get(way(change.before, change.after), "")
    moved = _with_percent(words, moved, change.percent, tone)
    if change.source not in ("estimate", "ratio"):
        return moved
    return words.say(f"source.{change.source}", what=moved)


def price_now(words: Words, change: PriceChange) -> Text:
    """Write what a price is after all; nothing where there is none any more."""
    if change.after is None:
        return ()
    amount = words.say(_unit(change), price=_money(words, change, change.after))
    return words.say("price.now", name=_price_name(words, change), price=amount)


def _unit(change: PriceChange) -> str:
    if change.per is None:
        return "price.per_nothing"
    return "price.per_call" if change.per == PER_CALL else "price.per_1m"


def _price_name(words: Words, change: PriceChange) -> Text:
    if change.per is None:
        return (foreign(change.name),)
    return words.say(f"price.{change.name.replace(' ', '_')}")


def _money(words: Words, change: PriceChange, value: Decimal) -> Text:
    return (Piece(words.number(value) if change.per is None else words.money(value)),)


def _moved(
    words: Words, name: Text, before: Text | None, after: Text | None, *, unit: str = "price.per_nothing"
) -> Text:
    """Write what stands before and after; or that it is new, or is there no more."""
    if after is None:
        return words.say("vanished", name=name, before=words.say(unit, price=before or ()))
    now = words.say(unit, price=after)
    if before is None:
        return words.say("appeared", name=name, after=now)
    return words.say("moved", name=name, before=before, after=now)


def _with_percent(words: Words, moved: Text, percent: Decimal | None, tone: str) -> Text:
    if percent is None:
        return moved
    return words.say("with_percent", what=moved, percent=Piece(words.percent(percent), tone))


def field(words: Words, change: FieldChange) -> Text:
    """Write how a field moved: `context 1,000,000 → 256,000 (−74 %)`, `features −tools +audio`."""
    name = _field_name(words, change)
    if differing := _differing(change):
        return words.say("field.now", name=name, value=differing)
    sides = [None if side is None else _side(words, side) for side in (change.before, change.after)]
    moved = _moved(words, name, *sides)
    if change.category != "limits" or not (_is_number(change.before) and _is_number(change.after)):
        return moved
    before, after = Decimal(change.before or 0), Decimal(change.after or 0)
    percent = PriceChange("", before, after).percent
    return _with_percent(words, moved, percent, "worse" if after < before else "better")


def field_now(words: Words, change: FieldChange) -> Text:
    """Write what a field says after all; nothing where it is there no more."""
    if change.after is None:
        return ()
    return words.say("field.now", name=_field_name(words, change), value=_side(words, change.after))


def _is_number(text: str | None) -> bool:
    return text is not None and bool(_INTEGER.fullmatch(text))


def _field_name(words: Words, change: FieldChange) -> Text:
    known = _FIELD_NAMES.get(change.field.rpartition(".")[2])
    return words.say(f"field.{known}") if known else (foreign(change.field),)


def _side(words: Words, text: str) -> Text:
    if _is_number(text):
        return (Piece(words.number(int(text))),)
    items = _items(text)
    if items:
        return words.listed(foreign(item, "value", longest=_VALUE) for item in items[:_ITEMS])
    said = from_text(text)
    return (foreign(said if isinstance(said, str) else text, "value", longest=_VALUE),)


def _items(text: str | None) -> list[str]:
    """Read a list of few words; nothing where it is none."""
    found = from_text(text) if text and text.startswith("[") else None
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        return []
    return found if len(found) <= _ITEMS else []


def _differing(change: FieldChange) -> Text:
    """Write what a list has lost and gained; nothing where it is none, or is only in another order."""
    before, after = _items(change.before), _items(change.after)
    if not before or not after:
        return ()
    lost = [(item, "−", "worse") for item in before if item not in after]
    gained = [(item, "+", "better") for item in after if item not in before]
    pieces: list[Piece] = []
    for item, sign, tone in lost + gained:
        space = (Piece(" "),) if pieces else ()
        pieces += (*space, Piece(sign, tone), foreign(item, "value", longest=_VALUE))
    return tuple(pieces)
