"""The story of one model in each scope: offered from, until, away, back, and what changed on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.diff import QUIET, SHAPE
from pipeline.history import changes, coverage, window
from pipeline.pricing import PRICES, PriceChange, moved, split
from pipeline.reports import Coverage, Event
from pipeline.store import Store
from pipeline.types import FieldChange, Kind


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
class Step:
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
class Story:
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
    steps: tuple[Step, ...]

    @property
    def offered(self) -> bool:
        """Whether the model is offered now, as far as is known."""
        return bool(self.steps) and self.steps[-1].what in THERE


def stories(store: Store, model: str, only: Callable[[str], bool] = lambda _scope: True) -> tuple[Story, ...]:
    """Tell what happened to a model, by gateway and scope; scopes with the same story are told as one.

    Only scopes for whose names `only` holds are looked at; those that were never offered it have no story.
    """
    rows = store.rows("select id, gateway from models where name = :model", {"model": model})
    ids = {row["id"] for row in rows}
    events = changes(store, window(store), ids)
    seen = _seen(store, ids)
    folded: dict[tuple[Any, ...], list[Coverage]] = {}
    for scope in coverage(store):
        if scope.scope in seen and only(scope.scope):
            steps = _steps(seen[scope.scope], [event for event in events if scope.scope in event.scopes])
            asked = scope.last_asked if scope.state == "retired" else None
            key = (scope.gateway, scope.state, scope.state_since, asked, steps)
            folded.setdefault(key, []).append(scope)
    return tuple(
        Story(
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
class _Seen:
    """What a scope's list said of a model from a sighting on: its record's facts, None where it had none."""

    snapshot: int
    at: str
    outcome: str
    record: Mapping[str, Any] | None


def _seen(store: Store, models: Iterable[int]) -> dict[str, list[_Seen]]:
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
    found: dict[str, list[_Seen]] = {}
    for row in rows:
        record = row if row["record"] is not None else None
        found.setdefault(row["scope"], []).append(_Seen(row["snapshot"], row["at"], row["outcome"], record))
    return {scope: seen for scope, seen in found.items() if any(each.record for each in seen)}


def _steps(seen: Sequence[_Seen], events: Sequence[Event]) -> tuple[Step, ...]:
    """Put together what a scope's list said and what was told of it, in order."""
    told = {event.snapshot: event for event in events if event.kind != Kind.REMOVED}
    gone = [event for event in events if event.kind == Kind.REMOVED]
    found: list[Step] = []
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
                found.append(Step(What.UNREAD, each.at))
            case _:
                pass
        here = there
        last = each.record or last
    found += [_step(event) for event in gone]
    if not here and found and found[-1].what in THERE:
        found.append(Step(What.MISSING, _missed(seen)))
    return tuple(found)


def _step(
    event: Event, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> Step:
    if event.kind == Kind.ADDED and after:
        return Step(What.ADDED, event.at, prices=moved({}, after))
    known = moved(before, after) if before and after else ()
    prices, others = split(event.fields, known)
    return Step(
        What(event.kind),
        event.at,
        event.since,
        event.away_seconds,
        prices,
        others,
        sum(field.category in (QUIET, SHAPE) for field in event.fields),
    )


def _begins(what: What, seen: _Seen) -> Step:
    return Step(what, seen.at, prices=moved({}, seen.record) if seen.record else ())


def _missed(seen: Sequence[_Seen]) -> str:
    """Give when the list first lacked what it lacks to the end."""
    at = seen[-1].at
    for each in reversed(seen):
        if each.record is not None:
            break
        at = each.at
    return at
