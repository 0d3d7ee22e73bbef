"""Accept, hold or fail the answers of a run, from values alone, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.failures import TRANSIENT, lasts
from pipeline.core.text import count
from pipeline.core.types import PROBLEMS, Anonymous, Digest, Listing, Outcome, Scope, ScopeState, Thresholds
from pipeline.errors import FetchError
from pipeline.gateways.types import ListingAnswer, ScopeResult, Unchanged

ListingById = Callable[[int], Listing]
"""Returns a recorded listing by its id."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a scope's answer.

    Args:
        scope: the scope.
        state: its state before the run; under the present rules of parsing unless the answer is held.
        outcome: the outcome of the sighting to write; None if nothing happened.
        answer: the answer that is accepted or held.
        complete: the answer counts as one more complete answer.
        agreed: a held answer already lacked the same models.
        error: why it failed.
        reason: why it is held, for people.
    """

    scope: Scope
    state: ScopeState
    outcome: Outcome | None
    answer: ListingAnswer | None = None
    complete: bool = True
    agreed: bool = False
    error: FetchError | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Accept:
    """The listing becomes the current one; `agreed` if a held answer already lacked the same models."""

    agreed: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """The current listing stays until the next complete answer agrees; `reason` is for people."""

    reason: str


Verdict = Accept | Hold


@dataclass(frozen=True, slots=True)
class AnonymousList:
    """The list that a gateway gives without a key: before this run, and now."""

    before: Digest | None
    now: Digest


def decide(
    results: Mapping[str, ScopeResult],
    scopes: Sequence[Scope],
    states: Mapping[str, ScopeState],
    reparsed: Mapping[str, ScopeState],
    listing_of: ListingById,
    *,
    at: str,
) -> list[Decision]:
    """Decide on the result of every scope, in the order of the scopes.

    Args:
        results: by the name of the scope.
        scopes: those that were asked.
        states: the state of each before the run.
        reparsed: the states under the present rules of parsing, where the rules have changed.
        listing_of: returns a recorded listing.
        at: the start of the run (ISO 8601 UTC).
    """
    present = {scope.name: reparsed.get(scope.name, states[scope.name]) for scope in scopes}
    anonymous = _anonymous_lists(results, scopes, present)
    return [
        _decide(
            scope,
            results[scope.name].answer,
            present[scope.name],
            states[scope.name],
            anonymous.get(scope.gateway.name),
            listing_of,
            at,
        )
        for scope in scopes
    ]


def _anonymous_lists(
    results: Mapping[str, ScopeResult], scopes: Sequence[Scope], states: Mapping[str, ScopeState]
) -> dict[str, AnonymousList]:
    """Return the list without a key of each gateway that has an anonymous scope."""
    found = {}
    for scope in scopes:
        if isinstance(scope.credential, Anonymous):
            before = states[scope.name].digest
            answer = results[scope.name].answer
            now = answer.listing.digest if isinstance(answer, ListingAnswer) else before
            if now is not None:
                found[scope.gateway.name] = AnonymousList(before, now)
    return found


def _decide(
    scope: Scope,
    answer: ListingAnswer | Unchanged | FetchError,
    state: ScopeState,
    before: ScopeState,
    anonymous: AnonymousList | None,
    listing_of: ListingById,
    at: str,
) -> Decision:
    match answer:
        case FetchError():
            outcome = Outcome.FAILED if _is_new_failure(answer, state, at) else None
            return Decision(scope, state, outcome, complete=False, error=answer)
        case ListingAnswer() if state.listing is None:
            return Decision(scope, state, Outcome.BASELINE, answer)
        case ListingAnswer(listing) if listing.digest != state.digest and state.listing is not None:
            verdict = judge(
                listing,
                current=listing_of(state.listing),
                held=None if state.held is None else listing_of(state.held),
                anonymous=None if isinstance(scope.credential, Anonymous) else anonymous,
                thresholds=scope.thresholds,
            )
            match verdict:
                case Accept(agreed):
                    return Decision(scope, state, Outcome.MOVED, answer, agreed=agreed)
                case Hold(reason):
                    # A held answer changes nothing, not even the rules of parsing that the listing has.
                    return Decision(scope, before, Outcome.HELD, answer, complete=False, reason=reason)
        case _:
            return Decision(scope, state, Outcome.RECOVERED if state.outcome in PROBLEMS else None)


def _is_new_failure(error: FetchError, state: ScopeState, at: str) -> bool:
    """Return whether a failure gets a sighting: it is new, has another cause, or is transient and lasts."""
    if state.outcome != Outcome.FAILED or state.error_class != type(error).__name__:
        return True
    if state.began_at is None or state.sighted_at is None or not isinstance(error, TRANSIENT):
        return False
    return lasts(state.began_at, at) and not lasts(state.began_at, state.sighted_at)


def judge(
    new: Listing,
    *,
    current: Listing,
    held: Listing | None,
    anonymous: AnonymousList | None,
    thresholds: Thresholds,
) -> Verdict:
    """Accept an answer, or hold it.

    Args:
        new: the complete answer to judge.
        current: the current listing of the scope.
        held: the last complete answer, if it was held.
        anonymous: the list of the same gateway without a key; None without an anonymous scope.
        thresholds: how many models may be missing at once.
    """
    reason = _suspicion(new, current, anonymous, thresholds)
    if reason is None:
        return Accept()
    if held is not None and _agree(held, new, thresholds):
        gone = current.records.keys() - new.records.keys()
        return Accept(agreed=gone.isdisjoint(held.records))
    return Hold(reason)


def _suspicion(
    new: Listing, current: Listing, anonymous: AnonymousList | None, thresholds: Thresholds
) -> str | None:
    gone = len(current.records.keys() - new.records.keys())
    if current.records and not new.records:
        return f"the list is empty; it had {count(len(current), 'model')}"
    if gone > _allowed_loss(current.records, thresholds):
        return f"{gone} of {len(current)} models are gone at once"
    if anonymous and new.digest == anonymous.now and current.digest not in (anonymous.before, anonymous.now):
        return "this key now gets the anonymous list: was it revoked?"
    return None


def _agree(held: Listing, new: Listing, thresholds: Thresholds) -> bool:
    """Return whether neither of two answers lacks more models of the other than may be missing at once."""
    if held.digest == new.digest:
        return True
    if not held.records or not new.records:
        return False
    return all(
        len(one.records.keys() - other.records.keys()) <= _allowed_loss(one.records, thresholds)
        for one, other in ((held, new), (new, held))
    )


def _allowed_loss(records: Collection[str], thresholds: Thresholds) -> float:
    return max(thresholds.max_loss * len(records), thresholds.floor)
