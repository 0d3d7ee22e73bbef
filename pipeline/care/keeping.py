"""Which sightings must stay when old ones go, so that what is told of the rest stays the same.

A scope keeps an unbroken end of its ledger. It begins with the last sighting that said what it is offered
before anything that is still needed:

* what happened since the bound;
* the moves whose removals were confirmed since, or wait to be;
* the thirty days before these, from which patience counts how often a model had left;
* the beginnings of failures and holds that ended, or go on, in what is kept.

How a model had left before that is remembered as a departure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.care.replaying import SETTERS, TROUBLE, Seen
from pipeline.store.patience import DAYS

_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Kept:
    """What a scope keeps.

    Args:
        base: the sighting that becomes its baseline; those before it go.
        exact: from this sighting on patience counts as it always did; departures before it are remembered.
        stale: confirmations of moves that are not kept as moves.
    """

    base: int
    exact: int
    stale: tuple[int, ...]


def keep(seen: Sequence[Seen], waiting: Sequence[tuple[int, int]], bound: str) -> Kept | None:
    """Say what a scope keeps of its sightings, given in order; None when that is all of them.

    Args:
        seen: the scope's sightings.
        waiting: its removals that are not confirmed yet, as transition and first snapshot.
        bound: what happened at or after this time is kept whole, in ISO 8601 UTC.
    """
    cut = next((each.id for each in seen if each.at >= bound), _NEVER)
    confirmed = [
        (each.transition, each.since) for each in seen if each.id >= cut and each.outcome == "confirmed"
    ]
    moves = [_move(seen, transition, since) for transition, since in [*confirmed, *waiting]]
    exact = min([cut, *(move.id for move in moves if move)])
    recent = before(min([bound, *(each.at for each in seen if each.id >= exact)]), DAYS)
    first = min(exact, next((each.id for each in seen if each.at >= recent), _NEVER))
    base = _base(seen, first)
    if base is None or (base is seen[0] and base.outcome == "baseline"):
        return None
    return Kept(base.id, exact, tuple(_stale(seen, base)))


def before(at: str, days: int) -> str:
    """Give the time so many days before another, in ISO 8601 UTC."""
    return (datetime.fromisoformat(at) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _move(seen: Sequence[Seen], transition: int | None, since: int | None) -> Seen | None:
    """Find the move that a confirmation is of, as those who tell of it do."""
    return next(
        (
            each
            for each in seen
            if each.outcome == "moved" and each.transition == transition and each.snapshot >= (since or 0)
        ),
        None,
    )


def _base(seen: Sequence[Seen], first: int) -> Seen | None:
    """Find the last sighting before `first` that set the listing, with all troubles that go on after it."""
    while True:
        base = next((each for each in reversed(seen) if each.id < first and each.outcome in SETTERS), None)
        if base is None:
            return None
        begun = {each.since for each in seen if each.id > base.id and each.outcome != "confirmed"}
        troubles = [each.id for each in seen if each.outcome in TROUBLE and each.snapshot in begun]
        earliest = min(troubles, default=_NEVER)
        if earliest > base.id:
            return base
        first = earliest


def _stale(seen: Sequence[Seen], base: Seen) -> list[int]:
    moved = [each for each in seen if each.id > base.id and each.outcome == "moved"]
    return [
        each.id
        for each in seen
        if each.id > base.id
        and each.outcome == "confirmed"
        and not any(move.transition == each.transition and move.id < each.id for move in moved)
    ]
