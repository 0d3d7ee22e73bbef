"""The net change of several steps of one model: the first state beside the last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from pipeline.core.impact import is_significant
from pipeline.core.prices import PriceChange, split_prices
from pipeline.core.types import FieldChange, FlapStep
from pipeline.history.types import Event

_Side = TypeVar("_Side", FieldChange, PriceChange)


def net_prices(steps: Iterable[Iterable[PriceChange]]) -> list[PriceChange]:
    """Return each price that changed in some steps; see `net_fields`."""
    return _net((price.name, price) for step in steps for price in step)


def _net(changes: Iterable[tuple[str, _Side]]) -> list[_Side]:
    by_name: dict[str, list[_Side]] = {}
    for name, change in changes:
        by_name.setdefault(name, []).append(change)
    return list(map(_net_change, by_name.values()))


def _net_change(steps: Sequence[_Side]) -> _Side:
    loud = [step for step in steps if step.flap_step != FlapStep.REPEATED]
    last = loud[-1] if loud else steps[-1]
    if loud and last.flapping:
        return _at_the_end(last, steps[-1])
    net = replace(steps[-1], before=(loud or steps)[0].before, flapping=last.flapping)
    # A value that keeps changing may have had a new value, and be as before by now.
    marked = [step for step in loud if step.flapping]
    keeps_changing = bool(marked) and marked[-1].flap_step == FlapStep.ANNOUNCED
    return _at_the_end(marked[-1], steps[-1]) if keeps_changing and net.before == net.after else net


def _at_the_end(marked: _Side, last: _Side) -> _Side:
    """Return an announcement with the value after the last step, beside another that it had."""
    if marked.flap_step != FlapStep.ANNOUNCED or last.after == marked.after:
        return marked
    return replace(last, before=marked.after, flapping=marked.flapping)


def net_fields(steps: Iterable[Iterable[FieldChange]]) -> list[FieldChange]:
    """Return each field that changed in some steps, from its first value to its last, equal ones included.

    If the value keeps changing, or has settled, the step that announces this stands for all of them.
    """
    return _net((field.field, field) for step in steps for field in step)


def net_changes(events: Sequence[Event]) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Return the prices and the other fields whose last values differ from the first.

    Insignificant fields are only in the result when nothing else changed.
    """
    fields = list(filter(_is_net, net_fields(event.fields for event in events)))
    known = filter(_is_net, net_prices(event.prices for event in events))
    # A field that repeats a price has its mark, so a price without news has no field with news.
    prices, others = split_prices(fields, list(known))
    prices = tuple(price for price in prices if price.flap_step != FlapStep.REPEATED)
    significant = tuple(field for field in others if is_significant(field))
    return prices, significant or (() if prices else tuple(fields))


def _is_net(change: FieldChange | PriceChange) -> bool:
    """Return whether the values differ, or the value has settled."""
    return change.before != change.after or change.flap_step == FlapStep.SETTLED
