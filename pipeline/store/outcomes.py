"""Sets of outcomes as SQL lists, for `sightings.outcome in …`; and which failures are urgent."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core import types
from pipeline.core.failures import LASTS_AFTER, TRANSIENT_CLASSES
from pipeline.core.times import TOLERANCE
from pipeline.store.starts import trusted_start


def sql_list(words: Iterable[str]) -> str:
    """Return words of our own as a list in SQL."""
    return "(" + ", ".join(f"'{word}'" for word in words) + ")"


SETS_LISTING = sql_list(types.SETS_LISTING)
"""The outcomes that set the current listing of a scope."""

HOLD_OUTCOMES = sql_list(types.HOLD_OUTCOMES)
"""The outcomes that hold an answer, and those that end a hold."""

PROBLEMS = sql_list(types.PROBLEMS)
"""The outcomes of a scope that is not healthy."""

_TRANSIENT = sql_list(TRANSIENT_CLASSES)

_LASTS_AFTER = int(TOLERANCE * LASTS_AFTER)

_BEGAN = trusted_start("began.id", "run.started_at")


URGENT_SIGHTING = f"""
    select 1 from sightings as severe
    join snapshots as run on run.id = severe.snapshot
    where severe.scope = scopes.id and coalesce(severe.since, severe.snapshot) = began.id
    and severe.outcome = 'failed' and (severe.error_class not in {_TRANSIENT}
         or strftime('%s', run.started_at) - strftime('%s', {_BEGAN.strip()}) >= {_LASTS_AFTER})
"""  # noqa: S608 - our own words
"""The sightings in which the failure of a scope was urgent: not a transient one, or one that lasted.

The statement around it has the scope as `scopes`, and the snapshot with which the failure began as `began`.
"""
