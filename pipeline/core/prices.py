"""Changes of prices: in USD per unit if the unit is known, else as the gateway writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pipeline.core.canonical import from_text
from pipeline.core.diff import QUIET, SHAPE
from pipeline.core.facts import UNITS, strip_zeros
from pipeline.core.types import FieldChange
from pipeline.core.values import parse_price

UNIT_1M = "1M tokens"
UNIT_CALL = "call"

PRICES = {
    "input_usd_per_1m": ("input", UNIT_1M),
    "output_usd_per_1m": ("output", UNIT_1M),
    "cache_read_usd_per_1m": ("cache read", UNIT_1M),
    "cache_write_usd_per_1m": ("cache write", UNIT_1M),
    "usd_per_call": ("a call", UNIT_CALL),
}
"""By column of `records`: the name of the price, and its unit."""

_PERCENT = Decimal("0.1")
_TOLERANCE = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A price before and after; None where there was none.

    Args:
        name: the name of the price, or the path of its field if its unit is unknown.
        unit: `1M tokens` or `call`, for prices in USD; None if it is unknown.
        source: exact, estimate or ratio; None if the unit is unknown.
    """

    name: str
    before: Decimal | None
    after: Decimal | None
    unit: str | None = None
    source: str | None = None

    @property
    def percent(self) -> Decimal | None:
        """The change in percent, to a tenth; None without a price before (or one of 0), or after."""
        if not self.before or self.after is None:
            return None
        return strip_zeros(((self.after - self.before) / self.before * 100).quantize(_PERCENT))


def price_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[PriceChange, ...]:
    """Return the prices that differ between two rows of `records`."""
    return tuple(
        PriceChange(name, _exact(before.get(column)), _exact(after.get(column)), unit, after["price_source"])
        for column, (name, unit) in PRICES.items()
        if before.get(column) != after.get(column)
    )


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
    raw_prices = {field: raw for field in fields if (raw := _raw_price(field))}
    completed = (_completed(price, raw_prices) for price in facts)
    prices = [price for price in completed if price is not None]
    others = []
    for field in (each for each in fields if each.category not in (QUIET, SHAPE)):
        raw = raw_prices.get(field)
        if raw is None or field.category != "price":
            others.append(field)
        elif not any(_unit_between(raw, price) for price in prices if price.unit):
            prices.append(raw)
    return tuple(prices), tuple(others)


def _raw_price(field: FieldChange) -> PriceChange | None:
    """Return a field as a price; None if one of its sides is neither a number nor absent."""
    before, after = (
        None if side is None else parse_price(from_text(side)) for side in (field.before, field.after)
    )
    if (
        (before is None) != (field.before is None)
        or (after is None) != (field.after is None)
        or before == after
    ):
        return None
    return PriceChange(field.field, before, after)


def _completed(price: PriceChange, raw_prices: Mapping[FieldChange, PriceChange]) -> PriceChange | None:
    """Return a price with both sides; None if only our parsing of it is new.

    The facts of a record come from the rules that first parsed it; older rules may not have found its price.
    """
    if price.before is not None and price.after is not None:
        return price
    for raw in raw_prices.values():
        for unit in UNITS.values():
            if price.before is None and _is_equal(raw.after, unit, price.after):
                return replace(price, before=None if raw.before is None else strip_zeros(raw.before * unit))
            if price.after is None and _is_equal(raw.before, unit, price.before):
                return replace(price, after=None if raw.after is None else strip_zeros(raw.after * unit))
    return price if any(field.category == "price" for field in raw_prices) else None


def _unit_between(raw: PriceChange, price: PriceChange) -> Decimal | None:
    """Return the unit in which a field equals a price on both sides; None without one."""
    sides = ((raw.before, price.before), (raw.after, price.after))
    units = (unit for unit in UNITS.values() if all(_is_equal(mine, unit, usd) for mine, usd in sides))
    return next(units, None)


def _is_equal(raw: Decimal | None, unit: Decimal, usd: Decimal | None) -> bool:
    if raw is None or usd is None:
        return raw is usd
    return abs(raw * unit - usd) <= _TOLERANCE
