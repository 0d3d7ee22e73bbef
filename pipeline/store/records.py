"""Records: their bodies, facts and prices."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.core.prices import PRICES
from pipeline.store.database import Store

PRICE_COLUMNS = ", ".join(f"records.{column}" for column in ("price_source", *PRICES))
"""The columns of `records` that `price_changes` compares."""


def record_bodies(store: Store, records: Iterable[int]) -> dict[int, str]:
    """Return the bodies of some records, as JSON text."""
    rows = store.rows(
        """
        select records.id, records.body from json_each(:records) as wanted
        join records on records.id = wanted.value
        """,
        {"records": json.dumps(sorted(set(records)))},
    )
    return {row["id"]: row["body"] for row in rows}


def record_prices(store: Store, records: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the prices of some records, as `price_changes` takes them."""
    rows = store.rows(
        f"""
        select records.id, {PRICE_COLUMNS} from json_each(:records) as wanted
        join records on records.id = wanted.value
        """,  # noqa: S608 - our own names
        {"records": json.dumps(sorted(set(records)))},
    )
    return {row["id"]: row for row in rows}


def listing_facts(store: Store, listing: int, columns: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return some columns of the records of a listing, by model id."""
    rows = store.rows(
        f"""
        select models.name as model, {", ".join(f"records.{name}" for name in columns)} from listing_records
        join records on records.id = listing_records.record
        join models on models.id = records.model
        where listing_records.listing = :listing
        """,  # noqa: S608 - our own names
        {"listing": listing},
    )
    return {row.pop("model"): row for row in rows}


def current_records(store: Store, model: int) -> dict[str, dict[str, Any]]:
    """Return the rows of `records` in which current listings have a model, by scope."""
    rows = store.rows(
        """
        select scopes.name as scope, records.* from records
        join listing_records on listing_records.record = records.id
        join scopes on scopes.listing = listing_records.listing
        where records.model = :model order by scopes.name
        """,
        {"model": model},
    )
    return {row.pop("scope"): row for row in rows}


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A record of a listing.

    Args:
        listing: the row in `listings`.
        created: as the gateway dates it (ISO 8601).
        body: JSON text.
        lifecycle: the stage that the gateway names.
        deprecated_at: the shutdown date (ISO 8601).
    """

    listing: int
    gateway: str
    model: str
    owned_by: str | None
    created: str | None
    body: str
    lifecycle: str | None
    deprecated_at: str | None


def listed_records(
    store: Store, listings: Collection[int], *, deprecated_until: str | None = None
) -> list[ListedRecord]:
    """Return the records of some listings, by gateway, model and listing.

    Args:
        store: an open database.
        listings: rows of `listings`.
        deprecated_until: only records with a shutdown date up to this day (ISO 8601).
    """
    rows = store.rows(
        """
        select listing_records.listing, gateways.name as gateway, models.name as model, records.owned_by,
               records.created, records.body, records.lifecycle, records.deprecated_at
        from json_each(:listings) as wanted
        join listing_records on listing_records.listing = wanted.value
        join records on records.id = listing_records.record
            and (:until is null or records.deprecated_at <= :until)
        join models on models.id = records.model
        join gateways on gateways.id = models.gateway
        order by gateways.name, models.name, listing_records.listing
        """,
        {"listings": json.dumps(sorted(listings)), "until": deprecated_until},
    )
    return [ListedRecord(**row) for row in rows]
