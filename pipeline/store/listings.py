"""Write listings and their records, each only once however many scopes and runs see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from pipeline import canonical
from pipeline.facts import Facts, columns
from pipeline.permissions import permissions
from pipeline.store.ids import Ids
from pipeline.store.writer import Writer
from pipeline.types import Listing, Record

_SHOWN_DIGITS = slice(2, 10)


FactsOf = Callable[[dict[str, Any]], Facts]
"""Reads a record, as its dialect does."""


def write_listing(writer: Writer, ids: Ids, gateway: int, listing: Listing, facts_of: FactsOf) -> int:
    """Give the id of a listing at a gateway, written with its records unless it is known."""
    identity = {"gateway": gateway, "digest": listing.digest, "reading": listing.reading}
    found = writer.store.rows(
        "select id from listings where gateway = :gateway and digest = :digest and reading = :reading",
        identity,
    )
    if found:
        return int(found[0]["id"])
    records = _records(writer, ids, gateway, listing, facts_of)
    size = len(listing)
    row = identity | {
        "name": f"{size} model{'' if size == 1 else 's'} @{listing.digest[_SHOWN_DIGITS]}",
        "size": size,
        "warnings": json.dumps(listing.warnings, ensure_ascii=False) if listing.warnings else None,
    }
    listing_id = writer.one("listings", row)
    writer.link("listing_records", ("listing", "record"), listing_id, records)
    return listing_id


def _records(writer: Writer, ids: Ids, gateway: int, listing: Listing, facts_of: FactsOf) -> list[int]:
    records = listing.records.values()
    known = ids.records(gateway, records)
    fresh = [record for record, row in zip(records, known, strict=True) if row is None]
    numbers = _write_records(writer, ids, gateway, fresh, facts_of) if fresh else ()
    return [*(row for row in known if row is not None), *numbers]


def _write_records(
    writer: Writer, ids: Ids, gateway: int, records: list[Record], facts_of: FactsOf
) -> Sequence[int]:
    records.sort(key=lambda record: record.model)
    models = _models(writer, ids, gateway, [record.model for record in records])
    numbers = writer.ids("records", len(records))
    rows = []
    for number, record in zip(numbers, records, strict=True):
        rows.append(_record_row(number, models[record.model], record, facts_of))
        ids.add_record(gateway, record, number)
    writer.insert("records", [row for row, _ in rows])
    _permissions(writer, [permission for _, found in rows for permission in found])
    return numbers


def _permissions(writer: Writer, rows: list[dict[str, Any]]) -> None:
    numbers = writer.ids("permissions", len(rows))
    writer.insert("permissions", [{"id": number, **row} for number, row in zip(numbers, rows, strict=True)])


def _models(writer: Writer, ids: Ids, gateway: int, names: list[str]) -> dict[str, int]:
    known = ids.models(gateway, names)
    fresh = [name for name in names if name not in known]
    numbers = writer.ids("models", len(fresh))
    pairs = list(zip(numbers, fresh, strict=True))
    writer.insert("models", [{"id": number, "name": name, "gateway": gateway} for number, name in pairs])
    known.update((name, number) for number, name in pairs)
    return known


def _record_row(
    number: int, model: int, record: Record, facts_of: FactsOf
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    body = canonical.decode(record.body.encode())
    name = f"{record.model}@{record.digest[_SHOWN_DIGITS]}"
    row = {"id": number, "name": name, "digest": record.digest, "model": model}
    row |= columns(facts_of(body)) | {"body": record.body}
    return row, [{"name": name, "record": number, **asdict(permission)} for permission in permissions(body)]
