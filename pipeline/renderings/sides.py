"""What stood before and what stands after, in words: prices with unit and percentage, fields, lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from pipeline.canonical import from_text
from pipeline.pricing import PER_CALL, PriceChange
from pipeline.renderings.words import Piece, Text, Words, foreign
from pipeline.reports.inside import apart, inside
from pipeline.reports.worse import lengths, way
from pipeline.types import FieldChange

_VALUE = 60
_ITEMS = 8
_LEAVES = 3
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


def price(words: Words, change: PriceChange) -> Text:
    """Write how a price moved: `input $2.40 → $1.80 per 1M tokens (−25 %)`."""
    sides = [None if side is None else _money(words, change, side) for side in (change.before, change.after)]
    moved = _moved(words, _price_name(words, change), *sides, unit=_unit(change))
    tone = {1: "worse", -1: "better"}.get(way(change), "")
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
    if limit := _limit(words, name, change):
        return limit
    if differing := _differing(change):
        return words.say("field.now", name=name, value=differing)
    if found := inside(change):
        return words.say("field.inside", name=name, what=_inside(words, found))
    sides = [None if side is None else _side(words, side) for side in (change.before, change.after)]
    if None not in sides and sides[0] == sides[1]:
        clipped = apart(_said(change.before or ""), _said(change.after or ""), longest=_VALUE)
        sides = [(Piece(side, "value"),) for side in clipped]
    return _moved(words, name, *sides)


def _limit(words: Words, name: Text, change: FieldChange) -> Text:
    """Write how a limit moved, a side that says nothing as none; nothing for what is no limit."""
    before, after = lengths(change) or (None, None)
    if before == after:
        return ()
    moved = _moved(words, name, *(None if side is None else _number(words, side) for side in (before, after)))
    if before is None or after is None:
        return moved
    percent = PriceChange("", Decimal(before), Decimal(after)).percent
    return _with_percent(words, moved, percent, "worse" if after < before else "better")


def _inside(words: Words, found: Sequence[FieldChange]) -> Text:
    """Write what differs within a long value, as far as there is room for it."""
    told = words.listed(field(words, each) for each in found[:_LEAVES])
    return words.say("whom.and_more", what=told, n=len(found) - _LEAVES) if len(found) > _LEAVES else told


def own(words: Words, fields: Sequence[FieldChange]) -> Text:
    """Name fields that say something else for each of several models."""
    return words.say("field.own", fields=words.listed(_field_name(words, each) for each in fields))


def field_now(words: Words, change: FieldChange) -> Text:
    """Write what a field says after all; nothing where it is there no more."""
    if change.after is None:
        return ()
    return words.say("field.now", name=_field_name(words, change), value=_side(words, change.after))


def _field_name(words: Words, change: FieldChange) -> Text:
    known = _FIELD_NAMES.get(change.field.rpartition(".")[2])
    return words.say(f"field.{known}") if known else (foreign(change.field),)


def _side(words: Words, text: str) -> Text:
    if _INTEGER.fullmatch(text):
        return _number(words, int(text))
    if items := _items(text):
        return words.listed(foreign(item, "value", longest=_VALUE) for item in items)
    return (foreign(_said(text), "value", longest=_VALUE),)


def _number(words: Words, value: int) -> Text:
    return (Piece(words.number(value)),)


def _said(text: str) -> str:
    """Give what a field says, a text without quotes."""
    said = from_text(text)
    return said if isinstance(said, str) else text


def _items(text: str | None) -> list[str]:
    """Read a list of few words; nothing where it is none."""
    found = _words_of(text)
    return found if len(found) <= _ITEMS else []


def _words_of(text: str | None) -> list[str]:
    found = from_text(text) if text and text.startswith("[") else None
    return found if isinstance(found, list) and all(isinstance(item, str) for item in found) else []


def _differing(change: FieldChange) -> Text:
    """Write what a list has lost and gained; nothing where it is none, or is only in another order."""
    before, after = _words_of(change.before), _words_of(change.after)
    if not before or not after or len({*before} ^ {*after}) > _ITEMS:
        return ()
    lost = [(item, "−", "worse") for item in before if item not in after]
    gained = [(item, "+", "better") for item in after if item not in before]
    pieces: list[Piece] = []
    for item, sign, tone in lost + gained:
        space = (Piece(" "),) if pieces else ()
        pieces += (*space, Piece(sign, tone), foreign(item, "value", longest=_VALUE))
    return tuple(pieces)
