"""Believe a held answer at once, because a person says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.diff import Fields, diff
from pipeline.store import Ledger, Ref, Sighting, Store, listing, refs
from pipeline.types import Outcome

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
            ref = known.get(scope)
            if ref is None or ref.held is None or ref.listing is None:
                raise LookupError(f"nothing is held for {scope}")
            _move(store, ledger, snapshot, ref, quiet(scope, ref.reading))
        return snapshot


def _move(store: Store, ledger: Ledger, snapshot: int, ref: Ref, quiet: tuple[str, ...]) -> None:
    assert ref.listing is not None
    assert ref.held is not None
    before, after = listing(store, ref.listing), listing(store, ref.held)
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
