"""What changed in a price: in one unit where the price is understood, else as the gateway writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipeline.canonical import from_text
from pipeline.facts import UNITS, number
from pipeline.types import FieldChange
from pipeline.values import price

PER_1M = "1M tokens"
PER_CALL = "call"
PRICES = {
    "input_usd_per_1m": ("input", PER_1M),
    "output_usd_per_1m": ("output", PER_1M),
    "cache_read_usd_per_1m": ("cache read", PER_1M),
    "cache_write_usd_per_1m": ("cache write", PER_1M),
    "usd_per_call": ("a call", PER_CALL),
}
"""By column of `records`: what people call the price, and what it is for."""

_PERCENT = Decimal("0.1")
_NEAR = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A price before and after, None where there was none.

    Args:
        name: what people call it, or the path of the field where its unit is unknown.
        per: `1M tokens` or `call`, the prices are in USD then; None where the unit is unknown.
        source: exact, estimate or ratio; None where the unit is unknown.
    """

    name: str
    before: Decimal | None
    after: Decimal | None
    per: str | None = None
    source: str | None = None

    @property
    def percent(self) -> Decimal | None:
        """By how much it changed, to a tenth; None where there is nothing to compare with."""
        if not self.before or self.after is None:
            return None
        return number(((self.after - self.before) / self.before * 100).quantize(_PERCENT))


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[PriceChange, ...]:
    """Give the prices that differ between the facts of two records, each a row of `records` or nothing."""
    return tuple(
        PriceChange(name, _exact(before.get(column)), _exact(after.get(column)), per, after["price_source"])
        for column, (name, per) in PRICES.items()
        if before.get(column) != after.get(column)
    )


def _exact(value: float | None) -> Decimal | None:
    return None if value is None else number(Decimal(str(value)))


def split(
    fields: Iterable[FieldChange], known: tuple[PriceChange, ...]
) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Tell prices from other fields; a field that says the same as a known price is in neither."""
    prices, others = list(known), []
    for field in fields:
        raw = _raw(field)
        if raw is None:
            others.append(field)
        elif not any(_is_same(raw, price) for price in known):
            prices.append(raw)
    return tuple(prices), tuple(others)


def _raw(field: FieldChange) -> PriceChange | None:
    """Read a field of the class `price` as one, where both its sides are numbers or absent."""
    if field.category != "price":
        return None
    sides = [None if side is None else price(from_text(side)) for side in (field.before, field.after)]
    was, now = sides
    if (was is None) != (field.before is None) or (now is None) != (field.after is None):
        return None
    return PriceChange(field.field, was, now)


def _is_same(raw: PriceChange, known: PriceChange) -> bool:
    """Say whether a field says in its own unit what is known in ours."""
    pairs = list(_sides(raw, known))
    if any((mine is None) != (its is None) for mine, its in pairs):
        return False
    numbers = [(mine, its) for mine, its in pairs if mine is not None and its is not None]
    return any(all(abs(mine * unit - its) <= _NEAR for mine, its in numbers) for unit in UNITS.values())


def _sides(raw: PriceChange, known: PriceChange) -> Iterator[tuple[Decimal | None, Decimal | None]]:
    yield raw.before, known.before
    yield raw.after, known.after
