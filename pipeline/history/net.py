"""The net change of several steps of one model: the first state beside the last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeline.core.impact import is_significant
from pipeline.core.prices import PriceChange, split_prices
from pipeline.core.types import FieldChange
from pipeline.history.types import Event


def net_prices(steps: Iterable[Iterable[PriceChange]]) -> list[PriceChange]:
    """Return each price that changed in some steps, from its first value to its last, equal ones included."""
    net: dict[str, PriceChange] = {}
    for step in steps:
        for price in step:
            net[price.name] = replace(price, before=net.get(price.name, price).before)
    return list(net.values())


def net_fields(steps: Iterable[Iterable[FieldChange]]) -> list[FieldChange]:
    """Return each field that changed in some steps, from its first value to its last, equal ones included."""
    net: dict[str, FieldChange] = {}
    for step in steps:
        for field in step:
            net[field.field] = replace(field, before=net.get(field.field, field).before)
    return list(net.values())


def net_changes(events: Sequence[Event]) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Return the prices and the other fields whose last values differ from the first.

    Insignificant fields are only in the result when nothing else changed.
    """
    fields = [field for field in net_fields(event.fields for event in events) if field.before != field.after]
    known = [price for price in net_prices(event.prices for event in events) if price.before != price.after]
    prices, others = split_prices(fields, known)
    significant = tuple(field for field in others if is_significant(field))
    return prices, significant or (() if prices else tuple(fields))
