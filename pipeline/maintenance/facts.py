"""Read every record again, as the dialects of its listings do, and say where facts or permissions differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import groupby
from operator import itemgetter
from typing import Any

from pipeline.core import canonical
from pipeline.core.facts import Facts, Permission, to_columns, parse_permissions
from pipeline.core.types import Scope
from pipeline.gateways.dialects import Dialect, dialect_of, customise
from pipeline.gateways.dialects.new_api_groups import LIST_DIALECT, MODELS_DIALECT
from pipeline.store import Store

DialectsOf = Callable[[str, str], Sequence[Dialect]]
"""Gives the dialects that may have read a listing, by its gateway and its `reading`; the likeliest first."""


FACTS = tuple(item.name for item in fields(Facts))


FLAGS = tuple(item.name for item in fields(Permission))


def dialects_of(scopes: Iterable[Scope]) -> DialectsOf:
    """Give the dialects that listings were read in, spelled as the gateways of a config have it."""
    by_gateway: dict[str, list[Scope]] = {}
    for scope in scopes:
        by_gateway.setdefault(scope.gateway.name, []).append(scope)

    def found(gateway: str, reading: str) -> Sequence[Dialect]:
        dialect = dialect_of(reading)
        if dialect is None:
            return ()
        own = by_gateway.get(gateway, [])
        told = [customise(dialect, own[0].gateway.spelling)] if own else [dialect]
        in_groups = dialect.name in (LIST_DIALECT, MODELS_DIALECT)
        # A list of groups is read without the places of facts that the config names.
        return [*told, dialect] if in_groups and any(scope.all_groups for scope in own) else told

    return found


@dataclass(slots=True)
class Misread:
    """What differs from a fresh reading.

    Args:
        records: how many were looked at.
        read: how many of them were read in a dialect that is known here.
        unknown: how many were read in one that is not: their facts stay, as those of no listing do.
        facts: by record, the columns that it should have.
        permissions: by record, the rows that it should have.
    """

    records: int = 0
    read: int = 0
    unknown: int = 0
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    permissions: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


def misread(store: Store, known: DialectsOf, *, only: set[int] | None = None) -> Misread:
    """Read records again: all, or `only` some of them."""
    readings = _readings(store, known)
    listed = readings.keys()
    granted = _permissions(store)
    found = Misread()
    rows = store.stream(f"select id, cast(body as blob), {', '.join(FACTS)} from records order by id")  # noqa: S608 - our own names
    for number, text, *now in rows:
        if only is not None and number not in only:
            continue
        found.records += 1
        body = _body(text)
        if body is None:
            continue
        fresh = [asdict(permission) for permission in parse_permissions(body)]
        if [tuple(row.values()) for row in fresh] != granted.get(number, []):
            found.permissions[number] = fresh
        wanted = [to_columns(dialect.facts(body)) for dialect in readings.get(number, ())]
        found.unknown += number in listed and not wanted
        found.read += bool(wanted)
        if wanted and all([each[name] for name in FACTS] != now for each in wanted):
            found.facts[number] = wanted[0]
    return found


def _body(text: bytes) -> dict[str, Any] | None:
    """Read a record's body; what is damaged is found where digests are looked at."""
    try:
        body = canonical.decode(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _readings(store: Store, known: DialectsOf) -> dict[int, list[Dialect]]:
    """Give the dialects of each record, those of its newest listing first."""
    of_reading: dict[tuple[str, str], Sequence[Dialect]] = {}
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
    for record, *reading, _ in rows:
        key = (reading[0], reading[1])
        if key not in of_reading:
            of_reading[key] = known(*key)
        found.setdefault(record, []).extend(of_reading[key])
    return found


def _permissions(store: Store) -> dict[int, list[tuple[Any, ...]]]:
    rows = store.stream(f"select record, {', '.join(FLAGS)} from permissions order by record, id")  # noqa: S608 - our own names
    return {record: [row[1:] for row in of_it] for record, of_it in groupby(rows, key=itemgetter(0))}
