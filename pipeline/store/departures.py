"""Departures: when models left scopes, and with which record, also where that history was pruned."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from pipeline.store.changes import ModelIds
from pipeline.store.database import Store
from pipeline.store.flapping import flap_levels
from pipeline.store.windows import Window


class Departure(Struct, frozen=True):
    """A model's last record in a scope, and when it left (ISO 8601 UTC); None if that was not confirmed."""

    record: int
    at: str | None


class Removal(NamedTuple):
    """A model that a sighting (`moved`) removed from a scope, and the sighting of its return, if any."""

    scope: int
    model: int
    moved: int
    returned: int | None


def departures(store: Store, removals: Iterable[Removal]) -> dict[Removal, Departure]:
    """Return the departure of each removal; its time is that of the first answer without the model."""
    rows = store.rows(
        """
        with wanted as (
            select json_extract(value, '$[0]') as scope, json_extract(value, '$[1]') as model,
                   json_extract(value, '$[2]') as moved, json_extract(value, '$[3]') as returned
            from json_each(:removals)
        )
        select wanted.scope, wanted.model, wanted.moved, wanted.returned,
               changes.before as record, confirmed.flap_level, first.started_at as at
        from wanted
        join sightings as moved on moved.id = wanted.moved
        join changes on changes.transition = moved.transition and changes.model = wanted.model
        left join sightings as confirmed on confirmed.transition = moved.transition
            and confirmed.scope = wanted.scope and confirmed.outcome = 'confirmed'
            and confirmed.id > moved.id and (wanted.returned is null or confirmed.id < wanted.returned)
            and moved.id = (
                select min(first.id) from sightings as first
                where first.scope = confirmed.scope and first.snapshot >= confirmed.since
                and first.transition = confirmed.transition and first.outcome = 'moved'
            )
        left join snapshots as first on first.id = confirmed.since
        order by confirmed.id desc
        """,
        {"removals": json.dumps(list(removals))},
    )
    levels = flap_levels(store, {row["moved"] for row in rows})
    found: dict[Removal, Departure] = {}
    for row in rows:
        removal = Removal(row["scope"], row["model"], row["moved"], row["returned"])
        is_confirmed = row["flap_level"] == levels[removal.moved, removal.model]
        if is_confirmed or removal not in found:
            found[removal] = Departure(row["record"], row["at"] if is_confirmed else None)
    return found


def departures_of_returned(
    store: Store, window: Window, models: ModelIds = None
) -> dict[tuple[int, int], Departure]:
    """Return the departures of the models that returned in a window.

    Args:
        store: an open database.
        window: the runs of the returns.
        models: only of these, by their rows.

    Returns:
        The departures by the sighting of the return and the model.
    """
    # Without `cross` and `+`, SQLite may read all moves for each: https://www.sqlite.org/optoverview.html
    rows = store.rows(
        """
        select * from (
            select moved.id as returned, moved.scope, added.model, (
                select max(earlier.id) from changes as removed
                cross join sightings as earlier on earlier.transition = removed.transition
                    and earlier.scope = moved.scope and earlier.outcome = 'moved' and earlier.id < moved.id
                where removed.model = added.model and removed.kind = 'removed'
            ) as moved
            from sightings as moved
            join changes as added on added.transition = moved.transition and added.kind = 'added'
            where moved.snapshot > :since and moved.snapshot <= :until and +moved.outcome = 'moved'
            and (:models is null or added.model in (select value from json_each(:models)))
        ) where moved is not null
        """,
        {
            "since": window.since,
            "until": window.until,
            "models": None if models is None else json.dumps(sorted(models)),
        },
    )
    found = departures(store, (Removal(**row) for row in rows))
    in_ledger = {(removal.returned or 0, removal.model): removal.moved for removal in found}
    return {
        (removal.returned or 0, removal.model): departure for removal, departure in found.items()
    } | _pruned(store, window, in_ledger)


def _pruned(
    store: Store, window: Window, in_ledger: dict[tuple[int, int], int]
) -> dict[tuple[int, int], Departure]:
    """Return the departures in `departures`, unless the ledger has a later one, by return and model."""
    rows = store.rows(
        """
        select moved.id as returned, departures.model, departures.record, departures.left_at as at,
               departures.sighting
        from departures
        join sightings as moved on moved.scope = departures.scope and moved.id > departures.sighting
        join changes as added on added.transition = moved.transition and added.kind = 'added'
            and added.model = departures.model
        where moved.snapshot > :since and moved.snapshot <= :until and moved.outcome = 'moved'
        """,
        {"since": window.since, "until": window.until},
    )
    return {
        (row["returned"], row["model"]): Departure(row["record"], row["at"])
        for row in rows
        if row["sighting"] >= in_ledger.get((row["returned"], row["model"]), 0)
    }


def pruned_departures(store: Store, models: Iterable[int]) -> dict[tuple[str, str], str]:
    """Return when some models left scopes (ISO 8601 UTC), by scope and model, as far as that was pruned."""
    rows = store.rows(
        """
        select scopes.name as scope, models.name as model, departures.left_at as at
        from json_each(:models) as wanted
        join departures on departures.model = wanted.value and departures.left_at is not null
        join scopes on scopes.id = departures.scope
        join models on models.id = departures.model
        """,
        {"models": json.dumps(sorted(models))},
    )
    return {(row["scope"], row["model"]): row["at"] for row in rows}
