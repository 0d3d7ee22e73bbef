"""Listings and their records: each is written once for all scopes and runs, and read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from msgspec.structs import asdict, replace

from pipeline.core import canonical
from pipeline.core.facts import Facts, Permission, is_shared, parse_permissions, to_columns, to_price_rows
from pipeline.core.limits import RECORD_OVERHEAD
from pipeline.core.text import count
from pipeline.core.types import Digest, Listing, Record
from pipeline.store.bulk import BulkWriter, RowIds
from pipeline.store.database import Store
from pipeline.store.records import require_intact

ReadRecord = tuple[Facts, tuple[Permission, ...]]
"""The facts and permissions of a record."""

RecordReader = Callable[[Record], ReadRecord]
"""Parses the facts of a record's body, as its dialect does."""

_DIGEST_SHOWN = slice(2, 10)
"""The digits of a digest that names show, without the two of its version."""


def read_listing(store: Store, listing_id: int) -> Listing:
    """Return a recorded listing, without its warnings.

    Raises:
        StoreError: the listing or a record of it is not as it was written.
    """
    rows = store.rows(
        """
        select records.id, models.name as model, records.digest, records.body from listing_records
        join records on records.id = listing_records.record
        join models on models.id = records.model
        where listing_records.listing = :listing
        """,
        {"listing": listing_id},
    )
    require_intact(store, rows)
    records = {row["model"]: Record(row["model"], row["digest"], row["body"]) for row in rows}
    (head,) = store.rows("select digest, reading from listings where id = :listing", {"listing": listing_id})
    if canonical.digest_of_records(records.values()) != head["digest"]:
        raise store.damage("listings", listing_id, "its digest is not that of its records")
    return Listing(records, head["digest"], head["reading"])


def listing_digests(store: Store, listing_ids: Iterable[int]) -> dict[int, tuple[Digest, str]]:
    """Return the digest and the reading of recorded listings, without their records."""
    rows = store.rows(
        "select id, digest, reading from listings where id in (select value from json_each(:ids))",
        {"ids": json.dumps(list(listing_ids))},
    )
    return {row["id"]: (row["digest"], row["reading"]) for row in rows}


def listing_models(store: Store, listing_id: int) -> frozenset[str]:
    """Return the ids of the models of a recorded listing, without reading its records.

    Raises:
        StoreError: the listing is not as it was written.
    """
    rows = store.rows(
        """
        select models.name as model, records.digest from listing_records
        join records on records.id = listing_records.record
        join models on models.id = records.model
        where listing_records.listing = :listing
        """,
        {"listing": listing_id},
    )
    (head,) = store.rows("select digest from listings where id = :listing", {"listing": listing_id})
    if canonical.digest_of_records(Record(row["model"], row["digest"], "") for row in rows) != head["digest"]:
        raise store.damage("listings", listing_id, "its digest is not that of its records")
    return frozenset(row["model"] for row in rows)


def drop_listing(store: Store, listing_id: int) -> None:
    """Delete a listing that nothing refers to, with the records and models that only it has."""
    connection = store.connection

    def ids(sql: str, **given: Any) -> str:
        return json.dumps([row["id"] for row in store.rows(sql, given)])

    records = ids("select record as id from listing_records where listing = :listing", listing=listing_id)
    connection.execute("delete from listing_records where listing = ?", [listing_id])
    connection.execute("delete from listings where id = ?", [listing_id])
    own = ids(
        """
        select value as id from json_each(:records)
        where not exists (select 1 from listing_records where record = value)
        and not exists (select 1 from changes where before = value)
        and not exists (select 1 from changes where after = value)
        and not exists (select 1 from departures where record = value)
        and not exists (select 1 from regains where record = value)
        """,
        records=records,
    )
    models = ids(
        "select distinct model as id from records where id in (select value from json_each(:own))", own=own
    )
    for table, column in (("permissions", "record"), ("record_prices", "record"), ("records", "id")):
        connection.execute(
            f"delete from {table} where {column} in (select value from json_each(?))",  # noqa: S608 - our own names
            [own],
        )
    connection.execute(
        """
        delete from models where id in (select value from json_each(?))
        and not exists (select 1 from records where model = models.id)
        and not exists (select 1 from changes where model = models.id)
        and not exists (select 1 from departures where model = models.id)
        and not exists (select 1 from flaps where model = models.id)
        and not exists (select 1 from regains where model = models.id)
        """,
        [models],
    )


class WrittenListing(NamedTuple):
    """A listing's id, and about how many bytes it added to the database."""

    id: int
    added_bytes: int


def write_listing(
    writer: BulkWriter, ids: RowIds, gateway: int, listing: Listing, read: RecordReader
) -> WrittenListing:
    """Write a listing at a gateway, and its new records, if it is new."""
    identity = {"gateway": gateway, "digest": listing.digest, "reading": listing.reading}
    found = writer.store.rows(
        "select id from listings where gateway = :gateway and digest = :digest and reading = :reading",
        identity,
    )
    if found:
        return WrittenListing(int(found[0]["id"]), 0)
    records, added = _record_ids(writer, ids, gateway, listing, read)
    row = identity | {
        "name": f"{count(len(listing), 'model')} @{listing.digest[_DIGEST_SHOWN]}",
        "size": len(listing),
        "warnings": json.dumps(listing.warnings, ensure_ascii=False) if listing.warnings else None,
    }
    listing_id = writer.insert_one("listings", row)
    writer.link("listing_records", ("listing", "record"), listing_id, records)
    return WrittenListing(listing_id, added)


def _record_ids(
    writer: BulkWriter, ids: RowIds, gateway: int, listing: Listing, read: RecordReader
) -> tuple[list[int], int]:
    """Return the ids of the records of a listing, and about how many bytes those added that were new."""
    records = listing.records.values()
    known = ids.records(gateway, records)
    new = [record for record, row in zip(records, known, strict=True) if row is None]
    written = _write_records(writer, ids, gateway, new, listing, read) if new else ()
    added = sum(RECORD_OVERHEAD + len(record.body) for record in new)
    return [*(row for row in known if row is not None), *written], added


def _write_records(
    writer: BulkWriter,
    ids: RowIds,
    gateway: int,
    records: list[Record],
    listing: Listing,
    read: RecordReader,
) -> Sequence[int]:
    records.sort(key=lambda record: record.model)
    found = list(map(read, records))
    is_created_shared = _is_created_shared(listing, records, [facts for facts, _ in found], read)
    models = _model_ids(writer, ids, gateway, [record.model for record in records])
    record_ids = writer.new_ids("records", len(records))
    rows, prices, permissions = [], [], []
    for record_id, record, (facts, own_permissions) in zip(record_ids, records, found, strict=True):
        name = f"{record.model}@{record.digest[_DIGEST_SHOWN]}"
        columns = to_columns(replace(facts, created=None) if is_created_shared else facts)
        rows.append(
            {"id": record_id, "name": name, "digest": record.digest, "model": models[record.model]}
            | columns
            | {"body": record.body}
        )
        prices += [{"record": record_id, **price} for price in to_price_rows(facts)]
        permissions += [{"name": name, "record": record_id, **asdict(each)} for each in own_permissions]
        ids.add_record(gateway, record, record_id)
    writer.insert("records", rows)
    writer.insert("record_prices", prices)
    writer.insert_new("permissions", permissions)
    return record_ids


def read_record(record: Record, facts_of: Callable[[dict[str, Any]], Facts]) -> ReadRecord:
    """Return the facts and permissions of a record."""
    body = canonical.decode(record.body.encode())
    return facts_of(body), parse_permissions(body)


def _is_created_shared(
    listing: Listing, new: Sequence[Record], facts: Iterable[Facts], read: RecordReader
) -> bool:
    """Return whether all records of a listing have one `created`, which then is no fact of a model.

    Those of the records that are new are known; the others are read only where these are equal.
    """
    known = {record.model for record in new}
    others = (read(record)[0] for record in listing.records.values() if record.model not in known)
    return is_shared(each.created for each in chain(facts, others))


def _model_ids(writer: BulkWriter, ids: RowIds, gateway: int, names: list[str]) -> dict[str, int]:
    """Return the ids of models by name; write those that are new."""
    known = ids.models(gateway, names)
    new = [name for name in names if name not in known]
    written = writer.insert_new("models", [{"name": name, "gateway": gateway} for name in new])
    known.update(zip(new, written, strict=True))
    return known
