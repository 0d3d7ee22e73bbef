"""Whether an answer is believed, and when what was held is believed after all."""

from __future__ import annotations

import pytest
from hypothesis import given
from support import strategies
from support.fakes import listing

from pipeline.core.types import Digest, Listing, Thresholds
from pipeline.sync.decide import Accept, AnonymousList, Hold, Verdict, judge

STRICT = Thresholds(max_loss=0.25, floor=0)


def some(count: int, *, first: int = 0) -> Listing:
    """Give a listing of so many models."""
    return listing(*(f"model-{number:03}" for number in range(first, first + count)))


def judged(
    new: Listing,
    known: Listing,
    *,
    held: Listing | None = None,
    anonymous: AnonymousList | None = None,
    thresholds: Thresholds = STRICT,
) -> Verdict:
    """Judge with what a test does not care about left out."""
    return judge(new, current=known, held=held, anonymous=anonymous, thresholds=thresholds)


def test_a_listing_that_lost_nothing_is_accepted() -> None:
    """Models may come in any number."""
    assert judged(some(500), some(4)) == Accept()


@pytest.mark.parametrize(("left", "believed"), [(100, True), (76, True), (75, True), (74, False), (1, False)])
def test_the_share_that_may_be_gone_has_a_sharp_edge(left: int, believed: bool) -> None:  # noqa: FBT001
    """A quarter of a hundred may be gone; one more is held, with both numbers in the reason."""
    verdict = judged(some(left), some(100))
    expected = Accept() if believed else Hold(f"{100 - left} of 100 models are gone at once")
    assert verdict == expected


def test_models_that_came_do_not_make_up_for_those_that_went() -> None:
    """A list of the same length with other models in it has lost them all."""
    assert judged(some(8, first=100), some(8)) == Hold("8 of 8 models are gone at once")


@pytest.mark.parametrize(
    ("known", "left", "believed"), [(4, 1, True), (4, 2, True), (5, 1, False), (3, 1, True)]
)
def test_a_short_list_may_lose_a_few(known: int, left: int, believed: bool) -> None:  # noqa: FBT001
    """Up to the floor, models may be gone from any list, whatever their share."""
    verdict = judged(some(left), some(known), thresholds=Thresholds(max_loss=0.25, floor=3))
    assert isinstance(verdict, Accept) == believed


@pytest.mark.parametrize("thresholds", [STRICT, Thresholds(floor=3), Thresholds(max_loss=1.0, floor=1000)])
def test_an_empty_list_is_held_where_there_were_models(thresholds: Thresholds) -> None:
    """Whatever may be gone, all at once is a broken gateway before it is the truth."""
    assert judged(some(0), some(2), thresholds=thresholds) == Hold("the list is empty; it had 2 models")


def test_an_empty_list_is_no_surprise_where_there_were_none() -> None:
    """Nothing is gone."""
    assert judged(some(0), some(0)) == Accept()


def test_a_held_answer_is_believed_when_the_next_one_agrees() -> None:
    """Two complete answers in a row that say the same are the truth."""
    assert judged(some(50), some(100), held=some(50)) == Accept(agreed=True)


def test_an_empty_list_is_believed_the_second_time() -> None:
    """A key may really have lost everything; nothing is held for ever."""
    assert judged(some(0), some(100), held=some(0)) == Accept(agreed=True)


def test_agreeing_leaves_room_for_what_lists_do_anyway() -> None:
    """The second answer need not be the first to the letter: each may lack of the other what may be gone."""
    assert judged(some(40), some(100), held=some(50)) == Accept(agreed=False)
    assert judged(some(48), some(100), held=some(40)) == Accept(agreed=True)
    assert judged(some(40, first=10), some(100), held=some(48)) == Accept(agreed=False)
    assert isinstance(judged(some(36, first=12), some(100), held=some(50)), Hold)
    assert isinstance(judged(some(30), some(100), held=some(60)), Hold)


def test_a_flaky_gateway_is_held_again() -> None:
    """Empty and then a part is two different stories, and so is a part and then empty."""
    assert judged(some(30), some(100), held=some(0)) == Hold("70 of 100 models are gone at once")
    assert judged(some(0), some(100), held=some(30)) == Hold("the list is empty; it had 100 models")


def test_the_floor_does_not_make_an_empty_list_agree_with_a_short_one() -> None:
    """Three models and none are two answers, although three may be gone."""
    generous = Thresholds(max_loss=0.25, floor=3)
    assert isinstance(judged(some(0), some(100), held=some(3), thresholds=generous), Hold)
    assert isinstance(judged(some(3), some(100), held=some(0), thresholds=generous), Hold)


def test_an_answer_like_the_known_one_is_accepted_whatever_was_held() -> None:
    """A held answer that was a mistake leaves no trace in the verdict."""
    assert judged(some(99), some(100), held=some(0)) == Accept()


def digest_of(known: Listing) -> Digest:
    """Give a listing's digest."""
    return known.digest


def test_a_key_that_gets_what_nobody_gets_is_held() -> None:
    """A gateway that does not know a key any more may answer as to nobody, with status 200."""
    nobody, mine = some(90), some(100)
    verdict = judged(nobody, mine, anonymous=AnonymousList(nobody.digest, nobody.digest))
    assert isinstance(verdict, Hold)
    assert "anonymous list" in verdict.reason


def test_a_key_that_always_got_what_nobody_gets_is_not_held() -> None:
    """Where a key opens nothing more, both lists move together."""
    before, now = some(100), some(101)
    assert judged(now, before, anonymous=AnonymousList(before.digest, now.digest)) == Accept()
    assert judged(now, now, anonymous=AnonymousList(before.digest, now.digest)) == Accept()


def test_nobodys_list_is_no_concern_to_another_answer() -> None:
    """Only a list that is equal to nobody's is suspicious, and only where nobody is asked."""
    assert judged(some(99), some(100), anonymous=AnonymousList(None, some(90).digest)) == Accept()
    assert judged(some(90), some(100), anonymous=None) == Accept()


def test_nobodys_list_is_believed_the_second_time() -> None:
    """A key may really have been moved to the default group."""
    nobody = some(90)
    verdict = judged(nobody, some(100), held=nobody, anonymous=AnonymousList(nobody.digest, nobody.digest))
    assert verdict == Accept(agreed=True)


@given(strategies.listings(), strategies.listings())
def test_whatever_is_held_is_believed_the_second_time(new: Listing, known: Listing) -> None:
    """The same answer twice is never held twice."""
    if isinstance(judged(new, known), Hold):
        assert judged(new, known, held=new) == Accept(agreed=True)


@given(strategies.listings(), strategies.listings(), strategies.listings())
def test_a_verdict_does_not_change_with_what_was_held_unless_the_answer_is_suspicious(
    new: Listing, known: Listing, held: Listing
) -> None:
    """An answer beyond suspicion is simply accepted."""
    if judged(new, known) == Accept():
        assert judged(new, known, held=held) == Accept()
