"""The events of a window: models added, removed, returned or changed, each with its scopes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from pipeline.core.diff import field_changes
from pipeline.core.prices import PriceChange, changed_prices, mark_flapping, price_changes
from pipeline.core.times import elapsed
from pipeline.core.types import FieldChange, Kind
from pipeline.core.watchlist import NO_WATCH, Watch, matches
from pipeline.history.flaps import mark_fields, restore_before, restore_prices, settled_events
from pipeline.history.groups import as_group_events
from pipeline.history.shapes import fold_shapes, with_meaning, with_meanings
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.changes import (
    ChangeRow,
    ModelIds,
    TransitionSighting,
    changes_by_transition,
    fields_by_change,
    flap_levels_of_confirmations,
    readded_before_confirmation,
    transition_sightings,
)
from pipeline.store.departures import Departure, departures_of_returned
from pipeline.store.flaps import Episodes, Regain, Regains, SettledValue, episodes, regains, settled_values
from pipeline.store.groups import scopes_of_groups
from pipeline.store.models import ListedModels
from pipeline.store.records import record_bodies, record_prices
from pipeline.store.windows import Window

_MIN_SIMILARITY = 0.8
"""The similarity of two names, from 0 to 1, from which one is called a possible rename of the other."""

_ORDER = {
    kind: place
    for place, kind in enumerate(
        (Kind.REMOVED, Kind.CHANGED, Kind.SHAPE, Kind.GROUP, Kind.RETURNED, Kind.ADDED)
    )
}


def find_events(
    store: Store, window: Window, models: ModelIds = None, *, watch: Watch = NO_WATCH
) -> tuple[Event, ...]:
    """Return the events of a window, each once for all the scopes that share it, in the order of the runs.

    A removal is an event of the run that confirms it. A model that comes back before that was never removed:
    if its record then differs, that is a change. A field that nearly all models of a list gained or lost is
    an event of the list; see `fold_shapes`.

    Args:
        store: an open database.
        window: the runs.
        models: only events of these, by their rows; each then has all of its fields.
        watch: the watched models, which have all of their fields.
    """
    sightings = transition_sightings(store, window, models)
    departures = departures_of_returned(store, window, models)
    settled = settled_values(store, window, models)
    return _build_events(store, window, sightings, departures, models, watch, settled)


def select_events(
    events: Iterable[Event],
    *,
    scopes: Sequence[str],
    models: Sequence[str],
    kinds: Sequence[str],
    groups: Mapping[str, str],
) -> tuple[Event, ...]:
    """Return the events that match globs of scopes and of models, and kinds; each with its matching scopes.

    No globs, or no kinds, match everything; `groups` has the group of each scope that has one.
    """
    of_models = filter(None, (select_models(each, models) for each in events))
    found = (select_scopes(each, lambda scope, _: matches(scope, scopes), groups) for each in of_models)
    return tuple(each for each in found if each and (not kinds or each.kind in kinds))


def select_scopes(
    event: Event, selects: Callable[[str, str], bool], groups: Mapping[str, str]
) -> Event | None:
    """Return an event with its selected scopes and their groups; None without any.

    Args:
        event: a change of a group keeps the name of the group.
        selects: whether a scope is selected, by its name and its group; empty for a scope without one.
        groups: by scope, its group.
    """
    own = dict.fromkeys(event.scopes, event.groups[0]) if event.kind == Kind.GROUP else groups
    scopes = tuple(scope for scope in event.scopes if selects(scope, own.get(scope, "")))
    if scopes == event.scopes:
        return event
    selected = tuple(sorted({own[scope] for scope in scopes if scope in own}))
    return replace(event, scopes=scopes, groups=selected) if scopes else None


def select_models(event: Event, globs: Sequence[str]) -> Event | None:
    """Return an event if its model matches a glob; one of a shape or a group with its matching models."""
    if event.kind not in (Kind.SHAPE, Kind.GROUP) or not globs:
        return event if matches(event.model, globs) else None
    models = tuple(model for model in event.models if matches(model, globs))
    return replace(event, models=models) if models else None


def find_removals(store: Store, window: Window) -> tuple[Event, ...]:
    """Return the removals among the events of a window, without computing the others."""
    confirmations = [each for each in transition_sightings(store, window) if each.outcome == "confirmed"]
    return _build_events(store, window, confirmations, {})


class _SharedEvent(Struct, frozen=True):
    """The part of an event that is equal for all its scopes.

    `before` and `after` are the rows of the records that differ; None for a model that was added or removed,
    of which each scope may have had another record.
    """

    snapshot: int
    at: str
    kind: Kind
    gateway: str
    model: str
    since: str | None
    before: int | None
    after: int | None
    case_variant: str | None
    successor: str | None


_NO_REGAINS: Mapping[str, Regain] = {}

_Differing = tuple[tuple[FieldChange, ...], frozenset[int]]
"""The fields that differ, and the records before the loss of those that a model regained."""

_Sides = tuple[int | None, int | None]
"""The rows of the records before and after a change."""


def _build_events(
    store: Store,
    window: Window,
    sightings: Sequence[TransitionSighting],
    departures: Mapping[tuple[int, int], Departure],
    models: ModelIds = None,
    watch: Watch = NO_WATCH,
    settled: Sequence[SettledValue] = (),
) -> tuple[Event, ...]:
    changes = changes_by_transition(store, {sighting.transition for sighting in sightings})
    readded = readded_before_confirmation(store, window, models)
    levels = flap_levels_of_confirmations(store, [each for each in sightings if each.outcome == "confirmed"])
    rules = _EventRules(ListedModels(store), departures, readded, levels, changes)
    found: dict[_SharedEvent, list[TransitionSighting]] = {}
    owners: dict[_SharedEvent, str | None] = {}
    returned = {sighting for sighting, _ in departures}
    alike: dict[tuple[int, int], list[list[TransitionSighting]]] = {}
    for sighting in sightings:
        # Scopes with the same two lists have the same events, unless a model returned to one of them.
        is_plain = sighting.outcome == "moved" and sighting.id not in returned
        key = (sighting.snapshot, sighting.transition)
        if is_plain and key in alike:
            for members in alike[key]:
                members.append(sighting)
            continue
        of_sighting = []
        for change in changes.get(sighting.transition, ()):
            event = rules.event(sighting, change) if models is None or change.model in models else None
            if event:
                members = found.setdefault(event, [])
                members.append(sighting)
                of_sighting.append(members)
                owners.setdefault(event, change.owned_by)
        if is_plain:
            alike[key] = of_sighting
    values = episodes(store, window, models), regains(store, window, models)
    events = _complete(store, found, owners, changes, *values)
    events += settled_events(store, settled)
    moves: dict[tuple[int, str], TransitionSighting | SettledValue] = {
        (each.snapshot, each.scope_name): each for each in settled
    }
    moves |= {(each.snapshot, each.scope_name): each for each in sightings if each.outcome == "moved"}
    of_groups = scopes_of_groups(store)
    groups = [event for event in events if event.scopes[0] in of_groups]
    events = [event for event in events if event.scopes[0] not in of_groups]
    folded = fold_shapes(events, moves, watch) if models is None else map(with_meanings, events)
    times = _order_times(sorted([*sightings, *settled], key=lambda each: each.id))

    def order(event: Event) -> tuple[object, ...]:
        run = times[event.snapshot], event.snapshot
        name = event.model or event.groups
        return (*run, event.gateway, event.scopes, _ORDER[event.kind], name, event.models)

    return tuple(sorted([*folded, *as_group_events(store, groups, watch)], key=order))


def _order_times(sightings: Iterable[TransitionSighting | SettledValue]) -> dict[int, str]:
    """Return the time that orders the events of each snapshot.

    Runs keep the order of their ids, even if the clock was set back between them; imported snapshots are
    placed between them by their own times.
    """
    times: dict[int, str] = {}
    latest = ""
    for sighting in sightings:
        if not sighting.imported:
            latest = max(latest, sighting.at)
        times[sighting.snapshot] = sighting.at if sighting.imported else latest
    return times


class _EventRules(Struct, frozen=True):
    """The rules by which a change, at a sighting of its transition, is an event or none.

    Args:
        listed: the models of listings.
        departures: how models had left, by the sighting of their return and the model.
        readded: models that were back before their removal was confirmed, by confirming sighting and model.
        levels: flap levels, by confirming sighting and model.
        changes: the changes of each transition.
        successors: the possible successors found so far, by the id of the removal.
    """

    listed: ListedModels
    departures: Mapping[tuple[int, int], Departure]
    readded: set[tuple[int, int]]
    levels: Mapping[tuple[int, int], int]
    changes: Mapping[int, Sequence[ChangeRow]]
    successors: dict[int, str | None] = field(default_factory=dict)

    def event(self, sighting: TransitionSighting, change: ChangeRow) -> _SharedEvent | None:
        """Return the event of a change at a sighting; None where there is none."""
        match sighting.outcome, change.kind:
            case "confirmed", Kind.REMOVED if self._is_removed(sighting, change.model):
                removed = _shared(sighting, change, Kind.REMOVED, since=sighting.since_at)
                variant = self.listed.case_variant(sighting.listing, change.model_name)
                return replace(
                    removed, case_variant=variant, successor=None if variant else self._successor(change)
                )
            case "moved", Kind.CHANGED:
                return _shared(sighting, change, Kind.CHANGED, change.before)
            case "moved", Kind.ADDED:
                added = self._added(sighting, change)
                variant = self.listed.case_variant(sighting.listing, change.model_name)
                return None if added is None else replace(added, case_variant=variant)
            case _:
                return None

    def _added(self, sighting: TransitionSighting, change: ChangeRow) -> _SharedEvent | None:
        """Return the event of an added record: an addition, a return, a change, or none."""
        departure = self.departures.get((sighting.id, change.model))
        if departure is None:
            return _shared(sighting, change, Kind.ADDED)
        if departure.at is not None:
            return _shared(sighting, change, Kind.RETURNED, departure.record, departure.at)
        if departure.record == change.after:
            return None
        return _shared(sighting, change, Kind.CHANGED, departure.record)

    def _is_removed(self, sighting: TransitionSighting, model: int) -> bool:
        """Return whether a sighting confirms the removal of a model: of its flap level, and never back."""
        if self.levels[sighting.id, model] != sighting.flap_level or (sighting.id, model) in self.readded:
            return False
        return model not in self.listed.names(sighting.listing)

    def _successor(self, removal: ChangeRow) -> str | None:
        """Return the only model added in the same transition with a similar name and the same owner."""
        if removal.id not in self.successors:
            similar = [
                row.model_name
                for row in self.changes[removal.transition]
                if row.kind == Kind.ADDED
                and row.owned_by == removal.owned_by
                and _is_similar(row.model_name, removal.model_name)
            ]
            self.successors[removal.id] = similar[0] if len(similar) == 1 else None
        return self.successors[removal.id]


def _is_similar(name: str, other: str) -> bool:
    matcher = SequenceMatcher(None, name, other)
    # The cheap upper bounds first.
    ratios = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)
    return all(ratio() >= _MIN_SIMILARITY for ratio in ratios)


def _shared(
    sighting: TransitionSighting,
    change: ChangeRow,
    kind: Kind,
    before: int | None = None,
    since: str | None = None,
) -> _SharedEvent:
    return _SharedEvent(
        snapshot=sighting.snapshot,
        at=sighting.at,
        kind=kind,
        gateway=sighting.gateway,
        model=change.model_name,
        since=since,
        before=before,
        after=change.after if before is not None else None,
        case_variant=None,
        successor=None,
    )


def _complete(
    store: Store,
    found: Mapping[_SharedEvent, Sequence[TransitionSighting]],
    owners: Mapping[_SharedEvent, str | None],
    changes: Mapping[int, Sequence[ChangeRow]],
    flapping: Episodes,
    regained: Regains,
) -> list[Event]:
    """Return the events with their scopes, and the fields and prices that differ."""
    fields_of = _FieldsOf(store, found, changes)
    differing = {
        side for event in found if event.before and event.after for side in (event.before, event.after)
    }
    differing |= {each.record for of_model in regained.values() for each in of_model.values()}
    prices = record_prices(store, differing)
    events = []
    for event, sightings in found.items():
        # A field may be a change of shape in the list of one scope only, or keep changing there.
        by_fields: dict[_Differing, list[TransitionSighting]] = {}
        alike: dict[int, list[TransitionSighting]] = {}
        for sighting in sightings:
            of_model, lost = None, _NO_REGAINS
            if event.kind == Kind.CHANGED:
                of_model = flapping.get((sighting.scope, event.model))
                lost = regained.get((sighting.id, event.model), _NO_REGAINS)
            is_plain = not (of_model or lost)
            if is_plain and sighting.transition in alike:
                alike[sighting.transition].append(sighting)
                continue
            fields = fields_of(event, sighting.transition)
            if event.kind == Kind.CHANGED:
                fields = restore_before(mark_fields(fields, of_model, sighting.id), lost)
            records = frozenset(each.record for each in lost.values())
            members = by_fields.setdefault((fields, records), [])
            members.append(sighting)
            if is_plain:
                alike[sighting.transition] = members
        events += [
            Event(
                at=event.at,
                snapshot=event.snapshot,
                kind=event.kind,
                gateway=event.gateway,
                model=event.model,
                scopes=tuple(sorted({sighting.scope_name for sighting in members})),
                groups=tuple(sorted({sighting.group_name for sighting in members if sighting.group_name})),
                owned_by=owners[event],
                since=event.since,
                away_seconds=elapsed(event.since, event.at)
                if event.since and event.kind == Kind.RETURNED
                else None,
                fields=fields,
                prices=_prices(event, fields, records, prices),
                case_variant=event.case_variant,
                successor=event.successor,
            )
            for (fields, records), members in by_fields.items()
        ]
    return events


def _prices(
    event: _SharedEvent,
    fields: Sequence[FieldChange],
    lost: Iterable[int],
    prices: Mapping[int, Mapping[str, Any]],
) -> tuple[PriceChange, ...]:
    """Return the prices that differ; `lost` has the records before the loss of regained fields."""
    if not (event.before and event.after):
        return ()
    found = changed_prices(prices[event.before], prices[event.after], fields)
    for record in sorted(lost, reverse=True):
        found = restore_prices(found, price_changes(prices[record], prices[event.after]))
    return mark_flapping(found, fields)


class _FieldsOf:
    """The fields in which the two records of an event differ."""

    def __init__(
        self, store: Store, events: Iterable[_SharedEvent], changes: Mapping[int, Sequence[ChangeRow]]
    ) -> None:
        differing = {(event.before, event.after) for event in events if event.before and event.after}
        self._changes: dict[tuple[int, _Sides], int] = {}
        by_sides: dict[_Sides, int] = {}
        for rows in changes.values():
            for row in rows:
                if (row.before, row.after) in differing:
                    self._changes[row.transition, (row.before, row.after)] = row.id
                    by_sides[row.before, row.after] = row.id
        self._stored = fields_by_change(store, self._changes.values())
        # Records that no single change connects are compared here.
        bodies = record_bodies(
            store, [side for sides in differing - by_sides.keys() for side in sides if side]
        )
        # The same records may differ in another list too, where a field was a change of shape.
        self._others = {
            sides: tuple(map(with_meaning, self._stored.get(change, ())))
            for sides, change in by_sides.items()
        }
        self._others |= {
            (before, after): field_changes(bodies[before], bodies[after])
            for before, after in differing - by_sides.keys()
            if before and after and before != after
        }

    def __call__(self, event: _SharedEvent, transition: int) -> tuple[FieldChange, ...]:
        """Return the fields of an event, as far as it is of a transition."""
        sides = (event.before, event.after)
        change = self._changes.get((transition, sides))
        if change is not None:
            return self._stored.get(change, ())
        return self._others.get(sides, ())
