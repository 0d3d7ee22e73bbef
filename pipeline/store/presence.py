"""The presence of a model in the listings of scopes: the sightings that may have changed it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from pipeline.store.database import Store
from pipeline.store.records import PRICE_COLUMNS


class ModelSighting(Struct, frozen=True):
    """A sighting that may change whether a scope lists a model, or which record of it.

    Args:
        snapshot: the run.
        at: the start of the run (ISO 8601 UTC).
        outcome: baseline, moved or reread.
        prices: those of the model's record, as `price_changes` takes them; None where it is not listed.
    """

    snapshot: int
    at: str
    outcome: str
    prices: Mapping[str, Any] | None

    @property
    def listed(self) -> bool:
        """Whether the scope's listing has the model from this sighting on."""
        return self.prices is not None


def model_sightings(store: Store, models: Iterable[int]) -> dict[str, list[ModelSighting]]:
    """Return the sightings of a model by scope, oldest first; scopes without an answer are left out.

    These are the baseline of a scope, each derivation under new rules, and each transition that changes the
    model.

    Args:
        store: an open database.
        models: the rows of the model, one at each gateway.
    """
    rows = store.rows(
        f"""
        with listed as (
            select records.id, listing_records.listing from json_each(:models) as wanted
            join records on records.model = wanted.value
            join listing_records on listing_records.record = records.id
        )
        select scopes.name as scope, snapshots.id as snapshot, snapshots.started_at as at, sightings.outcome,
               listed.id as record, {PRICE_COLUMNS}
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        left join listed on listed.listing = sightings.listing
        left join records on records.id = listed.id
        where sightings.outcome in ('baseline', 'reread')
        or (sightings.outcome = 'moved' and sightings.transition in (
            select changes.transition from json_each(:models) as wanted
            join changes on changes.model = wanted.value
        ))
        order by sightings.id
        """,  # noqa: S608 - our own names
        {"models": json.dumps(sorted(models))},
    )
    found: dict[str, list[ModelSighting]] = {}
    for row in rows:
        prices = None if row["record"] is None else row
        sighting = ModelSighting(row["snapshot"], row["at"], row["outcome"], prices)
        found.setdefault(row["scope"], []).append(sighting)
    return found


def last_break(sightings: Iterable[ModelSighting]) -> ModelSighting:
    """Return the first of the last sightings that agree on whether the model is listed."""
    found: ModelSighting | None = None
    for sighting in sightings:
        if found is None or sighting.listed != found.listed:
            found = sighting
    assert found
    return found
