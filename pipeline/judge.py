"""Whether an answer is believed: values in, a verdict out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.types import Digest, Listing, Thresholds


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
class Anonymous:
    """What nobody was offered at a gateway before this run, and what nobody is offered now."""

    before: Digest | None
    now: Digest


def judge(
    new: Listing,
    *,
    known: Listing,
    held: Listing | None,
    anonymous: Anonymous | None,
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
    new: Listing, known: Listing, anonymous: Anonymous | None, thresholds: Thresholds
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
