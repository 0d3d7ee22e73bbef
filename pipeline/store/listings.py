"""Write listings and their records, each only once however many scopes and runs see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from pipeline import canonical
from pipeline.facts import Facts, columns
from pipeline.permissions import permissions
from pipeline.store.writer import Writer
from pipeline.types import Listing, Record

_SHOWN_DIGITS = slice(2, 10)


FactsOf = Callable[[dict[str, Any]], Facts]
"""Reads a record, as its dialect does."""


def write_listing(writer: Writer, gateway: int, listing: Listing, facts_of: FactsOf) -> int:
    """Give the id of a listing at a gateway, written with its records unless it is known."""
    identity = {"gateway": gateway, "digest": listing.digest, "reading": listing.reading}
    found = writer.store.rows(
        "select id from listings where gateway = :gateway and digest = :digest and reading = :reading",
        identity,
    )
    if found:
        return int(found[0]["id"])
    records = _records(writer, gateway, listing, facts_of)
    size = len(listing)
    row = identity | {
        "name": f"{size} model{'' if size == 1 else 's'} @{listing.digest[_SHOWN_DIGITS]}",
        "size": size,
        "warnings": json.dumps(listing.warnings, ensure_ascii=False) if listing.warnings else None,
    }
    listing_id = writer.one("listings", row)
    writer.insert(
        "listing_records", [{"listing": listing_id, "record": record} for record in sorted(records)]
    )
    return listing_id


def _records(writer: Writer, gateway: int, listing: Listing, facts_of: FactsOf) -> list[int]:
    models = _models(writer, gateway, listing.records)
    digests = json.dumps([record.digest for record in listing.records.values()])
    found = writer.store.rows(
        """
        select records.id, records.model, records.digest from json_each(:digests) as wanted
        join records on records.digest = wanted.value
        join models on models.id = records.model and models.gateway = :gateway
        """,
        {"digests": digests, "gateway": gateway},
    )
    known = {(row["model"], row["digest"]): row["id"] for row in found}
    fresh = [
        record
        for model, record in sorted(listing.records.items())
        if (models[model], record.digest) not in known
    ]
    first = writer.next_id("records")
    ids = range(first, first + len(fresh))
    rows = [
        _record_row(number, models[record.model], record, facts_of)
        for number, record in zip(ids, fresh, strict=True)
    ]
    writer.insert("records", [row for row, _ in rows])
    _permissions(writer, [permission for _, found in rows for permission in found])
    wanted = ((models[model], record.digest) for model, record in listing.records.items())
    return [*(known[key] for key in wanted if key in known), *ids]


def _permissions(writer: Writer, rows: list[dict[str, Any]]) -> None:
    numbered = [{"id": number, **row} for number, row in enumerate(rows, writer.next_id("permissions"))]
    writer.insert("permissions", numbered)


def _models(writer: Writer, gateway: int, names: Iterable[str]) -> dict[str, int]:
    wanted = sorted(names)
    found = writer.store.rows(
        """
        select models.id, models.name from json_each(:names) as wanted
        join models on models.gateway = :gateway and models.name = wanted.value
        """,
        {"names": json.dumps(wanted), "gateway": gateway},
    )
    ids = {row["name"]: row["id"] for row in found}
    fresh = [name for name in wanted if name not in ids]
    rows = [
        {"id": number, "name": name, "gateway": gateway}
        for number, name in enumerate(fresh, writer.next_id("models"))
    ]
    writer.insert("models", rows)
    return ids | {row["name"]: row["id"] for row in rows}


def _record_row(
    number: int, model: int, record: Record, facts_of: FactsOf
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    body = canonical.decode(record.body.encode())
    name = f"{record.model}@{record.digest[_SHOWN_DIGITS]}"
    row = {"id": number, "name": name, "digest": record.digest, "model": model}
    row |= columns(facts_of(body)) | {"body": record.body}
    return row, [{"name": name, "record": number, **asdict(permission)} for permission in permissions(body)]
