"""Check the full-text search, and refill it."""

from __future__ import annotations

from pipeline.store import Store
from pipeline.store.search import DIFFERENCES, REFILL


def unindexed(store: Store) -> list[int]:
    """Return the ids of models that the search does not find by the words of their records."""
    return [int(number) for (number,) in store.stream(DIFFERENCES)]


def refill_search(store: Store) -> None:
    """Refill the search from the models and records; must run inside a transaction."""
    for statement in REFILL:
        store.connection.execute(statement)
