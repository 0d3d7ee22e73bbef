"""Each time that a rule waits for, with one run whose clock is wrong: ahead by a month, or far behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from support.e2e import Reply, listed, listing
from support.plays import BEGIN, Play
from support.proving import problems

from pipeline.core.times import iso

CLOCKS = {"ahead": iso(BEGIN + timedelta(days=30)), "behind": "1970-01-01T00:00:00Z"}

TEN = tuple(f"m{n}" for n in range(10))
SHORT = TEN[:4]
REJECTED, BROKEN = Reply(b"{}", 401), Reply(b"{}", 500)
ONE, OTHER = listed(*TEN[:5]), listed("m0", *TEN[5:9])
"""Two lists that contradict each other, neither of which has m9."""


def priced(price: str) -> bytes:
    """Return a list whose first model has a price."""
    return listing([{"id": "m0", "pricing": {"prompt": price, "completion": price}}, {"id": "m1"}])


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with Play(tmp_path / "home") as made:
        yield made
    assert problems(made.job.database) == []


@dataclass(frozen=True)
class Timer:
    """A time that a rule waits for.

    Args:
        before: the answers before it begins.
        answers: the answers from then on, in turn; the first begins it.
        hours: after how many it ends.
        ended: whether it has ended.
    """

    before: tuple[bytes | Reply, ...]
    answers: tuple[bytes | Reply, ...]
    hours: int
    ended: Callable[[Play], bool]


FULL = listed(*TEN)


def is_healthy(play: Play) -> bool:
    return play.health()["state"] == "ok"


def has_settled(play: Play) -> bool:
    with sqlite3.connect(play.job.database) as db:
        return db.execute("select 1 from flaps where ended is null").fetchone() is None


TIMERS = {
    "confirm_after": Timer((FULL,), (listed(*TEN[1:]),), 2, lambda play: "removed" in play.kinds()),
    "a hold of a day": Timer((FULL,), (ONE, OTHER), 22, lambda play: "removed" in play.kinds()),
    "empty_after": Timer((FULL,), (listed(),), 6, is_healthy),
    "one of two lists": Timer((*(FULL, listed(*SHORT)) * 3,), (FULL,), 2, is_healthy),
    "a lasting failure": Timer((FULL,), (BROKEN,), 6, lambda play: bool(play.health()["urgent"])),
    "a value that settles": Timer(tuple(map(priced, ("1", "2", "1"))), (priced("2"),), 24, has_settled),
}


def hours_of(play: Play, timer: Timer, wrong: int | None, clock: str) -> int:
    """Return after how many hours a timer ended.

    The run of the hour `wrong` since it began has the clock; its end is looked for from an hour too early on.
    """
    runs = (*timer.before, *(timer.answers[n % len(timer.answers)] for n in range(3 * timer.hours + 3)))
    begin = len(timer.before)
    for number, answer in zip(count(-begin), runs, strict=False):
        play.run(answer, CLOCKS[clock] if number == wrong else None)
        if number >= timer.hours - 1 and timer.ended(play):
            return number
    raise AssertionError("it did not end")


@pytest.mark.parametrize("name", TIMERS)
def test_a_time_ends_when_it_should_by_a_right_clock(play: Play, name: str) -> None:
    assert hours_of(play, TIMERS[name], None, "") == TIMERS[name].hours


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("name", TIMERS)
def test_a_time_that_begins_with_a_wrong_clock_begins_anew_with_the_next_run(
    play: Play, name: str, clock: str
) -> None:
    assert hours_of(play, TIMERS[name], 0, clock) == TIMERS[name].hours + 1


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("name", TIMERS)
def test_a_wrong_clock_before_a_time_begins_does_not_change_it(play: Play, name: str, clock: str) -> None:
    timer = TIMERS[name]
    assert hours_of(play, timer, -len(timer.before), clock) == timer.hours


@pytest.mark.parametrize("name", TIMERS)
def test_a_clock_that_is_behind_meanwhile_does_not_change_a_time(play: Play, name: str) -> None:
    assert hours_of(play, TIMERS[name], 1, "behind") == TIMERS[name].hours


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("wrong", [1, 2, 10])
def test_a_lasting_problem_is_logged_once_a_day_after_a_wrong_clock(
    play: Play, wrong: int, clock: str
) -> None:
    play.run(FULL)
    for number in range(1, 34):
        play.run(REJECTED, CLOCKS[clock] if number == wrong else None, hours=3)
    # At its beginning, after each day, and perhaps once more when the clock jumps.
    assert 4 <= len(play.lines) <= 6
    assert len(play.mails("run")) == 2


@pytest.mark.parametrize("clock", CLOCKS)
def test_daily_reports_go_on_after_a_wrong_clock(play: Play, clock: str) -> None:
    for number in range(33):
        play.run(listed(*TEN, f"x{number // 4}"), CLOCKS[clock] if number == 10 else None, hours=3)
    # Four days, and perhaps one more report at each jump of the clock.
    assert 4 <= len(play.mails("day")) <= 6


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_failure_that_comes_and_goes_is_not_mailed_again_after_a_wrong_clock(
    play: Play, clock: str
) -> None:
    play.run(FULL)
    for hour in range(1, 49):
        play.run(BROKEN if hour % 2 else FULL, CLOCKS[clock] if hour == 20 else None)
    _, mail = play.mails("run")
    assert "keep failing and recovering, 3 times since 2 Mar 09:00 UTC" in mail
