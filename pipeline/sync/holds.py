"""The held answers of a scope: when they agree with a new one, and when two lists come in turn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from pipeline.core.text import count
from pipeline.core.times import counted_runs, has_lasted
from pipeline.core.types import Digest, HoldKind, Listing, Thresholds

MOST_BACK = 0.1
"""The share of the models missing from a held answer that may be in another one that agrees with it."""

EMPTY_ANSWERS = 5
"""The empty answers in a row after which an empty list is accepted, if `empty_after` has passed."""

COMMON_AFTER = 24 * 3600.0
"""The seconds after which the removals that all held answers have in common are accepted."""

SIMILAR_WITHIN = 7 * 24 * 3600
"""The seconds within which the same list must be held a second time for two lists to come in turn."""

STEADY_ANSWERS = 3
"""The answers in a row with one of two lists after which they no longer come in turn…"""

STEADY_AFTER = 2 * 3600.0
"""…if so many seconds lie between the first and the last."""

_IN_TURN = (HoldKind.ALTERNATING, HoldKind.CURRENT)
_NO_EVIDENCE = (HoldKind.INCOMPLETE, HoldKind.ANONYMOUS)
_MAX_NAMES = 3


class HeldList(Struct, frozen=True):
    """A held list: its digest, and what returns the ids of its models.

    Without a digest it has only those models that were in the current listing, and agrees with no answer.
    """

    digest: Digest | None
    load: Callable[[], AbstractSet[str]]

    @classmethod
    def of(cls, listing: Listing) -> HeldList:
        """Return a whole list."""
        return cls(listing.digest, listing.records.keys)

    @property
    def models(self) -> AbstractSet[str]:
        """The ids of its models."""
        return self.load()


class HeldAnswer(Struct, frozen=True):
    """A complete answer in a hold: the start of its run (ISO 8601 UTC), its snapshot, and its list.

    For the kind `current` the answer was the current list, and `listing` is the last held one. `trusted_at`
    is when the run began by the clock of the present one; None where that is `at`.
    """

    at: str
    snapshot: int
    listing: HeldList
    kind: HoldKind = HoldKind.LOSS
    trusted_at: str | None = None

    @property
    def began_at(self) -> str:
        """The time from which the time since the answer is counted."""
        return self.at if self.trusted_at is None else self.trusted_at


class HoldRecord(Struct, frozen=True):
    """A hold: the snapshot with which its present state began, why, and its answers, oldest first."""

    began: int
    answers: tuple[HeldAnswer, ...]
    reason: str = ""

    @property
    def alternates(self) -> bool:
        """Whether two lists come in turn."""
        return self.answers[-1].kind in _IN_TURN

    def goes_on(self, kind: HoldKind) -> bool:
        """Return whether an answer that is held, for a reason of a kind, goes on with it after failures."""
        return self.alternates or self.answers[-1].kind == kind


class HoldHistory(Struct, frozen=True):
    """The holds of a scope: the open one, and those that ended in the last seven days."""

    open: HoldRecord | None = None
    ended: tuple[HoldRecord, ...] = ()


NO_HOLDS = HoldHistory()
"""The holds of a scope without any."""


class Agreement(Struct, frozen=True):
    """The held answers that lacked all models that an accepted one lacks.

    Args:
        snapshot: that of the first of them.
        at: its start (ISO 8601 UTC), by the clock of the present run.
        last: the start of the last of them, as recorded.
        answers: how many count, the accepted one not included.
    """

    snapshot: int
    at: str
    last: str
    answers: int


def allowed_loss(records: Collection[str], thresholds: Thresholds) -> float:
    """Return how many models may be missing at once from a list."""
    return max(thresholds.max_loss * len(records), thresholds.floor)


def agrees(held: HeldList, new: Listing, current: Listing, thresholds: Thresholds) -> bool:
    """Return whether a new answer confirms what a held one lacked of the current list.

    At most a tenth of the models that were missing may be back, and no more models of the held answer may be
    missing than `max_loss` and `floor` allow. An empty list agrees with an empty one only.
    """
    if held.digest is None:
        return False
    if held.digest == new.digest:
        return True
    models = held.models
    if not models or not new.records:
        return not models and not new.records
    missing = current.records.keys() - models
    lost = models - new.records.keys()
    return len(missing & new.records.keys()) <= MOST_BACK * len(missing) and len(lost) <= allowed_loss(
        models, thresholds
    )


def agreeing(
    new: Listing,
    current: Listing,
    hold: HoldRecord | None,
    thresholds: Thresholds,
    *,
    ignored: Collection[HoldKind] = _NO_EVIDENCE,
) -> list[HeldAnswer]:
    """Return the last answers in a row of a hold that agree with a new one, newest first.

    Answers that are held for another reason than missing models (`ignored`) neither agree nor disagree.
    """
    found: list[HeldAnswer] = []
    for answer in reversed(evidence(hold, ignored=ignored)):
        if answer.kind == HoldKind.CURRENT or not agrees(answer.listing, new, current, thresholds):
            break
        found.append(answer)
    return found


def evidence(
    hold: HoldRecord | None, *, ignored: Collection[HoldKind] = _NO_EVIDENCE
) -> Sequence[HeldAnswer]:
    """Return the answers of a hold that were held for missing models, oldest first."""
    return [] if hold is None else [answer for answer in hold.answers if answer.kind not in ignored]


def suffices(
    answers: Sequence[HeldAnswer], new: Listing, thresholds: Thresholds, at: str, *, alternates: bool
) -> bool:
    """Return whether a new answer and those that agree with it, newest first, end a hold.

    Args:
        answers: see `agreeing`.
        new: the new answer.
        thresholds: those of the scope.
        at: the start of its run (ISO 8601 UTC).
        alternates: two lists came in turn so far.
    """
    if not answers:
        return False
    number, first = len(counted_runs([*_times(answers), at])), answers[-1].began_at
    if not new.records and not (number >= EMPTY_ANSWERS and has_lasted(first, at, thresholds.empty_after)):
        return False
    if alternates:
        return number >= STEADY_ANSWERS and has_lasted(first, at, STEADY_AFTER)
    return number > 1


def _times(answers: Iterable[HeldAnswer]) -> list[str]:
    """Return the times of answers, the newest of which is first; oldest first."""
    return [answer.at for answer in answers][::-1]


def agreement(answers: Iterable[HeldAnswer], gone: Collection[str]) -> Agreement | None:
    """Return since when answers, newest first, lack some models; None if the newest has one of them."""
    found: list[HeldAnswer] = []
    for answer in answers:
        if not answer.listing.models.isdisjoint(gone):
            break
        found.append(answer)
    if not found:
        return None
    times = counted_runs(_times(found))
    return Agreement(found[-1].snapshot, found[-1].began_at, times[-1], len(times))


def common_loss(new: Listing, current: Listing, hold: HoldRecord | None, at: str) -> frozenset[str]:
    """Return the models that all answers of a hold of at least 24 hours lack; empty where that is no result.

    An empty list has a rule of its own, so that never all models are returned.
    """
    answers = evidence(hold)
    if (
        hold is None
        or hold.alternates
        or not answers
        or not has_lasted(answers[0].began_at, at, COMMON_AFTER)
    ):
        return frozenset()
    lacking = set(current.records) - new.records.keys()
    for answer in hold.answers:
        lacking -= answer.listing.models
        if not lacking:
            break
    return frozenset(lacking if len(lacking) < len(current) else ())


def comes_in_turn(new: Listing, current: Listing, holds: HoldHistory, thresholds: Thresholds) -> bool:
    """Return whether a list that is to be held comes in turn with the current one.

    That is so if it does already, or if a hold of such a list ended in the last seven days: it ended with a
    list that has what it lacks, since the current one has it.
    """
    if holds.open is not None and holds.open.alternates:
        return True
    return any(
        answer.kind not in (*_NO_EVIDENCE, HoldKind.CURRENT)
        and agrees(answer.listing, new, current, thresholds)
        for hold in holds.ended
        for answer in hold.answers
    )


def is_steady(hold: HoldRecord, at: str) -> bool:
    """Return whether an answer like the current list ends a hold in which two lists came in turn."""
    answers = []
    for answer in reversed(hold.answers):
        if answer.kind != HoldKind.CURRENT:
            break
        answers.append(answer)
    if not answers:
        return False
    number = len(counted_runs([*_times(answers), at]))
    return number >= STEADY_ANSWERS and has_lasted(answers[-1].began_at, at, STEADY_AFTER)


def alternation_text(current: AbstractSet[str], other: AbstractSet[str]) -> str:
    """Return why two lists that come in turn are held, for people."""
    if not other:
        return f"a list of {count(len(current), 'model')} and an empty one alternate"
    text = f"two lists alternate: {len(current)} and {len(other)} models"
    only = sorted(other - current)
    if not only:
        return text
    names = ", ".join(only[:_MAX_NAMES])
    more = f" and {len(only) - _MAX_NAMES} more" if len(only) > _MAX_NAMES else ""
    number = "1 model is" if len(only) == 1 else f"{len(only)} models are"
    return f"{text}; {number} only in some answers: {names}{more}"
