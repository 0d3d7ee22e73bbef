"""When a removal is effective: after enough complete answers in a row that miss the model."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.store import Ledger, Ref


@dataclass(slots=True)
class Row:
    """A scope's move that removed models; `since` is the snapshot that first missed them."""

    scope: int
    transition: int
    since: int
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

    def begin(self, ref: Ref, transition: int, *, agreed: bool) -> None:
        """Take up a move with removals; an answer that agreed with a held one has missed them twice."""
        since = self._ledger.held_since(ref.id) if agreed else None
        row = Row(ref.id, transition, since or self._snapshot, 1 if since else 0)
        self._rows.setdefault(ref.id, []).append(row)

    def effective(self, scope: int, listing: int, confirm: int) -> list[Row]:
        """Count a complete answer of a scope that now offers `listing`; give the removals effective now."""
        effective = []
        for row in self._rows.get(scope, []):
            row.misses += 1
            if row.misses < confirm:
                self._counted.append(row)
                continue
            if row.id is not None:
                self._over.append(row.id)
            if self._still_gone(row.transition, listing):
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
        self._ledger.miss(
            [
                {
                    "id": row.id,
                    "scope": row.scope,
                    "transition": row.transition,
                    "since": row.since,
                    "misses": row.misses,
                }
                for row in self._counted
            ]
        )
