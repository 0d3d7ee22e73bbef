"""Believe a held answer at once, because a person says so."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.dialects import to_ask
from pipeline.diff import Fields, diff
from pipeline.store import Ledger, Ref, Sighting, Store, listing, refs
from pipeline.types import Outcome, Scope


def accept(store: Store, scopes: Sequence[Scope], *, at: str) -> int:
    """Let the refs of scopes move to what is held; the removals are effective at once.

    Gives the snapshot that says so: a run that asked nobody, so that reports go on from it as from any other.

    Raises:
        LookupError: nothing is held for one of the scopes.
    """
    with store.transaction():
        known = refs(store)
        ledger = Ledger(store)
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
            ref = known.get(scope.name)
            if ref is None or ref.held is None or ref.listing is None:
                raise LookupError(f"nothing is held for {scope.name}")
            _move(store, ledger, snapshot, scope, ref)
        return snapshot


def _move(store: Store, ledger: Ledger, snapshot: int, scope: Scope, ref: Ref) -> None:
    assert ref.listing is not None
    assert ref.held is not None
    before, after = listing(store, ref.listing), listing(store, ref.held)
    quiet = to_ask(scope.gateway, ref.reading).quiet
    transition = ledger.transition((ref.listing, ref.held), diff(before, after), Fields(before, after, quiet))
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
                patience=level,
            )
            for level in sorted(levels)
        ],
    )
