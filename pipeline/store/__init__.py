"""The SQLite file: its schema, and every read and write of it."""

from pipeline.store.backup import compact, write_backup
from pipeline.store.database import Store, lock, writing
from pipeline.store.flapping import flap_levels, needed
from pipeline.store.ledger import Ledger, Sighting
from pipeline.store.scopes import listing, scope_states
from pipeline.store.search import mislaid, refill

__all__ = [
    "Ledger",
    "Sighting",
    "Store",
    "compact",
    "flap_levels",
    "listing",
    "lock",
    "mislaid",
    "needed",
    "refill",
    "scope_states",
    "write_backup",
    "writing",
]
