"""Fields that nearly all models of a list gain or lose at once: one event of the list, not one a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.categories import SHAPE
from pipeline.core.impact import is_significant
from pipeline.core.jsonpath import generalise
from pipeline.core.prices import PriceChange, prices_of_fields
from pipeline.core.types import FieldChange, FlapMark, FlapStep, Kind
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
    folded_parts: list[_Part] = []
    shapes: dict[tuple[int, str], list[int]] = {}
    for event in events:
        if event.kind != Kind.CHANGED or _is_watched(event, watch):
            found.append(with_meanings(event))
            continue
        own, prices, folded = split_shapes(event.fields, event.prices)
        if folded:
            for scope in event.scopes:
                shapes.setdefault((event.snapshot, scope), []).append(len(folded_parts))
            folded_parts.append(_Part(event, folded))
        if own or not folded:
            found.append(replace(event, fields=own, prices=prices))
    return [*found, *_shape_events(shapes, folded_parts, moves)]


def split_shapes(
    fields: Iterable[FieldChange], prices: tuple[PriceChange, ...]
) -> tuple[tuple[FieldChange, ...], tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Separate the fields of a shape from those of one model.

    Args:
        fields: the fields in which two records of a model differ.
        prices: the prices in which they differ.

    Returns:
        The fields and prices of the model, and the fields of the shape. A model with another price that no
        field of its own explains keeps its price fields; otherwise the prices that appeared or vanished are
        those of the fields of the shape.
    """
    fields = tuple(fields)
    with_both = tuple(
        price for price in prices if None not in (price.before, price.after) and price.before != price.after
    )
    of_fields = prices_of_fields([field for field in fields if field.category == "price"], with_both)
    explained = {(price.before, price.after) for price in of_fields.values()}
    is_repriced = any((price.before, price.after) not in explained for price in with_both)
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
    return tuple(own), with_both if is_priced else prices, tuple(folded)


def group_shapes(
    fields: Mapping[str, Iterable[FieldChange]],
) -> Iterator[tuple[tuple[str, ...], tuple[FieldChange, ...]]]:
    """Yield each set of models that gained, or lost, the same fields, with these fields.

    Args:
        fields: by model, the fields of a shape in one list.

    Yields:
        Model ids, sorted; and the fields by path, with the values of one of the models: the first for which
        the field matters, or the first. The field of a list settled after the most changes of a model.
    """
    by_field: dict[tuple[bool, str], dict[str, FieldChange]] = {}
    for model, its_fields in sorted(fields.items()):
        for field in its_fields:
            models = by_field.setdefault((field.after is None, generalise(field.field)), {})
            if model not in models or is_significant(field):
                models[model] = field
    by_models: dict[tuple[bool, FlapStep | None, tuple[str, ...]], list[FieldChange]] = {}
    for (lost, path), models in sorted(by_field.items()):
        for step, members in _by_step(models).items():
            example = next(filter(is_significant, members.values()), next(iter(members.values())))
            mark = max(
                (field.flapping for field in members.values() if field.flapping), key=_duration, default=None
            )
            example = replace(example, field=path, flapping=mark)
            by_models.setdefault((lost, step, tuple(members)), []).append(example)
    for (_, _, names), examples in by_models.items():
        yield names, tuple(examples)


def _by_step(models: Mapping[str, FieldChange]) -> dict[FlapStep | None, dict[str, FieldChange]]:
    """Separate models by the mark of a field.

    Where it is repeated in most of them, the list is known to lose and regain it: it is not announced again.
    """
    repeated = [field for field in models.values() if field.flap_step == FlapStep.REPEATED]
    is_known = 2 * len(repeated) > len(models)
    found: dict[FlapStep | None, dict[str, FieldChange]] = {}
    for model, each in sorted(models.items()):
        is_repeated = is_known and each.flap_step == FlapStep.ANNOUNCED
        field = replace(each, flapping=repeated[0].flapping) if is_repeated else each
        found.setdefault(field.flap_step, {})[model] = field
    return found


def _duration(mark: FlapMark) -> tuple[int, int]:
    return mark.changes or 0, mark.seconds or 0


def with_meanings(event: Event) -> Event:
    """Return an event with the category of its meaning for each field of a shape."""
    return replace(event, fields=tuple(map(with_meaning, event.fields)))


def with_meaning(field: FieldChange) -> FieldChange:
    """Return a field with the category of its meaning if it is one of a shape."""
    if field.category != SHAPE:
        return field
    return replace(field, category=field.shape_of or "other", shape_of=None)


class _Part(Struct, frozen=True):
    """The fields of an event that are folded."""

    event: Event
    fields: Sequence[FieldChange]


def _is_watched(event: Event, watch: Watch) -> bool:
    return watch.has(event.model) and any(map(watch.covers, event.scopes))


def _shape_events(
    shapes: Mapping[tuple[int, str], Sequence[int]], parts: Sequence[_Part], moves: Moves
) -> Iterator[Event]:
    """Yield the events of the lists that changed their shape; lists with the same changes share them.

    `shapes` has the places in `parts` of each list, by snapshot and scope.
    """
    shared: dict[Event, list[TransitionSighting | SettledValue]] = {}
    alike: dict[tuple[object, ...], list[list[TransitionSighting | SettledValue]]] = {}
    for key, places in shapes.items():
        move = moves[key]
        kind = (move.at, move.snapshot, move.gateway, move.size, *places)
        if kind not in alike:
            events = _shapes_of([parts[place] for place in places], move)
            alike[kind] = [shared.setdefault(event, []) for event in events]
        for members in alike[kind]:
            members.append(move)
    for event, sightings in shared.items():
        groups = {sighting.group_name for sighting in sightings if sighting.group_name}
        scopes = {sighting.scope_name for sighting in sightings}
        yield replace(event, scopes=tuple(sorted(scopes)), groups=tuple(sorted(groups)))


def _shapes_of(parts: Iterable[_Part], move: TransitionSighting | SettledValue) -> Iterator[Event]:
    """Yield the events of one list that changed its shape, without scopes."""
    of_models: dict[str, _Part] = {}
    for part in parts:
        earlier = of_models.get(part.event.model)
        fields = (*earlier.fields, *part.fields) if earlier else part.fields
        of_models[part.event.model] = _Part(part.event, fields)
    for models, fields in group_shapes({model: part.fields for model, part in of_models.items()}):
        owners = {of_models[model].event.owned_by for model in models}
        yield Event(
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
