"""Tell what each scope says of one model: offered or not, since when, and as which record.

The story of one model in each scope: offered from, until, away, back, and what changed on the way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from itertools import takewhile
from typing import Any

from pipeline.core.diff import QUIET, SHAPE
from pipeline.core.prices import PRICES, PriceChange, price_changes, split_prices
from pipeline.core.types import FieldChange, Kind
from pipeline.history.changes import find_events
from pipeline.history.runs import coverage
from pipeline.history.types import Coverage, Event
from pipeline.store import Store
from pipeline.store.changes import window

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
class ModelDetails:
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


def model_details(
    store: Store, model: str, only: Callable[[str], bool] = lambda _scope: True
) -> list[ModelDetails]:
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
    events = find_events(store, window(store), set(ids.values()))
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
) -> ModelDetails:
    offers, records = _offers(store, model_id)
    seen = _sighted(store, model_id)
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
    return ModelDetails(
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
class _Sighted:
    """Whether a model was in what a scope listed from a moment on."""

    at: str
    outcome: str
    there: bool


def _sighted(store: Store, model_id: int | None) -> dict[str, list[_Sighted]]:
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
    found: dict[str, list[_Sighted]] = {}
    for row in rows:
        found.setdefault(row["scope"], []).append(_Sighted(row["at"], row["outcome"], bool(row["there"])))
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
    scope: Coverage,
    seen: Sequence[_Sighted],
    left_at: str | None,
    events: Sequence[Event],
    record: int | None,
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


def _gone(scope: Coverage, here: _Sighted, last: Event | None) -> Standing:
    if last and last.kind == Kind.REMOVED:
        return Standing(scope, Says.REMOVED, last.since or last.at)
    # A new way of reading can leave a row out, which nothing will confirm.
    says = Says.REMOVED if here.outcome == "reread" else Says.MISSING
    return Standing(scope, says, here.at)


class What(StrEnum):
    """What a step of a story is; the first four are those of `changes`.

    `first`: in the scope's first answer. `missing`: not in the last answers, to be confirmed. `read` and
    `unread`: in the list, or out of it, since it is read by other rules.
    """

    ADDED = "added"
    REMOVED = "removed"
    RETURNED = "returned"
    CHANGED = "changed"
    FIRST = "first"
    MISSING = "missing"
    READ = "read"
    UNREAD = "unread"


THERE = frozenset({What.ADDED, What.RETURNED, What.FIRST, What.READ, What.CHANGED})
"""After these a model is offered."""


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One step of a story.

    Args:
        at: when it was effective, in ISO 8601 UTC, as `changes` has it.
        since: for a removal, the run that first missed it; for a return, the run at which it had left.
        away_seconds: for a return, how long it was away.
        prices: what changed in its price; where it begins to be offered, what it costs.
        fields: the other fields that changed, without quiet ones.
        quiet: how many quiet fields changed.
    """

    what: What
    at: str
    since: str | None = None
    away_seconds: int | None = None
    prices: tuple[PriceChange, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    quiet: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened to a model in scopes to which exactly the same happened.

    Args:
        state: `ok`, `held`, `failed` or `retired`, and since when where it is not well.
        steps: oldest first; empty where the model was never offered.
        last_asked: the last run that asked these scopes.
    """

    gateway: str
    model: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...]
    state: str
    state_since: str | None
    last_asked: str | None
    steps: tuple[TimelineStep, ...]

    @property
    def offered(self) -> bool:
        """Whether the model is offered now, as far as is known."""
        return bool(self.steps) and self.steps[-1].what in THERE


def timelines(
    store: Store, model: str, only: Callable[[str], bool] = lambda _scope: True
) -> tuple[Timeline, ...]:
    """Tell what happened to a model, by gateway and scope; scopes with the same story are told as one.

    Only scopes for whose names `only` holds are looked at; those that were never offered it have no story.
    """
    rows = store.rows("select id, gateway from models where name = :model", {"model": model})
    ids = {row["id"] for row in rows}
    events = find_events(store, window(store), ids)
    seen = _periods(store, ids)
    folded: dict[tuple[Any, ...], list[Coverage]] = {}
    for scope in coverage(store):
        if scope.scope in seen and only(scope.scope):
            steps = _steps(seen[scope.scope], [event for event in events if scope.scope in event.scopes])
            asked = scope.last_asked if scope.state == "retired" else None
            key = (scope.gateway, scope.state, scope.state_since, asked, steps)
            folded.setdefault(key, []).append(scope)
    return tuple(
        Timeline(
            gateway=gateway,
            model=model,
            scopes=tuple(scope.scope for scope in scopes),
            groups=tuple(sorted({scope.group for scope in scopes if scope.group})),
            state=state,
            state_since=since,
            last_asked=asked,
            steps=steps,
        )
        for (gateway, state, since, asked, steps), scopes in folded.items()
    )


@dataclass(frozen=True, slots=True)
class _Period:
    """What a scope's list said of a model from a sighting on: its record's facts, None where it had none."""

    snapshot: int
    at: str
    outcome: str
    record: Mapping[str, Any] | None


def _periods(store: Store, models: Iterable[int]) -> dict[str, list[_Period]]:
    """Give where each scope's list began, was read anew, and moved with a model, in the scope's own order."""
    rows = store.rows(
        f"""
        with mine as (
            select records.id, listing_records.listing from json_each(:models) as wanted
            join records on records.model = wanted.value
            join listing_records on listing_records.record = records.id
        )
        select scopes.name as scope, snapshots.id as snapshot, snapshots.started_at as at, sightings.outcome,
               mine.id as record, records.price_source, {", ".join(f"records.{name}" for name in PRICES)}
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        left join mine on mine.listing = sightings.listing
        left join records on records.id = mine.id
        where sightings.outcome in ('baseline', 'reread')
        or (sightings.outcome = 'moved' and sightings.transition in (
            select changes.transition from json_each(:models) as wanted
            join changes on changes.model = wanted.value
        ))
        order by sightings.id
        """,  # noqa: S608 - names of our own
        {"models": json.dumps(sorted(models))},
    )
    found: dict[str, list[_Period]] = {}
    for row in rows:
        record = row if row["record"] is not None else None
        found.setdefault(row["scope"], []).append(_Period(row["snapshot"], row["at"], row["outcome"], record))
    return {scope: seen for scope, seen in found.items() if any(each.record for each in seen)}


def _steps(seen: Sequence[_Period], events: Sequence[Event]) -> tuple[TimelineStep, ...]:
    """Put together what a scope's list said and what was told of it, in order."""
    told = {event.snapshot: event for event in events if event.kind != Kind.REMOVED}
    gone = [event for event in events if event.kind == Kind.REMOVED]
    found: list[TimelineStep] = []
    last: Mapping[str, Any] | None = None
    here = False
    for each in seen:
        while gone and gone[0].snapshot < each.snapshot:
            found.append(_step(gone.pop(0)))
        there = each.record is not None
        match each.outcome:
            case "moved" if each.snapshot in told:
                found.append(_step(told[each.snapshot], last, each.record))
            case "baseline" if there:
                found.append(_begins(What.FIRST, each))
            case "reread" if there and not here:
                found.append(_begins(What.READ, each))
            case "reread" if here and not there:
                found.append(TimelineStep(What.UNREAD, each.at))
            case _:
                pass
        here = there
        last = each.record or last
    found += [_step(event) for event in gone]
    if not here and found and found[-1].what in THERE:
        found.append(TimelineStep(What.MISSING, _missed(seen)))
    return tuple(found)


def _step(
    event: Event, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> TimelineStep:
    if event.kind == Kind.ADDED and after:
        return TimelineStep(What.ADDED, event.at, prices=price_changes({}, after))
    known = price_changes(before, after) if before and after else ()
    prices, others = split_prices(event.fields, known)
    return TimelineStep(
        What(event.kind),
        event.at,
        event.since,
        event.away_seconds,
        prices,
        others,
        sum(field.category in (QUIET, SHAPE) for field in event.fields),
    )


def _begins(what: What, seen: _Period) -> TimelineStep:
    return TimelineStep(what, seen.at, prices=price_changes({}, seen.record) if seen.record else ())


def _missed(seen: Sequence[_Period]) -> str:
    """Give when the list first lacked what it lacks to the end."""
    at = seen[-1].at
    for each in reversed(seen):
        if each.record is not None:
            break
        at = each.at
    return at
