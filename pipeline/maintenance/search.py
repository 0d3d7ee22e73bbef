"""Check the full-text search, and refill it."""

from __future__ import annotations

from pipeline.store import Store
from pipeline.store.integrity import empty_index, index_fault
from pipeline.store.search import DIFFERENCES, REFILL


def correct_search(store: Store) -> int:
    """Refill the search if it differs from the models and records, or make it anew if it is damaged.

    Must run inside a transaction.

    Returns:
        How many models it did not find; all of them if it was damaged.
    """
    fault = index_fault(store)
    if fault is None:
        words = len(unindexed(store))
        if words:
            _refill(store)
        return words
    empty_index(store)
    _refill(store)
    ((words,),) = store.stream("select count(*) from models")
    return int(words)


def unindexed(store: Store) -> list[int]:
    """Return the ids of models that the search does not find by the words of their records."""
    return [int(number) for (number,) in store.stream(DIFFERENCES)]


def _refill(store: Store) -> None:
    for statement in REFILL:
        store.connection.execute(statement)
