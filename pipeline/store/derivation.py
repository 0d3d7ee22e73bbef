"""The rules by which classes and facts were derived from records, as a number in the header of the database.

See https://www.sqlite.org/pragma.html#pragma_user_version.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core import canonical
from pipeline.core.types import Gateway
from pipeline.store.database import Store

VERSION = 5
"""The version of the program's own rules; a change of the classes or facts of any record raises it."""


def rules_of(gateways: Iterable[Gateway]) -> int:
    """Return the digest of the rules of the program and the config's gateways, in 31 bits and never 0."""
    own = sorted((each.name, each.dialect, each.overrides.prices, each.overrides.facts) for each in gateways)
    digest = canonical.digest(canonical.encode([VERSION, own]))
    return int(digest[-8:], 16) % (2**31 - 1) + 1


def recorded_rules(store: Store) -> int:
    """Return the rules by which the rows of a database were derived; 0 where none are recorded."""
    return int(store.rows("pragma user_version")[0]["user_version"])


def record_rules(store: Store, rules: int) -> None:
    """Record the rules by which the rows of a database are derived now."""
    store.connection.execute(f"pragma user_version = {rules:d}")
