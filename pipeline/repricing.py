"""What models cost at a time and cost now, scope by scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipeline.comparing import Comparer, Difference
from pipeline.moments import Known, Moment, known
from pipeline.pricing import PRICES, PriceChange, moved, split
from pipeline.store import Store
from pipeline.types import Kind


def repriced(
    store: Store, since: str, only: Callable[[str], bool], has: Callable[[str], bool]
) -> Iterator[tuple[str, str, tuple[PriceChange, ...]]]:
    """Give scope, model and prices of what costs something else than it did at a time (ISO 8601 UTC).

    A scope that first answered later is compared with its first answer. Only scopes for whose names `only`
    holds are looked at, and models for whose ids `has` holds.
    """
    before = _then(store, since, only)
    comparer = Comparer(store)
    told: dict[tuple[int, int, str], tuple[PriceChange, ...]] = {}
    for now in known(store, only=only):
        then = before.get(now.scope)
        if now.retired or then is None or then.listing == now.listing:
            continue
        for each in comparer.between(then, now):
            if _is_repriced(each) and has(each.model):
                key = (then.listing, now.listing, each.model)
                if key not in told:
                    told[key] = _prices(store, then.listing, now.listing, each)
                if told[key]:
                    yield now.scope, each.model, told[key]


def _is_repriced(difference: Difference) -> bool:
    return difference.kind == Kind.CHANGED and any(each.category == "price" for each in difference.fields)


def _then(store: Store, since: str, only: Callable[[str], bool]) -> dict[str, Known]:
    """Give what each scope was known to offer at a time, or at first where that was later."""
    rows = store.rows("""
        select scopes.name as scope, min(snapshots.started_at) as at from sightings
        join scopes on scopes.id = sightings.scope
        join snapshots on snapshots.id = sightings.snapshot
        where sightings.outcome = 'baseline' group by scopes.name
    """)
    at: dict[str, set[str]] = {}
    for row in rows:
        at.setdefault(max(since, row["at"]), set()).add(row["scope"])
    return {
        each.scope: each
        for moment, scopes in at.items()
        for each in known(store, Moment(at=moment), lambda scope, of=scopes: scope in of and only(scope))  # type: ignore[misc]
    }


def _prices(store: Store, before: int, after: int, difference: Difference) -> tuple[PriceChange, ...]:
    facts = [_facts(store, listing, difference.model) for listing in (before, after)]
    understood = moved(facts[0], facts[1]) if all(facts) else ()
    prices, _ = split(difference.fields, understood)
    return prices


def _facts(store: Store, listing: int, model: str) -> Mapping[str, Any]:
    rows = store.rows(
        f"""
        select records.price_source, {", ".join(f"records.{name}" for name in PRICES)}
        from models
        join records on records.model = models.id
        join listing_records on listing_records.record = records.id and listing_records.listing = :listing
        where models.name = :model
        """,  # noqa: S608 - names of our own
        {"listing": listing, "model": model},
    )
    return rows[0] if rows else {}
