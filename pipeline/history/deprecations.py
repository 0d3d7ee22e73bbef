"""Announced shutdowns of models on offer, and removals of models without notice."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from msgspec import Struct

from pipeline.core.times import iso
from pipeline.history.changes import find_removals
from pipeline.store import Store
from pipeline.store.catalog import NOW, Moment, scope_listings
from pipeline.store.changes import announced_removals
from pipeline.store.models import model_rows
from pipeline.store.offers import offers
from pipeline.store.records import listed_records
from pipeline.store.windows import time_window


class AnnouncedShutdown(Struct, frozen=True):
    """A model on offer with a shutdown date.

    Args:
        day: the shutdown date, ISO 8601.
        days: the number of days until then, negative when it has passed.
        scopes: the names of the scopes with this date, sorted.
        lifecycle: the stage that the gateway names, such as `legacy`.
    """

    day: str
    days: int
    gateway: str
    model: str
    scopes: tuple[str, ...]
    lifecycle: str | None


class UnannouncedRemoval(Struct, frozen=True):
    """A removal of a model whose last record had no shutdown date; times in ISO 8601 UTC.

    Args:
        at: when the removal was confirmed.
        since: when the model was first missing.
        scopes: the names of the scopes that lost it, sorted.
        back: those of them that are offered it again.
    """

    at: str
    since: str | None
    gateway: str
    model: str
    scopes: tuple[str, ...]
    back: tuple[str, ...]


class Deprecations(Struct, frozen=True):
    """Announced shutdowns, by day, and removals without notice, oldest first.

    `later` is the first shutdown after the days that were asked for; None without one.
    """

    announced: tuple[AnnouncedShutdown, ...]
    unannounced: tuple[UnannouncedRemoval, ...]
    later: AnnouncedShutdown | None = None


def find_deprecations(store: Store, *, now: datetime, days: int) -> Deprecations:
    """Return the shutdowns announced for the next `days` days, and the unannounced removals of the last."""
    found = announced_shutdowns(store, today=now.date(), until=date.max)
    to_come = tuple(each for each in found if each.days <= days)
    gone = unannounced_removals(store, since=iso(now - timedelta(days=days)))
    return Deprecations(to_come, tuple(gone), later=next(iter(found[len(to_come) :]), None))


def announced_shutdowns(
    store: Store, *, today: date, until: date, moment: Moment = NOW
) -> list[AnnouncedShutdown]:
    """Return the models on offer with a shutdown date up to a day, by date; overdue ones are included.

    Args:
        store: an open database.
        today: the day from which the days until a shutdown are counted.
        until: the last day of a shutdown.
        moment: when the models were on offer.
    """
    by_listing: dict[int, list[str]] = {}
    for scope in scope_listings(store, moment):
        if not scope.retired:
            by_listing.setdefault(scope.listing, []).append(scope.scope)
    found: dict[tuple[str, str, str, str | None], list[str]] = {}
    for record in listed_records(store, by_listing, deprecated_until=until.isoformat()):
        if record.deprecated_at is not None:
            key = (record.deprecated_at, record.gateway, record.model, record.lifecycle)
            found.setdefault(key, []).extend(by_listing[record.listing])
    shutdowns = [
        AnnouncedShutdown(
            day=day,
            days=(date.fromisoformat(day) - today).days,
            gateway=gateway,
            model=model,
            scopes=tuple(sorted(scopes)),
            lifecycle=lifecycle,
        )
        for (day, gateway, model, lifecycle), scopes in found.items()
    ]
    return sorted(shutdowns, key=lambda shutdown: (shutdown.day, shutdown.gateway, shutdown.model))


def unannounced_removals(store: Store, *, since: str) -> list[UnannouncedRemoval]:
    """Return the removals without notice that were confirmed at or after a time, oldest first."""
    # The window has every later snapshot, which includes a recent import of old answers.
    events = [event for event in find_removals(store, time_window(store, since=since)) if event.at >= since]
    announced = announced_removals(store, {event.snapshot for event in events})
    models = model_rows(store, {event.model for event in events})
    offered = offers(store, (model.id for model in models))
    found = []
    for event in events:
        scopes = tuple(
            scope for scope in event.scopes if (event.snapshot, scope, event.model) not in announced
        )
        if scopes:
            back = tuple(scope for scope in scopes if (scope, event.model) in offered)
            found.append(UnannouncedRemoval(event.at, event.since, event.gateway, event.model, scopes, back))
    return sorted(found, key=lambda removal: (removal.at, removal.gateway, removal.model))
