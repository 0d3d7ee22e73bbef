"""Records: their bodies, facts and prices."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct

from pipeline.core import canonical
from pipeline.core.amounts import USD
from pipeline.core.prices import MORE_PRICES, PRICES, UNIT_1M, UNIT_CALL, PriceChange, price_changes
from pipeline.store.database import Store

_MORE_PRICES = f"""(
    select nullif(json_group_array(json_array(meter, unit, from_tokens, window, currency, amount)), '[]')
    from record_prices where record_prices.record = records.id
    and not (from_tokens = 0 and window is null and currency = '{USD}' and (
        unit = '{UNIT_CALL}'
        or (unit = '{UNIT_1M}' and meter in ('input', 'output', 'cache_read', 'cache_write'))))
) as {MORE_PRICES}"""  # noqa: S608 - our own names

PRICE_COLUMNS = ", ".join(
    (*(f"records.{column}" for column in ("price_source", *PRICES)), _MORE_PRICES.strip())
)
"""The prices of `records` that `price_changes` compares."""

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
"""The facts that `offered_records` returns; those of `_SETS` are JSON arrays."""

_FACT_COLUMNS = ", ".join((*(f"records.{name}" for name in _FACTS), _MORE_PRICES.strip()))


def require_intact(store: Store, rows: Iterable[Mapping[str, Any]]) -> None:
    """Compare the digests of records with their bodies; rows have id, digest and body.

    Raises:
        StoreError: a body is not as it was written.
    """
    for row in rows:
        if canonical.digest(row["body"]) != row["digest"]:
            raise store.damage("records", row["id"], "its digest is not that of its body")


def record_bodies(store: Store, records: Iterable[int]) -> dict[int, str]:
    """Return the bodies of some records, as JSON text.

    Raises:
        StoreError: a body is not as it was written.
    """
    rows = store.rows(
        """
        select records.id, records.digest, records.body from json_each(:records) as wanted
        join records on records.id = wanted.value
        """,
        {"records": json.dumps(sorted(set(records)))},
    )
    require_intact(store, rows)
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


def listing_prices(store: Store, listing: int) -> dict[str, dict[str, Any]]:
    """Return the prices of the records of a listing by model id, as `price_changes` takes them."""
    return _of_listing(store, listing, PRICE_COLUMNS)


def listing_facts(store: Store, listing: int, columns: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return some columns of the records of a listing, by model id."""
    return _of_listing(store, listing, ", ".join(f"records.{name}" for name in columns))


def _of_listing(store: Store, listing: int, columns: str) -> dict[str, dict[str, Any]]:
    rows = store.rows(
        f"""
        select models.name as model, {columns} from listing_records
        join records on records.id = listing_records.record
        join models on models.id = records.model
        where listing_records.listing = :listing
        """,  # noqa: S608 - our own names
        {"listing": listing},
    )
    return {row.pop("model"): row for row in rows}


class ListedRecord(Struct, frozen=True):
    """A record of a listing.

    Args:
        listing: the row in `listings`.
        record: the row in `records`.
        created: as the gateway dates it (ISO 8601).
        body: JSON text.
        lifecycle: the stage that the gateway names.
        deprecated_at: the shutdown date (ISO 8601).
    """

    listing: int
    record: int
    gateway: str
    model: str
    owned_by: str | None
    created: str | None
    body: str
    lifecycle: str | None
    deprecated_at: str | None


_LISTED = ListedRecord.__struct_fields__


def listed_records(
    store: Store, listings: Collection[int], *, deprecated_until: str | None = None
) -> list[ListedRecord]:
    """Return the records of some listings, by gateway, model and listing.

    Args:
        store: an open database.
        listings: rows of `listings`.
        deprecated_until: only records with a shutdown date up to this day (ISO 8601).

    Raises:
        StoreError: a record is not as it was written.
    """
    rows = store.rows(
        """
        select listing_records.listing, records.id, records.id as record, gateways.name as gateway,
               models.name as model, records.owned_by, records.created, records.digest, records.body,
               records.lifecycle, records.deprecated_at
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
    require_intact(store, {row["id"]: row for row in rows}.values())
    return [ListedRecord(**{name: row[name] for name in _LISTED}) for row in rows]


class RecordFacts(Struct, frozen=True):
    """What is known of a record.

    Args:
        facts: the known facts, by column of `records`; sets are lists.
        more_prices: the prices beside the columns, as those after a change.
    """

    facts: dict[str, Any]
    more_prices: tuple[PriceChange, ...]


def record_facts(store: Store, records: Iterable[int]) -> dict[int, RecordFacts]:
    """Return what is known of some records."""
    rows = store.rows(
        f"""
        select records.id, {_FACT_COLUMNS} from json_each(:records) as wanted
        join records on records.id = wanted.value
        """,  # noqa: S608 - our own names
        {"records": json.dumps(sorted(set(records)))},
    )
    return {row["id"]: RecordFacts(_facts(row), _more_prices(row)) for row in rows}


class OfferedRecord(Struct, frozen=True):
    """A record of a model in current listings.

    Args:
        id: the row in `records`.
        scopes: the names of the scopes whose current listing has it, sorted; retired ones too.
        facts: the known facts, by column of `records`; sets are lists.
        body: JSON text.
        more_prices: the prices beside the columns, as those after a change.
    """

    id: int
    scopes: tuple[str, ...]
    facts: dict[str, Any]
    body: str
    more_prices: tuple[PriceChange, ...] = ()


def offered_records(store: Store, models: Iterable[int]) -> list[OfferedRecord]:
    """Return the records of some models in current listings, in the order of their first scopes."""
    rows = store.rows(
        f"""
        select scopes.name as scope, records.id, records.digest, records.body, {_FACT_COLUMNS}
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
    require_intact(store, by_id.values())
    return [
        OfferedRecord(
            record,
            tuple(names),
            _facts(by_id[record]),
            by_id[record]["body"],
            _more_prices(by_id[record]),
        )
        for record, names in scopes.items()
    ]


def _more_prices(row: Mapping[str, Any]) -> tuple[PriceChange, ...]:
    return tuple(price for price in price_changes({}, row) if price.meter)


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.loads(row[name]) if name in _SETS else row[name]
        for name in _FACTS
        if row[name] is not None
    }
