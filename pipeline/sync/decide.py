"""Accept, hold or fail the answers of a run, from values alone, without I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core import canonical
from pipeline.core.failures import TRANSIENT, lasts
from pipeline.core.text import count
from pipeline.core.times import duration
from pipeline.core.types import (
    PROBLEMS,
    Anonymous,
    HoldKind,
    Key,
    Listing,
    Outcome,
    Scope,
    ScopeState,
    Thresholds,
)
from pipeline.errors import FetchError, Unreadable
from pipeline.gateways.dialects import dialect_of
from pipeline.gateways.types import GroupGone, ListingAnswer, ScopeResult, Unchanged, Validators
from pipeline.store.ledger import AnonymousScope
from pipeline.store.recurrences import UNSTEADY
from pipeline.sync.holds import (
    EMPTY_ANSWERS,
    NO_HOLDS,
    Agreement,
    HoldHistory,
    HoldRecord,
    agreeing,
    agreement,
    allowed_loss,
    alternation_text,
    comes_in_turn,
    common_loss,
    evidence,
    is_steady,
    suffices,
)


class History(Protocol):
    """What is recorded of scopes, as far as decisions need it."""

    def listing(self, listing_id: int) -> Listing:
        """Return a recorded listing."""

    def holds(self, state: ScopeState, at: str) -> HoldHistory:
        """Return the holds of a scope as of a time (ISO 8601 UTC)."""

    def starts(self, runs: Collection[int], at: str) -> Mapping[int, str]:
        """Return when runs began, by their snapshots and by the clock of a run at a time (ISO 8601 UTC)."""

    def is_accepted_part(self, state: ScopeState) -> bool:
        """Return whether a person accepted the current listing of a scope though it may have more pages."""

    def anonymous_scopes(self, gateway: str) -> Sequence[AnonymousScope]:
        """Return the anonymous scopes of a gateway that have answered, by the name of the gateway."""


class Decision(Struct, frozen=True):
    """The decision on a scope's answer.

    Args:
        scope: the scope.
        state: its state before the run; under the present rules of parsing unless the answer is held.
        outcome: the outcome of the sighting to write; None if nothing happened.
        answer: the answer that is accepted or held; None for a failure, and for one known without parsing.
        complete: the answer counts as one more complete answer.
        agreement: the held answers that already lacked the same models.
        error: why it failed.
        reason: why it is held, for people; `kind` is why in one word.
        began: the snapshot with which the hold began, where it goes on after a failure.
        lasting: the hold that goes on although this answer is accepted, since two lists come in turn.
        gone: the group of the scope is gone; this is its id in the list of groups.
    """

    scope: Scope
    state: ScopeState
    outcome: Outcome | None
    answer: ListingAnswer | None = None
    complete: bool = True
    agreement: Agreement | None = None
    error: FetchError | None = None
    reason: str | None = None
    kind: HoldKind | None = None
    began: int | None = None
    lasting: HoldRecord | None = None
    gone: str | None = None

    @property
    def is_held(self) -> bool:
        """Whether the scope is held after this decision."""
        return self.outcome == Outcome.HELD or self.lasting is not None


class Accept(Struct, frozen=True):
    """A list becomes the current one.

    Args:
        agreement: the held answers that already lacked the same models.
        listing: the list, where it is not that of the answer.
    """

    agreement: Agreement | None = None
    listing: Listing | None = None


class Hold(Struct, frozen=True):
    """The current listing stays; `reason` is for people."""

    reason: str
    kind: HoldKind = HoldKind.LOSS


Verdict = Accept | Hold


class AnonymousList(Struct, frozen=True):
    """The ids that a gateway lists without a key: now, and in its last accepted lists, the newest first."""

    now: AbstractSet[str]
    before: tuple[AbstractSet[str], ...]


def decide(
    results: Mapping[str, ScopeResult],
    scopes: Sequence[Scope],
    states: Mapping[str, ScopeState],
    reparsed: Mapping[str, ScopeState],
    history: History,
    *,
    at: str,
    imported: bool = False,
) -> list[Decision]:
    """Decide on the result of every scope, in the order of the scopes.

    Args:
        results: by the name of the scope.
        scopes: those that were asked.
        states: the state of each before the run.
        reparsed: the states under the present rules of parsing, where the rules have changed.
        history: what is recorded of them.
        at: the start of the run (ISO 8601 UTC).
        imported: the answers were saved earlier; they are not compared with the anonymous list of today.
    """
    context = _Context(results, history, at, imported=imported)
    return [
        _decide(
            scope,
            results[scope.name].answer,
            reparsed.get(scope.name, states[scope.name]),
            states[scope.name],
            context,
        )
        for scope in scopes
    ]


class _Context(Struct, frozen=True):
    """What the decisions of one run share."""

    results: Mapping[str, ScopeResult]
    history: History
    at: str
    imported: bool

    def anonymous_lists(self, scope: Scope, listing: Listing) -> list[AnonymousList]:
        if self.imported:
            return []
        return anonymous_lists(scope, listing, self.results, self.history)


def anonymous_lists(
    scope: Scope, listing: Listing, results: Mapping[str, ScopeResult], history: History
) -> list[AnonymousList]:
    """Return the lists that the gateway of a scope with a key gives without one, at the same path.

    Args:
        scope: the scope; without a key, or for a group of a signed-in user, there is nothing to compare.
        listing: its answer.
        results: those of this run by scope; the last list of an anonymous scope that failed, or was not
            asked, counts.
        history: what is recorded.
    """
    if isinstance(scope.credential, Anonymous) or (
        scope.group is not None and not isinstance(scope.credential, Key)
    ):
        return []
    found = []
    for each in history.anonymous_scopes(scope.gateway.name):
        if _path(each.reading) != _path(listing.reading):
            continue
        before = tuple(history.listing(number).records.keys() for number in each.listings)
        result = results.get(each.name)
        now = before[0]
        if result and isinstance(result.answer, ListingAnswer) and not result.answer.incomplete:
            now = result.answer.listing.records.keys()
        found.append(AnonymousList(now, before))
    return found


def _path(reading: str) -> str | None:
    dialect = dialect_of(reading)
    return dialect.path if dialect else None


def falls_back(
    new: AbstractSet[str],
    current: AbstractSet[str],
    anonymous: Sequence[AnonymousList],
    thresholds: Thresholds,
) -> bool:
    """Return whether a key that had a list of its own now gets an anonymous list.

    Lists that were the same before are no sign, even if one of them was the first to change. Neither is an
    anonymous list that lost too many models itself.

    Args:
        new: the ids of its answer.
        current: the ids of its current listing.
        anonymous: the anonymous lists of its gateway.
        thresholds: those of the scope.
    """
    if new == current:
        return False
    same = [
        each
        for each in anonymous
        if new == each.before[0] or (new == each.now and _loss(each.now, each.before[0], thresholds) is None)
    ]
    return bool(same) and not any(current in each.before for each in same)


def find_fallbacks(
    results: Mapping[str, ScopeResult],
    scopes: Sequence[Scope],
    states: Mapping[str, ScopeState],
    history: History,
) -> dict[str, str]:
    """Return for each scope whose key now gets the anonymous list that it does, for people.

    Args:
        results: by the name of the scope.
        scopes: those that were asked.
        states: the states of recorded scopes.
        history: what is recorded of them.
    """
    found = {}
    for scope in scopes:
        answer, state = results[scope.name].answer, states.get(scope.name)
        if isinstance(answer, ListingAnswer) and state is not None and state.listing is not None:
            new, current = answer.listing.records.keys(), history.listing(state.listing).records.keys()
            anonymous = anonymous_lists(scope, answer.listing, results, history)
            if falls_back(new, current, anonymous, scope.thresholds):
                found[scope.name] = fallback_text(scope.name)
    return found


def find_parts(
    results: Mapping[str, ScopeResult],
    scopes: Sequence[Scope],
    states: Mapping[str, ScopeState],
    history: History,
) -> dict[str, str]:
    """Return for each scope whose answer a run would hold, since it may have more pages, the reason.

    Args:
        results: by the name of the scope.
        scopes: those that were asked.
        states: the states of recorded scopes.
        history: what is recorded of them.
    """
    found = {}
    for scope in scopes:
        answer, state = results[scope.name].answer, states.get(scope.name)
        if (
            isinstance(answer, ListingAnswer)
            and answer.incomplete is not None
            and state is not None
            and state.listing is not None
            and (answer.listing.digest != state.digest or not history.is_accepted_part(state))
        ):
            found[scope.name] = answer.incomplete
    return found


def _decide(
    scope: Scope,
    answer: ListingAnswer | Unchanged | GroupGone | FetchError,
    state: ScopeState,
    before: ScopeState,
    context: _Context,
) -> Decision:
    error = first_answer_error(answer, state.listing)
    if error is not None:
        outcome = Outcome.FAILED if _is_new_failure(error, state, context) else None
        return Decision(scope, state, outcome, complete=False, error=error)
    match answer:
        case GroupGone(record):
            return Decision(scope, state, None, complete=False, gone=record)
        case ListingAnswer() if state.listing is None:
            return Decision(scope, state, Outcome.BASELINE, answer)
        case ListingAnswer() if _differs(answer, state, before, context):
            return _changed(scope, answer, state, before, context)
        case _:
            lasting = _lasting(_holds(state, context), state.listing, context)
            goes_on = lasting is not None and state.outcome == Outcome.HELD
            ends = state.outcome in (*PROBLEMS, Outcome.RETIRED) and not goes_on
            same = answer if isinstance(answer, ListingAnswer) else None
            return Decision(scope, state, Outcome.RECOVERED if ends else None, same, lasting=lasting)


def first_answer_error(answer: object, listing: int | None) -> FetchError | None:
    """Return why an answer fails; None for one to decide on.

    A list that may have more pages fails without a current listing: there is nothing to keep while it is
    held.

    Args:
        answer: that of a `ScopeResult`.
        listing: the current listing of the scope; None before its first answer.
    """
    match answer:
        case FetchError():
            return answer
        case ListingAnswer(incomplete=str(reason)) if listing is None:
            # The reason of a hold ends with what to do.
            problem, _, cure = reason.rpartition(": ")
            return Unreadable(problem or cure, cure=cure if problem else None)
        case _:
            return None


def _differs(answer: ListingAnswer, state: ScopeState, before: ScopeState, context: _Context) -> bool:
    """Return whether an answer differs from the current listing, or has a sign of more pages only now.

    That is so for a list that began to have the sign, and for one that was accepted before the rules looked
    for it; not for one that a person accepted with it.
    """
    if answer.listing.digest != state.digest:
        return True
    return answer.incomplete is not None and (
        before.reading != answer.listing.reading or not context.history.is_accepted_part(state)
    )


def _changed(
    scope: Scope, answer: ListingAnswer, state: ScopeState, before: ScopeState, context: _Context
) -> Decision:
    """Decide on an answer that differs from the current listing."""
    assert state.listing is not None
    new, current = answer.listing, context.history.listing(state.listing)
    suspicion = suspect(
        new,
        current,
        anonymous=context.anonymous_lists(scope, new),
        thresholds=scope.thresholds,
        incomplete=answer.incomplete,
        message=answer.message,
        name=scope.name,
        thing="group" if scope.all_groups else "model",
    )
    holds = context.history.holds(state, context.at) if suspicion else _holds(state, context)
    verdict = judge(
        new,
        suspicion,
        current=current,
        holds=holds,
        thresholds=scope.thresholds,
        at=context.at,
        imported=context.imported,
    )
    match verdict:
        case Accept(agreed, listing):
            if listing is not None:
                answer = replace(answer, listing=listing, fingerprint=None, validators=Validators())
            lasting = _lasting(holds, answer.listing, context) if suspicion is None else None
            return Decision(scope, state, Outcome.MOVED, answer, agreement=agreed, lasting=lasting)
        case Hold(reason, kind):
            # A held answer changes nothing, not even the rules of parsing that the listing has.
            return Decision(
                scope,
                before,
                Outcome.HELD,
                answer,
                complete=False,
                reason=reason,
                kind=kind,
                began=holds.open.began if holds.open is not None and holds.open.goes_on(kind) else None,
            )


def _holds(state: ScopeState, context: _Context) -> HoldHistory:
    """Return the holds of a scope where one is open; none otherwise, since no one needs those that ended."""
    return NO_HOLDS if state.held is None else context.history.holds(state, context.at)


def _lasting(holds: HoldHistory, listing: Listing | int | None, context: _Context) -> HoldRecord | None:
    """Return the hold that an answer like the current list does not end; `listing` is that answer."""
    hold = holds.open
    if hold is None or not hold.alternates or is_steady(hold, context.at):
        return None
    assert listing is not None
    current = context.history.listing(listing) if isinstance(listing, int) else listing
    return replace(hold, reason=alternation_text(current.records.keys(), hold.answers[-1].listing.models))


def _is_new_failure(error: FetchError, state: ScopeState, context: _Context) -> bool:
    """Return whether a failure gets a sighting: it is new, has another cause, or lasts.

    That it lasts is of interest for a transient failure, and for one of an unsteady scope.
    """
    if state.outcome != Outcome.FAILED or state.error_class != type(error).__name__:
        return True
    is_unsteady = (state.flap_level or 1) >= UNSTEADY
    if state.began is None or state.sighted is None or not (is_unsteady or isinstance(error, TRANSIENT)):
        return False
    starts = context.history.starts({state.began, state.sighted}, context.at)
    began = starts[state.began]
    return lasts(began, context.at) and not lasts(began, starts[state.sighted])


def suspect(
    new: Listing,
    current: Listing,
    *,
    anonymous: Sequence[AnonymousList] = (),
    thresholds: Thresholds,
    incomplete: str | None = None,
    message: str | None = None,
    name: str = "",
    thing: str = "model",
) -> Hold | None:
    """Return why an answer is not to be accepted by itself; None if it is.

    Args:
        new: the complete answer.
        current: the current listing of the scope.
        anonymous: the lists of the same gateway without a key.
        thresholds: how many models may be missing at once.
        incomplete: why it may be one page of a longer list.
        message: the gateway's message beside an empty list.
        name: the name of the scope.
        thing: the noun for what it lists, `model` or `group`.
    """
    if incomplete is not None:
        return Hold(incomplete, HoldKind.INCOMPLETE)
    if falls_back(new.records.keys(), current.records.keys(), anonymous, thresholds):
        return Hold(fallback_text(name), HoldKind.ANONYMOUS)
    return _loss(new.records.keys(), current.records.keys(), thresholds, thing, message)


def empty_text(models: int, thresholds: Thresholds, thing: str = "model", message: str | None = None) -> str:
    """Return that a list with some models before is empty, and when that is accepted, for people."""
    least = f", over at least {duration(round(thresholds.empty_after))}" if thresholds.empty_after else ""
    accepted = f"It is accepted after {EMPTY_ANSWERS} empty answers in a row{least}"
    said = f', with the message "{message}"' if message else ""
    return f"the list is empty{said}; it had {count(models, thing)}. {accepted}"


def fallback_text(name: str) -> str:
    """Return that a scope with a key gets the anonymous list, for people."""
    label = name.partition("/")[2] or "the key"
    return f"{label} now gets exactly the anonymous list. Was its key revoked?"


def judge(
    new: Listing,
    suspicion: Hold | None,
    *,
    current: Listing,
    holds: HoldHistory = NO_HOLDS,
    thresholds: Thresholds,
    at: str,
    imported: bool = False,
) -> Verdict:
    """Accept an answer, or hold it.

    Args:
        new: the complete answer to judge.
        suspicion: why it is not to be accepted by itself.
        current: the current listing of the scope.
        holds: the holds of the scope.
        thresholds: how many models may be missing at once, and for how long a list must be empty.
        at: the start of the run (ISO 8601 UTC).
        imported: the answer was saved earlier; those that were held as anonymous lists then count, too.
    """
    if suspicion is None:
        return Accept()
    if suspicion.kind in (HoldKind.INCOMPLETE, HoldKind.ANONYMOUS):
        return suspicion
    ignored = (HoldKind.INCOMPLETE,) if imported else (HoldKind.INCOMPLETE, HoldKind.ANONYMOUS)
    answers = agreeing(new, current, holds.open, thresholds, ignored=ignored)
    alternates = holds.open is not None and holds.open.alternates
    if suffices(answers, new, thresholds, at, alternates=alternates):
        return Accept(agreement(answers, current.records.keys() - new.records.keys()))
    lost = common_loss(new, current, holds.open, at)
    if lost:
        since = agreement(reversed(evidence(holds.open)), lost)
        return Accept(since, _without(current, lost))
    if comes_in_turn(new, current, holds, thresholds):
        return Hold(alternation_text(current.records.keys(), new.records.keys()), HoldKind.ALTERNATING)
    return suspicion


def _without(listing: Listing, models: Collection[str]) -> Listing:
    records = {model: record for model, record in listing.records.items() if model not in models}
    return replace(listing, records=records, digest=canonical.digest_of_records(records.values()))


def _loss(
    new: AbstractSet[str],
    current: AbstractSet[str],
    thresholds: Thresholds,
    thing: str = "model",
    message: str | None = None,
) -> Hold | None:
    if current and not new:
        return Hold(empty_text(len(current), thresholds, thing, message), HoldKind.EMPTY)
    gone = len(current - new)
    if gone > allowed_loss(current, thresholds):
        return Hold(f"{gone} of {len(current)} {thing}s are gone at once")
    return None
