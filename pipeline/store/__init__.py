"""The SQLite file: its schema, and every read and write of it."""

from pipeline.store.backup import compact, write_backup
from pipeline.store.database import Store
from pipeline.store.lock import writing
from pipeline.store.lock import lock
from pipeline.store.flapping import flap_levels, answers_needed
from pipeline.store.ledger import LedgerWriter, Sighting
from pipeline.store.scopes import read_listing, scope_states
from pipeline.store.search import unindexed, refill_search

__all__ = [
    "LedgerWriter",
    "Sighting",
    "Store",
    "compact",
    "flap_levels",
    "read_listing",
    "lock",
    "unindexed",
    "answers_needed",
    "refill_search",
    "scope_states",
    "write_backup",
    "writing",
]
