"""What an export to other formats reads: rows in a stable order, and sums that show what has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from pipeline.core.types import HoldKind, Outcome
from pipeline.store.database import Store
from pipeline.store.derivation import recorded_rules
from pipeline.store.outcomes import sql_list
from pipeline.store.windows import IN_TIME, Window

Row = tuple[Any, ...]


def months_of_runs(store: Store) -> list[str]:
    """Return the months in which runs began, or answers of imports are from, as `2026-11`; oldest first."""
    rows = store.stream("select distinct substr(started_at, 1, 7) as month from snapshots order by month")
    return [month for (month,) in rows]


def first_month_after(store: Store, newest: Mapping[str, int]) -> str | None:
    """Return the first month of what is newer than some rows, by the times of its runs; None without any.

    Args:
        store: an open database.
        newest: as `newest_rows` returned it.
    """
    (row,) = store.rows(
        """
        select substr(min(started_at), 1, 7) as month from snapshots
        where id > :snapshots or id in (select snapshot from sightings where id > :sightings)
        """,
        newest,
    )
    month: str | None = row["month"]
    return month


_IN_TIME = "at >= :start and at < :end"


def run_rows(store: Store, start: str, end: str) -> Iterator[Row]:
    """Yield the runs between two times (ISO 8601 UTC): number, times, status and totals."""
    return store.stream(
        f"""
        select id, started_at as at, finished_at, status, scopes, answered, moved, held, failed
        from snapshots where {_IN_TIME} order by at, id
        """,  # noqa: S608 - our own words
        {"start": start, "end": end},
    )


def change_rows(store: Store, start: str, end: str) -> Iterator[Row]:
    """Yield the rows of `change_log` between two times, oldest first; the names of scopes are a text."""
    return store.stream(
        f"""
        select snapshot_id, at, kind, gateway, model, field, before, after, class, flapping, scope_names
        from change_log where {_IN_TIME}
        order by at, snapshot_id, transition_id, model, kind, field, change_id, scope_names
        """,  # noqa: S608 - our own words
        {"start": start, "end": end},
    )


def event_windows(store: Store, start: str, end: str, most: int) -> Iterator[Window]:
    """Yield windows of runs that have all events between two times (ISO 8601 UTC), oldest first.

    Args:
        store: an open database.
        start: the first time.
        end: the first time after them.
        most: the sightings of a window that may be events; a window of one run may have more.
    """
    runs = store.stream(
        f"""
        select snapshots.id, count(*) from snapshots join sightings on sightings.snapshot = snapshots.id
        where snapshots.started_at >= :start and {IN_TIME} and sightings.outcome in {_MAKE_EVENTS}
        group by snapshots.id order by snapshots.id
        """,  # noqa: S608 - our own words
        {"start": start, "end": end},
    )
    first, last, events = 0, 0, 0
    for run, count in runs:
        if events and events + count > most:
            yield Window(first - 1, last, start, end)
            events = 0
        first, last = first if events else run, run
        events += count
    if events:
        yield Window(first - 1, last, start, end)


_MAKE_EVENTS = sql_list((Outcome.MOVED, Outcome.CONFIRMED, Outcome.SETTLED))


class ExportedScope(Struct, frozen=True):
    """A scope, and since when it is no longer asked (ISO 8601 UTC), by the run `retired_by`.

    A scope whose group is gone has a sighting of that instead.
    """

    id: int
    name: str
    gateway: str
    group_name: str | None
    auth: str
    lists_groups: int
    retired_by: int | None
    retired_at: str | None


def exported_scopes(store: Store) -> list[ExportedScope]:
    """Return all scopes, by name."""
    rows = store.stream(
        """
        select scopes.id, scopes.name, gateways.name, scopes.group_name, scopes.auth,
               scopes.lists_groups, later.id, later.started_at
        from scopes
        join gateways on gateways.id = scopes.gateway
        left join snapshots as later on not scopes.asked
            and coalesce((select outcome from sightings where id = scopes.sighting), '') <> :retired
            and later.id = (
                select first.id from snapshots as first
                where first.scopes > 0 and first.started_at > (
                    select max(asking.started_at) from coverage_scopes
                    join snapshots as asking on asking.covered = coverage_scopes.coverage
                    where coverage_scopes.scope = scopes.id)
                order by first.started_at, first.id limit 1)
        order by scopes.name
        """,
        {"retired": Outcome.RETIRED},
    )
    return [ExportedScope(*row) for row in rows]


class ScopeSighting(NamedTuple):
    """A sighting of a scope; `at` is the start of its run (ISO 8601 UTC)."""

    scope: int
    at: str
    id: int
    outcome: str
    listing: int | None
    reason: str | None


def scope_sightings(store: Store) -> Iterator[ScopeSighting]:
    """Yield all sightings by scope, and for each by time; `reason` is the class of a failure or hold."""
    rows = store.stream(
        """
        select sightings.scope, snapshots.started_at, sightings.id, sightings.outcome, sightings.listing,
               iif(sightings.error_class = :current, :alternating, sightings.error_class)
        from sightings join snapshots on snapshots.id = sightings.snapshot
        order by sightings.scope, snapshots.started_at, sightings.id
        """,
        {"current": HoldKind.CURRENT, "alternating": HoldKind.ALTERNATING},
    )
    return (ScopeSighting(*row) for row in rows)


def listing_record_ids(store: Store, listing: int) -> list[int]:
    """Return the records of a listing, by their rows."""
    rows = store.stream(
        "select record from listing_records where listing = :listing order by record", {"listing": listing}
    )
    return [record for (record,) in rows]


RECORD_FACTS = (
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
    "input_modalities",
    "output_modalities",
    "features",
    "endpoints",
    "lifecycle",
    "deprecated_at",
    "aliases",
)
"""The facts of a record, in the order of `fact_rows`."""

_FACTS = ", ".join(f"records.{name}" for name in RECORD_FACTS)


def fact_rows(store: Store) -> Iterator[Row]:
    """Yield every record, by model and row: its row, that of its model, the model, and its facts."""
    return store.stream(
        f"""
        select records.id, records.model, models.name, {_FACTS}
        from records join models on models.id = records.model
        order by models.name, records.model, records.id
        """  # noqa: S608 - our own words
    )


def price_rows(store: Store) -> Iterator[Row]:
    """Yield every price of a record, by model and meter: their rows, the model, and the price."""
    return store.stream(
        """
        select records.id, records.model, models.name, prices.meter, prices.unit, prices.from_tokens,
               prices.window, prices.currency, prices.amount, records.price_source
        from record_prices as prices
        join records on records.id = prices.record
        join models on models.id = records.model
        order by models.name, records.model, prices.meter, prices.unit, prices.from_tokens, prices.window,
                 prices.currency, records.id, prices.place
        """
    )


BOUNDED = ("snapshots", "sightings", "records", "changes", "field_changes", "fields", "scopes")
"""The tables whose newest rows bound a history."""


def newest_rows(store: Store) -> dict[str, int]:
    """Return the newest row of each table of `BOUNDED`; 0 for an empty one."""
    newest = (f"(select coalesce(max(id), 0) from {table}) as {table}" for table in BOUNDED)  # noqa: S608 - our names
    return store.rows(f"select {', '.join(newest)}")[0]


def history_digest(store: Store, newest: Mapping[str, int]) -> str:
    """Return a digest of the history up to some rows, which stays the same while runs only add to it.

    It changes when history is dropped, derived again or renamed, and when a scope is asked again. The large
    tables count by sums of their rows, references and lengths of texts; the others by all that is exported.

    Args:
        store: an open database.
        newest: as `newest_rows` returned it.
    """
    found = hashlib.sha256(repr(recorded_rules(store)).encode())
    for sql in (*_SUMS, _RECORDS, _PRICES, _FIELDS):
        for row in store.stream(sql, newest):
            found.update(repr(row).encode())
    for scope in exported_scopes(store):
        if scope.id <= newest["scopes"]:
            # The runs that are exported already decide whether it is retired in them.
            is_past = scope.retired_by is not None and scope.retired_by <= newest["snapshots"]
            retired = scope.retired_at if is_past else None
            row = (scope.id, scope.name, scope.gateway, scope.group_name, scope.auth, scope.lists_groups)
            found.update(repr((*row, retired)).encode())
    return found.hexdigest()


_SUMS = (
    """
    select count(*), total(id), total(scopes), total(moved), total(held), total(failed)
    from snapshots where id <= :snapshots
    """,
    """
    select outcome, count(*), total(id), total(snapshot), total(listing), total(transition)
    from sightings where id <= :sightings group by outcome order by outcome
    """,
    """
    select kind, count(*), total(id), total(transition), total(model), total(before), total(after)
    from changes where id <= :changes group by kind order by kind
    """,
    """
    select count(*), total(id), total(change), total(field), total(length(before)), total(length(after))
    from field_changes where id <= :field_changes
    """,
)

_RECORDS = f"select id, model, {_FACTS} from records where id <= :records order by id"  # noqa: S608 - our own names

_PRICES = """
    select record, place, meter, unit, from_tokens, window, currency, amount from record_prices
    where record <= :records order by record, place
"""

_FIELDS = "select id, name, class, shape_of from fields where id <= :fields order by id"
