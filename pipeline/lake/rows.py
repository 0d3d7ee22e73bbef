"""The rows of each table, by month."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.core.prices import prices_of_fields
from pipeline.core.types import Kind
from pipeline.history.changes import find_events
from pipeline.history.types import Event
from pipeline.lake.arrow import batches
from pipeline.lake.intervals import (
    Interval,
    Intervals,
    State,
    joined_rows,
    offered_listings,
    offered_records,
    states,
)
from pipeline.lake.shared import SharedIntervals
from pipeline.lake.tables import TABLES
from pipeline.reports.csv_json import flap_cell, price_cells
from pipeline.store import Store
from pipeline.store.export import (
    ExportedScope,
    change_rows,
    event_windows,
    exported_scopes,
    fact_rows,
    listing_record_ids,
    price_rows,
    run_rows,
    scope_sightings,
)

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

MOST_SIGHTINGS = 100_000
"""Sightings whose events are in memory at once, if they are of several runs."""

_LISTINGS = 64
"""Listings whose records are in memory at once: the next one of a scope has most of them too."""


class MonthlyRows:
    """The rows of a history by month.

    The facts and prices of all records are in memory, and the intervals of each distinct history: scopes that
    always had the same lists share one.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        scopes = exported_scopes(store)
        offers, stood = _histories(store, scopes)
        catalog, prices = _offered(store, offers.places)
        self._shared = {"catalog": catalog, "prices": prices, "coverage": _coverage(stood.places)}
        self._scopes = {
            "catalog": offers.in_order(scopes),
            "prices": offers.in_order(scopes),
            "coverage": stood.in_order(scopes),
        }

    def batches(self, table: str, month: str) -> Iterator[pa.Table]:
        """Yield the rows of a month, in a stable order."""
        start, end = f"{month}-01T00:00:00Z", f"{_following(month)}-01T00:00:00Z"
        match table:
            case "runs":
                yield from batches(TABLES[table], run_rows(self._store, start, end))
            case "changes":
                yield from batches(TABLES[table], map(_change, change_rows(self._store, start, end)))
            case "events":
                yield from batches(TABLES[table], _event_rows(self._store, start, end))
            case _:
                yield from self._shared[table].of_month(start, end, self._scopes[table])


def _following(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year + number // 12:04}-{number % 12 + 1:02}"


def _change(row: Sequence[Any]) -> Sequence[Any]:
    *values, scopes = row
    return (*values, sorted(scopes.split(" ")))


def _event_rows(store: Store, start: str, end: str) -> Iterator[Sequence[Any]]:
    for window in event_windows(store, start, end, MOST_SIGHTINGS):
        for event in find_events(store, window):
            # A run of another month may stand between those of this one, by a clock that was wrong.
            if start <= event.at < end:
                yield from _rows_of_event(event)


def _rows_of_event(event: Event) -> Iterator[Sequence[Any]]:
    """Yield the rows of an event, as the CSV of reports has them."""
    of_models = event.kind in (Kind.SHAPE, Kind.GROUP)
    head, model = (event.snapshot, event.at), (event.gateway, event.model)
    tail = (event.scopes, event.groups, event.since, event.away_seconds, str(event.severity))
    models = event.models if of_models else None
    if not (event.fields and (of_models or event.kind == Kind.CHANGED)):
        yield (*head, str(event.kind), *model, *[None] * 4, *tail, None, models, *[None] * 5)
    prices = prices_of_fields(event.fields, event.prices)
    for field in event.fields:
        kind = event.kind if of_models else Kind.CHANGED
        change = (field.field, field.before, field.after, field.category)
        before, after, currency, unit = price_cells(prices.get(field))
        rest = (flap_cell(field), models, field.shape_of, before, after, currency, unit)
        yield (*head, str(kind), *model, *change, *tail, *rest)


class _Histories(Generic[T]):
    """The distinct histories of scopes, in the order in which they were found, and that of each scope."""

    def __init__(self) -> None:
        self.places: dict[Intervals[T], int] = {}
        self._of_scope: dict[int, int] = {}

    def add(self, scope: int, history: Intervals[T]) -> None:
        self._of_scope[scope] = self.places.setdefault(history, len(self.places))

    def in_order(self, scopes: Iterable[ExportedScope]) -> list[tuple[ExportedScope, int]]:
        """Return the scopes that have a history, each with its place."""
        return [(scope, self._of_scope[scope.id]) for scope in scopes if scope.id in self._of_scope]


def _histories(store: Store, scopes: Iterable[ExportedScope]) -> tuple[_Histories[int], _Histories[State]]:
    """Return the listings that scopes offered, and their states."""
    by_id = {scope.id: scope for scope in scopes}
    offers, stood = _Histories[int](), _Histories[State]()
    for number, sightings in groupby(scope_sightings(store), key=lambda sighting: sighting.scope):
        scope, found = by_id[number], list(sightings)
        stood.add(number, states(found, scope.retired_at))
        if not scope.lists_groups:
            offers.add(number, offered_listings(found, scope.retired_at))
    return offers, stood


def _offered(store: Store, histories: Iterable[Intervals[int]]) -> tuple[SharedIntervals, SharedIntervals]:
    """Return the intervals of `catalog` and of `prices`, of some histories of listings."""
    # The first columns are the rows of the record and of its model, then the name of the model.
    facts, prices = list(fact_rows(store)), list(price_rows(store))
    record_at = {row[0]: place for place, row in enumerate(facts)}
    prices_at: dict[int, list[int]] = {}
    for place, row in enumerate(prices):
        prices_at.setdefault(record_at[row[0]], []).append(place)
    models, meters = _ranks(row[1] for row in facts), _ranks((row[1], *row[3:8]) for row in prices)
    known, amounts = [row[3:] for row in facts], [row[8:] for row in prices]
    catalog = SharedIntervals(TABLES["catalog"], [row[2:] for row in facts])
    priced = SharedIntervals(TABLES["prices"], [row[2:] for row in prices])

    @lru_cache(_LISTINGS)
    def records_of(listing: int) -> frozenset[int]:
        return frozenset(record_at[record] for record in listing_record_ids(store, listing))

    for listings in histories:
        records = offered_records(listings, records_of)
        catalog.add(joined_rows(records, lambda record: (record,), models, known))
        priced.add(joined_rows(records, lambda record: prices_at.get(record, ()), meters, amounts))
    return catalog, priced


def _ranks(keys: Iterable[Hashable]) -> list[int]:
    """Return for each of some sorted keys how many others stand before it."""
    found: dict[Hashable, int] = {}
    return [found.setdefault(key, len(found)) for key in keys]


def _coverage(histories: Iterable[Intervals[State]]) -> SharedIntervals:
    """Return the intervals of `coverage`, of some histories of states."""
    kept = list(histories)
    places: dict[State, int] = {}
    for history in kept:
        for each in history:
            places.setdefault(each.value, len(places))
    found = SharedIntervals(TABLES["coverage"], list(places))
    for history in kept:
        found.add(Interval(places[each.value], each.since, each.until) for each in history)
    return found
