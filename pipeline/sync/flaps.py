"""Count the answers for values that keep changing, and settle those that are stable again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pipeline.core.times import APART
from pipeline.core.types import Outcome
from pipeline.store import LedgerWriter, Sighting

STABLE_FOR = 24 * 3600
"""A value has settled when it was stable for so many seconds…"""

STABLE_ANSWERS = 3
"""…and in so many complete answers."""


def settle_flaps(
    ledger: LedgerWriter,
    snapshot: int,
    at: str,
    *,
    confirmed: Collection[int],
    complete: Iterable[int],
) -> list[Sighting]:
    """Count the complete answers for values that keep changing; return the sightings of those that settled.

    Must run after the moves of the run were recorded, and its confirmed removals.

    Args:
        ledger: the writer of the open transaction.
        snapshot: the run.
        at: its start (ISO 8601 UTC).
        confirmed: its sightings that confirm removals.
        complete: the scopes that gave a complete answer.
    """
    flaps = ledger.flaps
    if not flaps.is_any_open:
        return []
    complete = list(complete)
    flaps.end_removed(confirmed)
    flaps.count_answers(complete, at, apart=APART, at_most=STABLE_ANSWERS)
    settled = flaps.settled(complete, at, stable=STABLE_FOR, answers=STABLE_ANSWERS)
    sightings = [
        Sighting(each.scope, each.scope_name, Outcome.SETTLED, listing=each.listing) for each in settled
    ]
    ids = ledger.sightings(snapshot, sightings)
    flaps.end({flap: number for number, each in zip(ids, settled, strict=True) for flap in each.flaps})
    return sightings
