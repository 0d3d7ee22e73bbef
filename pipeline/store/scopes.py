"""What is known now: each scope's pointers, and the listings they point at."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pipeline.core.types import Listing, Record, ScopeState
from pipeline.store.database import Store


def scope_states(store: Store, only: Iterable[int] | None = None) -> dict[str, ScopeState]:
    """Give the pointers of every scope, or of `only` some by id, by its name."""
    rows = store.rows(
        """
        select scopes.id, scopes.name, scopes.group_name, scopes.listing, listings.digest, listings.reading,
               scopes.held,
               sightings.outcome, sightings.error_class, sightings.error,
               coalesce(sightings.since, sightings.snapshot) as began,
               scopes.fingerprint, scopes.etag, scopes.last_modified
        from scopes
        left join listings on listings.id = scopes.listing
        left join sightings on sightings.id = scopes.sighting
        where :only is null or scopes.id in (select value from json_each(:only))
        """,
        {"only": None if only is None else json.dumps(sorted(only))},
    )
    return {row["name"]: ScopeState(**row) for row in rows}


def read_listing(store: Store, listing_id: int) -> Listing:
    """Give a listing as it was recorded."""
    rows = store.rows(
        """
        select models.name as model, records.digest, records.body from listing_records
        join records on records.id = listing_records.record
        join models on models.id = records.model
        where listing_records.listing = :listing
        """,
        {"listing": listing_id},
    )
    (head,) = store.rows("select digest, reading from listings where id = :listing", {"listing": listing_id})
    return Listing({row["model"]: Record(**row) for row in rows}, head["digest"], head["reading"])
