"""What changed in a price: in one unit where the price is understood, else as the gateway writes it."""

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
"""By column of `records`: what people call the price, and what it is for."""


_PERCENT = Decimal("0.1")


_NEAR = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A price before and after, None where there was none.

    Args:
        name: what people call it, or the path of the field where its unit is unknown.
        unit: `1M tokens` or `call`, the prices are in USD then; None where the unit is unknown.
        source: exact, estimate or ratio; None where the unit is unknown.
    """

    name: str
    before: Decimal | None
    after: Decimal | None
    unit: str | None = None
    source: str | None = None

    @property
    def percent(self) -> Decimal | None:
        """By how much it changed, to a tenth; None where there is nothing to compare with."""
        if not self.before or self.after is None:
            return None
        return strip_zeros(((self.after - self.before) / self.before * 100).quantize(_PERCENT))


def price_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[PriceChange, ...]:
    """Give the prices that differ between the facts of two records, each a row of `records` or nothing."""
    return tuple(
        PriceChange(name, _exact(before.get(column)), _exact(after.get(column)), unit, after["price_source"])
        for column, (name, unit) in PRICES.items()
        if before.get(column) != after.get(column)
    )


def _exact(value: float | None) -> Decimal | None:
    return None if value is None else strip_zeros(Decimal(str(value)))


def split_prices(
    fields: Sequence[FieldChange], known: Iterable[PriceChange]
) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Tell prices from other loud fields; one that says the same as a known price is in neither."""
    raws = {field: raw for field in fields if (raw := _raw(field))}
    mended = (_mended(price, raws) for price in known)
    prices = [price for price in mended if price is not None]
    others = []
    for field in (each for each in fields if each.category not in (QUIET, SHAPE)):
        raw = raws.get(field)
        if raw is None or field.category != "price":
            others.append(field)
        elif not any(_factor(raw, price) for price in prices if price.unit):
            prices.append(raw)
    return tuple(prices), tuple(others)


def _raw(field: FieldChange) -> PriceChange | None:
    """Read a field as a price where it moved from number to number, or comes or goes as one."""
    was, now = (
        None if side is None else parse_price(from_text(side)) for side in (field.before, field.after)
    )
    if (was is None) != (field.before is None) or (now is None) != (field.after is None) or was == now:
        return None
    return PriceChange(field.field, was, now)


def _mended(known: PriceChange, raws: Mapping[FieldChange, PriceChange]) -> PriceChange | None:
    """Give a price as it moved; None where only our reading of it is new.

    The facts of a record are those of the rules that first read it: older ones may not have found its price.
    """
    if known.before is not None and known.after is not None:
        return known
    for raw in raws.values():
        for unit in UNITS.values():
            if known.before is None and _is(raw.after, unit, known.after):
                return replace(known, before=None if raw.before is None else strip_zeros(raw.before * unit))
            if known.after is None and _is(raw.before, unit, known.before):
                return replace(known, after=None if raw.after is None else strip_zeros(raw.after * unit))
    return known if any(field.category == "price" for field in raws) else None


def _factor(raw: PriceChange, known: PriceChange) -> Decimal | None:
    """Give the unit in which a field says on both sides what is known in ours."""
    sides = ((raw.before, known.before), (raw.after, known.after))
    return next((unit for unit in UNITS.values() if all(_is(mine, unit, its) for mine, its in sides)), None)


def _is(mine: Decimal | None, unit: Decimal, its: Decimal | None) -> bool:
    if mine is None or its is None:
        return mine is its
    return abs(mine * unit - its) <= _NEAR
