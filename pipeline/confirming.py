"""When a removal is effective: after enough complete answers in a row that miss the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pipeline.store import Ledger, Sighting, needed


@dataclass(slots=True)
class Row:
    """The removals of one level in a scope's move; `since` is the snapshot that first missed the models."""

    scope: int
    transition: int
    since: int
    patience: int
    misses: int
    id: int | None = None


class Missing:
    """The removals that are not effective yet, counted over one run."""

    def __init__(self, ledger: Ledger, snapshot: int) -> None:
        self._ledger = ledger
        self._snapshot = snapshot
        self._rows: dict[int, list[Row]] = {}
        self._over: list[int] = []
        self._counted: list[Row] = []
        self._gone: dict[tuple[int, int], bool] = {}
        for row in ledger.missing():
            self._rows.setdefault(row["scope"], []).append(Row(**row))

    def begin(self, moves: dict[int, Sighting], agreed: Iterable[int]) -> None:
        """Take up the moves of this run that removed models, by the ids of their sightings.

        For the scopes in `agreed` an answer that was held has missed the same models already.
        """
        levels: dict[int, set[int]] = {}
        for (sighting, _), level in self._ledger.levels(moves).items():
            levels.setdefault(sighting, set()).add(level)
        for sighting, found in levels.items():
            move = moves[sighting]
            assert move.transition is not None
            held = self._ledger.held_since(move.scope) if move.scope in agreed else None
            since, misses = (self._snapshot, 0) if held is None else (held, 1)
            rows = (Row(move.scope, move.transition, since, level, misses) for level in sorted(found))
            self._rows.setdefault(move.scope, []).extend(rows)

    def effective(self, scope: int, listing: int, confirm: int) -> list[Row]:
        """Count a complete answer of a scope that now offers `listing`; give the removals effective now."""
        effective = []
        for row in self._rows.get(scope, []):
            row.misses += 1
            gone = self._still_gone(row.transition, listing)
            if gone and row.misses < needed(confirm, row.patience):
                self._counted.append(row)
                continue
            if row.id is not None:
                self._over.append(row.id)
            if gone:
                effective.append(row)
        return effective

    def _still_gone(self, transition: int, listing: int) -> bool:
        key = (transition, listing)
        if key not in self._gone:
            self._gone[key] = self._ledger.still_missing(*key)
        return self._gone[key]

    def write(self) -> None:
        """Write the counts; nothing is written where nothing is missing."""
        self._ledger.forget_missing(self._over)
        self._ledger.miss([asdict(row) for row in self._counted])
