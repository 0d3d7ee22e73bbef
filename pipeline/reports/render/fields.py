"""Prices and fields before and after as text: units, percentages, lists, and differences in long values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from pipeline.core.amounts import USD
from pipeline.core.canonical import from_text
from pipeline.core.impact import direction, is_same_value, limits, shutdown_dates
from pipeline.core.prices import PriceChange, tokens_text
from pipeline.core.types import FieldChange, FlapMark, FlapStep
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
    values = zip((change.before, change.after), change.texts, strict=True)
    before, after = (None if value is None else _amount(locale, change, value, raw) for value, raw in values)
    name, unit = _price_name(locale, change), _unit_key(change)
    if change.flap_step in (FlapStep.ANNOUNCED, FlapStep.SETTLED):
        return with_source(locale, _flapping(locale, name, change, before, after, unit=unit), change.source)
    if before and after:
        now = locale.text(unit, price=after)
        text = locale.text("value.changed", name=name, before=before, after=now)
        tone = {1: "worse", -1: "better"}.get(direction(change), "")
        text = _with_percent(locale, text, change.percent, tone)
    elif change.flap_step == FlapStep.REPEATED:
        sides = [locale.text(unit, price=side) if side else None for side in (before, after)]
        text = _with_none(locale, name, *sides)
    else:
        only = locale.text(unit, price=before or after or ())
        text = locale.text("price.removed" if before else "price.new", name=name, price=only)
    return _repeated(locale, with_source(locale, text, change.source), change)


def _flapping(
    locale: Locale,
    name: Text,
    change: FieldChange | PriceChange,
    before: Text | None,
    after: Text | None,
    *,
    unit: str = "price.no_unit",
) -> Text:
    """Return that a value keeps changing, and its present one, or where it has settled."""
    none = locale.text("value.none")
    now = locale.text(unit, price=after) if after else none
    if change.flap_step == FlapStep.ANNOUNCED:
        one, other = (after, before) if after else (before, after)
        one = one if other else locale.text(unit, price=one or none)
        other = locale.text(unit, price=other) if other else none
        return locale.text("value.keeps_changing", name=name, one=one or none, other=other, now=after or none)
    mark = change.flapping or FlapMark(FlapStep.SETTLED)
    return locale.text(
        "value.settled" if change.before != change.after else "value.settled_as_before",
        name=name,
        value=now,
        before=before or none,
        n=mark.changes or 0,
        duration=locale.duration(mark.seconds or 0),
    )


def _repeated(locale: Locale, text: Text, change: FieldChange | PriceChange) -> Text:
    """Return the text of a change, with a remark if its value keeps changing."""
    return locale.text("value.repeated", what=text) if change.flap_step == FlapStep.REPEATED else text


def usd(locale: Locale, amount: Decimal, unit: str) -> Text:
    """Return a price as `$2.40 per 1M tokens`; `unit` is that of a `PriceChange`."""
    change = PriceChange("", None, amount, unit)
    return locale.text(_unit_key(change), price=_amount(locale, change, amount))


def with_source(locale: Locale, text: Text, source: str | None) -> Text:
    """Return the text of a price with a remark where it is an estimate, or computed from ratios."""
    return locale.text(f"source.{source}", what=text) if source in ("estimate", "ratio") else text


def price_now(locale: Locale, change: PriceChange, *, with_unit: bool = True, with_name: bool = True) -> Text:
    """Return the price after a change, such as `input $2.40 per 1M tokens`; empty where there is none."""
    if change.after is None:
        return ()
    amount = _amount(locale, change, change.after, change.texts[1])
    if with_unit:
        amount = locale.text(_unit_key(change), price=amount)
    if not with_name:
        return amount
    return locale.text("value", name=_price_name(locale, change), value=amount)


def _unit_key(change: PriceChange) -> str:
    match change.unit:
        case None:
            return "price.no_unit"
        case "1M tokens":
            return "price.per_1m"
        case unit:
            return f"price.per_{unit}"


_CODE = re.compile(r"[A-Za-z]{1,10}")
_OF_MODALITY = re.compile(r"(.+) (audio|image|video)")


def _price_name(locale: Locale, change: PriceChange) -> Text:
    """Return the name of a price: the meter and its condition, or the path of its field."""
    if change.unit is None:
        return (untrusted(change.name),)
    meter = change.meter or change.name
    if of := _OF_MODALITY.fullmatch(meter):
        name = locale.text(f"price.of_{of[2]}", name=_meter(locale, of[1]))
    else:
        name = _meter(locale, meter)
    if change.from_tokens:
        name = locale.text("price.above", name=name, tokens=tokens_text(change.from_tokens))
    if change.window:
        # Its words are those of `core/price_conditions.py`, never those of a gateway.
        name = locale.text("price.window", name=name, window=change.window)
    return name


def _meter(locale: Locale, meter: str) -> Text:
    return locale.text(f"price.{meter.replace(' ', '_')}")


def _amount(locale: Locale, change: PriceChange, value: Decimal, raw: str | None = None) -> Text:
    """Return an amount in its currency; of unknown unit, as the gateway writes it, without an exponent."""
    if change.currency != USD:
        figure = Piece(locale.number(value))
        plain = _CODE.fullmatch(change.currency)
        currency = Piece(change.currency) if plain else untrusted(change.currency)
        return locale.text("format.currency", currency=currency, amount=figure)
    if change.unit is not None:
        return (Piece(locale.money(value)),)
    if raw is None or "e" in raw.lower():
        return (Piece(f"{value:f}"),)
    return (untrusted(raw, "value", longest=_MAX_VALUE),)


def _sides(locale: Locale, name: Text, before: Text | None, after: Text | None) -> Text:
    """Return the values before and after, or that one is new or was removed."""
    if after is None:
        return locale.text("value.removed", name=name, before=before or ())
    if before is None:
        return locale.text("value.new", name=name, after=after)
    return locale.text("value.changed", name=name, before=before, after=after)


def _with_percent(locale: Locale, text: Text, percent: Decimal | None, tone: str) -> Text:
    if percent is None:
        return text
    return locale.text("with_percent", what=text, percent=Piece(locale.percent(percent), tone))


def fields(locale: Locale, changes: Sequence[FieldChange]) -> list[Text]:
    """Return field changes in their order; one that repeats another shutdown date is left out.

    Several shutdown dates that differ bear the names of their fields.
    """
    differ = len({dates for change in changes if (dates := shutdown_dates(change))}) > 1
    texts: list[Text] = []
    for change in changes:
        is_date = shutdown_dates(change) is not None
        text = field(locale, change, date_as_is=differ and is_date)
        if not (is_date and text in texts):
            texts.append(text)
    return texts


def field(locale: Locale, change: FieldChange, *, date_as_is: bool = False) -> Text:
    """Return a field change as `context 1,000,000 → 256,000 (−74 %)` or `features −tools +audio`.

    With `date_as_is` a shutdown date bears the name of its field.
    """
    name = (untrusted(change.field),) if date_as_is else _field_name(locale, change)
    if change.flap_step in (FlapStep.ANNOUNCED, FlapStep.SETTLED):
        before, after = _texts(locale, change)
        if change.flap_step == FlapStep.ANNOUNCED and (what := _list_difference(change)):
            return locale.text("value.list_keeps_changing", name=name, what=what, now=after or ())
        return _flapping(locale, name, change, before, after)
    dates = None if _is_only_spelling(change) else shutdown_dates(change)
    if dates and not date_as_is:
        name = locale.text("field.shutdown")
    if change.flap_step == FlapStep.REPEATED and (sides := _one_side(locale, change)):
        text = _with_none(locale, name, *sides)
    else:
        text = _shutdown(locale, name, *dates) if dates else _changed(locale, name, change)
    return _repeated(locale, text, change)


def _one_side(locale: Locale, change: FieldChange) -> tuple[Text | None, Text | None] | None:
    """Return the sides of a field that is unset on one of them; None for any other."""
    is_set = [
        side is not None for side in limits(change) or shutdown_dates(change) or (change.before, change.after)
    ]
    if all(is_set) or not any(is_set):
        return None
    before, after = _texts(locale, change)
    return before if is_set[0] else None, after if is_set[1] else None


def _with_none(locale: Locale, name: Text, before: Text | None, after: Text | None) -> Text:
    """Return the values before and after; a side may be absent."""
    none = locale.text("value.none")
    return locale.text("value.changed", name=name, before=before or none, after=after or none)


def _changed(locale: Locale, name: Text, change: FieldChange) -> Text:
    """Return a change of a field that happened once."""
    if limit := _limit(locale, name, change):
        return limit
    if items := _list_difference(change):
        return locale.text("value", name=name, value=items)
    if leaves := differing_leaves(change):
        named = locale.join(field(locale, each) for each in leaves[:_MAX_LEAVES])
        more = len(leaves) - _MAX_LEAVES
        what = locale.text("and_more", what=named, n=more) if more > 0 else named
        return locale.text("value.within", name=name, what=what)
    return _sides(locale, name, *_texts(locale, change))


def shutdown(locale: Locale, day: str) -> Text:
    """Return a shutdown date (ISO 8601) and its distance: `shutdown 1 Aug 2026, in 92 days`."""
    return locale.text("value", name=locale.text("field.shutdown"), value=_day(locale, day))


def _day(locale: Locale, day: str) -> Text:
    distance, text = locale.distance(day), locale.day(day, year=True)
    return locale.text("shutdown.when", day=text, when=distance) if distance else (Piece(text),)


def _shutdown(locale: Locale, name: Text, before: str | None, after: str | None) -> Text:
    """Return a shutdown date that is new, moved or withdrawn: `shutdown 1 Aug 2026, in 92 days (new)`."""
    if after is None:
        day = locale.day(before or "", year=True)
        return locale.text("shutdown.withdrawn", name=name, day=day)
    if before is None:
        return locale.text("value.new", name=name, after=_day(locale, after))
    day = locale.day(after, year=True)
    if before == after:
        return locale.text("value", name=name, value=day)
    earlier = locale.day(before, year=before[:4] != after[:4])
    text = locale.text("value.changed", name=name, before=earlier, after=day)
    return locale.text("shutdown.later" if after > before else "shutdown.earlier", what=text)


def _texts(locale: Locale, change: FieldChange) -> tuple[Text | None, Text | None]:
    """Return both sides of a field as text, cut to where they differ if they are long."""
    if _is_only_spelling(change):
        one, other = (untrusted(side or "", "value") for side in (change.before, change.after))
        return (one,), (other,)
    if dates := shutdown_dates(change):
        before, after = (day and (Piece(locale.day(day, year=True)),) for day in dates)
        return before or None, after or None
    sides = [None if side is None else _side(locale, side) for side in (change.before, change.after)]
    if None not in sides and sides[0] == sides[1] and change.before != change.after:
        texts = _unquoted(change.before or ""), _unquoted(change.after or "")
        clipped = clip_to_difference(*texts, longest=_MAX_VALUE)
        sides = [(Piece(side, "value"),) for side in clipped]
    return sides[0], sides[1]


def _is_only_spelling(change: FieldChange) -> bool:
    """Return whether the sides are short and the same value, so that quotes, zeros and the like differ."""
    before, after = change.before, change.after
    if before is None or after is None or before == after or max(len(before), len(after)) > _MAX_VALUE:
        return False
    return is_same_value(before, after, change.category)


def field_now(locale: Locale, change: FieldChange) -> Text:
    """Return the name and value of a field after a change; empty where the field is absent."""
    now = _value_now(locale, change)
    return locale.text("value", name=_field_name(locale, change), value=now) if now else ()


def short_now(locale: Locale, change: FieldChange | PriceChange) -> Text:
    """Return a price, limit or shutdown date after a change, without its name; empty for any other field."""
    if isinstance(change, PriceChange):
        now = price_now(locale, change, with_unit=False, with_name=False)
    elif limits(change) or shutdown_dates(change):
        now = _value_now(locale, change)
    else:
        return ()
    return now or locale.text("value.none")


def _value_now(locale: Locale, change: FieldChange) -> Text:
    if change.after is None:
        return ()
    return _texts(locale, replace(change, before=change.after))[1] or ()


def varying_fields(locale: Locale, fields: Sequence[FieldChange | PriceChange]) -> Text:
    """Return the names of fields and prices that changed alike, with values that differ by model."""
    key = _VARYING.get(fields[0].flap_step, "value.varying")
    return locale.text(key, fields=locale.join(name(locale, each) for each in fields))


def name(locale: Locale, change: FieldChange | PriceChange) -> Text:
    """Return the name of a field or price: the word for a known fact, else its path."""
    return _price_name(locale, change) if isinstance(change, PriceChange) else _field_name(locale, change)


_VARYING: dict[FlapStep | None, str] = {
    FlapStep.ANNOUNCED: "value.varying_keeps_changing",
    FlapStep.SETTLED: "value.varying_settled",
}


def _field_name(locale: Locale, change: FieldChange) -> Text:
    if shutdown_dates(change):
        return locale.text("field.shutdown_date")
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
