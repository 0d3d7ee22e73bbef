"""The SQLite file: its schema, and every read and write of it."""

from pipeline.store.copying import backup, compact
from pipeline.store.database import Store
from pipeline.store.found import mislaid, refill
from pipeline.store.ledger import Ledger, Sighting
from pipeline.store.locking import lock
from pipeline.store.patience import levels, needed
from pipeline.store.refs import Ref, listing, refs
from pipeline.store.writing import writing

__all__ = [
    "Ledger",
    "Ref",
    "Sighting",
    "Store",
    "backup",
    "compact",
    "levels",
    "listing",
    "lock",
    "mislaid",
    "needed",
    "refill",
    "refs",
    "writing",
]
