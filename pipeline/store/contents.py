"""Write listings and their records, each only once however many scopes and runs see it.

Write what differs between two listings, once for all the scopes that make that move.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.core import canonical
from pipeline.core.facts import Facts, to_columns, parse_permissions
from pipeline.core.types import Change, FieldChange, Listing, Record
from pipeline.store.bulk import RowIds, BulkWriter

_SHOWN_DIGITS = slice(2, 10)


FactsOf = Callable[[dict[str, Any]], Facts]
"""Reads a record, as its dialect does."""


def write_listing(writer: BulkWriter, ids: RowIds, gateway: int, listing: Listing, facts_of: FactsOf) -> int:
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


def _records(writer: BulkWriter, ids: RowIds, gateway: int, listing: Listing, facts_of: FactsOf) -> list[int]:
    records = listing.records.values()
    known = ids.records(gateway, records)
    fresh = [record for record, row in zip(records, known, strict=True) if row is None]
    numbers = _write_records(writer, ids, gateway, fresh, facts_of) if fresh else ()
    return [*(row for row in known if row is not None), *numbers]


def _write_records(
    writer: BulkWriter, ids: RowIds, gateway: int, records: list[Record], facts_of: FactsOf
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


def _permissions(writer: BulkWriter, rows: list[dict[str, Any]]) -> None:
    numbers = writer.ids("permissions", len(rows))
    writer.insert("permissions", [{"id": number, **row} for number, row in zip(numbers, rows, strict=True)])


def _models(writer: BulkWriter, ids: RowIds, gateway: int, names: list[str]) -> dict[str, int]:
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
    row |= to_columns(facts_of(body)) | {"body": record.body}
    return row, [{"name": name, "record": number, **asdict(permission)} for permission in parse_permissions(body)]


FieldsOf = Callable[[Change], Iterable[FieldChange]]
"""Gives the fields in which a changed record differs."""


_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def write_transition(
    writer: BulkWriter, ids: RowIds, moved: tuple[int, int], changes: Sequence[Change], fields_of: FieldsOf
) -> int:
    """Give the id of a move from one listing to another, written with its changes unless it is known."""
    sides = dict(zip(("before", "after"), moved, strict=True))
    found = writer.store.rows("select id from transitions where before = :before and after = :after", sides)
    if found:
        return int(found[0]["id"])
    counts = {
        kind: sum(change.kind == kind for change in changes) for kind in ("added", "removed", "changed")
    }
    name = f"+{counts['added']} -{counts['removed']} ~{counts['changed']}"
    transition = writer.one("transitions", {"name": name, **sides, **counts})
    numbers = writer.ids("changes", len(changes))
    _changes(writer, ids, transition, sides, list(zip(numbers, changes, strict=True)))
    _field_changes(writer, ids, zip(numbers, changes, strict=True), fields_of)
    return transition


def _changes(
    writer: BulkWriter, ids: RowIds, transition: int, sides: dict[str, int], changes: list[tuple[int, Change]]
) -> None:
    (row,) = writer.store.rows("select gateway from listings where id = :after", sides)
    models = ids.models(row["gateway"], [change.model for _, change in changes])
    sides_of = [side for _, change in changes for side in (change.before, change.after) if side]
    records = iter(ids.records(row["gateway"], sides_of))
    writer.insert(
        "changes",
        [
            {
                "id": number,
                "name": f"{_SIGNS[change.kind]} {change.model}",
                "transition": transition,
                "model": models[change.model],
                "kind": str(change.kind),
                "before": next(records) if change.before else None,
                "after": next(records) if change.after else None,
            }
            for number, change in changes
        ],
    )


def _field_changes(
    writer: BulkWriter, ids: RowIds, changes: Iterable[tuple[int, Change]], fields_of: FieldsOf
) -> None:
    found = [
        (number, field)
        for number, change in changes
        if change.before and change.after
        for field in fields_of(change)
    ]
    fields = field_ids(writer, ids, ((field.field, field.category) for _, field in found))
    writer.insert(
        "field_changes",
        [
            {
                "id": row_id,
                "change": number,
                "field": fields[field.field, field.category],
                "before": field.before,
                "after": field.after,
            }
            for row_id, (number, field) in zip(writer.ids("field_changes", len(found)), found, strict=True)
        ],
    )


def field_ids(writer: BulkWriter, ids: RowIds, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Give the rows of fields by path and class, written unless they are known."""
    known = ids.fields()
    fresh = sorted(set(keys) - known.keys())
    pairs = list(zip(writer.ids("fields", len(fresh)), fresh, strict=True))
    writer.insert("fields", [{"id": number, "name": name, "class": of} for number, (name, of) in pairs])
    known.update((key, number) for number, key in pairs)
    return known
