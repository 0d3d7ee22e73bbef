"""What one run writes of listings and moves: each known, read again or compared only once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pipeline.dialects import Dialect
from pipeline.diff import Fields, diff
from pipeline.rereading import reread
from pipeline.steps import Told
from pipeline.store import Ledger, Ref, Store
from pipeline.store import listing as load_listing
from pipeline.types import Kind, Listing, Scope


@dataclass(frozen=True, slots=True)
class Move:
    """A transition's id, and whether it removed anything."""

    id: int
    removes: bool


@dataclass(slots=True)
class Recorder:
    """Keeps what one run has read, compared and written, inside one transaction."""

    store: Store
    ledger: Ledger
    refs: dict[str, Ref]
    gateways: dict[str, int]
    listings: dict[int, Listing] = field(default_factory=dict)
    written: dict[tuple[int, str, str], int] = field(default_factory=dict)
    moves: dict[int, Move] = field(default_factory=dict)
    made: dict[tuple[int, int], Move] = field(default_factory=dict)
    anew: dict[tuple[int, str, str], Listing] = field(default_factory=dict)

    def known(self, listing_id: int) -> Listing:
        """Give a recorded listing."""
        if listing_id not in self.listings:
            self.listings[listing_id] = load_listing(self.store, listing_id)
        return self.listings[listing_id]

    def listing_id(self, scope: Scope, listing: Listing, dialect: Dialect) -> int:
        """Give the id of a listing at a scope's gateway, written unless it is known."""
        key = (self.gateways[scope.gateway.name], listing.digest, listing.reading)
        if key not in self.written:
            self.written[key] = self.ledger.listing(key[0], listing, dialect.facts)
            self.listings[self.written[key]] = listing
        return self.written[key]

    def move(self, ref: Ref, after: int, dialect: Dialect) -> Move:
        """Give the transition from what a scope is known to offer to another listing."""
        assert ref.listing is not None
        sides = (ref.listing, after)
        if sides not in self.made:
            before, now = self.known(ref.listing), self.known(after)
            changes = diff(before, now)
            transition = self.ledger.transition(sides, changes, Fields(before, now, dialect.quiet))
            move = Move(transition, any(change.kind == Kind.REMOVED for change in changes))
            self.made[sides] = self.moves[move.id] = move
        return self.made[sides]

    def reread(self, scope: Scope, told: Told) -> Ref | None:
        """Read a scope's known listing again if its rules have changed; gives the scope's new ref."""
        ref = self.refs[scope.name]
        if ref.listing is None or ref.reading == told.listing.reading:
            return None
        key = (ref.listing, told.listing.reading, told.listing.digest)
        if key not in self.anew:
            self.anew[key] = reread(self.known(ref.listing), told.dialect, told.listing)
        listing = self.anew[key]
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
