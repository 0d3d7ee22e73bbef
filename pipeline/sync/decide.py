"""Whether an answer is believed: values in, a verdict out.

What each scope's answer comes to: judged against what it is known to offer, nothing written yet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.types import Anonymous, Digest, Listing, Outcome, Scope, ScopeState, Thresholds
from pipeline.errors import FetchError
from pipeline.gateways.types import ListingAnswer, ScopeResult, Unchanged


@dataclass(frozen=True, slots=True)
class Accept:
    """The scope's ref moves; `agreed` when a held answer had missed the same models already."""

    agreed: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """The ref stays until the next complete answer agrees; `reason` is for people."""

    reason: str


Verdict = Accept | Hold


@dataclass(frozen=True, slots=True)
class AnonymousList:
    """What nobody was offered at a gateway before this run, and what nobody is offered now."""

    before: Digest | None
    now: Digest


def judge(
    new: Listing,
    *,
    known: Listing,
    held: Listing | None,
    anonymous: AnonymousList | None,
    thresholds: Thresholds,
) -> Verdict:
    """Believe an answer, or hold it.

    Args:
        new: the complete answer to judge.
        known: what the scope is known to offer.
        held: the answer held at the last complete one, if it was held.
        anonymous: what the same gateway gives without a key; None when that is not asked.
        thresholds: how much may be gone at once.
    """
    reason = _suspicion(new, known, anonymous, thresholds)
    if reason is None:
        return Accept()
    if held is not None and _agree(held, new, thresholds):
        gone = known.records.keys() - new.records.keys()
        return Accept(agreed=gone.isdisjoint(held.records))
    return Hold(reason)


def _suspicion(
    new: Listing, known: Listing, anonymous: AnonymousList | None, thresholds: Thresholds
) -> str | None:
    gone = len(known.records.keys() - new.records.keys())
    if known.records and not new.records:
        return f"the list is empty; {len(known)} models were known"
    if gone > _allowed(known.records, thresholds):
        return f"{gone} of {len(known)} models are gone at once"
    if anonymous and new.digest == anonymous.now and known.digest not in (anonymous.before, anonymous.now):
        return "the list is suddenly the one that nobody gets without a key: is the key still good?"
    return None


def _agree(held: Listing, new: Listing, thresholds: Thresholds) -> bool:
    """Two answers agree when neither lacks more of the other than may be gone at once."""
    if held.digest == new.digest:
        return True
    if not held.records or not new.records:
        return False
    return all(
        len(one.records.keys() - other.records.keys()) <= _allowed(one.records, thresholds)
        for one, other in ((held, new), (new, held))
    )


def _allowed(records: Collection[str], thresholds: Thresholds) -> float:
    return max(thresholds.max_loss * len(records), thresholds.floor)


ListingById = Callable[[int], Listing]
"""Gives a recorded listing by its id."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a scope's answer comes to: an outcome when something happened, and where its ref goes."""

    scope: Scope
    ref: ScopeState
    outcome: Outcome | None
    told: ListingAnswer | None = None
    complete: bool = True
    agreed: bool = False
    error: FetchError | None = None
    reason: str | None = None


def decide(
    heard: Mapping[str, ScopeResult],
    scopes: Sequence[Scope],
    refs: Mapping[str, ScopeState],
    known: ListingById,
) -> list[Decision]:
    """Judge what every scope said, in the order of the scopes."""
    anonymous = _anonymous(heard, scopes, refs)
    return [
        _decide(scope, refs[scope.name], heard[scope.name].answer, anonymous.get(scope.gateway.name), known)
        for scope in scopes
    ]


def _anonymous(
    heard: Mapping[str, ScopeResult], scopes: Sequence[Scope], refs: Mapping[str, ScopeState]
) -> dict[str, AnonymousList]:
    """Find what each gateway gives to nobody, where nobody is among its scopes."""
    found = {}
    for scope in scopes:
        if isinstance(scope.credential, Anonymous):
            before = refs[scope.name].digest
            answer = heard[scope.name].answer
            now = answer.listing.digest if isinstance(answer, ListingAnswer) else before
            if now is not None:
                found[scope.gateway.name] = AnonymousList(before, now)
    return found


def _decide(
    scope: Scope,
    ref: ScopeState,
    answer: ListingAnswer | Unchanged | FetchError,
    anonymous: AnonymousList | None,
    known: ListingById,
) -> Decision:
    match answer:
        case FetchError():
            again = ref.outcome == Outcome.FAILED and ref.error_class == type(answer).__name__
            return Decision(scope, ref, None if again else Outcome.FAILED, complete=False, error=answer)
        case ListingAnswer(listing) if ref.listing is None:
            return Decision(scope, ref, Outcome.BASELINE, told=answer)
        case ListingAnswer(listing) if listing.digest != ref.digest and ref.listing is not None:
            offered = known(ref.listing)
            held = None if ref.held is None else known(ref.held)
            verdict = judge(
                listing,
                known=offered,
                held=held,
                anonymous=None if scope.auth == "anonymous" else anonymous,
                thresholds=scope.thresholds,
            )
            match verdict:
                case Accept(agreed):
                    return Decision(scope, ref, Outcome.MOVED, told=answer, agreed=agreed)
                case Hold(reason):
                    return Decision(scope, ref, Outcome.HELD, told=answer, complete=False, reason=reason)
        case _:
            back = ref.outcome in (Outcome.FAILED, Outcome.HELD)
            return Decision(scope, ref, Outcome.RECOVERED if back else None)
