"""What is known now: each scope's pointers, and the listings they point at."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.store.database import Store
from pipeline.types import Digest, Listing, Outcome, Record


@dataclass(frozen=True, slots=True)
class Ref:
    """A scope's row: what it is known to offer, what is held, and the last thing that happened to it.

    `began` is the snapshot at which its present hold or failure began.
    """

    id: int
    name: str
    group_name: str | None
    listing: int | None
    digest: Digest | None
    reading: str | None
    held: int | None
    outcome: Outcome | None
    error_class: str | None
    error: str | None
    began: int | None
    fingerprint: str | None
    etag: str | None
    last_modified: str | None


def refs(store: Store, only: Iterable[int] | None = None) -> dict[str, Ref]:
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
    return {row["name"]: Ref(**row) for row in rows}


def listing(store: Store, listing_id: int) -> Listing:
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
