"""How models end: what is announced to go, and what went without notice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

from pipeline.history.changes import removals
from pipeline.store import Store
from pipeline.store.changes import window


@dataclass(frozen=True, slots=True)
class Announced:
    """A model that is offered, with the day on which it is said to end.

    Args:
        day: that day, ISO 8601.
        days: how many days it is until then; below 0 it has passed.
        lifecycle: what else the gateway says of its stage.
    """

    day: str
    days: int
    gateway: str
    model: str
    scopes: tuple[str, ...]
    lifecycle: str | None


@dataclass(frozen=True, slots=True)
class Vanished:
    """A model that was removed though its last record named no day.

    Args:
        at: when the removal was effective; `since` when the model was first missed; ISO 8601 UTC.
        back: the scopes that are offered it again.
    """

    at: str
    since: str | None
    gateway: str
    model: str
    scopes: tuple[str, ...]
    back: tuple[str, ...]


def announced(store: Store, *, today: date, until: date) -> list[Announced]:
    """Give the models offered now that are to end until a day, and those that should have ended, by day."""
    rows = store.rows(
        """
        with offered as (
            select distinct scopes.listing from scopes where scopes.asked and scopes.listing is not null
        )
        select offered.listing, gateways.name as gateway, models.name as model, records.deprecated_at,
               records.lifecycle
        from offered
        join listing_records on listing_records.listing = offered.listing
        join records on records.id = listing_records.record and records.deprecated_at <= :until
        join models on models.id = records.model
        join gateways on gateways.id = models.gateway
        order by records.deprecated_at, gateways.name, models.name
        """,
        {"until": until.isoformat()},
    )
    of_listing: dict[int, list[str]] = {}
    for row in store.rows("select name, listing from scopes where asked and listing is not null"):
        of_listing.setdefault(row["listing"], []).append(row["name"])
    found: dict[tuple[str, str, str, str | None], list[str]] = {}
    for row in rows:
        key = (row["deprecated_at"], row["gateway"], row["model"], row["lifecycle"])
        found.setdefault(key, []).extend(of_listing[row["listing"]])
    return [
        Announced(day, (date.fromisoformat(day) - today).days, gateway, model, tuple(sorted(scopes)), stage)
        for (day, gateway, model, stage), scopes in found.items()
    ]


def vanished(store: Store, *, since: str) -> list[Vanished]:
    """Give the models whose removal was effective from a time on, though their last records named no day."""
    # An old run that was imported later is in the window too.
    gone = [event for event in removals(store, window(store, since=since)) if event.at >= since]
    dated = _dated(store, {event.snapshot for event in gone})
    again = _offered(store, {(event.gateway, event.model) for event in gone})
    found = []
    for event in gone:
        scopes = tuple(scope for scope in event.scopes if (event.snapshot, scope, event.model) not in dated)
        if scopes:
            back = tuple(scope for scope in scopes if (scope, event.model) in again)
            found.append(Vanished(event.at, event.since, event.gateway, event.model, scopes, back))
    return sorted(found, key=lambda each: (each.at, each.gateway, each.model))


def _dated(store: Store, snapshots: set[int]) -> set[tuple[int, str, str]]:
    """Find which of the models confirmed as removed in some runs had named a day, by run, scope and model."""
    rows = store.rows(
        """
        select sightings.snapshot, scopes.name as scope, models.name as model
        from json_each(:snapshots) as wanted
        join sightings on sightings.snapshot = wanted.value and sightings.outcome = 'confirmed'
        join scopes on scopes.id = sightings.scope
        join changes on changes.transition = sightings.transition and changes.kind = 'removed'
        join records on records.id = changes.before and records.deprecated_at is not null
        join models on models.id = changes.model
        """,
        {"snapshots": json.dumps(sorted(snapshots))},
    )
    return {(row["snapshot"], row["scope"], row["model"]) for row in rows}


def _offered(store: Store, models: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Find which scopes are offered which of some models now."""
    rows = store.rows(
        """
        select scopes.name as scope, models.name as model from json_each(:models) as wanted
        join gateways on gateways.name = json_extract(wanted.value, '$[0]')
        join models on models.gateway = gateways.id and models.name = json_extract(wanted.value, '$[1]')
        join scopes on scopes.gateway = gateways.id and scopes.asked
        where exists (
            select 1 from records
            join listing_records on listing_records.record = records.id
                and listing_records.listing = scopes.listing
            where records.model = models.id
        )
        """,
        {"models": json.dumps(sorted(models))},
    )
    return {(row["scope"], row["model"]) for row in rows}
