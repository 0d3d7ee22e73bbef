"""The presence of models in listings: their current records, and the sightings that changed it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.store.database import Store
from pipeline.store.records import PRICE_COLUMNS

_SETS = ("input_modalities", "output_modalities", "features", "endpoints", "aliases")

_FACTS = (
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
    *_SETS,
    "lifecycle",
    "deprecated_at",
)


@dataclass(frozen=True, slots=True)
class OfferedRecord:
    """A record of a model in current listings.

    Args:
        id: the row in `records`.
        scopes: the names of the scopes whose current listing has it, sorted; retired ones too.
        facts: the known facts, by column of `records`; sets are lists.
        body: JSON text.
    """

    id: int
    scopes: tuple[str, ...]
    facts: dict[str, Any]
    body: str


def offered_records(store: Store, models: Iterable[int]) -> list[OfferedRecord]:
    """Return the records of some models in current listings, in the order of their first scopes."""
    rows = store.rows(
        f"""
        select scopes.name as scope, records.id, records.body,
               {", ".join(f"records.{name}" for name in _FACTS)}
        from json_each(:models) as wanted
        join records on records.model = wanted.value
        join listing_records on listing_records.record = records.id
        join scopes on scopes.listing = listing_records.listing
        order by scopes.name
        """,  # noqa: S608 - our own names
        {"models": json.dumps(sorted(models))},
    )
    scopes: dict[int, list[str]] = {}
    for row in rows:
        scopes.setdefault(row["id"], []).append(row["scope"])
    by_id = {row["id"]: row for row in rows}
    return [
        OfferedRecord(record, tuple(names), _facts(by_id[record]), by_id[record]["body"])
        for record, names in scopes.items()
    ]


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.loads(row[name]) if name in _SETS else row[name]
        for name in _FACTS
        if row[name] is not None
    }


@dataclass(frozen=True, slots=True)
class ModelSighting:
    """A sighting from which on a scope may list a model, list it no longer, or list another record of it.

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
