"""The details of one model: whether each scope is offered it, since when, and its current records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.text import similar
from pipeline.core.types import Kind, Scope, ScopeState
from pipeline.history.changes import find_events
from pipeline.history.groups import comings_and_goings
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.catalog import is_pruned
from pipeline.store.coverage import Coverage, coverage
from pipeline.store.departures import pruned_departures
from pipeline.store.groups import LostGroup, group_ids, lost_groups, scopes_of_groups
from pipeline.store.models import case_variants, model_names, model_rows
from pipeline.store.presence import ModelSighting, last_break, model_sightings
from pipeline.store.records import OfferedRecord, offered_records
from pipeline.store.windows import time_window

if TYPE_CHECKING:
    from pipeline.gateways.lookup import Lookup

__all__ = [
    "ModelDetails",
    "OfferState",
    "OfferedRecord",
    "ScopeOffer",
    "lookups",
    "model_details",
    "similar_models",
]


class OfferState(StrEnum):
    """Whether a scope is offered a model.

    `missing`: the removal is pending. `unknown`: the scope has not answered yet.
    """

    OFFERED = "offered"
    MISSING = "missing"
    REMOVED = "removed"
    NEVER = "never"
    UNKNOWN = "unknown"


class ScopeOffer(Struct, frozen=True):
    """Whether one scope is offered a model.

    Args:
        coverage: the state of the scope.
        state: the last known state of the model.
        since: the start of that state (ISO 8601 UTC); None where the model was never offered.
        from_the_beginning: it was in the scope's first answer, at `since`, and may be older.
        record: the id of the current record; None where the model is not offered.
        lost: the group of the scope, if it is gone with the model, or may be.
    """

    coverage: Coverage
    state: OfferState
    since: str | None = None
    from_the_beginning: bool = False
    record: int | None = None
    lost: LostGroup | None = None


class ModelDetails(Struct, frozen=True):
    """Everything recorded of a model at one gateway.

    Args:
        scopes: the selected scopes of the gateway, by name.
        records: the current records in these scopes, by id.
        case_variants: ids that differ only in case, and whether each is offered now.
        events: the history of the model, oldest first.
        pruned: older history may have been dropped, so that first answers are only the first ones kept.
    """

    gateway: str
    model: str
    scopes: tuple[ScopeOffer, ...]
    records: dict[int, OfferedRecord]
    case_variants: dict[str, bool]
    events: tuple[Event, ...]
    pruned: bool = False

    @property
    def was_offered(self) -> bool:
        """Whether any of these scopes was ever offered the model."""
        return any(scope.since is not None for scope in self.scopes)


def model_details(
    store: Store, model: str, only: Callable[[str], bool] = lambda _scope: True, *, unlisted: bool = False
) -> list[ModelDetails]:
    """Return the details of a model for each gateway; none if no gateway ever listed it.

    Args:
        store: an open database.
        model: the id, as gateways write it.
        only: the test for the names of scopes.
        unlisted: return details of a model that no gateway ever listed, too.
    """
    ids = {row.id for row in model_rows(store, [model])}
    if not (ids or unlisted):
        return []
    events = find_events(store, time_window(store), ids)
    groups = group_ids(store)
    of_groups = find_events(store, time_window(store), groups) if groups else ()
    lost = lost_groups(store)
    pruned = is_pruned(store)
    sightings = model_sightings(store, ids)
    left_at = pruned_departures(store, ids)
    records = offered_records(store, ids)
    record_ids = {scope: record.id for record in records for scope in record.scopes}
    by_gateway: dict[str, list[ScopeOffer]] = {}
    users = scopes_of_groups(store)
    for scope in coverage(store):
        if only(scope.scope) and scope.scope not in users:
            offer = _offer(
                scope,
                sightings.get(scope.scope, ()),
                left_at.get((scope.scope, model)),
                [event for event in events if scope.scope in event.scopes],
                record_ids.get(scope.scope),
            )
            losses = comings_and_goings(of_groups, scope.scope, scope.group)
            offer = _offer_in_group(offer, lost.get(scope.scope), losses)
            by_gateway.setdefault(scope.gateway, []).append(offer)
    return [
        ModelDetails(
            gateway=gateway,
            model=model,
            scopes=tuple(offers),
            records={each.id: each for each in records if any(offer.record == each.id for offer in offers)},
            case_variants=case_variants(store, gateway, model),
            events=tuple(_events_of({offer.coverage.scope for offer in offers}, events)),
            pruned=pruned,
        )
        for gateway, offers in by_gateway.items()
    ]


def lookups(
    scopes: Iterable[Scope], states: Mapping[str, ScopeState], details: Iterable[ModelDetails]
) -> Iterator[Lookup]:
    """Yield a lookup of a model for each scope of the config whose gateway may have an address for it.

    Args:
        scopes: the scopes of the config.
        states: the states of recorded scopes, by name.
        details: those of the model, one value for each gateway.
    """
    from pipeline.gateways.dialects import request_dialect  # only a live lookup needs it
    from pipeline.gateways.lookup import Lookup

    # An `all_groups` scope puts its list together from other answers; it has no address for one model.
    asked = {scope.name: scope for scope in scopes if not scope.all_groups}
    for at in details:
        for offer in at.scopes:
            scope = asked.get(offer.coverage.scope)
            dialect = request_dialect(scope.gateway, states[scope.name].reading) if scope else None
            if scope and dialect and dialect.has_records:
                listed = at.records[offer.record].body if offer.record is not None else None
                yield Lookup(scope, dialect, at.model, listed)


def _offer(
    scope: Coverage,
    sightings: Sequence[ModelSighting],
    left_at: str | None,
    events: Sequence[Event],
    record: int | None,
) -> ScopeOffer:
    if not sightings:
        return ScopeOffer(scope, OfferState.UNKNOWN)
    if not any(sighting.listed for sighting in sightings):
        return ScopeOffer(scope, OfferState.REMOVED if left_at else OfferState.NEVER, left_at)
    last = next((event for event in reversed(events) if event.kind != Kind.CHANGED), None)
    if record is None:
        return _withdrawn_offer(scope, last_break(sightings), last)
    match last:
        case Event(kind=Kind.ADDED | Kind.RETURNED):
            return ScopeOffer(scope, OfferState.OFFERED, last.at, record=record)
        case None if sightings[0].listed:
            first = sightings[0].at
            return ScopeOffer(scope, OfferState.OFFERED, first, from_the_beginning=True, record=record)
        case _:
            return ScopeOffer(scope, OfferState.OFFERED, last_break(sightings).at, record=record)


def _offer_in_group(offer: ScopeOffer, lost: LostGroup | None, losses: Sequence[Event]) -> ScopeOffer:
    """Return whether a scope is offered a model, where its group is, was or may be gone.

    Args:
        offer: by its last list.
        lost: its group if that is gone now, or may be.
        losses: the events by which it was gone or came back.
    """
    if offer.state != OfferState.OFFERED:
        return offer
    if lost:
        if not lost.is_gone:
            return replace(offer, lost=lost)
        return ScopeOffer(offer.coverage, OfferState.REMOVED, lost.since, lost=lost)
    if losses and losses[-1].at > (offer.since or ""):
        return replace(offer, since=losses[-1].at, from_the_beginning=False)
    return offer


def _withdrawn_offer(scope: Coverage, first_without: ModelSighting, last: Event | None) -> ScopeOffer:
    if last and last.kind == Kind.REMOVED:
        return ScopeOffer(scope, OfferState.REMOVED, last.since or last.at)
    # A removal by new parsing rules is not confirmed by later answers.
    state = OfferState.REMOVED if first_without.outcome == "reread" else OfferState.MISSING
    return ScopeOffer(scope, state, first_without.at)


def _events_of(scopes: set[str], events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events of some scopes, without the other scopes that they name."""
    for event in events:
        names = tuple(name for name in event.scopes if name in scopes)
        if names:
            yield replace(event, scopes=names)


def similar_models(store: Store, model: str, count: int = 3) -> list[str]:
    """Return the recorded ids most similar to another, best first; case does not count."""
    return similar(model, model_names(store), most=count)
