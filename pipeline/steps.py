"""What each scope's answer comes to: judged against what it is known to offer, nothing written yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.dialects import Dialect
from pipeline.errors import FetchError
from pipeline.fetch import Validators
from pipeline.judge import Accept, Anonymous, Hold, judge
from pipeline.store import Ref
from pipeline.types import Listing, Nobody, Outcome, Scope

Known = Callable[[int], Listing]
"""Gives a recorded listing by its id."""


@dataclass(frozen=True, slots=True)
class Told:
    """A scope's complete answer, and the dialect it was read in; the fingerprint is that of its bytes.

    An answer from long ago has none: the gateway will not say it again.
    """

    listing: Listing
    fingerprint: str | None
    validators: Validators
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The scope's answer is the one it gave before, to the byte or by the gateway's own word."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one scope gave, and how long it took in seconds (None when it gave nothing)."""

    answer: Told | Unchanged | FetchError
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a scope's answer comes to: an outcome when something happened, and where its ref goes."""

    scope: Scope
    ref: Ref
    outcome: Outcome | None
    told: Told | None = None
    complete: bool = True
    agreed: bool = False
    error: FetchError | None = None
    reason: str | None = None


def steps(
    heard: Mapping[str, Heard], scopes: Sequence[Scope], refs: Mapping[str, Ref], known: Known
) -> list[Step]:
    """Judge what every scope said, in the order of the scopes."""
    anonymous = _anonymous(heard, scopes, refs)
    return [
        _step(scope, refs[scope.name], heard[scope.name].answer, anonymous.get(scope.gateway.name), known)
        for scope in scopes
    ]


def _anonymous(
    heard: Mapping[str, Heard], scopes: Sequence[Scope], refs: Mapping[str, Ref]
) -> dict[str, Anonymous]:
    """Find what each gateway gives to nobody, where nobody is among its scopes."""
    found = {}
    for scope in scopes:
        if isinstance(scope.credential, Nobody):
            before = refs[scope.name].digest
            answer = heard[scope.name].answer
            now = answer.listing.digest if isinstance(answer, Told) else before
            if now is not None:
                found[scope.gateway.name] = Anonymous(before, now)
    return found


def _step(
    scope: Scope,
    ref: Ref,
    answer: Told | Unchanged | FetchError,
    anonymous: Anonymous | None,
    known: Known,
) -> Step:
    match answer:
        case FetchError():
            again = ref.outcome == Outcome.FAILED and ref.error_class == type(answer).__name__
            return Step(scope, ref, None if again else Outcome.FAILED, complete=False, error=answer)
        case Told(listing) if ref.listing is None:
            return Step(scope, ref, Outcome.BASELINE, told=answer)
        case Told(listing) if listing.digest != ref.digest and ref.listing is not None:
            offered = known(ref.listing)
            held = None if ref.held is None else known(ref.held)
            verdict = judge(
                listing,
                known=offered,
                held=held,
                anonymous=None if scope.auth == "nobody" else anonymous,
                thresholds=scope.thresholds,
            )
            match verdict:
                case Accept(agreed):
                    return Step(scope, ref, Outcome.MOVED, told=answer, agreed=agreed)
                case Hold(reason):
                    return Step(scope, ref, Outcome.HELD, told=answer, complete=False, reason=reason)
        case _:
            back = ref.outcome in (Outcome.FAILED, Outcome.HELD)
            return Step(scope, ref, Outcome.RECOVERED if back else None)
