"""Accept or hold an answer, and accept a held one when the next agrees."""

from __future__ import annotations

import pytest
from hypothesis import given
from support import strategies
from support.fakes import listing

from pipeline.core.types import Listing, Thresholds
from pipeline.sync.decide import Accept, AnonymousList, Hold, Verdict, judge

STRICT = Thresholds(max_loss=0.25, floor=0)


def some(count: int, *, first: int = 0) -> Listing:
    """Return a listing of so many models."""
    return listing(*(f"model-{number:03}" for number in range(first, first + count)))


def judged(
    new: Listing,
    current: Listing,
    *,
    held: Listing | None = None,
    anonymous: AnonymousList | None = None,
    thresholds: Thresholds = STRICT,
) -> Verdict:
    """Judge with defaults for the rest."""
    return judge(new, current=current, held=held, anonymous=anonymous, thresholds=thresholds)


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


@pytest.mark.parametrize("thresholds", [STRICT, Thresholds(floor=3), Thresholds(max_loss=1.0, floor=1000)])
def test_an_empty_list_is_held_whatever_the_thresholds(thresholds: Thresholds) -> None:
    assert judged(some(0), some(2), thresholds=thresholds) == Hold("the list is empty; it had 2 models")


def test_an_empty_list_is_accepted_after_an_empty_one() -> None:
    assert judged(some(0), some(0)) == Accept()


def test_a_held_answer_is_accepted_when_the_next_one_agrees() -> None:
    assert judged(some(50), some(100), held=some(50)) == Accept(agreed=True)


def test_an_empty_list_is_accepted_the_second_time() -> None:
    assert judged(some(0), some(100), held=some(0)) == Accept(agreed=True)


def test_two_answers_agree_when_neither_lost_too_much_of_the_other() -> None:
    assert judged(some(40), some(100), held=some(50)) == Accept(agreed=False)
    assert judged(some(48), some(100), held=some(40)) == Accept(agreed=True)
    assert judged(some(40, first=10), some(100), held=some(48)) == Accept(agreed=False)
    assert isinstance(judged(some(36, first=12), some(100), held=some(50)), Hold)
    assert isinstance(judged(some(30), some(100), held=some(60)), Hold)


def test_an_answer_that_differs_from_the_held_one_is_held_too() -> None:
    assert judged(some(30), some(100), held=some(0)) == Hold("70 of 100 models are gone at once")
    assert judged(some(0), some(100), held=some(30)) == Hold("the list is empty; it had 100 models")


def test_the_floor_does_not_make_an_empty_list_agree_with_a_short_one() -> None:
    generous = Thresholds(max_loss=0.25, floor=3)
    assert isinstance(judged(some(0), some(100), held=some(3), thresholds=generous), Hold)
    assert isinstance(judged(some(3), some(100), held=some(0), thresholds=generous), Hold)


def test_an_answer_like_the_current_listing_is_accepted_whatever_was_held() -> None:
    assert judged(some(99), some(100), held=some(0)) == Accept()


def test_a_key_that_gets_the_anonymous_list_is_held() -> None:
    """A gateway may answer a revoked key with the anonymous list and status 200."""
    anonymous, mine = some(90), some(100)
    verdict = judged(anonymous, mine, anonymous=AnonymousList(anonymous.digest, anonymous.digest))
    assert isinstance(verdict, Hold)
    assert "anonymous list" in verdict.reason


def test_a_key_that_always_got_the_anonymous_list_is_accepted() -> None:
    before, now = some(100), some(101)
    assert judged(now, before, anonymous=AnonymousList(before.digest, now.digest)) == Accept()
    assert judged(now, now, anonymous=AnonymousList(before.digest, now.digest)) == Accept()


def test_only_the_anonymous_list_itself_is_held() -> None:
    assert judged(some(99), some(100), anonymous=AnonymousList(None, some(90).digest)) == Accept()
    assert judged(some(90), some(100), anonymous=None) == Accept()


def test_the_anonymous_list_is_accepted_the_second_time() -> None:
    anonymous = some(90)
    lists = AnonymousList(anonymous.digest, anonymous.digest)
    verdict = judged(anonymous, some(100), held=anonymous, anonymous=lists)
    assert verdict == Accept(agreed=True)


@given(strategies.listings(), strategies.listings())
def test_every_held_answer_is_accepted_the_second_time(new: Listing, current: Listing) -> None:
    if isinstance(judged(new, current), Hold):
        assert judged(new, current, held=new) == Accept(agreed=True)


@given(strategies.listings(), strategies.listings(), strategies.listings())
def test_an_unsuspicious_answer_is_accepted_whatever_was_held(
    new: Listing, current: Listing, held: Listing
) -> None:
    if judged(new, current) == Accept():
        assert judged(new, current, held=held) == Accept()
