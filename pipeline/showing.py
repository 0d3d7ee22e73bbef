"""Tell what each scope says of one model: offered or not, since when, and as which record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from itertools import takewhile
from typing import Any

from pipeline.history import changes, coverage, window
from pipeline.reports import Coverage, Event
from pipeline.store import Store
from pipeline.types import Kind

SETS = ("input_modalities", "output_modalities", "features", "endpoints", "aliases")
FACTS = (
    "owned_by",
    "created",
    "type",
    "context_length",
    "max_output",
    "input_usd_per_1m",
    "output_usd_per_1m",
    "cache_read_usd_per_1m",
    "cache_write_usd_per_1m",
    "usd_per_call",
    "price_source",
    *SETS,
    "lifecycle",
    "deprecated_at",
)
"""The facts that are told, by their columns."""

_LIKENESS = 0.4


class Says(StrEnum):
    """What a scope says of a model; `missing` is not offered, and not told as removed yet."""

    OFFERED = "offered"
    MISSING = "missing"
    REMOVED = "removed"
    NEVER = "never"
    UNHEARD = "unheard"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a model stands in one scope.

    Args:
        coverage: the scope itself.
        says: what it says of the model.
        since: since when, in ISO 8601 UTC; None where it was never offered.
        from_the_beginning: it is offered since the scope's first answer, at `since`, and perhaps longer.
        record: the id of the record that it is offered as; None where it is not offered.
    """

    coverage: Coverage
    says: Says
    since: str | None = None
    from_the_beginning: bool = False
    record: int | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A record that a model is offered as, with the facts that are known of it, and its body as JSON."""

    record: int
    facts: dict[str, Any]
    body: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of a model at one gateway.

    Args:
        standings: by scope.
        offers: the records that it is offered as, by id.
        twins: ids that differ from its own in upper and lower case alone; true where one is offered now.
        events: its history, oldest first.
    """

    gateway: str
    model: str
    standings: tuple[Standing, ...]
    offers: dict[int, Offer]
    twins: dict[str, bool]
    events: tuple[Event, ...]

    @property
    def is_known(self) -> bool:
        """Whether any of these scopes was ever offered it."""
        return any(standing.since is not None for standing in self.standings)


def shown(store: Store, model: str, only: Callable[[str], bool] = lambda _scope: True) -> list[Shown]:
    """Tell what is known of a model, by gateway; nothing where no scope has ever been offered it.

    Only scopes for whose names `only` holds are looked at.
    """
    ids = _ids(store, model)
    if not ids:
        return []
    by_gateway: dict[str, list[Coverage]] = {}
    for scope in coverage(store):
        if only(scope.scope):
            by_gateway.setdefault(scope.gateway, []).append(scope)
    events = changes(store, window(store), set(ids.values()))
    return [
        _shown(store, gateway, model, ids.get(gateway), scopes, _in_scopes(events, scopes))
        for gateway, scopes in by_gateway.items()
    ]


def closest(store: Store, model: str, count: int = 3) -> list[str]:
    """Give the ids most like one that nobody knows, best first."""
    names: dict[str, list[str]] = {}
    for row in store.rows("select distinct name from models order by name"):
        names.setdefault(row["name"].casefold(), []).append(row["name"])
    alike = get_close_matches(model.casefold(), names, n=count, cutoff=_LIKENESS)
    return [name for found in alike for name in names[found]][:count]


def _ids(store: Store, model: str) -> dict[str, int]:
    rows = store.rows(
        """
        select gateways.name as gateway, models.id from models join gateways on gateways.id = models.gateway
        where models.name = :model
        """,
        {"model": model},
    )
    return {row["gateway"]: row["id"] for row in rows}


def _in_scopes(events: Iterable[Event], scopes: Sequence[Coverage]) -> tuple[Event, ...]:
    """Keep the events of some scopes, and of each event only those."""
    names = {scope.scope for scope in scopes}
    kept = (replace(event, scopes=tuple(name for name in event.scopes if name in names)) for event in events)
    return tuple(event for event in kept if event.scopes)


def _shown(
    store: Store,
    gateway: str,
    model: str,
    model_id: int | None,
    scopes: Sequence[Coverage],
    events: tuple[Event, ...],
) -> Shown:
    offers, records = _offers(store, model_id)
    seen = _seen(store, model_id)
    departed = _departed(store, model_id)
    standings = [
        _standing(
            scope,
            seen.get(scope.scope, []),
            departed.get(scope.scope),
            [event for event in events if scope.scope in event.scopes],
            records.get(scope.scope),
        )
        for scope in scopes
    ]
    kept = {standing.record for standing in standings}
    return Shown(
        gateway=gateway,
        model=model,
        standings=tuple(standings),
        offers={number: offer for number, offer in offers.items() if number in kept},
        twins=_twins(store, gateway, model),
        events=events,
    )


def _offers(store: Store, model_id: int | None) -> tuple[dict[int, Offer], dict[str, int]]:
    """Give the records that a model is offered as, as far as is known, and which scope is offered which."""
    rows = store.rows(
        """
        select scopes.name as scope, records.* from records
        join listing_records on listing_records.record = records.id
        join scopes on scopes.listing = listing_records.listing
        where records.model = :model order by scopes.name
        """,
        {"model": model_id},
    )
    offers = {row["id"]: Offer(row["id"], _facts(row), row["body"]) for row in rows}
    return offers, {row["scope"]: row["id"] for row in rows}


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: row[name] for name in FACTS if row[name] is not None}
    return known | {name: json.loads(known[name]) for name in SETS if name in known}


def _twins(store: Store, gateway: str, model: str) -> dict[str, bool]:
    rows = store.rows(
        """
        select models.name, exists(select 1 from catalog where catalog.model_id = models.id) as offered
        from models join gateways on gateways.id = models.gateway
        where gateways.name = :gateway and models.name <> :model
        and length(models.name) between :least and :most
        order by models.name
        """,
        # Upper and lower case differ in length in few letters only, and by little.
        {"gateway": gateway, "model": model, "least": len(model) // 3, "most": 3 * len(model)},
    )
    alike = model.casefold()
    return {row["name"]: bool(row["offered"]) for row in rows if row["name"].casefold() == alike}


@dataclass(frozen=True, slots=True)
class _Seen:
    """Whether a model was in what a scope listed from a moment on."""

    at: str
    outcome: str
    there: bool


def _seen(store: Store, model_id: int | None) -> dict[str, list[_Seen]]:
    """Give where each scope's list began, was read anew, and moved with this model, oldest first."""
    rows = store.rows(
        """
        select scopes.name as scope, snapshots.started_at as at, sightings.outcome, exists(
            select 1 from records
            join listing_records on listing_records.record = records.id
                and listing_records.listing = sightings.listing
            where records.model = :model
        ) as there
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        where sightings.outcome in ('baseline', 'reread')
        or (sightings.outcome = 'moved' and sightings.transition in (
            select transition from changes where model = :model and kind in ('added', 'removed')
        ))
        order by sightings.id
        """,
        {"model": model_id},
    )
    found: dict[str, list[_Seen]] = {}
    for row in rows:
        found.setdefault(row["scope"], []).append(_Seen(row["at"], row["outcome"], bool(row["there"])))
    return found


def _departed(store: Store, model_id: int | None) -> dict[str, str]:
    """Give when a model had left each scope, where that is so old that it was pruned."""
    rows = store.rows(
        """
        select scopes.name as scope, departures.left_at from departures
        join scopes on scopes.id = departures.scope
        where departures.model = :model and departures.left_at is not null
        """,
        {"model": model_id},
    )
    return {row["scope"]: row["left_at"] for row in rows}


def _standing(
    scope: Coverage, seen: Sequence[_Seen], left_at: str | None, events: Sequence[Event], record: int | None
) -> Standing:
    if not seen:
        return Standing(scope, Says.UNHEARD)
    if not any(each.there for each in seen):
        return Standing(scope, Says.REMOVED, left_at) if left_at else Standing(scope, Says.NEVER)
    last = next((event for event in reversed(events) if event.kind != Kind.CHANGED), None)
    # What is there, or is not there, since this moment without a break.
    here = list(takewhile(lambda each: each.there == seen[-1].there, reversed(seen)))[-1]
    if record is None:
        return _gone(scope, here, last)
    match last:
        case Event(kind=Kind.ADDED | Kind.RETURNED):
            return Standing(scope, Says.OFFERED, last.at, record=record)
        case None if seen[0].there:
            return Standing(scope, Says.OFFERED, seen[0].at, from_the_beginning=True, record=record)
        case _:
            return Standing(scope, Says.OFFERED, here.at, record=record)


def _gone(scope: Coverage, here: _Seen, last: Event | None) -> Standing:
    if last and last.kind == Kind.REMOVED:
        return Standing(scope, Says.REMOVED, last.since or last.at)
    # A new way of reading can leave a row out, which nothing will confirm.
    says = Says.REMOVED if here.outcome == "reread" else Says.MISSING
    return Standing(scope, says, here.at)
