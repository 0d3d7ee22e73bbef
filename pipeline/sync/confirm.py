"""Confirm removals after enough complete answers in a row that lack the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pipeline.store import LedgerWriter, PendingRemoval, Sighting, answers_needed


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
        for removal in ledger.pending_removals():
            self._pending.setdefault(removal.scope, []).append(removal)

    def begin(self, moves: Mapping[int, Sighting], agreed: Collection[int]) -> None:
        """Add the removals of this run.

        Args:
            moves: the sightings of moves that removed models, by their ids.
            agreed: the scopes with a held answer that already lacked the same models; it counts as the first.
        """
        levels: dict[int, set[int]] = {}
        for (sighting, _), level in self._ledger.flap_levels(moves).items():
            levels.setdefault(sighting, set()).add(level)
        for sighting, found in levels.items():
            move = moves[sighting]
            assert move.transition is not None
            held = self._ledger.held_since(move.scope) if move.scope in agreed else None
            since, misses = (self._snapshot, 0) if held is None else (held, 1)
            self._pending.setdefault(move.scope, []).extend(
                PendingRemoval(move.scope, move.transition, since, level, misses, self._started_at)
                for level in sorted(found)
            )

    def count(self, scope: int, listing: int, confirm: int) -> list[PendingRemoval]:
        """Count a complete answer of a scope, now at `listing`; return the removals that it confirms."""
        confirmed = []
        for removal in self._pending.get(scope, []):
            removal.misses += 1
            removal.counted_at = self._started_at
            missing = self._is_missing(removal.transition, listing)
            if missing and removal.misses < answers_needed(confirm, removal.flap_level):
                self._counted.append(removal)
                continue
            if removal.id is not None:
                self._settled.append(removal.id)
            if missing:
                confirmed.append(removal)
        return confirmed

    def _is_missing(self, transition: int, listing: int) -> bool:
        key = (transition, listing)
        if key not in self._missing:
            self._missing[key] = self._ledger.is_missing(*key)
        return self._missing[key]

    def write(self) -> None:
        """Write the counts, and drop the removals that are confirmed or undone."""
        self._ledger.update_pending(self._counted, self._settled)
