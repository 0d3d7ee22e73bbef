"""What runs write of listings and moves: each known, read again or compared only once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.dialects import Dialect
from pipeline.diff import Fields, diff
from pipeline.rereading import reread
from pipeline.steps import Told
from pipeline.store import Ledger, Ref, Store, refs
from pipeline.store import listing as load_listing
from pipeline.types import Kind, Listing, Scope

_MOST_LISTINGS = 64


@dataclass(frozen=True, slots=True)
class Move:
    """A transition's id, and whether it removed anything."""

    id: int
    removes: bool


class Recorder:
    """Keeps what is known, compared and written, from run to run; whoever has one holds the database's lock.

    When a transaction of its is rolled back, it is of no use any more.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ledger = Ledger(store)
        self.refs = refs(store)
        self.moves: dict[int, Move] = {}
        self._enrolled: tuple[Sequence[Scope], Mapping[str, str]] | None = None
        self._ids: dict[str, int] = {}
        self._gateways: dict[str, int] = {}
        self._touched: set[int] = set()
        self._listings: dict[int, Listing] = {}
        self._written: dict[tuple[int, str, str], int] = {}
        self._made: dict[tuple[int, int], Move] = {}
        self._anew: dict[tuple[int, str, str], Listing] = {}

    def enroll(
        self,
        scopes: Sequence[Scope],
        hints: Mapping[str, str | None],
        spoken: Mapping[str, str],
        *,
        asked: bool,
    ) -> dict[str, int]:
        """Make the rows of gateways and scopes agree with the config; see `Ledger.enroll`."""
        if self._enrolled != (scopes, spoken):
            self._ids = self.ledger.enroll(scopes, hints, spoken, asked=asked)
            rows = self.store.rows("select name, id from gateways")
            self._gateways = {row["name"]: row["id"] for row in rows}
            self._touched.update(number for name, number in self._ids.items() if name not in self.refs)
            self._enrolled = (scopes, dict(spoken))
        self.refresh()
        return self._ids

    def refresh(self) -> None:
        """Read the pointers that were moved since."""
        if self._touched:
            self.refs |= refs(self.store, self._touched)
            self._touched.clear()
            self._forget()

    def _forget(self) -> None:
        """Let go of listings that no scope sees: there may be thousands in a history."""
        if len(self._listings) > _MOST_LISTINGS:
            seen = {number for ref in self.refs.values() for number in (ref.listing, ref.held)}
            self._listings = {number: found for number, found in self._listings.items() if number in seen}
            self._anew.clear()

    def touch(self, scopes: Iterable[int]) -> None:
        """Say that the pointers of scopes were moved."""
        self._touched.update(scopes)

    def known(self, listing_id: int) -> Listing:
        """Give a recorded listing."""
        if listing_id not in self._listings:
            self._listings[listing_id] = load_listing(self.store, listing_id)
        return self._listings[listing_id]

    def listing_id(self, scope: Scope, listing: Listing, dialect: Dialect) -> int:
        """Give the id of a listing at a scope's gateway, written unless it is known."""
        key = (self._gateways[scope.gateway.name], listing.digest, listing.reading)
        if key not in self._written:
            self._written[key] = self.ledger.listing(key[0], listing, dialect.facts)
            self._listings[self._written[key]] = listing
        return self._written[key]

    def move(self, ref: Ref, after: int, dialect: Dialect) -> Move:
        """Give the transition from what a scope is known to offer to another listing."""
        assert ref.listing is not None
        sides = (ref.listing, after)
        if sides not in self._made:
            before, now = self.known(ref.listing), self.known(after)
            changes = diff(before, now)
            transition = self.ledger.transition(sides, changes, Fields(before, now, dialect.quiet))
            move = Move(transition, any(change.kind == Kind.REMOVED for change in changes))
            self._made[sides] = self.moves[move.id] = move
        return self._made[sides]

    def reread(self, scope: Scope, told: Told) -> Ref | None:
        """Read a scope's known listing again if its rules have changed; gives the scope's new ref."""
        ref = self.refs[scope.name]
        if ref.listing is None or ref.reading == told.listing.reading:
            return None
        key = (ref.listing, told.listing.reading, told.listing.digest)
        if key not in self._anew:
            self._anew[key] = reread(self.known(ref.listing), told.dialect, told.listing)
        listing = self._anew[key]
        listing_id = self.listing_id(scope, listing, told.dialect)
        # The known bytes are not this listing: what is regained comes from the answer at hand.
        return replace(
            ref,
            listing=listing_id,
            digest=listing.digest,
            reading=listing.reading,
            fingerprint=None,
            etag=None,
            last_modified=None,
        )
