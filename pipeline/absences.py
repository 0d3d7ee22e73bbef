"""Which scope is offered which of some models, was once, and since when it is not any more."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from pipeline.events import changes
from pipeline.history import window
from pipeline.store import Store
from pipeline.types import Kind

Pair = tuple[str, str]
"""The name of a scope, and the id of a model."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A model that a scope was offered and is not: since when (ISO 8601 UTC, None where it is not known).

    `confirmed` is told as removed; otherwise the next answers will show.
    """

    scope: str
    model: str
    since: str | None
    confirmed: bool


def listed(store: Store, ids: Iterable[int], *, held: bool = False) -> set[Pair]:
    """Give which scopes are offered which of some models now; with `held` by the answers that are held."""
    rows = store.rows(
        f"""
        select scopes.name as scope, models.name as model from json_each(:models) as wanted
        join models on models.id = wanted.value
        join records on records.model = models.id
        join listing_records on listing_records.record = records.id
        join scopes on scopes.{"held" if held else "listing"} = listing_records.listing
        """,  # noqa: S608 - names of our own
        {"models": json.dumps(sorted(ids))},
    )
    return {(row["scope"], row["model"]) for row in rows}


def ever(store: Store, ids: Iterable[int]) -> set[Pair]:
    """Give which scopes were ever offered which of some models (ids of the database)."""
    rows = store.rows(
        """
        with wanted as (select value as model from json_each(:models))
        select distinct scopes.name as scope, models.name as model from wanted
        join models on models.id = wanted.model
        join records on records.model = wanted.model
        join listing_records on listing_records.record = records.id
        join sightings on sightings.listing = listing_records.listing
            and sightings.outcome in ('baseline', 'moved', 'reread')
        join scopes on scopes.id = sightings.scope
        union
        select scopes.name, models.name from wanted
        join departures on departures.model = wanted.model
        join models on models.id = wanted.model
        join scopes on scopes.id = departures.scope
        """,
        {"models": json.dumps(sorted(ids))},
    )
    return {(row["scope"], row["model"]) for row in rows}


def explained(store: Store, gaps: Iterable[Pair], ids: Collection[int]) -> Iterator[Absence]:
    """Say of each gap since when it is there; `ids` are the models in them."""
    gaps = sorted(gaps)
    if not gaps:
        return
    last = {
        (scope, event.model): event
        for event in changes(store, window(store), ids)
        if event.kind != Kind.CHANGED
        for scope in event.scopes
    }
    missing, left = _missing(store, ids), _departed(store, ids)
    for pair in gaps:
        event = last.get(pair)
        if event and event.kind == Kind.REMOVED:
            yield Absence(*pair, since=event.since or event.at, confirmed=True)
        elif pair in missing:
            yield Absence(*pair, since=missing[pair], confirmed=False)
        else:
            # It went before what is kept of the history, or other rules of reading leave it out.
            yield Absence(*pair, since=left.get(pair), confirmed=True)


def _missing(store: Store, ids: Iterable[int]) -> dict[Pair, str]:
    """Give since when scopes miss models whose removal is not effective yet."""
    rows = store.rows(
        """
        select scopes.name as scope, models.name as model, min(snapshots.started_at) as at
        from json_each(:models) as wanted
        join changes on changes.model = wanted.value and changes.kind = 'removed'
        join missing on missing.transition = changes.transition
        join snapshots on snapshots.id = missing.since
        join scopes on scopes.id = missing.scope
        join models on models.id = changes.model
        group by scopes.name, models.name
        """,
        {"models": json.dumps(sorted(ids))},
    )
    return {(row["scope"], row["model"]): row["at"] for row in rows}


def _departed(store: Store, ids: Iterable[int]) -> dict[Pair, str]:
    """Give when models had left scopes, where that is so old that it was pruned."""
    rows = store.rows(
        """
        select scopes.name as scope, models.name as model, departures.left_at as at
        from json_each(:models) as wanted
        join departures on departures.model = wanted.value and departures.left_at is not null
        join scopes on scopes.id = departures.scope
        join models on models.id = departures.model
        """,
        {"models": json.dumps(sorted(ids))},
    )
    return {(row["scope"], row["model"]): row["at"] for row in rows}
