"""Confirm removals after enough complete answers in a row that lack the model, and enough time."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.core.times import are_apart, has_lasted
from pipeline.core.types import Thresholds
from pipeline.store import LedgerWriter, PendingRemoval, Sighting, answers_needed
from pipeline.sync.holds import Agreement


class RemovalCounter:
    """A counter of the pending removals of all scopes, for one run."""

    def __init__(self, ledger: LedgerWriter, snapshot: int, started_at: str) -> None:
        self._ledger = ledger
        self._snapshot = snapshot
        self._started_at = started_at
        self._pending: dict[int, list[PendingRemoval]] = {}
        self._counted: list[PendingRemoval] = []
        self._settled: list[int] = []
        self._missing: dict[tuple[int, int], bool] = {}
        for removal in ledger.pending_removals(started_at):
            self._pending.setdefault(removal.scope, []).append(removal)

    def begin(self, moves: Mapping[int, Sighting], agreed: Mapping[int, Agreement]) -> None:
        """Add the removals of this run.

        Args:
            moves: the sightings of moves that removed models, by their ids.
            agreed: by scope, the held answers that already lacked the same models; they count as misses.
        """
        levels: dict[int, set[int]] = {}
        for (sighting, _), level in self._ledger.flap_levels(moves).items():
            levels.setdefault(sighting, set()).add(level)
        for sighting, found in levels.items():
            move = moves[sighting]
            assert move.transition is not None
            before = agreed.get(move.scope) or Agreement(
                self._snapshot, self._started_at, self._started_at, answers=0
            )
            self._pending.setdefault(move.scope, []).extend(
                PendingRemoval(
                    move.scope,
                    move.transition,
                    before.snapshot,
                    level,
                    misses=before.answers,
                    counted_at=before.last,
                    since_at=before.at,
                )
                for level in sorted(found)
            )

    def count(self, scope: int, listing: int, thresholds: Thresholds) -> list[PendingRemoval]:
        """Count a complete answer of a scope, now at `listing`; return the removals that it confirms.

        An answer to a run that begins less than a minute after the one that counted last is not counted.
        """
        confirmed = []
        for removal in self._pending.get(scope, []):
            if not removal.misses or are_apart(removal.counted_at, self._started_at):
                removal.misses += 1
                removal.counted_at = self._started_at
            missing = self._is_missing(removal.transition, listing)
            if missing and not self._is_confirmed(removal, thresholds):
                self._counted.append(removal)
                continue
            if removal.id is not None:
                self._settled.append(removal.id)
            if missing:
                confirmed.append(removal)
        return confirmed

    def _is_confirmed(self, removal: PendingRemoval, thresholds: Thresholds) -> bool:
        return removal.misses >= answers_needed(thresholds.confirm, removal.flap_level) and has_lasted(
            removal.since_at, self._started_at, thresholds.confirm_after
        )

    def _is_missing(self, transition: int, listing: int) -> bool:
        key = (transition, listing)
        if key not in self._missing:
            self._missing[key] = self._ledger.is_missing(*key)
        return self._missing[key]

    def write(self) -> None:
        """Write the counts, and drop the removals that are confirmed or undone."""
        self._ledger.update_pending(self._counted, self._settled)
