"""Accept or hold an answer, and accept a held one when later answers agree."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies
from support.fakes import listing

from pipeline.core.times import iso
from pipeline.core.types import HoldKind, Listing, Thresholds
from pipeline.sync.decide import Accept, AnonymousList, Hold, Verdict, falls_back, judge, suspect
from pipeline.sync.holds import Agreement, HeldAnswer, HeldList, HoldHistory, HoldRecord, is_steady

STRICT = Thresholds(max_loss=0.25, floor=0)
NOW = datetime.fromisoformat("2026-09-20T12:00:00+00:00")


def at(hours: float) -> str:
    """Return the time so many hours before now."""
    return iso(NOW - timedelta(hours=hours))


def some(count: int, *, first: int = 0) -> Listing:
    """Return a listing of so many models."""
    return listing(*(f"model-{number:03}" for number in range(first, first + count)))


def hold(*answers: tuple[float, Listing], kind: HoldKind = HoldKind.LOSS, began: int = 1) -> HoldRecord:
    """Return a hold of answers that came so many hours ago, oldest first; their snapshots count from 1."""
    held = (
        HeldAnswer(at(hours), number, HeldList.of(each), kind)
        for number, (hours, each) in enumerate(answers, began)
    )
    return HoldRecord(began, tuple(held), "two lists alternate" if kind == HoldKind.ALTERNATING else "held")


def judged(
    new: Listing,
    current: Listing,
    *,
    held: Listing | None = None,
    holds: HoldHistory | None = None,
    anonymous: AnonymousList | None = None,
    thresholds: Thresholds = STRICT,
    incomplete: str | None = None,
    imported: bool = False,
) -> Verdict:
    """Judge with defaults for the rest; `held` was held an hour ago."""
    if holds is None:
        holds = HoldHistory() if held is None else HoldHistory(hold((1, held)))
    suspicion = suspect(
        new,
        current,
        anonymous=[] if anonymous is None else [anonymous],
        thresholds=thresholds,
        incomplete=incomplete,
        name="acme/prod",
    )
    return judge(
        new,
        suspicion,
        current=current,
        holds=holds,
        thresholds=thresholds,
        at=iso(NOW),
        imported=imported,
    )


def since(hours: float, *, answers: int = 1, last: float | None = None) -> Agreement:
    """Return the agreement with answers since so many hours ago."""
    return Agreement(1, at(hours), at(hours if last is None else last), answers)


def anonymous_list(now: Listing, *before: Listing) -> AnonymousList:
    """Return the ids of anonymous lists: now, and before this run, the newest first."""
    return AnonymousList(now.records.keys(), tuple(each.records.keys() for each in before or (now,)))


def test_a_listing_that_lost_nothing_is_accepted() -> None:
    assert judged(some(500), some(4)) == Accept()


@pytest.mark.parametrize(("left", "accepted"), [(100, True), (76, True), (75, True), (74, False), (1, False)])
def test_a_loss_above_max_loss_is_held_with_both_numbers(left: int, accepted: bool) -> None:  # noqa: FBT001
    verdict = judged(some(left), some(100))
    expected = Accept() if accepted else Hold(f"{100 - left} of 100 models are gone at once")
    assert verdict == expected


def test_added_models_do_not_make_up_for_lost_ones() -> None:
    assert judged(some(8, first=100), some(8)) == Hold("8 of 8 models are gone at once")


@pytest.mark.parametrize(
    ("before", "left", "accepted"), [(4, 1, True), (4, 2, True), (5, 1, False), (3, 1, True)]
)
def test_up_to_the_floor_models_may_be_gone_from_any_list(before: int, left: int, accepted: bool) -> None:  # noqa: FBT001
    verdict = judged(some(left), some(before), thresholds=Thresholds(max_loss=0.25, floor=3))
    assert isinstance(verdict, Accept) == accepted


WHEN = "It is accepted after 5 empty answers in a row, over at least 6 h"
EMPTY = Hold(f"the list is empty; it had 2 models. {WHEN}", HoldKind.EMPTY)


@pytest.mark.parametrize("thresholds", [STRICT, Thresholds(floor=3), Thresholds(max_loss=1.0, floor=1000)])
def test_an_empty_list_is_held_whatever_the_thresholds(thresholds: Thresholds) -> None:
    assert judged(some(0), some(2), thresholds=thresholds) == EMPTY


def test_an_empty_list_is_accepted_after_an_empty_one() -> None:
    assert judged(some(0), some(0)) == Accept()


def test_a_held_answer_is_accepted_when_the_next_one_agrees() -> None:
    assert judged(some(50), some(100), held=some(50)) == Accept(since(1))


@pytest.mark.parametrize(
    ("held", "new", "accepted"),
    [
        (some(4), some(4), True),
        (some(4), some(5), False),  # one of six is back
        (some(4), some(3), True),
        (some(40), some(46), True),  # a tenth of 60 is back
        (some(40), some(47), False),
        (some(50), some(40), True),
        (some(50), some(37), False),  # more are missing than may be at once
        (some(48), some(40, first=10), True),
        (some(50), some(36, first=12), False),
        (some(60), some(30), False),
        (some(4), listing(*some(4).records, "new-one", "new-two"), True),
    ],
)
def test_answers_agree_if_at_most_a_tenth_of_the_missing_is_back_and_few_more_are_missing(
    held: Listing,
    new: Listing,
    accepted: bool,  # noqa: FBT001
) -> None:
    before = some(10) if len(held) < 10 else some(100)
    thresholds = Thresholds(max_loss=0.25, floor=1)
    assert isinstance(judged(new, before, held=held, thresholds=thresholds), Accept) == accepted


def test_after_an_answer_that_contradicts_one_more_must_agree() -> None:
    contradicted = hold((2, some(4)), (1, some(5)))
    assert judged(some(5), some(10), holds=HoldHistory(contradicted)) == Accept(
        Agreement(2, at(1), at(1), answers=1)
    )
    assert judged(some(7), some(10), holds=HoldHistory(contradicted), thresholds=STRICT) == Hold(
        "3 of 10 models are gone at once"
    )


def test_two_parts_of_a_list_in_turn_never_agree() -> None:
    parts = [(hours, some(4, first=hours % 2 * 4)) for hours in (7, 6, 5, 4, 3, 2, 1)]
    assert judged(some(4), some(10), holds=HoldHistory(hold(*parts))) == Hold(
        "6 of 10 models are gone at once"
    )


@pytest.mark.parametrize(("seconds", "accepted"), [(0, False), (1, False), (59, False), (60, True)])
def test_answers_less_than_a_minute_apart_count_as_one(seconds: int, accepted: bool) -> None:  # noqa: FBT001
    holds = HoldHistory(hold((seconds / 3600, some(50))))
    assert isinstance(judged(some(50), some(100), holds=holds), Accept) == accepted


def test_of_three_answers_within_two_minutes_the_first_counts() -> None:
    holds = HoldHistory(hold((70 / 3600, some(50)), (40 / 3600, some(50))))
    assert judged(some(50), some(100), holds=holds) == Accept(since(70 / 3600))


@pytest.mark.parametrize(
    ("hours", "accepted"),
    [
        ((6, 4, 3, 1), True),
        ((5.4, 4, 3, 1), True),  # a tenth less is enough
        ((5.3, 4, 3, 1), False),
        ((6, 4, 3), False),
        ((96, 72, 48), False),
        ((96, 72, 48, 24), True),
        ((6, 4, 3, 0.01), False),
    ],
)
def test_an_empty_list_needs_five_answers_and_six_hours(hours: tuple[float, ...], accepted: bool) -> None:  # noqa: FBT001
    holds = HoldHistory(hold(*((each, some(0)) for each in hours), kind=HoldKind.EMPTY))
    verdict = judged(some(0), some(100), holds=holds)
    last = hours[-1] if accepted else 0
    assert verdict == (
        Accept(since(hours[0], answers=len(hours), last=last))
        if accepted
        else Hold(f"the list is empty; it had 100 models. {WHEN}", HoldKind.EMPTY)
    )


def test_empty_after_can_be_set() -> None:
    holds = HoldHistory(hold(*((each / 10, some(0)) for each in (9, 7, 5, 3)), kind=HoldKind.EMPTY))
    assert isinstance(judged(some(0), some(9), holds=holds), Hold)
    assert isinstance(
        judged(some(0), some(9), holds=holds, thresholds=Thresholds(empty_after=3600.0)), Accept
    )
    assert isinstance(judged(some(0), some(9), holds=holds, thresholds=Thresholds(empty_after=0.0)), Accept)


@pytest.mark.parametrize(("seconds", "text"), [(5400.0, ", over at least 1.5 h"), (0.0, "")])
def test_a_held_empty_list_names_when_it_is_accepted_by_the_config(seconds: float, text: str) -> None:
    verdict = judged(some(0), some(1), thresholds=Thresholds(empty_after=seconds))
    assert isinstance(verdict, Hold)
    assert verdict.reason == (
        f"the list is empty; it had 1 model. It is accepted after 5 empty answers in a row{text}"
    )


def test_an_answer_that_differs_from_the_held_one_is_held_too() -> None:
    assert judged(some(30), some(100), held=some(0)) == Hold("70 of 100 models are gone at once")
    assert judged(some(0), some(100), held=some(30)) == Hold(
        f"the list is empty; it had 100 models. {WHEN}", HoldKind.EMPTY
    )


def test_the_floor_does_not_make_an_empty_list_agree_with_a_short_one() -> None:
    generous = Thresholds(max_loss=0.25, floor=3)
    assert isinstance(judged(some(0), some(100), held=some(3), thresholds=generous), Hold)
    assert isinstance(judged(some(3), some(100), held=some(0), thresholds=generous), Hold)


def test_an_answer_like_the_current_listing_is_accepted_whatever_was_held() -> None:
    assert judged(some(99), some(100), held=some(0)) == Accept()


def test_after_a_day_the_models_that_all_held_answers_lack_are_gone() -> None:
    unsteady = hold((24, some(4)), (12, some(4, first=2)), (1, some(0)), (0.5, some(4, first=3)))
    verdict = judged(some(4), some(10), holds=HoldHistory(unsteady))
    assert isinstance(verdict, Accept)
    assert verdict.listing is not None
    assert verdict.listing == some(7)
    assert verdict.agreement == Agreement(1, at(24), at(0.5), answers=4)
    younger = hold((21.5, some(4)), (12, some(4, first=2)), (0.5, some(4, first=3)))
    assert isinstance(judged(some(4), some(10), holds=HoldHistory(younger)), Hold)


def test_after_a_day_nothing_is_accepted_if_the_answers_lack_nothing_or_everything_in_common() -> None:
    parts = hold((25, some(5)), (12, some(5, first=5)))
    assert isinstance(judged(some(5), some(10), holds=HoldHistory(parts)), Hold)
    empty = hold((25, some(0)), (12, some(0)), kind=HoldKind.EMPTY)
    assert isinstance(judged(some(0), some(10), holds=HoldHistory(empty)), Hold)


FALLBACK = Hold("prod now gets exactly the anonymous list. Was its key revoked?", HoldKind.ANONYMOUS)


@pytest.mark.parametrize("left", [90, 3])
def test_a_key_that_gets_the_anonymous_list_is_held(left: int) -> None:
    """A gateway may answer a revoked key with the anonymous list and status 200."""
    anonymous, mine = some(left), some(100)
    assert judged(anonymous, mine, anonymous=anonymous_list(anonymous)) == FALLBACK


def test_only_the_ids_of_the_anonymous_list_are_compared() -> None:
    anonymous = listing(**dict.fromkeys(some(90).records, 1))
    mine = listing(**dict.fromkeys(some(90).records, 2))
    assert judged(mine, some(100), anonymous=anonymous_list(anonymous)) == FALLBACK


def test_a_key_with_fewer_models_than_anyone_may_get_the_anonymous_list_too() -> None:
    assert judged(some(10), some(5), anonymous=anonymous_list(some(10))) == FALLBACK


def test_a_key_that_always_got_the_anonymous_list_is_accepted() -> None:
    before, now = some(100), some(99)
    assert judged(now, before, anonymous=anonymous_list(now, before)) == Accept()
    assert judged(now, now, anonymous=anonymous_list(now, before)) == Accept()
    shrunk = some(50)
    assert judged(shrunk, before, anonymous=anonymous_list(shrunk, before)) == Hold(
        "50 of 100 models are gone at once"
    )


def test_an_anonymous_list_that_was_the_first_to_change_is_no_fallback() -> None:
    """Two front ends of a gateway may serve the same change an hour apart."""
    before, now = some(100), some(99)
    assert judged(now, before, anonymous=anonymous_list(now, now, before)) == Accept()


def test_a_key_whose_own_list_is_still_the_same_is_accepted() -> None:
    mine = some(100)
    assert (
        judged(listing(*mine.records, **{"model-000": 1}), mine, anonymous=anonymous_list(mine)) == Accept()
    )


def test_an_anonymous_list_that_lost_too_much_itself_is_no_sign_of_a_revoked_key() -> None:
    verdict = judged(some(3), some(100), anonymous=anonymous_list(some(3), some(90)))
    assert verdict == Hold("97 of 100 models are gone at once")


def test_only_the_anonymous_list_itself_is_held() -> None:
    assert judged(some(99), some(100), anonymous=anonymous_list(some(90))) == Accept()
    assert judged(some(90), some(100), anonymous=None) == Accept()


def test_agreement_never_releases_the_anonymous_list() -> None:
    anonymous = some(30)
    for age in (1, 2, 400):
        answers = [(hours, anonymous) for hours in range(age, 0, -1)]
        holds = HoldHistory(hold(*answers, kind=HoldKind.ANONYMOUS))
        assert judged(anonymous, some(100), holds=holds, anonymous=anonymous_list(anonymous)) == FALLBACK


def test_an_answer_held_as_the_anonymous_list_does_not_confirm_a_loss() -> None:
    """The anonymous list may change a run before the key gets it."""
    holds = HoldHistory(hold((2, some(30)), (1, some(30)), kind=HoldKind.ANONYMOUS))
    lists = anonymous_list(some(31), some(32))
    assert judged(some(30), some(100), holds=holds, anonymous=lists) == Hold(
        "70 of 100 models are gone at once"
    )
    assert isinstance(judged(some(30), some(100), holds=holds, imported=True), Accept)


PAGES = "the answer has 3 of 100 models: set `paging`, or `complete = true`"


def test_agreement_never_releases_an_incomplete_list() -> None:
    holds = HoldHistory(hold(*((hours, some(3)) for hours in (400, 40, 4)), kind=HoldKind.INCOMPLETE))
    expected = Hold(PAGES, HoldKind.INCOMPLETE)
    assert judged(some(3), some(100), holds=holds, incomplete=PAGES) == expected
    assert judged(some(101), some(100), holds=holds, incomplete=PAGES) == expected
    assert judged(some(3), some(100), holds=holds) == Hold("97 of 100 models are gone at once")


OTHER = listing(*(f"model-{number:03}" for number in range(4, 10)), "x", "y")
"""Eight models, four of the ten of `some(10)` are missing, and two are its own."""

TWO_LISTS = Hold(
    "two lists alternate: 10 and 8 models; 2 models are only in some answers: x, y", HoldKind.ALTERNATING
)


def test_a_list_that_is_held_for_the_second_time_comes_in_turn() -> None:
    ended = (hold((5, OTHER)),)
    assert judged(OTHER, some(10)) == Hold("4 of 10 models are gone at once")
    assert judged(OTHER, some(10), holds=HoldHistory(None, ended)) == TWO_LISTS
    assert judged(some(4), some(10), holds=HoldHistory(None, ended)) == Hold(
        "6 of 10 models are gone at once"
    )


def test_few_of_many_models_in_some_answers_are_named() -> None:
    other = listing(*(f"model-{number:03}" for number in range(4)), *"abcde")
    ended = (hold((5, other)),)
    verdict = judged(other, some(10), holds=HoldHistory(None, ended))
    assert isinstance(verdict, Hold)
    assert verdict.reason.endswith("5 models are only in some answers: a, b, c and 2 more")
    part = some(4)
    verdict = judged(part, some(10), holds=HoldHistory(None, (hold((5, part)),)))
    assert verdict == Hold("two lists alternate: 10 and 4 models", HoldKind.ALTERNATING)
    empty = hold((5, some(0)), kind=HoldKind.EMPTY)
    assert judged(some(0), some(10), holds=HoldHistory(None, (empty,))) == Hold(
        "a list of 10 models and an empty one alternate", HoldKind.ALTERNATING
    )


def in_turn(*answers: tuple[float, HoldKind]) -> HoldHistory:
    """Return an open hold in which two lists come in turn."""
    return HoldHistory(
        HoldRecord(
            1,
            tuple(HeldAnswer(at(hours), 1, HeldList.of(OTHER), kind) for hours, kind in answers),
            "two lists",
        )
    )


OURS, THEIRS = HoldKind.CURRENT, HoldKind.ALTERNATING


@pytest.mark.parametrize(
    ("before", "accepted"),
    [
        (((2, OURS), (1, THEIRS)), False),
        (((2, THEIRS), (1, THEIRS)), True),
        (((1.8, THEIRS), (1, THEIRS)), True),
        (((1.7, THEIRS), (1, THEIRS)), False),
        (((3, THEIRS), (2, THEIRS), (1, OURS)), False),
        (((3, THEIRS),), False),
    ],
)
def test_the_other_list_is_accepted_after_three_answers_in_a_row_and_two_hours(
    before: tuple[tuple[float, HoldKind], ...],
    accepted: bool,  # noqa: FBT001
) -> None:
    verdict = judged(OTHER, some(10), holds=in_turn(*before))
    assert isinstance(verdict, Accept) == accepted
    assert isinstance(verdict, Accept) or verdict == TWO_LISTS


@pytest.mark.parametrize(
    ("before", "steady"),
    [
        (((2, THEIRS), (1, OURS)), False),
        (((3, THEIRS), (2, OURS), (1, OURS)), True),
        (((3, THEIRS), (1.5, OURS), (1, OURS)), False),
        (((4, OURS), (3, OURS), (1, THEIRS)), False),
    ],
)
def test_the_current_list_ends_it_after_three_answers_in_a_row_and_two_hours(
    before: tuple[tuple[float, HoldKind], ...],
    steady: bool,  # noqa: FBT001
) -> None:
    found = in_turn(*before).open
    assert found is not None
    assert is_steady(found, iso(NOW)) == steady


@given(strategies.listings(), strategies.listings())
def test_every_held_list_that_is_not_empty_is_accepted_the_second_time(
    new: Listing, current: Listing
) -> None:
    if isinstance(judged(new, current), Hold) and new.records:
        assert judged(new, current, held=new) == Accept(since(1))


@given(strategies.listings(), strategies.listings(), strategies.listings())
def test_an_unsuspicious_answer_is_accepted_whatever_was_held(
    new: Listing, current: Listing, held: Listing
) -> None:
    if judged(new, current) == Accept():
        assert judged(new, current, held=held) == Accept()


KINDS = st.sampled_from([HoldKind.ANONYMOUS, HoldKind.INCOMPLETE])
HELD = st.lists(st.tuples(st.integers(1, 600), strategies.listings(), st.none() | KINDS), max_size=6)


@given(strategies.listings(), strategies.listings(), HELD)
def test_a_held_answer_removes_no_model_that_an_answer_of_the_hold_has(
    new: Listing, current: Listing, held: list[tuple[int, Listing, HoldKind | None]]
) -> None:
    """Except where the last answers in a row agree."""
    answers = tuple(
        HeldAnswer(at(hours), 1, HeldList.of(each), kind or HoldKind.LOSS)
        for hours, each, kind in sorted(held, key=lambda one: -one[0])
    )
    verdict = judged(new, current, holds=HoldHistory(HoldRecord(1, answers) if answers else None))
    if isinstance(verdict, Accept) and verdict.listing is not None:
        gone = current.records.keys() - verdict.listing.records.keys()
        assert gone
        assert verdict.listing.records
        assert gone.isdisjoint(new.records)
        assert all(gone.isdisjoint(answer.listing.records) for answer in answers)
    if isinstance(verdict, Accept) and verdict.agreement is not None:
        after = verdict.listing or new
        gone = current.records.keys() - after.records.keys()
        agreeing = [each for each in answers if each.at >= verdict.agreement.at]
        evidence = [each for each in agreeing if each.kind == HoldKind.LOSS]
        assert all(gone.isdisjoint(answer.listing.records) for answer in evidence)


OF_KEY, OF_ALL, OF_FEW = (frozenset(each) for each in ("abcdef", "ab", "abc"))


@pytest.mark.parametrize(
    ("new", "lists", "expected"),
    [
        (OF_ALL, [(OF_ALL, OF_ALL)], True),
        (OF_ALL, [(OF_ALL, OF_KEY)], False),
        (OF_ALL, [(OF_ALL, OF_ALL), (OF_ALL, OF_KEY)], False),
        (OF_ALL, [(OF_ALL, OF_KEY), (OF_ALL, OF_ALL)], False),
        (OF_ALL, [(OF_ALL, OF_ALL), (OF_FEW, OF_KEY)], True),
        (OF_FEW, [(OF_ALL, OF_ALL)], False),
        (OF_KEY, [(OF_KEY, OF_ALL)], False),
        (OF_ALL, [], False),
    ],
)
def test_a_key_falls_back_if_none_of_the_lists_that_it_equals_was_its_own(
    new: frozenset[str], lists: list[tuple[frozenset[str], frozenset[str]]], *, expected: bool
) -> None:
    anonymous = [AnonymousList(now, (now, before)) for now, before in lists]
    assert falls_back(new, OF_KEY, anonymous, Thresholds()) is expected
