"""Values that keep changing: the marks of their changes, and the events of those that settled.

And values that came back different: their changes from the value before the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from pipeline.core.categories import SHAPE, categorise
from pipeline.core.impact import is_loud
from pipeline.core.prices import PriceChange, price_changes, prices_of_fields
from pipeline.core.times import elapsed
from pipeline.core.types import FieldChange, FlapMark, FlapStep, Kind
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.flaps import Episode, Regain, SettledValue
from pipeline.store.records import record_prices


def mark_fields(
    fields: tuple[FieldChange, ...], episodes: Mapping[str, Sequence[Episode]] | None, sighting: int
) -> tuple[FieldChange, ...]:
    """Return the changed fields of a model, those marked whose values keep changing.

    Args:
        fields: those that differ.
        episodes: those of the model in the scope, by field; None for none.
        sighting: the move by which the fields changed.
    """
    if not episodes:
        return fields
    return tuple(_marked(field, episodes.get(field.field, ()), sighting) for field in fields)


def _marked(field: FieldChange, episodes: Sequence[Episode], sighting: int) -> FieldChange:
    if not is_loud(field):
        return field
    for episode in episodes:
        if episode.announced == sighting:
            return replace(field, flapping=FlapMark(FlapStep.ANNOUNCED))
        if sighting in episode.news:
            return field
        if episode.announced < sighting and (episode.ended is None or sighting < episode.ended):
            return replace(field, flapping=FlapMark(FlapStep.REPEATED))
    return field


def restore_before(
    fields: tuple[FieldChange, ...], regained: Mapping[str, Regain]
) -> tuple[FieldChange, ...]:
    """Return the changed fields of a model, with the value before the loss of those that it regained.

    Each of these has the category of its meaning: it is a change of this model, not one of a shape.
    """
    return tuple(
        replace(
            field,
            before=regained[field.field].before,
            category=field.shape_of or field.category,
            shape_of=None,
        )
        if field.field in regained
        else field
        for field in fields
    )


def restore_prices(
    prices: tuple[PriceChange, ...], regained: Iterable[PriceChange]
) -> tuple[PriceChange, ...]:
    """Return price changes, those without a price before as in `regained`: from that before the loss."""
    by_name = {price.name: price for price in regained}
    return tuple(by_name.get(price.name, price) if price.before is None else price for price in prices)


def settled_events(store: Store, values: Sequence[SettledValue]) -> list[Event]:
    """Return an event for each model whose values settled in a run, one for all scopes that share it.

    Args:
        store: an open database.
        values: the values that settled.
    """
    records = {
        record
        for value in values
        for record in (value.record, value.announced_before, value.announced_after)
        if record is not None
    }
    prices = record_prices(store, records)
    by_model: dict[tuple[int, str], list[SettledValue]] = {}
    for value in values:
        by_model.setdefault((value.id, value.model), []).append(value)
    by_event: dict[Event, list[SettledValue]] = {}
    for members in by_model.values():
        first = members[0]
        event = Event(
            at=first.at,
            snapshot=first.snapshot,
            kind=Kind.CHANGED,
            gateway=first.gateway,
            model=first.model,
            scopes=(),
            groups=(),
            owned_by=first.owned_by,
            fields=tuple(_field(value) for value in sorted(members, key=lambda each: each.field)),
            prices=_prices(members, prices),
        )
        by_event.setdefault(event, []).append(first)
    return [
        replace(
            event,
            scopes=tuple(sorted(each.scope_name for each in members)),
            groups=tuple(sorted({each.group_name for each in members if each.group_name})),
        )
        for event, members in by_event.items()
    ]


def _field(value: SettledValue) -> FieldChange:
    category = value.category or categorise(value.field)
    mark = _mark(value)
    if value.is_shape:
        return FieldChange(value.field, value.before, value.after, SHAPE, category, mark)
    return FieldChange(value.field, value.before, value.after, category, flapping=mark)


def _mark(value: SettledValue) -> FlapMark:
    return FlapMark(FlapStep.SETTLED, value.changes, elapsed(value.began_at, value.changed_at))


def _prices(
    values: Sequence[SettledValue], records: Mapping[int, Mapping[str, object]]
) -> tuple[PriceChange, ...]:
    """Return the prices that changed with a settled field of a price: before the first change, and now."""
    found: dict[str, PriceChange] = {}
    for value in values:
        if value.category != "price" or value.announced_before is None or value.announced_after is None:
            continue
        first = records[value.announced_after]
        names = {price.name for price in price_changes(records[value.announced_before], first)}
        prices = price_changes(first, records[value.record], equal_too=True)
        prices = tuple(price for price in prices if price.name in names)
        field = _field(value)
        of_field = [price for price in prices if prices_of_fields([field], [price])]
        for price in of_field or prices:
            found.setdefault(price.name, replace(price, flapping=field.flapping))
    return tuple(found.values())
