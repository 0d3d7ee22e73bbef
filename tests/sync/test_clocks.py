"""Each time that a rule waits for, with one run whose clock is wrong: ahead by a month, or far behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from support.e2e import Job, Reply, Scripted, listed, listing
from support.proving import problems

from pipeline.core.times import iso

BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
CLOCKS = {"ahead": BEGIN + timedelta(days=30), "behind": datetime(1970, 1, 1, tzinfo=UTC)}

TEN = tuple(f"m{n}" for n in range(10))
SHORT = TEN[:4]
REJECTED, BROKEN = Reply(b"{}", 401), Reply(b"{}", 500)
ONE, OTHER = listed(*TEN[:5]), listed("m0", *TEN[5:9])
"""Two lists that contradict each other, neither of which has m9."""


def priced(price: str) -> bytes:
    """Return a list whose first model has a price."""
    return listing([{"id": "m0", "pricing": {"prompt": price, "completion": price}}, {"id": "m1"}])


class Play:
    """A home that asks one scope every hour, with a mail for each run and one for each day."""

    def __init__(self, home: Path) -> None:
        self.answer: bytes | Reply = b""
        self.hour = -1
        self.lines: list[str] = []
        self.server = Scripted(
            lambda _: self.answer if isinstance(self.answer, Reply) else Reply(self.answer)
        )
        self.job = Job(home)

    def configure(self) -> None:
        """Write the config."""
        self.job.asks(self.server.url, attempts=1, confirm_after="2h")
        mails = "".join(
            f'\n[destinations.{name}]\ntype = "eml"\ndirectory = "{name}"\nevery = "{name}"\n'
            for name in ("run", "day")
        )
        self.job.configure(self.job.config.read_text("utf-8") + mails)

    def run(self, answer: bytes | Reply, clock: str | None = None) -> None:
        """Run an hour after the last run, perhaps with a wrong clock."""
        self.answer = answer
        self.hour += 1
        now = BEGIN + timedelta(hours=self.hour)
        self.lines += self.job.quick("run", at=iso(CLOCKS[clock] if clock else now)).stderr.splitlines()

    def mails(self, destination: str) -> int:
        """Return how many mails a destination has had."""
        return len(list((self.job.home / destination).glob("*.eml")))

    def health(self) -> dict[str, object]:
        """Return the state of the scope."""
        (scope,) = self.job.quick("scopes", "--json").json()
        return dict(scope)

    def steps(self) -> list[str]:
        """Return the kinds of all changes, and the steps of values that keep changing."""
        found = self.job.quick("changes", "--json", "--all").json()
        return [
            step
            for change in found
            for step in (
                change["kind"],
                *(field["flapping"]["step"] for field in change["fields"] if field.get("flapping")),
            )
        ]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    made = Play(tmp_path / "home")
    with made.server:
        made.configure()
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


TIMERS = {
    "confirm_after": Timer((FULL,), (listed(*TEN[1:]),), 2, lambda play: "removed" in play.steps()),
    "a hold of a day": Timer((FULL,), (ONE, OTHER), 22, lambda play: "removed" in play.steps()),
    "empty_after": Timer((FULL,), (listed(),), 6, is_healthy),
    "one of two lists": Timer((*(FULL, listed(*SHORT)) * 3,), (FULL,), 2, is_healthy),
    "a lasting failure": Timer((FULL,), (BROKEN,), 6, lambda play: bool(play.health()["urgent"])),
    "a value that settles": Timer(
        tuple(map(priced, ("1", "2", "1"))), (priced("2"),), 24, lambda play: "settled" in play.steps()
    ),
}


def hours_of(play: Play, timer: Timer, wrong: int | None, clock: str) -> int:
    """Return after how many hours a timer ended.

    The run of the hour `wrong` since it began has the clock; its end is looked for from an hour too early on.
    """
    runs = (*timer.before, *(timer.answers[n % len(timer.answers)] for n in range(3 * timer.hours + 3)))
    begin = len(timer.before)
    for number, answer in zip(count(-begin), runs, strict=False):
        play.run(answer, clock if number == wrong else None)
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
@pytest.mark.parametrize("wrong", [1, 2, 30])
def test_a_lasting_problem_is_logged_once_a_day_after_a_wrong_clock(
    play: Play, wrong: int, clock: str
) -> None:
    play.run(FULL)
    for hour in range(1, 98):
        play.run(REJECTED, clock if hour == wrong else None)
    # At its beginning, after each day, and perhaps once more when the clock jumps.
    assert 4 <= len(play.lines) <= 6
    assert play.mails("run") == 2


@pytest.mark.parametrize("clock", CLOCKS)
def test_daily_reports_go_on_after_a_wrong_clock(play: Play, clock: str) -> None:
    for hour in range(97):
        play.run(listed(*TEN, f"x{hour // 12}"), clock if hour == 30 else None)
    # Four days, and perhaps one more report at each jump of the clock.
    assert 4 <= play.mails("day") <= 6


@pytest.mark.parametrize("clock", CLOCKS)
def test_mails_of_an_unsteady_scope_stay_six_hours_apart_after_a_wrong_clock(play: Play, clock: str) -> None:
    play.run(FULL)
    for hour in range(1, 49):
        play.run(BROKEN if hour % 2 else FULL, clock if hour == 20 else None)
    assert 7 <= play.mails("run") <= 11
