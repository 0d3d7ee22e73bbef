"""Parse records again in the dialects of their listings: their facts, prices and permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from pipeline.core import canonical
from pipeline.core.facts import (
    FACT_COLUMNS,
    Permission,
    is_shared,
    parse_permissions,
    to_columns,
    to_price_rows,
)
from pipeline.core.types import Gateway, Scope
from pipeline.gateways.dialects import (
    Dialect,
    customise,
    dialect_of,
    group_models_dialect,
    groups_dialect,
    price_advice,
)
from pipeline.store import Store, read_listing
from pipeline.store.bulk import BulkWriter, ids_after

DialectsOf = Callable[[str, str], Sequence[Dialect]]
"""Returns the dialects that may have parsed a listing, by its gateway and `reading`; the likeliest first."""

_PERMISSION_COLUMNS = Permission.__struct_fields__


def dialects_of(gateways: Iterable[Gateway], scopes: Iterable[Scope] = ()) -> DialectsOf:
    """Return the dialects that listings were parsed in, with the overrides of the config's gateways.

    Args:
        gateways: those of the config.
        scopes: its scopes, of which those with `all_groups` count.
    """
    by_name = {each.name: each for each in gateways}
    users: dict[str, list[Gateway]] = {}
    for scope in scopes:
        if scope.all_groups:
            users.setdefault(scope.gateway.name, []).append(scope.gateway)

    def found(gateway: str, reading: str) -> Sequence[Dialect]:
        dialect = dialect_of(reading)
        if dialect is None:
            return ()
        own = by_name.get(gateway)
        dialects = [customise(dialect, own.overrides)] if own else [dialect]
        in_groups = any(
            dialect.name in (groups_dialect(user).name, group_models_dialect(user).name)
            for user in users.get(gateway, ())
        )
        # The lists of groups are parsed without the config's paths of facts.
        return [*dialects, dialect] if in_groups else dialects

    return found


class FactDifferences(Struct):
    """Where facts, prices and permissions differ from those that are parsed today.

    Args:
        records: how many records were parsed.
        checked: how many of them have a dialect that exists here.
        unknown: how many have a dialect that does not exist here; their facts stay.
        facts: the columns that a record should have, by its id.
        prices: the rows of `record_prices` that a record should have, by its id.
        permissions: the rows that a record should have, by its id.
    """

    records: int = 0
    checked: int = 0
    unknown: int = 0
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    prices: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    permissions: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


def fact_differences(
    store: Store, dialects_of: DialectsOf, *, only: set[int] | None = None
) -> FactDifferences:
    """Parse records again, and return where they differ: all, or `only` some of them by id."""
    dialects = _dialects_by_record(store, dialects_of)
    stored_permissions = _stored_permissions(store)
    stored_prices = _stored_prices(store)
    shared = _records_with_shared_created(store, dialects)
    found = FactDifferences()
    rows = store.stream(f"select id, cast(body as blob), {', '.join(FACT_COLUMNS)} from records order by id")  # noqa: S608 - our own names
    for number, text, *stored in rows:
        if only is not None and number not in only:
            continue
        found.records += 1
        body = _body(text)
        if body is None:
            continue
        granted = [asdict(permission) for permission in parse_permissions(body)]
        if _values(granted) != stored_permissions.get(number, []):
            found.permissions[number] = granted
        created = {"created": None} if number in shared else {}
        parsed = [dialect.facts(body) for dialect in dialects.get(number, ())]
        found.unknown += number in dialects and not parsed
        found.checked += bool(parsed)
        derived = [(to_columns(facts) | created, to_price_rows(facts)) for facts in parsed]
        own_prices = stored_prices.get(number, [])
        wrong = [
            ([columns[name] for name in FACT_COLUMNS] != stored, _values(prices) != own_prices)
            for columns, prices in derived
        ]
        if derived and all(any(each) for each in wrong):
            found.facts |= {number: derived[0][0]} if wrong[0][0] else {}
            found.prices |= {number: derived[0][1]} if wrong[0][1] else {}
    return found


def _values(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows]


def _body(text: bytes) -> dict[str, Any] | None:
    """Return a record's body; None for a damaged one, which the check of digests finds."""
    try:
        body = canonical.decode(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _records_with_shared_created(store: Store, dialects: Mapping[int, Sequence[Dialect]]) -> set[int]:
    """Return the records whose first listing has one `created` for all of its records."""
    rows = store.stream("select record, min(listing) from listing_records group by record")
    first = dict(rows)
    created: dict[int, str | None] = {}
    for number, text in store.stream("select id, cast(body as blob) from records"):
        body = _body(text) if number in first else None
        found = dialects.get(number)
        created[number] = found[0].facts(body).created if body is not None and found else None
    listings = set(first.values())
    members = groupby(
        store.stream("select listing, record from listing_records order by listing"), key=itemgetter(0)
    )
    shared = {
        listing
        for listing, group in members
        if listing in listings and is_shared(created.get(record) for _, record in group)
    }
    return {record for record, listing in first.items() if listing in shared}


def _dialects_by_record(store: Store, dialects_of: DialectsOf) -> dict[int, list[Dialect]]:
    """Return the dialects of each record, those of its newest listing first."""
    by_reading: dict[tuple[str, str], Sequence[Dialect]] = {}
    found: dict[int, list[Dialect]] = {}
    rows = store.stream(
        """
        select listing_records.record, gateways.name, listings.reading, max(listings.id) as newest
        from listings
        join listing_records on listing_records.listing = listings.id
        join gateways on gateways.id = listings.gateway
        group by 1, 2, 3 order by 1, newest desc
        """
    )
    for record, gateway, reading, _ in rows:
        key = (gateway, reading)
        if key not in by_reading:
            by_reading[key] = dialects_of(*key)
        found.setdefault(record, []).extend(by_reading[key])
    return found


def _stored_permissions(store: Store) -> dict[int, list[tuple[Any, ...]]]:
    columns = ", ".join(_PERMISSION_COLUMNS)
    rows = store.stream(f"select record, {columns} from permissions order by record, id")  # noqa: S608 - our own names
    return {record: [row[1:] for row in group] for record, group in groupby(rows, key=itemgetter(0))}


def _stored_prices(store: Store) -> dict[int, list[tuple[Any, ...]]]:
    rows = store.stream(
        """
        select record, place, meter, unit, from_tokens, window, currency, amount from record_prices
        order by record, place
        """
    )
    return {record: [row[1:] for row in group] for record, group in groupby(rows, key=itemgetter(0))}


class CorrectedFacts(Struct, frozen=True):
    """The numbers of records with other facts, prices and permissions, and of unknown dialects."""

    facts: int
    prices: int
    permissions: int
    unknown: int


def correct_facts(store: Store, dialects_of: DialectsOf, *, only: set[int] | None = None) -> CorrectedFacts:
    """Write facts, prices and permissions as they are parsed today; must run in a transaction."""
    found = fact_differences(store, dialects_of, only=only)
    for record, facts in found.facts.items():
        store.db.table("records").update(record, facts)
    _write_prices(store, found.prices)
    for record, permissions in sorted(found.permissions.items()):
        _write_permissions(store, record, permissions)
    return CorrectedFacts(len(found.facts), len(found.prices), len(found.permissions), found.unknown)


def correct_price_advice(store: Store, dialects_of: DialectsOf) -> None:
    """Write which prices of current listings give no figure, as they are parsed today."""
    found: dict[int, str | None] = {}
    rows = store.rows(
        """
        select scopes.id, scopes.listing, gateways.name as gateway, listings.reading from scopes
        join gateways on gateways.id = scopes.gateway
        join listings on listings.id = scopes.listing
        """
    )
    for row in rows:
        dialects = dialects_of(row["gateway"], row["reading"])
        if not dialects:
            continue
        if row["listing"] not in found:
            records = read_listing(store, row["listing"]).records.values()
            found[row["listing"]] = price_advice(dialects[0], records)
        store.db.table("scopes").update(row["id"], {"price_advice": found[row["listing"]]})


def _write_prices(store: Store, prices: Mapping[int, list[dict[str, Any]]]) -> None:
    """Replace the prices of records."""
    store.connection.executemany("delete from record_prices where record = ?", [(row,) for row in prices])
    BulkWriter(store).insert(
        "record_prices",
        [{"record": record, **row} for record, rows in sorted(prices.items()) for row in rows],
    )


def _write_permissions(store: Store, record: int, permissions: list[dict[str, Any]]) -> None:
    """Replace the permissions of a record; ids are in the order of records, as far as they are free."""
    own = {"record": record}
    store.connection.execute("delete from permissions where record = :record", own)
    ((name,),) = store.stream("select name from records where id = :record", own)
    ((last,),) = store.stream("select coalesce(max(id), 0) from permissions where record < :record", own)
    ids = ids_after(store, "permissions", last, len(permissions))
    rows = [
        {"id": number, "name": name, "record": record, **row}
        for number, row in zip(ids, permissions, strict=True)
    ]
    BulkWriter(store).insert("permissions", rows)
