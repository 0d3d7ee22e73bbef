"""Fields that nearly all models of a list gain or lose at once: one event of the list, not one a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.categories import SHAPE
from pipeline.core.impact import is_significant
from pipeline.core.jsonpath import generalise
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, FlapStep, Kind
from pipeline.core.watchlist import Watch
from pipeline.history.types import Event
from pipeline.store.changes import TransitionSighting
from pipeline.store.flaps import SettledValue

Moves = Mapping[tuple[int, str], TransitionSighting | SettledValue]
"""The sightings by which scopes moved, or their values settled, by snapshot and scope."""


def fold_shapes(events: Iterable[Event], moves: Moves, watch: Watch) -> list[Event]:
    """Return the events, the fields of each shape in one event; these are last, in no order.

    A watched model keeps its fields, each with the category of its meaning. A model with another price keeps
    its price fields. An event without other fields is left out.
    """
    found: list[Event] = []
    shapes: dict[tuple[int, str], dict[str, _Part]] = {}
    for event in events:
        if event.kind != Kind.CHANGED or _is_watched(event, watch):
            found.append(with_meanings(event))
            continue
        own, prices, folded = split_shapes(event.fields, event.prices)
        for scope in event.scopes if folded else ():
            parts = shapes.setdefault((event.snapshot, scope), {})
            earlier = parts[event.model].fields if event.model in parts else ()
            parts[event.model] = _Part(event, (*earlier, *map(_without_news, folded)))
        if own or not folded:
            found.append(replace(event, fields=own, prices=prices))
    return [*found, *_shape_events(shapes, moves)]


def split_shapes(
    fields: Iterable[FieldChange], prices: tuple[PriceChange, ...]
) -> tuple[tuple[FieldChange, ...], tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Separate the fields of a shape from those of one model.

    Args:
        fields: the fields in which two records of a model differ.
        prices: the prices in which they differ.

    Returns:
        The fields and prices of the model, and the fields of the shape. A model with another price keeps its
        price fields; otherwise the prices that appeared or vanished are those of the fields of the shape.
    """
    is_repriced = any(price.before is not None and price.after is not None for price in prices)
    own: list[FieldChange] = []
    folded: list[FieldChange] = []
    for field in fields:
        if field.category != SHAPE:
            own.append(field)
        elif is_repriced and field.shape_of == "price":
            own.append(with_meaning(field))
        else:
            folded.append(field)
    is_priced = any(field.shape_of == "price" for field in folded)
    return tuple(own), () if is_priced else prices, tuple(folded)


def group_shapes(
    fields: Mapping[str, Iterable[FieldChange]],
) -> Iterator[tuple[tuple[str, ...], tuple[FieldChange, ...]]]:
    """Yield each set of models that gained, or lost, the same fields, with these fields.

    Args:
        fields: by model, the fields of a shape in one list.

    Yields:
        Model ids, sorted; and the fields by path, with the values of one of the models: the first for which
        the field matters, or the first.
    """
    by_field: dict[tuple[bool, str], dict[str, FieldChange]] = {}
    for model, its_fields in sorted(fields.items()):
        for field in its_fields:
            models = by_field.setdefault((field.after is None, generalise(field.field)), {})
            if model not in models or is_significant(field):
                models[model] = field
    by_models: dict[tuple[bool, tuple[str, ...]], list[FieldChange]] = {}
    for (lost, path), models in sorted(by_field.items()):
        example = next(filter(is_significant, models.values()), next(iter(models.values())))
        by_models.setdefault((lost, tuple(models)), []).append(replace(example, field=path))
    for (_, names), examples in by_models.items():
        yield names, tuple(examples)


def with_meanings(event: Event) -> Event:
    """Return an event with the category of its meaning for each field of a shape."""
    return replace(event, fields=tuple(map(with_meaning, event.fields)))


def with_meaning(field: FieldChange) -> FieldChange:
    """Return a field with the category of its meaning if it is one of a shape."""
    if field.category != SHAPE:
        return field
    return replace(field, category=field.shape_of or "other", shape_of=None)


def _without_news(field: FieldChange) -> FieldChange:
    """Return a field of a shape as gained or lost, without the mark of an announced or settled value."""
    return field if field.flap_step == FlapStep.REPEATED else replace(field, flapping=None)


@dataclass(frozen=True, slots=True)
class _Part:
    """The fields of an event that are folded."""

    event: Event
    fields: Sequence[FieldChange]


def _is_watched(event: Event, watch: Watch) -> bool:
    return watch.has(event.model) and any(map(watch.covers, event.scopes))


def _shape_events(shapes: Mapping[tuple[int, str], Mapping[str, _Part]], moves: Moves) -> Iterator[Event]:
    """Yield the events of the lists that changed their shape; lists with the same changes share them."""
    shared: dict[Event, list[TransitionSighting | SettledValue]] = {}
    for key, parts in shapes.items():
        move = moves[key]
        for models, fields in group_shapes({model: part.fields for model, part in parts.items()}):
            owners = {parts[model].event.owned_by for model in models}
            event = Event(
                at=move.at,
                snapshot=move.snapshot,
                kind=Kind.SHAPE,
                gateway=move.gateway,
                model="",
                scopes=(),
                groups=(),
                owned_by=owners.pop() if len(owners) == 1 else None,
                fields=fields,
                models=models,
                listed=move.size,
            )
            shared.setdefault(event, []).append(move)
    for event, sightings in shared.items():
        groups = {sighting.group_name for sighting in sightings if sighting.group_name}
        scopes = {sighting.scope_name for sighting in sightings}
        yield replace(event, scopes=tuple(sorted(scopes)), groups=tuple(sorted(groups)))
