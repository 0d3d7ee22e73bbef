"""Record the decisions of a run: sightings, pointers, transitions and confirmed removals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.times import seconds_between
from pipeline.core.types import PROBLEMS, HoldKind, Outcome, ScopeState
from pipeline.gateways.reader import is_described_otherwise
from pipeline.gateways.types import ListingAnswer
from pipeline.store import Sighting, Snapshot
from pipeline.store.recurrences import WELL_AFTER
from pipeline.sync.cache import RunCache
from pipeline.sync.confirm import RemovalCounter
from pipeline.sync.decide import Decision
from pipeline.sync.flaps import settle_flaps


class RunTotals(Struct, frozen=True):
    """The counts of a run; `snapshot` is its row in the database."""

    snapshot: int
    scopes: int
    answered: int
    moved: int
    held: int
    failed: int


def record(
    decisions: Sequence[Decision],
    reparsed: Mapping[str, ScopeState],
    cache: RunCache,
    *,
    started_at: str,
    finished_at: str,
    imported: bool,
) -> RunTotals:
    """Write a run; must run inside `store.transaction()`.

    Args:
        decisions: one for each scope that was asked.
        reparsed: the states under the present rules of parsing, where the rules have changed.
        cache: the cache of the database.
        started_at: when the run began, in ISO 8601 UTC.
        finished_at: when it ended.
        imported: the answers were saved earlier.
    """
    totals = _write_snapshot(decisions, cache, started_at, finished_at, imported=imported)
    _write_reparsed(totals.snapshot, decisions, reparsed, cache)
    _write_decisions(totals.snapshot, started_at, decisions, cache, imported=imported)
    _write_lasting_holds(totals.snapshot, started_at, decisions, cache)
    _retire_groups(totals.snapshot, decisions, cache)
    if not imported:
        _shorten_holds(decisions, cache)
        problems = [each.state.id for each in decisions if each.outcome in PROBLEMS or each.lasting]
        if problems:
            cache.ledger.drop_repetitions(problems, started_at)
    return totals


def _write_snapshot(
    decisions: Sequence[Decision], cache: RunCache, started_at: str, finished_at: str, *, imported: bool
) -> RunTotals:
    outcomes = [decision.outcome for decision in decisions]
    # The group of a scope that is gone was not asked for its models.
    asked = [decision.state.id for decision in decisions if decision.gone is None]
    failed = sum(decision.error is not None for decision in decisions)
    answered = len(asked) - failed
    status = "done" if not failed else "partial" if answered else "failed"
    counts = {
        "scopes": len(asked),
        "answered": answered,
        "moved": outcomes.count(Outcome.MOVED),
        "held": sum(decision.is_held for decision in decisions),
        "failed": failed,
    }
    snapshot = Snapshot(
        started_at,
        finished_at,
        "imported" if imported else status,
        cache.ledger.coverage(asked),
        **counts,
    )
    return RunTotals(cache.ledger.snapshot(snapshot), **counts)


def _write_reparsed(
    snapshot: int, decisions: Sequence[Decision], reparsed: Mapping[str, ScopeState], cache: RunCache
) -> None:
    states = [
        decision.state
        for decision in decisions
        if decision.scope.name in reparsed and decision.outcome != Outcome.HELD
    ]
    cache.ledger.point(states)
    cache.ledger.sightings(
        snapshot,
        [Sighting(state.id, state.name, Outcome.REREAD, listing=state.listing) for state in states],
    )
    cache.mark_stale(state.id for state in states)


def _write_decisions(
    snapshot: int, started_at: str, decisions: Sequence[Decision], cache: RunCache, *, imported: bool
) -> None:
    ledger = cache.ledger
    found = [_sighting(decision, cache) for decision in decisions]
    sightings = _counted([each for each in found if each is not None], cache, started_at)
    of_scope = {each.scope: each for each in sightings}
    pairs = [(decision, of_scope.get(decision.state.id)) for decision in decisions]
    # An import writes the advice about prices once, at its end.
    advisor = None if imported else cache
    ledger.point([state for pair in pairs if (state := _state_after(*pair, advisor))])
    ids = ledger.sightings(snapshot, sightings)
    moved = {
        number: sighting
        for number, sighting in zip(ids, sightings, strict=True)
        if sighting.transition is not None
    }
    if moved:
        ledger.flaps.record_moves(moved, started_at)
    removals = RemovalCounter(ledger, snapshot, started_at)
    removing = {
        number: sighting
        for number, sighting in moved.items()
        if sighting.transition is not None and cache.transitions[sighting.transition].removes
    }
    removals.begin(
        removing, {each.state.id: each.agreement for each in decisions if each.agreement is not None}
    )
    confirmed = [
        confirmation
        for decision, sighting in pairs
        if decision.complete
        for confirmation in _confirmations(decision, sighting, removals)
    ]
    confirming = ledger.sightings(snapshot, confirmed)
    removals.write()
    settled = settle_flaps(
        ledger,
        snapshot,
        started_at,
        confirmed=confirming,
        complete=(decision.state.id for decision in decisions if decision.complete),
    )
    cache.mark_stale(decision.state.id for decision, sighting in pairs if sighting or decision.state.held)
    cache.mark_stale(sighting.scope for sighting in [*confirmed, *settled])
    listings = {sighting.scope: sighting.listing for sighting in sightings if sighting.listing is not None}
    _write_steady(snapshot, started_at, decisions, listings, cache)


def _write_lasting_holds(
    snapshot: int, started_at: str, decisions: Sequence[Decision], cache: RunCache
) -> None:
    """Write that the holds go on whose scope gave its current list; must run after all other sightings."""
    lasting = [(decision.state, decision.lasting) for decision in decisions if decision.lasting]
    sightings = [
        Sighting(
            state.id,
            state.name,
            Outcome.HELD,
            listing=state.held,
            since=hold.began,
            error_class=HoldKind.CURRENT,
            error=hold.reason,
            added_bytes=state.held and cache.added_by_hold(state.held),
        )
        for state, hold in lasting
    ]
    cache.ledger.sightings(snapshot, _counted(sightings, cache, started_at))
    cache.mark_stale(state.id for state, _ in lasting)


def _shorten_holds(decisions: Sequence[Decision], cache: RunCache) -> None:
    """Shorten older held lists of the scopes whose answer is held and brought many new records.

    A gateway that sends other models at each run must not fill the disk.
    """
    for decision in decisions:
        if decision.outcome == Outcome.HELD:
            assert decision.answer
            dialect = decision.answer.dialect
            if cache.added_by_hold(cache.listing_id(decision.scope, decision.answer.listing, dialect)):
                cache.shorten_holds(decision.scope, dialect)


def _retire_groups(snapshot: int, decisions: Sequence[Decision], cache: RunCache) -> None:
    """Retire the scopes of groups that are gone, once the removal of the group from its list is confirmed."""
    parents = {each.scope.name: each.state.id for each in decisions if each.scope.all_groups}
    gone = [
        each.state
        for each in decisions
        if each.gone is not None
        and not cache.ledger.has_or_misses(parents[each.scope.name.rpartition(".")[0]], each.gone)
    ]
    if not gone:
        return
    cache.ledger.sightings(
        snapshot,
        [Sighting(state.id, state.name, Outcome.RETIRED, listing=state.listing) for state in gone],
    )
    cache.ledger.point([replace(state, held=None) for state in gone])
    cache.ledger.retire([state.id for state in gone])
    cache.mark_stale(state.id for state in gone)


def _counted(sightings: Sequence[Sighting], cache: RunCache, started_at: str) -> list[Sighting]:
    """Return sightings: those of holds and failures with how many times their kind began in a row."""
    kinds = {each.scope: _kind(each) for each in sightings if each.outcome in PROBLEMS}
    last = cache.ledger.last_problems(kinds.items()) if kinds else {}
    starts = cache.starts({each.ended for each in last.values() if each.ended is not None}, started_at)

    def counted(sighting: Sighting) -> Sighting:
        problem = last.get((sighting.scope, kinds.get(sighting.scope, "")))
        if problem is None:
            return sighting
        times = problem.times
        if problem.began != sighting.since:
            ended = started_at if problem.ended is None else starts[problem.ended]
            times = times + 1 if seconds_between(ended, started_at) < WELL_AFTER else 1
        return replace(sighting, flap_level=times if times > 1 else None)

    return list(map(counted, sightings))


def _kind(sighting: Sighting) -> str:
    kind = sighting.error_class or HoldKind.LOSS
    return HoldKind.ALTERNATING if kind == HoldKind.CURRENT else kind


def _write_steady(
    snapshot: int,
    started_at: str,
    decisions: Sequence[Decision],
    listings: Mapping[int, int | None],
    cache: RunCache,
) -> None:
    """Write which scopes have been well for a day after they were unsteady.

    Args:
        snapshot: the run.
        started_at: its start (ISO 8601 UTC).
        decisions: its decisions.
        listings: the listings that it made current, by the scope's id.
        cache: the cache of the database.
    """
    unsteady = cache.ledger.unsteady_scopes(started_at)
    if not unsteady:
        return
    well = {each.state.id: each.state for each in decisions if each.complete and not each.is_held}
    found = [each for each in unsteady if each.id in well and each.ended is not None]
    starts = cache.starts({each.ended for each in found if each.ended is not None}, started_at)
    sightings = [
        Sighting(
            each.id,
            each.name,
            Outcome.RECOVERED,
            listing=listings.get(each.id, well[each.id].listing),
            since=each.began,
            flap_level=each.times,
        )
        for each in found
        if each.ended is not None and seconds_between(starts[each.ended], started_at) >= WELL_AFTER
    ]
    cache.ledger.sightings(snapshot, sightings)
    cache.mark_stale(each.scope for each in sightings)


def _sighting(decision: Decision, cache: RunCache) -> Sighting | None:
    """Return the sighting of a decision; write its listing and transition if they are new."""
    state, outcome = decision.state, decision.outcome
    if outcome is None:
        return None
    sighting = Sighting(state.id, state.name, outcome, since=_since(decision, outcome))
    match outcome:
        case Outcome.FAILED:
            assert decision.error
            return replace(
                sighting,
                error_class=type(decision.error).__name__,
                error=decision.error.message,
                cure=decision.error.cure,
            )
        case Outcome.RECOVERED:
            return replace(sighting, listing=state.listing)
        case _:
            assert decision.answer
            answer = decision.answer
            listing = cache.listing_id(decision.scope, answer.listing, answer.dialect)
            sighting = replace(sighting, listing=listing, error=decision.reason, error_class=decision.kind)
            if outcome == Outcome.HELD:
                return replace(sighting, added_bytes=cache.added_by_hold(listing))
            if outcome != Outcome.MOVED:
                return sighting
            assert state.listing is not None
            transition = cache.transition(state.listing, listing, answer.dialect)
            return replace(sighting, transition=transition.id)


def _since(decision: Decision, outcome: Outcome) -> int | None:
    """Return the snapshot at which a hold or failure began, if this outcome continues or ends it."""
    state = decision.state
    if decision.began is not None:
        return decision.began
    if decision.lasting is not None and state.outcome == Outcome.HELD:
        return None
    is_new = outcome in PROBLEMS and outcome != state.outcome
    return None if state.outcome not in PROBLEMS or is_new else state.began


def _state_after(
    decision: Decision, sighting: Sighting | None, advisor: RunCache | None
) -> ScopeState | None:
    """Return the state with its new pointers and the advice about prices, if asked for; None if it stays."""
    state, answer = decision.state, decision.answer
    match decision.outcome:
        case Outcome.BASELINE | Outcome.MOVED:
            assert answer
            assert sighting
            advice = advisor.price_advice(decision.scope, answer.listing, answer.dialect) if advisor else None
            return replace(
                state,
                listing=sighting.listing,
                held=state.held if decision.lasting else None,
                **_of_answer(answer),
                price_advice=advice,
            )
        case Outcome.HELD:
            assert sighting
            return replace(state, held=sighting.listing)
        case _:
            ends = decision.complete and state.held is not None and decision.lasting is None
            new = replace(state, held=None) if ends else state
            if answer and is_described_otherwise(answer, state):
                new = replace(new, **_of_answer(answer))
            return None if new is state else new


def _of_answer(answer: ListingAnswer) -> dict[str, Any]:
    """Return the columns of a scope that describe its last accepted answer."""
    return {
        "fingerprint": answer.fingerprint,
        "etag": answer.validators.etag,
        "last_modified": answer.validators.last_modified,
        "left_out": answer.left_out,
    }


def _confirmations(decision: Decision, sighting: Sighting | None, removals: RemovalCounter) -> list[Sighting]:
    """Count one more complete answer of a scope; return the sightings of the removals that it confirms."""
    state = decision.state
    listing = sighting.listing if sighting else state.listing
    assert listing is not None
    return [
        Sighting(
            state.id,
            state.name,
            Outcome.CONFIRMED,
            listing=listing,
            transition=removal.transition,
            since=removal.since,
            flap_level=removal.flap_level,
        )
        for removal in removals.count(state.id, listing, decision.scope.thresholds)
    ]
