"""Which scopes offer which models: now, by the answers held, ever, and those with a pending removal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pipeline.core.types import HoldKind
from pipeline.store.database import Store
from pipeline.store.flapping import flap_levels
from pipeline.store.outcomes import PROBLEMS, SETS_LISTING, sql_list
from pipeline.store.runs import trusted_starts

ScopeModel = tuple[str, str]
"""The name of a scope, and the id of a model."""


def offers(
    store: Store, models: Iterable[int], *, held: bool = False, scopes: Iterable[str] | None = None
) -> set[ScopeModel]:
    """Return the scopes that are asked, with those of some models that they offer now.

    Args:
        store: an open database.
        models: rows of `models`.
        held: by the answers that are held, instead of the current listings.
        scopes: by the last listings of these scopes, asked or not, instead of those that are asked.
    """
    rows = store.rows(
        f"""
        select scopes.name as scope, models.name as model from json_each(:models) as wanted
        join models on models.id = wanted.value
        join records on records.model = models.id
        join listing_records on listing_records.record = records.id
        join scopes on scopes.{"held" if held else "listing"} = listing_records.listing
        where iif(:scopes is null, scopes.asked, scopes.name in (select value from json_each(:scopes)))
        """,  # noqa: S608 - our own words
        {
            "models": json.dumps(sorted(models)),
            "scopes": None if scopes is None else json.dumps(sorted(scopes)),
        },
    )
    return {(row["scope"], row["model"]) for row in rows}


def offers_ever(store: Store, models: Iterable[int]) -> set[ScopeModel]:
    """Return the scopes with those of some models that they have ever offered, pruned history included."""
    rows = store.rows(
        f"""
        with wanted as (select value as model from json_each(:models))
        select distinct scopes.name as scope, models.name as model from wanted
        join models on models.id = wanted.model
        join records on records.model = wanted.model
        join listing_records on listing_records.record = records.id
        join sightings on sightings.listing = listing_records.listing
            and sightings.outcome in {SETS_LISTING}
        join scopes on scopes.id = sightings.scope
        union
        select scopes.name, models.name from wanted
        join departures on departures.model = wanted.model
        join models on models.id = wanted.model
        join scopes on scopes.id = departures.scope
        """,  # noqa: S608 - our own words
        {"models": json.dumps(sorted(models))},
    )
    return {(row["scope"], row["model"]) for row in rows}


def pending_at(
    store: Store, models: Iterable[int], until: int, *, flapping: bool = False
) -> dict[ScopeModel, str]:
    """Return the removals of some models that were pending after a run, with the start of the first miss.

    Args:
        store: an open database.
        models: rows of `models`.
        until: the snapshot of the run.
        flapping: also those of models that flap, for which it is usual to be missing from some answers.
    """
    return {
        (row["scope"], row["model"]): row["at"]
        for row, level in _pending_rows(store, models, until)
        if flapping or level == 0
    }


def _pending_rows(store: Store, models: Iterable[int], until: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the rows of removals that were pending after a run, with the flap level of each."""
    rows = store.rows(_PENDING_AT, {"models": json.dumps(sorted(models)), "until": until})
    levels = flap_levels(store, {row["sighting"] for row in rows})
    for row in rows:
        level = levels.get((row["sighting"], row["model_id"]), 0)
        if level not in json.loads(row["confirmed"]):
            yield row, level


def flapping_absences(store: Store, models: Iterable[int], until: int) -> dict[ScopeModel, tuple[str, ...]]:
    """Return the starts of the answers that lack flapping models whose removal was pending after a run.

    Args:
        store: an open database.
        models: rows of `models`.
        until: the snapshot of the run.

    Returns:
        By scope and model, the starts of these runs (ISO 8601 UTC), oldest first.
    """
    found: dict[ScopeModel, tuple[str, ...]] = {}
    for row, level in _pending_rows(store, models, until):
        if level:
            answers = store.rows(
                _ANSWERS,
                {"scope": row["scope"], "since": row["since"], "moved": row["moved"], "until": until},
            )
            found[row["scope"], row["model"]] = tuple(answer["at"] for answer in answers)
    return found


_ANSWERS = f"""
    select snapshots.started_at as at from scopes
    join coverage_scopes on coverage_scopes.scope = scopes.id
    join snapshots on snapshots.covered = coverage_scopes.coverage
        and snapshots.id >= :since and snapshots.id <= :until
    where scopes.name = :scope and (snapshots.id < :moved or (
        select sightings.outcome from sightings
        where sightings.scope = scopes.id and sightings.snapshot <= snapshots.id
        order by sightings.id desc limit 1) not in {PROBLEMS})
    order by snapshots.id
"""  # noqa: S608 - our own words
"""The runs that got a complete answer of a scope, and those before `:moved` whose held answers count."""


def pending_before(store: Store, until: int) -> dict[ScopeModel, str]:
    """Return all removals that were pending after a past run, as `pending_at`; `until` is its snapshot."""
    rows = store.rows(
        """
        with steps as (
            select missing.transition, 'removed' as kind from missing where missing.since <= :until
            union
            select transition, 'removed' from sightings where outcome = 'confirmed' and snapshot > :until
            union
            select transition, 'added' from sightings where outcome = 'moved' and snapshot > :until
        )
        select distinct changes.model from steps
        join changes on changes.transition = steps.transition and changes.kind = steps.kind
        """,
        {"until": until},
    )
    return pending_at(store, (row["model"] for row in rows), until, flapping=True)


_NO_EVIDENCE = sql_list((HoldKind.INCOMPLETE, HoldKind.ANONYMOUS))

_LAST_WITH_MODEL = """
    coalesce((
        select max(sightings.id) from sightings
        where sightings.scope = steps.scope and sightings.id < steps.id
        and (sightings.error_class is 'current' or exists (
            select 1 from listing_records join records on records.id = listing_records.record
            where listing_records.listing = sightings.listing and records.model = steps.model))), 0)
""".strip()
"""SQL: the last answer, accepted or held, that had the model of a step."""

_PENDING_AT = f"""
    with steps as (
        select sightings.id, sightings.scope, sightings.snapshot, sightings.transition, changes.model,
               changes.kind,
               row_number() over (partition by sightings.scope, changes.model order by sightings.id desc)
                   as newest
        from json_each(:models) as wanted
        join changes on changes.model = wanted.value and changes.kind in ('added', 'removed')
        join sightings on sightings.transition = changes.transition and sightings.outcome = 'moved'
            and sightings.snapshot <= :until
    )
    select scopes.name as scope, models.name as model, steps.model as model_id, steps.id as sighting,
           snapshots.started_at as at, snapshots.id as since, steps.snapshot as moved, (
        select json_group_array(done.flap_level) from sightings as done
        where done.scope = steps.scope and done.transition = steps.transition and done.id > steps.id
        and done.outcome = 'confirmed' and done.snapshot <= :until) as confirmed
    from steps
    join scopes on scopes.id = steps.scope
    join models on models.id = steps.model
    join snapshots on snapshots.id = coalesce(
        (select missing.since from missing
         where missing.scope = steps.scope and missing.transition = steps.transition
         and missing.since <= steps.snapshot order by missing.since desc limit 1),
        (select done.since from sightings as done
         where done.scope = steps.scope and done.transition = steps.transition and done.id > steps.id
         and done.outcome = 'confirmed' and done.since <= steps.snapshot order by done.id limit 1),
        (select min(held.snapshot) from sightings as held
         where held.scope = steps.scope and held.id < steps.id and held.id > {_LAST_WITH_MODEL}
         and held.outcome = 'held' and held.error_class not in {_NO_EVIDENCE}),
        steps.snapshot)
    where steps.newest = 1 and steps.kind = 'removed'
    order by scopes.name, models.name
"""  # noqa: S608 - our own words
"""The first miss is that of the held answers that already lacked the model, where they count."""


class PendingMisses(NamedTuple):
    """A pending removal; times are ISO 8601 UTC.

    Args:
        since: the start of the first run without the model.
        answers: the number of answers without it.
        flap_level: its level.
        began_at: `since`, by the clock of the newest run; see `trusted_starts`.
        at: the start of the newest run, at the site of the scope.
    """

    since: str
    answers: int
    flap_level: int
    began_at: str
    at: str


def pending_removals(store: Store, models: Iterable[int]) -> dict[ScopeModel, PendingMisses]:
    """Return the pending removals of some models that their scopes do not list."""
    rows = store.rows(
        """
        select scopes.name as scope, models.name as model, changes.model as model_id,
               snapshots.started_at as at, snapshots.id as since, missing.misses, missing.flap_level, (
            select min(moved.id) from sightings as moved
            where moved.scope = missing.scope and moved.snapshot >= missing.since
            and moved.transition = missing.transition and moved.outcome = 'moved'
        ) as moved, (
            select newest.started_at from snapshots as newest
            where newest.site is scopes.site and (newest.site is not null or newest.status <> 'imported')
            order by newest.id desc limit 1
        ) as newest
        from json_each(:models) as wanted
        join changes on changes.model = wanted.value and changes.kind = 'removed'
        join missing on missing.transition = changes.transition
        join snapshots on snapshots.id = missing.since
        join scopes on scopes.id = missing.scope
        join models on models.id = changes.model
        order by missing.id
        """,
        {"models": json.dumps(sorted(models))},
    )
    if not rows:
        return {}
    levels = flap_levels(store, {row["moved"] for row in rows if row["moved"]})
    newest = {row["newest"] for row in rows}
    starts = {at: trusted_starts(store, {row["since"] for row in rows}, at) for at in newest}
    return {
        (row["scope"], row["model"]): PendingMisses(
            row["at"], row["misses"], row["flap_level"], starts[row["newest"]][row["since"]], row["newest"]
        )
        for row in rows
        if levels.get((row["moved"], row["model_id"]), row["flap_level"]) == row["flap_level"]
    }
