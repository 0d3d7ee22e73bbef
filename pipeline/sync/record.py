"""What runs write of listings and moves: each known, read again or compared only once.

From what was heard to what is known: judge, diff and record one run.

Read a recorded listing again under new rules, so that those do not look like a change of the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.diff import FieldComparer, diff
from pipeline.core.types import (
    AccessToken,
    Anonymous,
    Cookie,
    Key,
    Kind,
    Listing,
    Login,
    Outcome,
    Record,
    Scope,
    ScopeState,
)
from pipeline.gateways.dialects import AUTO, Dialect, storable_id
from pipeline.gateways.types import ListingAnswer, ScopeResult
from pipeline.store import LedgerWriter, Sighting, Store, scope_states
from pipeline.store import read_listing as load_listing
from pipeline.sync.confirm import PendingRemovals
from pipeline.sync.decide import Decision, decide


def reread(old: Listing, dialect: Dialect, new: Listing) -> Listing:
    """Give a recorded listing as a dialect reads it now.

    A field that the old rules had dropped is in no recorded body: it is taken as it comes in `new`, the
    answer at hand.
    """
    regained = sorted(set(_noise(old.reading)) - set(dialect.noise))
    at = jsonpath.parse(dialect.id_at)
    records = {}
    for known, record in old.records.items():
        body = canonical.decode(record.body.encode())
        named = jsonpath.find(body, at)
        model = storable_id(named) if isinstance(named, str) and named.strip() else known
        if not dialect.is_no_model(model):
            told = dialect.told(_regained(body, new.records.get(model), regained))
            records[model] = _record(model, told)
    return Listing(records, canonical.digest_of_records(records.values()), dialect.reading)


def _noise(reading: str) -> list[str]:
    noise: list[str] = canonical.decode(reading.encode()).get("noise", [])
    return noise


def _regained(body: Any, new: Record | None, regained: list[str]) -> Any:
    if new is None or not regained:
        return body
    now = canonical.decode(new.body.encode())
    for path in regained:
        body = jsonpath.graft(body, now, jsonpath.parse(path))
    return body


def _record(model: str, body: Any) -> Record:
    text = canonical.encode(body)
    return Record(model, canonical.digest(text), text)


_MOST_LISTINGS = 64


@dataclass(frozen=True, slots=True)
class KnownTransition:
    """A transition's id, and whether it removed anything."""

    id: int
    removes: bool


class RunCache:
    """Keeps what is known, compared and written, from run to run; whoever has one holds the database's lock.

    When a transaction of its is rolled back, it is of no use any more.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ledger = LedgerWriter(store)
        self.refs = scope_states(store)
        self.moves: dict[int, KnownTransition] = {}
        self._enrolled: tuple[Sequence[Scope], Mapping[str, str]] | None = None
        self._ids: dict[str, int] = {}
        self._gateways: dict[str, int] = {}
        self._touched: set[int] = set()
        self._listings: dict[int, Listing] = {}
        self._written: dict[tuple[int, str, str], int] = {}
        self._made: dict[tuple[int, int], KnownTransition] = {}
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
            self.refs |= scope_states(self.store, self._touched)
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

    def move(self, ref: ScopeState, after: int, dialect: Dialect) -> KnownTransition:
        """Give the transition from what a scope is known to offer to another listing."""
        assert ref.listing is not None
        sides = (ref.listing, after)
        if sides not in self._made:
            before, now = self.known(ref.listing), self.known(after)
            changes = diff(before, now)
            transition = self.ledger.transition(sides, changes, FieldComparer(before, now, dialect.quiet))
            move = KnownTransition(transition, any(change.kind == Kind.REMOVED for change in changes))
            self._made[sides] = self.moves[move.id] = move
        return self._made[sides]

    def reread(self, scope: Scope, told: ListingAnswer) -> ScopeState | None:
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


@dataclass(frozen=True, slots=True)
class RunTotals:
    """What a run came to; `snapshot` is its row in the database."""

    snapshot: int
    scopes: int
    answered: int
    moved: int
    held: int
    failed: int


def record(
    heard: Mapping[str, ScopeResult],
    scopes: Sequence[Scope],
    recorder: RunCache,
    *,
    started_at: str,
    finished_at: str,
    everything: bool = False,
    imported: bool = False,
    asked: bool = True,
) -> RunTotals:
    """Judge what was heard and write it; must run inside `store.transaction()`.

    Args:
        heard: what each scope said, by its name.
        scopes: those that were asked.
        recorder: keeps what is known.
        started_at: when the run began, in ISO 8601 UTC.
        finished_at: when it was over.
        everything: these are all the scopes there are: others are retired.
        imported: these are saved answers, and this is no run.
        asked: runs ask these scopes; others are kept as history only.
    """
    ledger = recorder.ledger
    hints = {scope.name: key_hint(scope) for scope in scopes}
    ids = recorder.enroll(scopes, hints, _spoken(heard, scopes), asked=asked)
    if everything:
        ledger.retire_others(ids.values())
    before = dict(recorder.refs)
    rereadings = _reread(heard, scopes, recorder)
    judged = decide(heard, scopes, recorder.refs, recorder.known)
    # What is held changes nothing, not even how the known listing was read.
    held = {step.ref.name for step in judged if step.outcome == Outcome.HELD}
    rereadings = [ref for ref in rereadings if ref.name not in held]
    judged = [replace(step, ref=before[step.ref.name]) if step.ref.name in held else step for step in judged]
    run = _totals(judged)
    snapshot = ledger.snapshot(
        {
            "name": started_at,
            "started_at": started_at,
            "finished_at": finished_at,
            "status": "imported" if imported else _status(run),
            "covered": ledger.coverage(ids.values()),
            **run,
        }
    )
    _write(snapshot, rereadings, judged, recorder)
    return RunTotals(snapshot, **run)


def _spoken(heard: Mapping[str, ScopeResult], scopes: Sequence[Scope]) -> dict[str, str]:
    """Find the dialect that each gateway speaks: what its config says, or what was recognised."""
    spoken: dict[str, str] = {}
    for scope in scopes:
        answer = heard[scope.name].answer
        if scope.gateway.dialect != AUTO:
            spoken.setdefault(scope.gateway.name, scope.gateway.dialect)
        elif isinstance(answer, ListingAnswer) and not scope.all_groups:
            spoken.setdefault(scope.gateway.name, answer.dialect.name)
    return spoken


def _reread(
    heard: Mapping[str, ScopeResult], scopes: Sequence[Scope], recorder: RunCache
) -> list[ScopeState]:
    """Bring scopes whose rules of reading have changed under the new rules, before anything is compared."""
    moved = []
    for scope in scopes:
        told = heard[scope.name].answer
        ref = recorder.reread(scope, told) if isinstance(told, ListingAnswer) else None
        if ref:
            recorder.refs[scope.name] = ref
            moved.append(ref)
    return moved


def key_hint(scope: Scope) -> str | None:
    """Say where a scope's secret is kept, never the secret: its reference, or `command:` alone."""
    match scope.credential:
        case Anonymous():
            return None
        case Key(reference) | Cookie(reference) | AccessToken(reference) | Login(_, reference):
            return "command:" if reference.startswith("command:") else reference


def _totals(judged: Sequence[Decision]) -> dict[str, int]:
    outcomes = [step.outcome for step in judged]
    failed = sum(step.error is not None for step in judged)
    return {
        "scopes": len(judged),
        "answered": len(judged) - failed,
        "moved": outcomes.count(Outcome.MOVED),
        "held": outcomes.count(Outcome.HELD),
        "failed": failed,
    }


def _status(run: Mapping[str, int]) -> str:
    if not run["failed"]:
        return "done"
    return "partial" if run["answered"] else "failed"


def _write(
    snapshot: int, rereadings: Sequence[ScopeState], judged: Sequence[Decision], recorder: RunCache
) -> None:
    ledger = recorder.ledger
    anew = [Sighting(ref.id, ref.name, Outcome.REREAD, listing=ref.listing) for ref in rereadings]
    seen = [(step, _sighting(step, recorder)) for step in judged]
    pointers = [pointer for step, sighting in seen if (pointer := _pointer(step, sighting))]
    ledger.point([_row(ref) for ref in rereadings] + pointers)
    ledger.sightings(snapshot, anew)
    happened = [sighting for _, sighting in seen if sighting]
    ids = ledger.sightings(snapshot, happened)
    missing = PendingRemovals(ledger, snapshot)
    missing.begin(_removals(ids, happened, recorder), {step.ref.id for step in judged if step.agreed})
    complete = [(step, sighting) for step, sighting in seen if step.complete]
    confirmed = [found for step, sighting in complete for found in _confirmed(step, sighting, missing)]
    ledger.sightings(snapshot, confirmed)
    missing.write()
    recorder.touch(step.ref.id for step, sighting in seen if sighting or step.ref.held)
    recorder.touch(each.scope for each in (*anew, *confirmed))


def _removals(ids: Sequence[int], sightings: Sequence[Sighting], recorder: RunCache) -> dict[int, Sighting]:
    """Find the moves that removed models, by the ids of their sightings."""
    moves = recorder.moves
    return {
        number: sighting
        for number, sighting in zip(ids, sightings, strict=True)
        if sighting.transition is not None and moves[sighting.transition].removes
    }


def _sighting(step: Decision, recorder: RunCache) -> Sighting | None:
    ref, outcome = step.ref, step.outcome
    since = _since(ref, outcome)
    match outcome:
        case None:
            return None
        case Outcome.FAILED:
            assert step.error
            kind = type(step.error).__name__
            return Sighting(
                ref.id, ref.name, outcome, since=since, error_class=kind, error=step.error.message
            )
        case Outcome.RECOVERED:
            return Sighting(ref.id, ref.name, outcome, listing=ref.listing, since=since)
        case _:
            assert step.told
            listing = recorder.listing_id(step.scope, step.told.listing, step.told.dialect)
            transition = (
                recorder.move(ref, listing, step.told.dialect).id if outcome == Outcome.MOVED else None
            )
            return Sighting(
                ref.id,
                ref.name,
                outcome,
                listing=listing,
                transition=transition,
                since=since,
                error=step.reason,
            )


def _since(ref: ScopeState, outcome: Outcome | None) -> int | None:
    """Give the snapshot at which the hold or failure began that goes on, or ends, with this outcome."""
    if ref.outcome not in (Outcome.FAILED, Outcome.HELD):
        return None
    new_trouble = outcome in (Outcome.FAILED, Outcome.HELD) and outcome != ref.outcome
    return None if new_trouble else ref.began


def _pointer(step: Decision, sighting: Sighting | None) -> dict[str, object] | None:
    """Say where a scope's ref goes; None when it stays as it is."""
    ref, told = step.ref, step.told
    row = {**_row(ref), "held": None}
    match step.outcome:
        case Outcome.BASELINE | Outcome.MOVED:
            assert told
            assert sighting
            tags: dict[str, object] = {
                "etag": told.validators.etag,
                "last_modified": told.validators.last_modified,
            }
            return {**row, **tags, "listing": sighting.listing, "fingerprint": told.fingerprint}
        case Outcome.HELD:
            assert sighting
            return {**row, "held": sighting.listing}
        case _ if step.complete and ref.held is not None:
            return row
        case _:
            return None


def _row(ref: ScopeState) -> dict[str, object]:
    return {
        "id": ref.id,
        "listing": ref.listing,
        "held": ref.held,
        "fingerprint": ref.fingerprint,
        "etag": ref.etag,
        "last_modified": ref.last_modified,
    }


def _confirmed(step: Decision, sighting: Sighting | None, missing: PendingRemovals) -> list[Sighting]:
    """Count one more complete answer for a scope's removals; gives those that are effective now."""
    ref = step.ref
    listing = sighting.listing if sighting else ref.listing
    assert listing is not None
    return [
        Sighting(
            ref.id,
            ref.name,
            Outcome.CONFIRMED,
            listing=listing,
            transition=row.transition,
            since=row.since,
            flap_level=row.flap_level,
        )
        for row in missing.effective(ref.id, listing, step.scope.thresholds.confirm)
    ]
