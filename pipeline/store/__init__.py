"""The SQLite database: its schema, and the statements that write and read it."""

from pipeline.store.backup import compact, working_copy, write_backup
from pipeline.store.database import Store
from pipeline.store.flapping import answers_needed, flap_levels
from pipeline.store.ledger import LedgerWriter, PendingRemoval, Sighting, Snapshot
from pipeline.store.listings import read_listing
from pipeline.store.lock import lock, open_to_send, writing
from pipeline.store.scopes import scope_states

__all__ = [
    "LedgerWriter",
    "PendingRemoval",
    "Sighting",
    "Snapshot",
    "Store",
    "answers_needed",
    "compact",
    "flap_levels",
    "lock",
    "open_to_send",
    "read_listing",
    "scope_states",
    "working_copy",
    "write_backup",
    "writing",
]
