"""What is said of watched models that may be missing: on standard error, by `watch`, and in mails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.e2e import Reply, listed
from support.plays import Play
from support.proving import problems

TEN = tuple(f"m{n}" for n in range(10))
FULL, WITHOUT = listed(*TEN), listed(*TEN[1:])
REFUSED = Reply(b"{}", 401)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with Play(tmp_path / "home", '[watch]\nmodels = ["m0"]\n') as made:
        yield made
    assert problems(made.job.database) == []


def test_a_flapping_watched_model_is_said_twice_with_its_returns_and_then_no_more(play: Play) -> None:
    play.run(FULL)
    for _ in range(12):
        play.run(WITHOUT)
        play.run(FULL)
    assert len(play.lines) == 4
    assert ["offered again" in line for line in play.lines] == [False, True, False, True]
    assert len(play.mails("run")) == 1 + 4


def test_a_flapping_watched_model_that_stays_away_is_said_then_daily_and_when_removed(play: Play) -> None:
    play.run(FULL)
    for _ in range(5):
        play.run(WITHOUT)
        play.run(FULL)
    before = len(play.lines)
    for _ in range(16):
        play.run(WITHOUT, hours=2)
    missing, reminder, removed = play.lines[before:]
    assert "may be missing" in missing
    assert "may be missing" in reminder
    assert "removed, missing since" in removed


def test_watch_names_the_answers_that_a_flapping_model_still_needs(play: Play) -> None:
    play.run(FULL)
    for _ in range(2):
        play.run(WITHOUT)
        play.run(FULL)
    play.run(WITHOUT)
    assert "1 of 4 answers, removed after 3 more, at the earliest 2026-03-02 14:48" in play.command("watch")
    play.run(WITHOUT, hours=3)
    assert "2 of 4 answers, removed after 2 more: local/public" in play.command("watch")


@pytest.mark.parametrize("clock", ["2026-04-01T08:00:00Z", "1970-01-01T00:00:00Z"])
def test_a_watched_removal_that_begins_with_a_wrong_clock_is_said_once(play: Play, clock: str) -> None:
    play.run(FULL)
    lines, _ = play.run(WITHOUT, clock)
    assert len(lines) == 1
    play.run(WITHOUT)
    play.run(WITHOUT)
    # From 1970 to now, days have ended.
    assert len(play.lines) == (2 if clock < play.now else 1)
    assert "removed at the earliest 2026-03-02 11:48" in play.command("watch")
    lines, _ = play.run(WITHOUT)
    assert "removed, missing since" in lines[0]


def test_each_state_of_a_watched_model_has_its_own_words(play: Play) -> None:
    play.run(FULL)
    play.run(REFUSED)
    assert (
        "unknown, the scope is failing since 2026-03-02 09:00, last offered 2026-03-02 08:00"
        in play.command("watch")
    )
    assert "offered to local/public" not in play.command("watch")
    play.run(listed(*TEN[5:]))
    assert "missing from the answer held since 2026-03-02 10:00: local/public" in play.command("watch")
    play.run(FULL)
    play.run(WITHOUT)
    assert "may be missing since 2026-03-02 12:00, 1 of 2 answers" in play.command("watch")
    play.run(WITHOUT)
    play.run(WITHOUT)
    assert "removed, missing since 2026-03-02 12:00: local/public" in play.command("watch")


def test_a_removal_by_an_accepted_hold_is_missing_since_the_first_held_answer_everywhere(play: Play) -> None:
    held = listed(*TEN[6:])
    play.run(FULL)
    play.run(held)
    lines, (mail,) = play.run(held)
    since, earliest = "09:00", "10:48"
    for text in (*(line for line in lines if "may be missing" in line), play.command("watch")):
        assert f"may be missing since 2026-03-02 {since}, 2 answers; removed at the earliest" in text
        assert f"2026-03-02 {earliest}" in text
    assert f"m0: missing in local/public since 2 Mar {since} UTC, not confirmed yet" in mail
    assert f"Missing from 2 answers; removed at the earliest 2 Mar {earliest} UTC." in mail
    lines, (mail,) = play.run(FULL, hours=0.5)
    assert any(f"offered again, missing since 2026-03-02 {since}" in line for line in lines)
    assert "after 1.5 h" in mail


def test_a_long_absence_of_a_flapping_watched_model_is_said_once_and_so_is_its_return(play: Play) -> None:
    play.run(FULL)
    for _ in range(5):
        play.run(WITHOUT)
        play.run(FULL)
    for _ in range(2):
        before = len(play.lines), len(play.mails("run"))
        for _ in range(6):
            play.run(WITHOUT)
        play.run(FULL)
        missing, back = play.lines[before[0] :]
        assert "it keeps coming and going, 3 of 16 answers, removed after 13 more" in missing
        assert "offered again" in back
        said, returned = play.mails("run")[before[1] :]
        assert "ACTION NEEDED" in said
        assert "It keeps coming and going, so that its removal needs more answers." in said
        assert "after 6 h" in returned
