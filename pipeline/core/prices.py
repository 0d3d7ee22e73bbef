"""Changes of prices: in USD per unit if the unit is known, else as the gateway writes them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.amounts import USD, Amount, names_in, parse_amount, words
from pipeline.core.canonical import from_text
from pipeline.core.categories import QUIET_CATEGORIES, SHAPE
from pipeline.core.facts import UNITS, strip_zeros
from pipeline.core.jsonpath import generalise
from pipeline.core.price_conditions import CALL, TOKENS, Price, is_condition, meter_of
from pipeline.core.price_fields import is_possible, names_price
from pipeline.core.types import FieldChange, FlapMark, FlapStep
from pipeline.core.values import is_alike, is_same_number, parse_number, parse_price

UNIT_1M = TOKENS
UNIT_CALL = CALL

PRICES = {
    "input_usd_per_1m": ("input", UNIT_1M),
    "output_usd_per_1m": ("output", UNIT_1M),
    "cache_read_usd_per_1m": ("cache read", UNIT_1M),
    "cache_write_usd_per_1m": ("cache write", UNIT_1M),
    "usd_per_call": ("a call", UNIT_CALL),
}
"""By column of `records`: the name of the price, and its unit."""

MORE_PRICES = "more_prices"
"""The key of other prices in a row: a JSON array of [meter, unit, from_tokens, window, currency, amount]."""

_PERCENT = Decimal("0.1")
_TOLERANCE = Decimal("0.000001")

UNIT_FACTORS = (*UNITS.values(), *map(Decimal, ("0.01", "0.001", "1e-6", "1e-9")))
"""The factors to USD per 1M tokens: those of the config, of parts of a dollar, and of scaled amounts."""

_GOVERNING = frozenset(
    names_in("currency discount exchange factor markup multiplier per quota ratio ratios scale unit units")
)
"""Words of fields that change the prices of other fields."""


class PriceChange(Struct, frozen=True):
    """A price before and after; None where there was none.

    Args:
        name: the name of the price with its condition, or the path of its field if its unit is unknown.
        unit: `1M tokens`, `call`, `image`, `second` …; None if it is unknown.
        source: exact, estimate or ratio; None if the unit is unknown.
        texts: of a price of unknown unit, the texts before and after as the gateway writes them; None for a
            side that is a number or absent.
        flapping: as of a `FieldChange`.
        meter: the name of the price without its condition; None where that is `name`.
        from_tokens: the length of the prompt above which it holds, in tokens.
        window: another condition, such as `batch`.
        currency: USD, or what the record states.
        is_comparable: whether both sides are in one unit and currency, as far as the record says.
    """

    name: str
    before: Decimal | None
    after: Decimal | None
    unit: str | None = None
    source: str | None = None
    texts: tuple[str | None, str | None] = (None, None)
    flapping: FlapMark | None = None
    meter: str | None = None
    from_tokens: int = 0
    window: str | None = None
    currency: str = USD
    is_comparable: bool = True

    @property
    def flap_step(self) -> FlapStep | None:
        """The place of the change in an episode of a price that keeps changing; None outside of one."""
        return self.flapping.step if self.flapping else None

    @property
    def has_condition(self) -> bool:
        """Whether it holds for long prompts, in a window, or in another currency than USD only."""
        return bool(self.from_tokens or self.window or self.currency != USD)

    @property
    def percent(self) -> Decimal | None:
        """The change in percent, to a tenth; to its first digit if it is less than that.

        None without a price before (or one of 0), or after, or where the sides cannot be compared.
        """
        if not self.before or self.after is None or not self.is_comparable:
            return None
        exact = (self.after - self.before) / self.before * 100
        quantum = min(_PERCENT, Decimal(1).scaleb(exact.adjusted())) if exact else _PERCENT
        return strip_zeros(exact.quantize(quantum))


def price_changes(
    before: Mapping[str, Any], after: Mapping[str, Any], *, equal_too: bool = False
) -> tuple[PriceChange, ...]:
    """Return the prices that differ between two records; with `equal_too` also the others.

    Args:
        before: by name, the columns of `PRICES`, `price_source` and `MORE_PRICES`; empty for no record.
        after: likewise.
        equal_too: return equal prices, too.
    """
    columns = tuple(
        PriceChange(name, _exact(before.get(column)), _exact(after.get(column)), unit, after["price_source"])
        for column, (name, unit) in PRICES.items()
        if not _is_unchanged(_exact(before.get(column)), _exact(after.get(column)))
        or (equal_too and after.get(column) is not None)
    )
    texts = before.get(MORE_PRICES), after.get(MORE_PRICES)
    if texts == (None, None) or (texts[0] == texts[1] and not equal_too):
        return columns
    old, new = (_more_prices(text) for text in texts)
    keys = sorted(old.keys() | new.keys(), key=lambda key: (*key[:3], key[3] or "", key[4]))
    return (
        *columns,
        *(
            _price_change(key, old.get(key), new.get(key), after["price_source"])
            for key in keys
            if not _is_unchanged(old.get(key), new.get(key)) or (equal_too and key in new)
        ),
    )


def changed_prices(
    before: Mapping[str, Any], after: Mapping[str, Any], fields: Iterable[FieldChange]
) -> tuple[PriceChange, ...]:
    """Return the prices that differ between two records, and whose fields differ.

    A price that is found in one of the records only, though its field is the same in both, is left out.

    Args:
        before: as for `price_changes`.
        after: likewise.
        fields: the fields that differ.
    """
    return tuple(_complete(price_changes(before, after), fields))


_Key = tuple[str, str, int, str | None, str]
"""The meter, unit, length, window and currency of a price."""


@lru_cache(256)
def _more_prices(text: str | None) -> Mapping[_Key, Decimal]:
    rows = json.loads(text, parse_float=Decimal, parse_int=int) if text else ()
    return {(*key,): strip_zeros(Decimal(amount)) for *key, amount in rows}


def _price_change(
    key: _Key, before: Decimal | None, after: Decimal | None, source: str | None
) -> PriceChange:
    meter, unit, from_tokens, window, currency = key
    return PriceChange(
        price_name(Price(*key[:2], Decimal(0), from_tokens, window, currency)),
        before,
        after,
        unit,
        source,
        meter=_meter_name(meter),
        from_tokens=from_tokens,
        window=window,
        currency=currency,
    )


def price_name(price: Price) -> str:
    """Return the name of a price with its condition: `input above 200k tokens, batch`, `input per image`."""
    per = "" if price.unit in (UNIT_1M, UNIT_CALL, price.meter) else f" per {price.unit}"
    above = f" above {tokens_text(price.from_tokens)} tokens" if price.from_tokens else ""
    window = f", {price.window}" if price.window else ""
    currency = "" if price.currency == USD else f" in {price.currency}"
    return _meter_name(price.meter) + per + above + window + currency


def _meter_name(meter: str) -> str:
    return "a call" if meter == CALL else meter.replace("_", " ")


_MILLION, _THOUSAND = 10**6, 1000


def tokens_text(number: int) -> str:
    """Return a number of tokens in short: 200k, 1M, 131,072."""
    if number and number % _MILLION == 0:
        return f"{number // _MILLION}M"
    return f"{number // _THOUSAND}k" if number % _THOUSAND == 0 else f"{number:,}"


def mark_flapping(prices: Sequence[PriceChange], fields: Iterable[FieldChange]) -> tuple[PriceChange, ...]:
    """Return the price changes of a record, marked as the fields that they are read from.

    Where these differ in their marks, a price has the mark of the field with the same values in some unit, or
    the same proportion.
    """
    sources = [field for field in fields if _is_price(field)]
    marks = {field.flapping for field in sources}
    if not any(marks):
        return tuple(prices)
    if len(marks) == 1:
        return tuple(replace(price, flapping=sources[0].flapping) for price in prices)
    parts = {field: list(_parts(field)) for field in sources}
    return tuple(replace(price, flapping=_mark(price, parts)) for price in prices)


def _mark(price: PriceChange, parts: Mapping[FieldChange, Sequence[PriceChange]]) -> FlapMark | None:
    found = (
        field
        for field, raws in parts.items()
        if any(_unit_between(raw, price) or _is_its_ratio(raw, price) for raw in raws)
    )
    owner = next(found, None)
    return owner.flapping if owner else None


def _parts(field: FieldChange) -> Iterator[PriceChange]:
    """Yield the numbers that differ in a field, a list or a text too, as prices."""
    raw = _raw_price(field)
    if raw:
        yield raw
        return
    sides = (_numbers(None if side is None else from_text(side)) for side in (field.before, field.after))
    before, after = (dict(side) for side in sides)
    for path in before.keys() | after.keys():
        old, new = before.get(path), after.get(path)
        if old != new:
            yield PriceChange(path, old, new)


_IN_TEXT = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])", re.IGNORECASE)


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, Decimal]]:
    """Yield the numbers in a value with their places: of lists, of objects, and of texts with several."""
    match value:
        case dict():
            for name, item in value.items():
                yield from _numbers(item, f"{path}.{name}")
        case list():
            for place, item in enumerate(value):
                yield from _numbers(item, f"{path}[{place}]")
        case _ if (number := _number(value)) is not None:
            yield path, number
        case str():
            for place, found in enumerate(_IN_TEXT.findall(value)):
                yield f"{path}#{place}", Decimal(found)
        case _:
            return


def _exact(value: float | None) -> Decimal | None:
    return None if value is None else strip_zeros(Decimal(str(value)))


def split_prices(
    fields: Sequence[FieldChange], facts: Iterable[PriceChange]
) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Separate prices from the other fields that are neither quiet nor shape.

    Args:
        fields: the changed fields of a record.
        facts: the price changes of its facts; a field that repeats one of them is in neither result.

    Returns:
        The prices, those of unknown unit last, and the other fields.
    """
    comparable = not any(map(_is_of_scale, fields))
    raw_prices = {
        field: raw if comparable else replace(raw, is_comparable=False)
        for field in fields
        if (raw := _raw_price(field))
    }
    prices = _complete(facts, fields)
    others = []
    repeated = _repeated(fields, raw_prices, prices)
    for field in (each for each in fields if each.category not in {*QUIET_CATEGORIES, SHAPE}):
        raw = raw_prices.get(field)
        if field.category != "price":
            others.append(field)
        elif field in repeated:
            continue
        elif raw is None:
            others.append(field)
        else:
            prices.append(raw)
    return tuple(prices), tuple(others)


_ELEMENT = re.compile(r".*\.\d+(?=\.)")
"""The path of an element of a list, in that of a field of it."""


def _repeated(
    fields: Sequence[FieldChange],
    raw_prices: Mapping[FieldChange, PriceChange],
    prices: Sequence[PriceChange],
) -> set[FieldChange]:
    """Return the price fields that repeat prices: amounts, the lengths of tiers, the labels of new tiers."""
    known = [price for price in prices if price.unit]
    lengths = {price.from_tokens for price in known if price.from_tokens}
    sources = [field for field in fields if field.category == "price"]
    found = {
        field
        for field in sources
        if (raw := raw_prices.get(field))
        and (any(_unit_between(raw, price) for price in known) or _is_length(raw, lengths))
    }
    if any(map(_says_currency, sources)):
        found |= {
            field for field, raw in raw_prices.items() if field.category == "price" and _is_split(raw, known)
        }
    tiers = {match[0] for field in found if (match := _ELEMENT.match(field.field))}
    found |= _moved_in_lists(sources, raw_prices, known)
    if any(price.has_condition for price in known):
        found |= {field for field in sources if is_condition(field.field)}
    for field in sources:
        if field in raw_prices or field in found:
            continue
        match = _ELEMENT.match(field.field)
        is_label = match is not None and match[0] in tiers and None in (field.before, field.after)
        amounts = _stated(field)
        is_amount = any(_are_of(amounts, price) for price in known)
        if is_label or is_amount or _is_repeated(field, known, lengths):
            found.add(field)
    return found


def _is_split(raw: PriceChange, prices: Sequence[PriceChange]) -> bool:
    """Return whether the sides of an amount are those of two prices, in two currencies."""
    sides = ((raw.before, [price.before for price in prices]), (raw.after, [price.after for price in prices]))
    return all(value is not None and _is_side(value, others) for value, others in sides)


def _moved_in_lists(
    sources: Sequence[FieldChange],
    raw_prices: Mapping[FieldChange, PriceChange],
    prices: Sequence[PriceChange],
) -> set[FieldChange]:
    """Return the amounts in lists that only moved to another place, or that prices repeat side by side."""
    lists: dict[str, list[FieldChange]] = {}
    for field in sources:
        if field in raw_prices and _ELEMENT.match(field.field):
            lists.setdefault(generalise(field.field), []).append(field)
    found: set[FieldChange] = set()
    for members in lists.values():
        raws = [raw_prices[field] for field in members]
        before = Counter(raw.before for raw in raws if raw.before is not None)
        after = Counter(raw.after for raw in raws if raw.after is not None)
        gone = all(_is_side(value, [price.before for price in prices]) for value in before - after)
        new = all(_is_side(value, [price.after for price in prices]) for value in after - before)
        if gone and new:
            found.update(members)
    return found


def _is_side(value: Decimal, sides: Iterable[Decimal | None]) -> bool:
    """Return whether an amount is one of some sides of prices, in some unit."""
    return any(_is_equal(value, unit, side) for side in sides if side is not None for unit in UNIT_FACTORS)


def _is_repeated(field: FieldChange, prices: Sequence[PriceChange], lengths: set[int]) -> bool:
    """Return whether prices repeat all that differs in a list, an object or a text: amounts and lengths."""
    values = [None if side is None else from_text(side) for side in (field.before, field.after)]
    if any(isinstance(value, str) for value in values) and not _differ_in_numbers(*values):
        return False
    parts = list(_parts(field))
    amounts = [part for part in parts if any(_unit_between(part, price) for price in prices)]
    return bool(amounts) and all(part in amounts or _is_length(part, lengths) for part in parts)


_Amounts = tuple[Amount | None, Amount | None]


def _stated(field: FieldChange) -> _Amounts | None:
    """Return the sides of a field that are amounts, such as `0.5元/百万tokens`; None for other values.

    A side in words is an absent one.
    """
    sides = [None if side is None else from_text(side) for side in (field.before, field.after)]
    if any(isinstance(side, dict | list) for side in sides):
        return None
    before, after = map(parse_amount, sides)
    is_unread = any(
        amount is None and _HAS_DIGIT.search(str(side))
        for amount, side in zip((before, after), sides, strict=True)
    )
    return None if is_unread or before is after else (before, after)


_HAS_DIGIT = re.compile(r"\d")


def _are_of(amounts: _Amounts | None, price: PriceChange) -> bool:
    """Return whether amounts are the sides of a price, each in the unit that it states or in some unit."""
    return amounts is not None and all(
        _is_amount_of(amount, side, price.currency)
        for amount, side in zip(amounts, (price.before, price.after), strict=True)
    )


def _is_amount_of(amount: Amount | None, side: Decimal | None, currency: str) -> bool:
    if amount is None or side is None:
        return amount is None and side is None
    if amount.terms.currency not in (None, currency):
        return False
    units = UNIT_FACTORS if amount.terms.factor is None else (amount.terms.factor,)
    return any(_is_equal(amount.value, unit, side) for unit in units)


def _differ_in_numbers(before: Any, after: Any) -> bool:
    """Return whether two texts are the same but for the numbers in them."""
    texts = [_IN_TEXT.sub("0", value) for value in (before, after) if isinstance(value, str)]
    return len(texts) == len((before, after)) and len(set(texts)) == 1


def _is_length(part: PriceChange, lengths: set[int]) -> bool:
    """Return whether the sides of a number are lengths of prompts at which tiers begin or end."""
    sides = [side for side in (part.before, part.after) if side is not None]
    return any(sides) and all(side == 0 or side in lengths or side - 1 in lengths for side in sides)


def is_same_price(before: str, after: str) -> bool:
    """Return whether two values of a field, as text, are the same price or prices, however they are written.

    0.000002    "0.000002"    2e-6    "0.0000020"
    """
    return before == after or is_alike(from_text(before), from_text(after), _is_same_amount)


def _is_same_amount(one: Any, other: Any) -> bool:
    """Return whether two amounts are equal: both in USD or an unstated currency, or both in another one."""
    (mine, currency), (its, other_currency) = _in_currency(one), _in_currency(other)
    if mine is None or its is None or currency != other_currency:
        return False
    return is_same_number(mine, its)


def _in_currency(value: Any) -> tuple[Decimal | None, str]:
    plain = _number(value)
    if plain is not None:
        return plain, USD
    amount = parse_amount(value) if isinstance(value, str) else None
    if amount:
        return amount.value * (amount.terms.factor or 1), str(amount.terms.currency)
    # A negative number is no price, such as -1 for "it depends".
    return parse_number(value), USD


def prices_of_fields(
    fields: Sequence[FieldChange], facts: Iterable[PriceChange]
) -> dict[FieldChange, PriceChange]:
    """Return the prices to which price fields belong.

    Args:
        fields: the changed fields of a record.
        facts: the price changes of its facts. A field belongs to the first of them, of its own meter before
            others and those in USD per 1M tokens before others, with the same values in some unit or, for
            prices computed from ratios, with the same proportion.

    Returns:
        By field; without the fields that belong to no price of known unit.
    """
    prices = sorted(_complete(facts, fields), key=lambda price: not _is_usd_per_1m(price))
    found: dict[FieldChange, PriceChange] = {}
    for field in filter(_is_price, fields):
        raw, amounts, meter = _raw_price(field), _stated(field), meter_of(field.field)
        mine = sorted(prices, key=lambda price: meter is None or meter.name != _meter_key(price))
        owners = [price for price in mine if (raw and _unit_between(raw, price)) or _are_of(amounts, price)]
        owners += [price for price in mine if raw and _is_usd_per_1m(price) and _is_its_ratio(raw, price)]
        if owners:
            found[field] = owners[0]
    return found


def _is_usd_per_1m(price: PriceChange) -> bool:
    return price.unit == UNIT_1M and price.currency == USD


def _is_price(field: FieldChange) -> bool:
    return "price" in (field.category, field.shape_of)


def _is_its_ratio(raw: PriceChange, price: PriceChange) -> bool:
    """Return whether a price was computed from a ratio and nothing else that changed."""
    if price.source != "ratio" or not (raw.before and price.before):
        return False
    if raw.after is None or price.after is None:
        return False
    return abs(raw.after / raw.before * price.before - price.after) <= _TOLERANCE


def _raw_price(field: FieldChange) -> PriceChange | None:
    """Return a field as a price; None if one of its sides is neither a number nor absent, null or ""."""
    values = [None if side is None else from_text(side) for side in (field.before, field.after)]
    before, after = (None if value is None else _number(value) for value in values)
    if (
        (before is None) != (values[0] in (None, ""))
        or (after is None) != (values[1] in (None, ""))
        or (_is_unchanged(before, after) and field.flap_step != FlapStep.SETTLED)
    ):
        return None
    texts = [value.strip() if isinstance(value, str) else None for value in values]
    return PriceChange(field.field, before, after, texts=(texts[0], texts[1]), flapping=field.flapping)


def _is_unchanged(before: Decimal | None, after: Decimal | None) -> bool:
    if before is None or after is None:
        return before is after
    return is_same_number(before, after)


def _number(value: Any) -> Decimal | None:
    """Return a price as a number; of 1M tokens, if a text says of how many tokens it is the price."""
    plain = parse_price(value)
    amount = parse_amount(value) if plain is None and isinstance(value, str) else None
    if amount is None or amount.terms.currency not in (None, USD):
        return plain
    return amount.value * (amount.terms.factor or 1)


def _complete(facts: Iterable[PriceChange], fields: Iterable[FieldChange]) -> list[PriceChange]:
    """Return the price changes of facts with both sides, without those that only our parsing makes new."""
    sources = [field for field in fields if _is_price(field)]
    completed = (_completed(price, sources) for price in facts)
    return [price for price in completed if price is not None]


def _completed(price: PriceChange, fields: Sequence[FieldChange]) -> PriceChange | None:
    """Return a price with both sides; None if its field is as before, or has a figure that is not read.

    Rules that are newer may find a price where older ones did not, and where a unit is concluded from several
    prices, none is found without one of them.

    Args:
        price: the price change of a fact.
        fields: the changed fields that are prices.
    """
    if price.before is not None and price.after is not None:
        return price
    if price.meter is not None:
        # Prices of the table have both sides under the same rules.
        return price if any(_may_set(field, price) for field in fields) else None
    if any(_says_currency(field) for field in fields):
        # The other side is in another currency.
        return price
    for field in fields:
        meter = meter_of(field.field)
        if meter and meter.name != _meter_key(price):
            continue
        is_its_own = meter is not None and meter.is_plain
        raw = _raw_price(field)
        if raw is None:
            if is_its_own or any(_unit_of_one_side(part, price) for part in _parts(field)):
                return price
            continue
        unit = _unit_of_one_side(raw, price)
        other = raw.before if price.before is None else raw.after
        if unit is None and not is_its_own:
            continue
        return price if other is None else _with_both_sides(price, other, unit)
    return price if any(map(_governs, fields)) else None


def _with_both_sides(price: PriceChange, other: Decimal, unit: Decimal | None) -> PriceChange | None:
    """Return a price with the figure of its field as the other side; None if that cannot be its amount."""
    amount = strip_zeros(other * unit) if unit else None
    if amount is None or (price.unit == UNIT_1M and not is_possible(amount)):
        return None
    return replace(price, before=amount) if price.before is None else replace(price, after=amount)


def _may_set(field: FieldChange, price: PriceChange) -> bool:
    """Return whether a price of the table may come from a field: not from another plain price of tokens."""
    meter = meter_of(field.field)
    if meter is None or not meter.is_plain:
        return True
    return meter.name == _meter_key(price) and not (price.from_tokens or price.window)


def _meter_key(price: PriceChange) -> str:
    name = price.meter or price.name
    return CALL if price.unit == UNIT_CALL else name.replace(" ", "_")


_SCALES = frozenset(names_in("currency decimals exponent scale unit units"))


def _is_of_scale(field: FieldChange) -> bool:
    """Return whether a field is the unit, the currency or the scale of the amounts beside it."""
    named = words(field.field.rpartition(".")[2])
    return (
        _is_price(field) and not _SCALES.isdisjoint(named) and not names_price(field.field.rpartition(".")[2])
    )


def _says_currency(field: FieldChange) -> bool:
    return "currency" in words(field.field)


def _governs(field: FieldChange) -> bool:
    """Return whether a field is no amount itself, but may change all prices: a unit, currency or ratio."""
    if meter_of(field.field):
        return False
    sides = [None if side is None else from_text(side) for side in (field.before, field.after)]
    return not _GOVERNING.isdisjoint(words(field.field)) or not any(_number(side) for side in sides)


def _unit_of_one_side(raw: PriceChange, price: PriceChange) -> Decimal | None:
    """Return the unit in which a field equals the only side of a price; None without one."""
    mine, usd = (raw.after, price.after) if price.before is None else (raw.before, price.before)
    return next((unit for unit in UNIT_FACTORS if _is_equal(mine, unit, usd)), None)


def _unit_between(raw: PriceChange, price: PriceChange) -> Decimal | None:
    """Return the unit in which a field equals a price on both sides; None without one."""
    sides = ((raw.before, price.before), (raw.after, price.after))
    units = (unit for unit in UNIT_FACTORS if all(_is_equal(mine, unit, usd) for mine, usd in sides))
    return next(units, None)


def _is_equal(raw: Decimal | None, unit: Decimal, usd: Decimal | None) -> bool:
    if raw is None or usd is None:
        return raw is usd
    return abs(raw * unit - usd) <= _TOLERANCE
