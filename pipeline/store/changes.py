"""The changes of a window as recorded: the sightings with a transition, and what each transition changed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from msgspec import Struct
from msgspec.structs import asdict

from pipeline.core.categories import QUIET
from pipeline.core.types import FieldChange
from pipeline.store.database import Store
from pipeline.store.flapping import flap_levels
from pipeline.store.windows import IN_WINDOW, Window

ModelIds = Collection[int] | None
"""The rows of the models to look for; None for all."""


def _as_json(models: ModelIds) -> str | None:
    return None if models is None else json.dumps(sorted(models))


class TransitionSighting(Struct, frozen=True):
    """A sighting by which a scope moved along a transition, or confirmed its removals.

    Args:
        id: the row in `sightings`.
        outcome: `moved` or `confirmed`.
        at: the start of its run (ISO 8601 UTC).
        imported: the answer was imported.
        listing: the current listing after it, with `size` models.
        flap_level: for a confirmation, the level of the models that it confirms.
        since_at: for a confirmation, the start of the run that first missed the models.
    """

    id: int
    outcome: str
    snapshot: int
    at: str
    imported: bool
    transition: int
    listing: int
    size: int
    flap_level: int | None
    since_at: str | None
    scope: int
    scope_name: str
    group_name: str | None
    gateway: str


def transition_sightings(store: Store, window: Window, models: ModelIds = None) -> list[TransitionSighting]:
    """Return the sightings of a window whose transitions change one of `models`, oldest first."""
    rows = store.rows(
        f"""
        select sightings.id, sightings.outcome, sightings.snapshot, snapshots.started_at as at,
               snapshots.status = 'imported' as imported, sightings.transition, sightings.listing,
               listings.size, sightings.flap_level, first.started_at as since_at, sightings.scope,
               scopes.name as scope_name, scopes.group_name, gateways.name as gateway
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join listings on listings.id = sightings.listing
        join scopes on scopes.id = sightings.scope
        join gateways on gateways.id = scopes.gateway
        left join snapshots as first on first.id = sightings.since
        where {IN_WINDOW}
        and sightings.outcome in ('moved', 'confirmed')
        and (:models is null or sightings.transition in (
            select changes.transition from json_each(:models) as wanted
            join changes on changes.model = wanted.value
        ))
        order by sightings.id
        """,  # noqa: S608 - our own words
        {**asdict(window), "models": _as_json(models)},
    )
    return [TransitionSighting(**row) for row in rows]


class ChangeRow(Struct, frozen=True):
    """A row of `changes`; `owned_by` is the owner in the newer record."""

    id: int
    transition: int
    kind: str
    model: int
    model_name: str
    before: int | None
    after: int | None
    owned_by: str | None


def changes_by_transition(store: Store, transitions: Iterable[int]) -> dict[int, list[ChangeRow]]:
    """Return the changes of some transitions, by transition."""
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
    found: dict[int, list[ChangeRow]] = {}
    for row in rows:
        found.setdefault(row["transition"], []).append(ChangeRow(**row))
    return found


def fields_by_change(store: Store, changes: Iterable[int]) -> dict[int, tuple[FieldChange, ...]]:
    """Return the fields that differ, by change; a change without any is left out."""
    rows = store.rows(
        """
        select field_changes.change, fields.name as field, field_changes.before, field_changes.after,
               fields.class as category, fields.shape_of
        from json_each(:changes) as wanted
        join field_changes on field_changes.change = wanted.value
        join fields on fields.id = field_changes.field
        order by field_changes.id
        """,
        {"changes": json.dumps(sorted(changes))},
    )
    found: dict[int, list[FieldChange]] = {}
    for row in rows:
        found.setdefault(row.pop("change"), []).append(FieldChange(**row))
    return {change: tuple(fields) for change, fields in found.items()}


def readded_before_confirmation(
    store: Store, window: Window, models: ModelIds = None
) -> set[tuple[int, int]]:
    """Return the models that were listed again between their removal and its confirmation in a window.

    Returns:
        Pairs of the confirming sighting and the model.
    """
    rows = store.rows(
        """
        select confirmed.id, changes.model from sightings as confirmed
        join sightings as between_them on between_them.scope = confirmed.scope
            and between_them.snapshot > confirmed.since and between_them.snapshot <= confirmed.snapshot
            and between_them.outcome = 'moved'
        join changes on changes.transition = between_them.transition and changes.kind = 'added'
        where confirmed.snapshot > :since and confirmed.snapshot <= :until
        and confirmed.outcome = 'confirmed'
        and (:models is null or changes.model in (select value from json_each(:models)))
        """,
        {"since": window.since, "until": window.until, "models": _as_json(models)},
    )
    return {(row["id"], row["model"]) for row in rows}


def flap_levels_of_confirmations(
    store: Store, confirmations: Iterable[TransitionSighting]
) -> dict[tuple[int, int], int]:
    """Return the flap level of each model whose removal a sighting may confirm, by sighting and model."""
    rows = store.rows(
        """
        select confirmed.id, (
            select min(moved.id) from sightings as moved
            where moved.scope = confirmed.scope and moved.snapshot >= confirmed.since
            and moved.transition = confirmed.transition and moved.outcome = 'moved'
        ) as moved
        from json_each(:confirmed) as wanted join sightings as confirmed on confirmed.id = wanted.value
        """,
        {"confirmed": json.dumps(sorted(sighting.id for sighting in confirmations))},
    )
    levels = flap_levels(store, {row["moved"] for row in rows})
    confirming: dict[int, list[int]] = {}
    for row in rows:
        confirming.setdefault(row["moved"], []).append(row["id"])
    return {
        (sighting, model): level for (moved, model), level in levels.items() for sighting in confirming[moved]
    }


def announced_removals(store: Store, snapshots: Iterable[int]) -> set[tuple[int, str, str]]:
    """Return the models with a shutdown date whose removal some snapshots confirm.

    Returns:
        Snapshot, scope and model id of each.
    """
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


def transition_totals(store: Store, window: Window) -> dict[str, int]:
    """Return how many models the transitions of a window added, removed and changed, confirmed or not."""
    (row,) = store.rows(
        f"""
        select coalesce(sum(transitions.added), 0) as added, coalesce(sum(transitions.removed), 0) as removed,
               coalesce(sum(transitions.changed), 0) as changed
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join transitions on transitions.id = sightings.transition
        where {IN_WINDOW} and sightings.outcome = 'moved'
        """,  # noqa: S608 - our own words
        asdict(window),
    )
    return row


def quiet_fields(store: Store, listing: int, fields: Iterable[str]) -> set[str]:
    """Return those of some fields whose recorded changes at a listing's gateway are quiet."""
    rows = store.rows(
        """
        select wanted.value as field from json_each(:fields) as wanted where exists (
            select 1 from fields
            join field_changes on field_changes.field = fields.id
            join changes on changes.id = field_changes.change
            join models on models.id = changes.model
            join listings on listings.id = :listing and listings.gateway = models.gateway
            where fields.name = wanted.value and fields.class = :quiet
        )
        """,
        {"fields": json.dumps(sorted(fields)), "listing": listing, "quiet": QUIET},
    )
    return {row["field"] for row in rows}
