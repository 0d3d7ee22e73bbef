"""The net change of several events of one model: the first state beside the last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pipeline.core.impact import is_significant
from pipeline.core.prices import PriceChange, split_prices
from pipeline.core.types import FieldChange
from pipeline.history.types import Event


def net_sides(events: Iterable[Event]) -> tuple[list[PriceChange], list[FieldChange]]:
    """Return each price and field that changed, from its first value to its last, equal ones included."""
    fields: dict[str, FieldChange] = {}
    prices: dict[str, PriceChange] = {}
    for event in events:
        for field in event.fields:
            fields[field.field] = replace(field, before=fields.get(field.field, field).before)
        for price in event.prices:
            prices[price.name] = replace(price, before=prices.get(price.name, price).before)
    return list(prices.values()), list(fields.values())


def net_changes(events: Iterable[Event]) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Return the prices and the other fields whose last values differ from the first.

    Insignificant fields are only in the result when nothing else changed.
    """
    prices, fields = net_sides(events)
    differing = [field for field in fields if field.before != field.after]
    net_prices, others = split_prices(differing, [price for price in prices if price.before != price.after])
    significant = tuple(field for field in others if is_significant(field))
    return net_prices, significant or (() if net_prices else tuple(differing))
