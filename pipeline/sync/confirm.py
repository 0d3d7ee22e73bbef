"""Believe a held answer at once, because a person says so.

When a removal is effective: after enough complete answers in a row that miss the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from pipeline.core.diff import FieldComparer, diff
from pipeline.core.types import Outcome, ScopeState
from pipeline.store import LedgerWriter, Sighting, Store, read_listing, answers_needed, scope_states

Quiet = Callable[[str, str | None], tuple[str, ...]]
"""Gives the quiet paths of a scope, by its name and the rules that its listing was read under."""


def accept(store: Store, scopes: Sequence[str], quiet: Quiet, *, at: str) -> int:
    """Let the refs of scopes move to what is held; the removals are effective at once.

    Args:
        store: an open database; the caller holds its lock.
        scopes: their names.
        quiet: gives the quiet paths of a scope, by its name and the reading of its listing.
        at: the time now, in ISO 8601 UTC.

    Gives the snapshot that says so: a run that asked nobody, so that reports go on from it as from any other.

    Raises:
        LookupError: nothing is held for one of the scopes.
    """
    with store.transaction():
        known = scope_states(store)
        ledger = LedgerWriter(store)
        snapshot = ledger.snapshot(
            {
                "name": at,
                "started_at": at,
                "finished_at": at,
                "status": "done",
                "covered": ledger.coverage([]),
                "scopes": 0,
                "answered": 0,
                "moved": len(scopes),
                "held": 0,
                "failed": 0,
            }
        )
        for scope in scopes:
            ref = known.get(scope)
            if ref is None or ref.held is None or ref.listing is None:
                raise LookupError(f"nothing is held for {scope}")
            _move(store, ledger, snapshot, ref, quiet(scope, ref.reading))
        return snapshot


def _move(store: Store, ledger: LedgerWriter, snapshot: int, ref: ScopeState, quiet: tuple[str, ...]) -> None:
    assert ref.listing is not None
    assert ref.held is not None
    before, after = read_listing(store, ref.listing), read_listing(store, ref.held)
    transition = ledger.transition((ref.listing, ref.held), diff(before, after), FieldComparer(before, after, quiet))
    since = ledger.held_since(ref.id)
    moved = Sighting(ref.id, ref.name, Outcome.MOVED, listing=ref.held, transition=transition, since=since)
    (number,) = ledger.sightings(snapshot, [moved])
    # The tags and the fingerprint are those of an earlier answer: the next one is read in full.
    ledger.point(
        [
            {
                "id": ref.id,
                "listing": ref.held,
                "held": None,
                "fingerprint": None,
                "etag": None,
                "last_modified": None,
            }
        ]
    )
    levels = set(ledger.levels([number]).values())
    ledger.sightings(
        snapshot,
        [
            Sighting(
                ref.id,
                ref.name,
                Outcome.CONFIRMED,
                listing=ref.held,
                transition=transition,
                since=since,
                flap_level=level,
            )
            for level in sorted(levels)
        ],
    )


@dataclass(slots=True)
class PendingRow:
    """The removals of one level in a scope's move; `since` is the snapshot that first missed the models."""

    scope: int
    transition: int
    since: int
    flap_level: int
    misses: int
    id: int | None = None


class PendingRemovals:
    """The removals that are not effective yet, counted over one run."""

    def __init__(self, ledger: LedgerWriter, snapshot: int) -> None:
        self._ledger = ledger
        self._snapshot = snapshot
        self._rows: dict[int, list[PendingRow]] = {}
        self._over: list[int] = []
        self._counted: list[PendingRow] = []
        self._gone: dict[tuple[int, int], bool] = {}
        for row in ledger.missing():
            self._rows.setdefault(row["scope"], []).append(PendingRow(**row))

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
            rows = (PendingRow(move.scope, move.transition, since, level, misses) for level in sorted(found))
            self._rows.setdefault(move.scope, []).extend(rows)

    def effective(self, scope: int, listing: int, confirm: int) -> list[PendingRow]:
        """Count a complete answer of a scope that now offers `listing`; give the removals effective now."""
        effective = []
        for row in self._rows.get(scope, []):
            row.misses += 1
            gone = self._still_gone(row.transition, listing)
            if gone and row.misses < answers_needed(confirm, row.flap_level):
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
