"""A cache of scope states, listings and transitions: each is read or written once per process."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core import canonical
from pipeline.core.diff import FieldComparer, diff
from pipeline.core.times import shifted
from pipeline.core.types import Digest, HoldKind, Kind, Listing, Outcome, Scope, ScopeState
from pipeline.gateways.dialects import AUTO, Dialect, dialect_of, price_advice
from pipeline.gateways.types import ListingAnswer, ScopeResult, Unchanged
from pipeline.store import LedgerWriter, Store, read_listing, scope_states
from pipeline.store.ledger import AnonymousScope, HoldRow, LargeHold
from pipeline.store.listings import ReadRecord, listing_models, read_record
from pipeline.store.runs import trusted_starts
from pipeline.store.scopes import scope_ids
from pipeline.sync.holds import SIMILAR_WITHIN, HeldAnswer, HeldList, HoldHistory, HoldRecord
from pipeline.sync.reparse import reparse

_MAX_LISTINGS = 64

_MOST_HELD_MODELS = 200_000
"""The ids of models of held listings that are kept in memory."""

LARGE_HOLD = 64 * 1024
"""The bytes of new records above which a held list is large."""

WHOLE_HOLDS = 3
"""The last large held lists of a scope that stay whole."""

_ANONYMOUS_LISTINGS = 3
"""The last lists without a key that count as those of a moment: caches of a gateway differ for a while."""


class RecordedTransition(Struct, frozen=True):
    """A transition's id, and whether it removed a model."""

    id: int
    removes: bool


class RunCache:
    """A cache of the database for one process that holds its lock; invalid after a rollback.

    `states` are those before the present run, by the scope's name, without those of other sites; `refresh`
    updates them in place. Of `only` some scopes, they are of these and of the groups of users among them.
    `read_ahead` has the facts and permissions of records that another process has read.
    """

    def __init__(self, store: Store, only: Sequence[Scope] | None = None) -> None:
        self.store = store
        self.ledger = LedgerWriter(store)
        self.states = scope_states(store, None if only is None else _ids(store, only), own=True)
        self.read_ahead: Mapping[Digest, ReadRecord] = {}
        self.transitions: dict[int, RecordedTransition] = {}
        self._enrolled: tuple[Sequence[Scope], Mapping[str, str]] | None = None
        self._scope_ids: dict[str, int] = {}
        self._gateway_ids: dict[str, int] = {}
        self._stale: set[int] = set()
        self._listings: dict[int, Listing] = {}
        self._listing_ids: dict[tuple[int, str, str], int] = {}
        self._price_advice: dict[tuple[int, str, str], str | None] = {}
        self._transitions_by_sides: dict[tuple[int, int], RecordedTransition] = {}
        self._reparsed: dict[tuple[int, str, str], Listing] = {}
        self._anonymous_scopes: dict[str, Sequence[AnonymousScope]] = {}
        self._held_models: dict[int, frozenset[str]] = {}
        self._added_bytes: dict[int, int] = {}
        self._accepted_parts: frozenset[int] | None = None
        self._holds_at = ""
        self._hold_rows: dict[int, list[HoldRow]] = {}
        self._starts_at = ""
        self._starts: dict[int, str] = {}

    def enroll(
        self, scopes: Sequence[Scope], results: Mapping[str, ScopeResult], *, asked: bool
    ) -> Collection[int]:
        """Write the gateways and scopes of the config where they differ; return the ids of the scopes."""
        dialects = _dialects(scopes, results, self.states)
        if self._enrolled != (scopes, dialects):
            self._gateway_ids, self._scope_ids = self.ledger.enroll(scopes, dialects, asked=asked)
            self.mark_stale(number for name, number in self._scope_ids.items() if name not in self.states)
            self._enrolled = (scopes, dialects)
        self.refresh()
        return self._scope_ids.values()

    def mark_stale(self, scope_ids: Iterable[int]) -> None:
        """Mark the states of scopes for the next `refresh`, after their rows were written."""
        self._stale.update(scope_ids)

    def refresh(self) -> None:
        """Read stale states again, and drop listings that no scope points at."""
        self._accepted_parts, self._holds_at, self._hold_rows = None, "", {}
        if not self._stale:
            return
        self._anonymous_scopes.clear()
        self.states |= scope_states(self.store, self._stale)
        self._stale.clear()
        if len(self._listings) > _MAX_LISTINGS:
            used = {number for state in self.states.values() for number in (state.listing, state.held)}
            self._listings = {number: found for number, found in self._listings.items() if number in used}
            self._reparsed.clear()

    def listing(self, listing_id: int) -> Listing:
        """Return a recorded listing."""
        if listing_id not in self._listings:
            self._listings[listing_id] = read_listing(self.store, listing_id)
        return self._listings[listing_id]

    def holds(self, state: ScopeState, at: str) -> HoldHistory:
        """Return the holds of a scope: the open one, and those that ended in the seven days before a time."""
        if self._holds_at != at:
            self._holds_at, self._hold_rows = at, self.ledger.hold_rows(shifted(at, -SIMILAR_WITHIN), at)
        found = self._hold_rows.get(state.id, [])
        starts = self.starts({row.snapshot for row in found}, at)
        records: list[HoldRecord] = []
        answers: list[HeldAnswer] = []
        last: HoldRow | None = None
        for snapshot, group in groupby(found, key=lambda row: row.snapshot):
            rows = list(group)
            held = next((row for row in rows if row.outcome == Outcome.HELD), None)
            if held:
                last = held
                assert held.listing is not None
                kind = HoldKind(held.kind or HoldKind.LOSS)
                listing = HeldList(held.digest, partial(self._models, held.listing))
                answers.append(HeldAnswer(held.at, snapshot, listing, kind, starts[snapshot]))
            elif last:
                records.append(HoldRecord(last.began, tuple(answers), last.reason or ""))
                answers, last = [], None
        is_open = last is not None and state.held is not None
        if last:
            records.append(HoldRecord(last.began, tuple(answers), last.reason or ""))
        return HoldHistory(records.pop() if is_open else None, tuple(records))

    def _models(self, listing_id: int) -> frozenset[str]:
        """Return the ids of the models of a held listing; the last ones are cached."""
        found = self._held_models.pop(listing_id, None)
        if found is None:
            found = listing_models(self.store, listing_id)
        self._held_models[listing_id] = found
        while len(self._held_models) > 1 and sum(map(len, self._held_models.values())) > _MOST_HELD_MODELS:
            del self._held_models[next(iter(self._held_models))]
        return found

    def added_by_hold(self, listing_id: int) -> int | None:
        """Return about how many bytes a held listing brought; None where they are few."""
        added = self._added_bytes.get(listing_id)
        if added is None:
            added = self._added_bytes[listing_id] = self.ledger.added_by_hold(listing_id) or 0
        return added if added > LARGE_HOLD else None

    def shorten_holds(self, scope: Scope, dialect: Dialect) -> None:
        """Let only the last held lists of a scope that brought many records stay whole.

        Of the others, the models that the current listing had remain: these decide what all answers lacked.
        """
        holds = self.ledger.large_holds(self.states[scope.name].id)
        whole = list(dict.fromkeys(hold.listing for hold in holds))[:WHOLE_HOLDS]
        for hold in holds:
            if hold.listing in whole:
                continue
            listing = None if hold.is_history else self._common_part(scope, hold, dialect)
            self.ledger.shorten_hold(hold, listing)
            self._added_bytes.pop(hold.listing, None)
            if self.ledger.drop_listing(hold.listing):
                self._listings.pop(hold.listing, None)
                self._held_models.pop(hold.listing, None)
                self._listing_ids = {
                    key: number for key, number in self._listing_ids.items() if number != hold.listing
                }

    def _common_part(self, scope: Scope, hold: LargeHold, dialect: Dialect) -> int:
        """Return the listing of those models of the then current listing that a held list has, too."""
        current, models = self.listing(hold.current), self._models(hold.listing)
        records = {model: record for model, record in current.records.items() if model in models}
        digest = canonical.digest_of_records(records.values())
        return self.listing_id(scope, Listing(records, digest, current.reading), dialect)

    def starts(self, runs: Collection[int], at: str) -> Mapping[int, str]:
        """Return when runs began by the clock of a run at a time, by their snapshots."""
        if self._starts_at != at:
            self._starts_at, self._starts = at, {}
        if unknown := set(runs) - self._starts.keys():
            self._starts |= trusted_starts(self.store, unknown, at)
        return self._starts

    def is_accepted_part(self, state: ScopeState) -> bool:
        """Return whether a person accepted the current listing of a scope though it may have more pages."""
        if self._accepted_parts is None:
            self._accepted_parts = self.ledger.accepted_parts()
        return state.id in self._accepted_parts

    def anonymous_scopes(self, gateway: str) -> Sequence[AnonymousScope]:
        """Return the anonymous scopes of a gateway that have answered, with their last listings."""
        if gateway not in self._anonymous_scopes:
            found = self.ledger.anonymous_scopes(gateway, _ANONYMOUS_LISTINGS)
            self._anonymous_scopes[gateway] = found
        return self._anonymous_scopes[gateway]

    def listing_id(self, scope: Scope, listing: Listing, dialect: Dialect) -> int:
        """Return the id of a listing at a scope's gateway; write it if it is new."""
        key = (self._gateway_ids[scope.gateway.name], listing.digest, listing.reading)
        if key not in self._listing_ids:
            number, added = self.ledger.listing(
                key[0],
                listing,
                lambda record: self.read_ahead.get(record.digest) or read_record(record, dialect.facts),
            )
            self._listing_ids[key] = number
            self._listings[number] = listing
            if added:
                self._added_bytes[number] = added
        return self._listing_ids[key]

    def price_advice(self, scope: Scope, listing: Listing, dialect: Dialect) -> str | None:
        """Return which prices of a listing at a scope's gateway give no figure, and what to set."""
        key = (self._gateway_ids[scope.gateway.name], listing.digest, listing.reading)
        if key not in self._price_advice:
            self._price_advice[key] = price_advice(dialect, listing.records.values())
        return self._price_advice[key]

    def transition(self, before: int, after: int, dialect: Dialect) -> RecordedTransition:
        """Return the transition between two listings; compare them and write it if it is new."""
        sides = (before, after)
        if sides not in self._transitions_by_sides:
            old, new = self.listing(before), self.listing(after)
            changes = diff(old, new)
            number = self.ledger.transition(sides, changes, FieldComparer(old, new, dialect.field_rules))
            found = RecordedTransition(number, any(change.kind == Kind.REMOVED for change in changes))
            self._transitions_by_sides[sides] = self.transitions[number] = found
        return self._transitions_by_sides[sides]

    def reparse(self, scopes: Sequence[Scope], results: Mapping[str, ScopeResult]) -> dict[str, ScopeState]:
        """Return the states under the present rules of parsing, for scopes whose rules have changed."""
        found = {}
        for scope in scopes:
            answer, state = results[scope.name].answer, self.states[scope.name]
            if not isinstance(answer, ListingAnswer) or state.listing is None:
                continue
            if state.reading != answer.listing.reading:
                found[scope.name] = self._reparse(scope, state, state.listing, answer)
        return found

    def _reparse(self, scope: Scope, state: ScopeState, listing_id: int, answer: ListingAnswer) -> ScopeState:
        key = (listing_id, answer.listing.reading, answer.listing.digest)
        if key not in self._reparsed:
            self._reparsed[key] = reparse(self.listing(listing_id), answer.dialect, answer.listing)
        listing = self._reparsed[key]
        # Without validators and fingerprint: they belong to the listing that was parsed under the old rules.
        return replace(
            state,
            listing=self.listing_id(scope, listing, answer.dialect),
            digest=listing.digest,
            reading=listing.reading,
            fingerprint=None,
            etag=None,
            last_modified=None,
            price_advice=self.price_advice(scope, listing, answer.dialect),
        )


def _ids(store: Store, scopes: Sequence[Scope]) -> list[int]:
    """Return the ids of recorded scopes, and of the groups of users among them."""
    users = [scope.name for scope in scopes if scope.all_groups]
    return scope_ids(store, [scope.name for scope in scopes], users)


def _dialects(
    scopes: Sequence[Scope], results: Mapping[str, ScopeResult], states: Mapping[str, ScopeState]
) -> dict[str, str]:
    """Return the dialect of each gateway by its name: the config's, or that of its first list."""
    found: dict[str, str] = {}
    for scope in scopes:
        gateway = scope.gateway
        if gateway.name in found:
            continue
        answer = results[scope.name].answer
        if gateway.dialect != AUTO:
            found[gateway.name] = gateway.dialect
        elif scope.all_groups:
            continue
        elif isinstance(answer, ListingAnswer):
            found[gateway.name] = answer.dialect.name
        elif isinstance(answer, Unchanged) and (last := dialect_of(states[scope.name].reading)):
            found[gateway.name] = last.name
    return found
