"""Whether models are found by their words, and how to mend it where they are not."""

from __future__ import annotations

from pipeline.store.database import Store
from pipeline.store.searching import REFILL

_DIFFERENT = """
    select id from (select * from model_words except select rowid, name, parts, owner, title from models_fts)
    union
    select rowid from (
        select rowid, name, parts, owner, title from models_fts except select * from model_words
    )
"""


def mislaid(store: Store) -> list[int]:
    """Give the models that are not found by the words that they should be found by."""
    return [int(number) for (number,) in store.stream(_DIFFERENT)]


def refill(store: Store) -> None:
    """Fill the search anew; must run inside a transaction."""
    for statement in REFILL:
        store.connection.execute(statement)
