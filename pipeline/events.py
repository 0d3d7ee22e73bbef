"""From the ledger to what people are told: which moves were changes, for whom, and since when."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pipeline.diff import fields
from pipeline.reports import Event
from pipeline.store import Store
from pipeline.types import FieldChange, Kind

_ORDER = {Kind.REMOVED: 0, Kind.CHANGED: 1, Kind.RETURNED: 2, Kind.ADDED: 3}


@dataclass(frozen=True, slots=True)
class Window:
    """The runs after `since` up to `until`, by snapshot id; `since` 0 begins with the history."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A scope's move, or the confirmation of one."""

    id: int
    outcome: str
    snapshot: int
    at: str
    transition: int
    listing: int
    since_at: str | None
    scope: int
    scope_name: str
    group_name: str | None
    gateway: str


@dataclass(frozen=True, slots=True)
class _Change:
    """A row of `changes`."""

    id: int
    transition: int
    kind: str
    model: int
    model_name: str
    before: int | None
    after: int | None
    owned_by: str | None


@dataclass(frozen=True, slots=True)
class _Leave:
    """When a model that is back had left a scope, and as which record; `at` is None for a short miss."""

    record: int
    at: str | None


@dataclass(frozen=True, slots=True)
class _Told:
    """What is equal for all the scopes to which one event happened."""

    snapshot: int
    at: str
    kind: Kind
    gateway: str
    model: str
    owned_by: str | None
    since: str | None
    before: int | None
    after: int | None
    change: int | None


def changes(store: Store, window: Window) -> tuple[Event, ...]:
    """Give what happened to models in a window, each once for all the scopes that made the same move.

    A removal is told when it is effective. A model that comes back before that was never removed: if it
    comes back in another form, that is told as a change.
    """
    sightings = _sightings(store, window)
    changed = _changes_of(store, {sighting.transition for sighting in sightings})
    present = _Present(store)
    leaves = _leaves(store, window)
    readded = _readded(store, window)
    told: dict[_Told, list[_Sighting]] = {}
    for sighting in sightings:
        for change in changed.get(sighting.transition, ()):
            if sighting.outcome == "confirmed":
                gone = change.model not in present.models(sighting.listing)
                if change.kind == Kind.REMOVED and gone and (sighting.id, change.model) not in readded:
                    told.setdefault(_removed(sighting, change), []).append(sighting)
            elif change.kind != Kind.REMOVED:
                what = _arrived(sighting, change, leaves.get((sighting.id, change.model)))
                if what:
                    told.setdefault(what, []).append(sighting)
    return _events(store, told)


def _sightings(store: Store, window: Window) -> list[_Sighting]:
    rows = store.rows(
        """
        select sightings.id, sightings.outcome, sightings.snapshot, snapshots.started_at as at,
               sightings.transition, sightings.listing, first.started_at as since_at, sightings.scope,
               scopes.name as scope_name, scopes.group_name, gateways.name as gateway
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        join gateways on gateways.id = scopes.gateway
        left join snapshots as first on first.id = sightings.since
        where sightings.snapshot > :since and sightings.snapshot <= :until
        and sightings.outcome in ('moved', 'confirmed')
        order by sightings.id
        """,
        {"since": window.since, "until": window.until},
    )
    return [_Sighting(**row) for row in rows]


def _changes_of(store: Store, transitions: Iterable[int]) -> dict[int, list[_Change]]:
    rows = store.rows(
        """
        select changes.id, changes.transition, changes.kind, changes.model, models.name as model_name,
               changes.before, changes.after, records.owned_by
        from json_each(:transitions) as wanted
        join changes on changes.transition = wanted.value
        join models on models.id = changes.model
        join records on records.id = coalesce(changes.after, changes.before)
        order by changes.id
        """,
        {"transitions": json.dumps(sorted(transitions))},
    )
    found: dict[int, list[_Change]] = {}
    for row in rows:
        found.setdefault(row["transition"], []).append(_Change(**row))
    return found


class _Present:
    """The models of listings, each asked for once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: dict[int, set[int]] = {}

    def models(self, listing: int) -> set[int]:
        if listing not in self._models:
            rows = self._store.rows(
                """
                select records.model from listing_records
                join records on records.id = listing_records.record
                where listing_records.listing = :listing
                """,
                {"listing": listing},
            )
            self._models[listing] = {row["model"] for row in rows}
        return self._models[listing]


def _leaves(store: Store, window: Window) -> dict[tuple[int, int], _Leave]:
    """Find, for each model that a scope got back in a window, how it had left before."""
    rows = store.rows(
        """
        with back as (
            select moved.id as sighting, moved.scope, added.model, (
                select max(earlier.id) from changes as removed
                join sightings as earlier on earlier.transition = removed.transition
                    and earlier.scope = moved.scope and earlier.outcome = 'moved' and earlier.id < moved.id
                where removed.model = added.model and removed.kind = 'removed'
            ) as leaving
            from sightings as moved
            join changes as added on added.transition = moved.transition and added.kind = 'added'
            where moved.snapshot > :since and moved.snapshot <= :until and moved.outcome = 'moved'
        )
        select back.sighting, back.model, changes.before as record, (
            select first.started_at from sightings as confirmed
            join snapshots as first on first.id = confirmed.since
            where confirmed.transition = leaving.transition and confirmed.scope = back.scope
            and confirmed.outcome = 'confirmed' and confirmed.id > leaving.id and confirmed.id < back.sighting
            order by confirmed.id limit 1
        ) as at
        from back
        join sightings as leaving on leaving.id = back.leaving
        join changes on changes.transition = leaving.transition and changes.model = back.model
        """,
        {"since": window.since, "until": window.until},
    )
    return {(row["sighting"], row["model"]): _Leave(row["record"], row["at"]) for row in rows}


def _readded(store: Store, window: Window) -> set[tuple[int, int]]:
    """Find the models that were back for a while between a move and its confirmation."""
    rows = store.rows(
        """
        select confirmed.id, changes.model from sightings as confirmed
        join sightings as between_them on between_them.scope = confirmed.scope
            and between_them.snapshot > confirmed.since and between_them.snapshot <= confirmed.snapshot
            and between_them.outcome = 'moved'
        join changes on changes.transition = between_them.transition and changes.kind = 'added'
        where confirmed.snapshot > :since and confirmed.snapshot <= :until
        and confirmed.outcome = 'confirmed'
        """,
        {"since": window.since, "until": window.until},
    )
    return {(row["id"], row["model"]) for row in rows}


def _removed(sighting: _Sighting, change: _Change) -> _Told:
    return _told(
        sighting, change, Kind.REMOVED, since=sighting.since_at, before=change.before, change_id=None
    )


def _arrived(sighting: _Sighting, change: _Change, leave: _Leave | None) -> _Told | None:
    """Say what an added or changed record is to its scope: added, returned, changed, or nothing at all."""
    if change.kind == Kind.CHANGED:
        return _told(sighting, change, Kind.CHANGED, before=change.before, change_id=change.id)
    if leave is None:
        return _told(sighting, change, Kind.ADDED, before=None, change_id=None)
    if leave.at is not None:
        return _told(sighting, change, Kind.RETURNED, since=leave.at, before=leave.record, change_id=None)
    if leave.record == change.after:
        return None
    return _told(sighting, change, Kind.CHANGED, before=leave.record, change_id=None)


def _told(
    sighting: _Sighting,
    change: _Change,
    kind: Kind,
    *,
    before: int | None,
    change_id: int | None,
    since: str | None = None,
) -> _Told:
    return _Told(
        snapshot=sighting.snapshot,
        at=sighting.at,
        kind=kind,
        gateway=sighting.gateway,
        model=change.model_name,
        owned_by=change.owned_by,
        since=since,
        before=before,
        after=change.after,
        change=change_id,
    )


def _events(store: Store, told: dict[_Told, list[_Sighting]]) -> tuple[Event, ...]:
    stored = _field_changes(store, {what.change for what in told if what.change is not None})
    bodies = _bodies(store, told)
    events = [
        Event(
            at=what.at,
            snapshot=what.snapshot,
            kind=what.kind,
            gateway=what.gateway,
            model=what.model,
            scopes=tuple(sorted({sighting.scope_name for sighting in sightings})),
            groups=tuple(sorted({sighting.group_name for sighting in sightings if sighting.group_name})),
            owned_by=what.owned_by,
            since=what.since,
            away_seconds=_seconds(what.since, what.at) if what.kind == Kind.RETURNED else None,
            fields=_fields(what, stored, bodies),
        )
        for what, sightings in told.items()
    ]
    return tuple(sorted(events, key=lambda e: (e.snapshot, e.gateway, e.scopes, _ORDER[e.kind], e.model)))


def _fields(
    what: _Told, stored: dict[int, tuple[FieldChange, ...]], bodies: dict[int, str]
) -> tuple[FieldChange, ...]:
    if what.change is not None:
        return stored.get(what.change, ())
    if what.before is None or what.after is None or what.before == what.after:
        return ()
    return fields(bodies[what.before], bodies[what.after])


def _field_changes(store: Store, changes: Iterable[int]) -> dict[int, tuple[FieldChange, ...]]:
    rows = store.rows(
        """
        select field_changes.change, field_changes.field, field_changes.before, field_changes.after,
               field_changes.class as category
        from json_each(:changes) as wanted
        join field_changes on field_changes.change = wanted.value
        order by field_changes.id
        """,
        {"changes": json.dumps(sorted(changes))},
    )
    found: dict[int, tuple[FieldChange, ...]] = {}
    for row in rows:
        change = row.pop("change")
        found[change] = (*found.get(change, ()), FieldChange(**row))
    return found


def _bodies(store: Store, told: Iterable[_Told]) -> dict[int, str]:
    wanted = {
        record
        for what in told
        if what.change is None and what.before is not None
        for record in (what.before, what.after)
        if record is not None
    }
    rows = store.rows(
        """
        select records.id, records.body from json_each(:records) as wanted
        join records on records.id = wanted.value
        """,
        {"records": json.dumps(sorted(wanted))},
    )
    return {row["id"]: row["body"] for row in rows}


def _seconds(since: str | None, until: str) -> int | None:
    if since is None:
        return None
    return int((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds())
