"""Daily and weekly reports go at their time of day, in their zone, once."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.times import Schedule, is_due, last_due

BERLIN = Schedule("day", time(7, 30), zone="Europe/Berlin")


def utc(text: str) -> datetime:
    """Read a time."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rhythm", "now", "then"),
    [
        (Schedule("day", time(7)), "2026-05-01T07:00", "2026-05-01T07:00"),
        (Schedule("day", time(7)), "2026-05-01T06:59", "2026-04-30T07:00"),
        (BERLIN, "2026-01-05T06:30", "2026-01-05T06:30"),
        (BERLIN, "2026-07-05T06:29", "2026-07-05T05:30"),
        # The hour that is left out in spring, and the one that comes twice in autumn.
        (Schedule("day", time(2, 30), zone="Europe/Berlin"), "2026-03-29T12:00", "2026-03-29T01:30"),
        (Schedule("day", time(2, 30), zone="Europe/Berlin"), "2026-10-25T12:00", "2026-10-25T00:30"),
        # 4 May 2026 is a Monday.
        (Schedule("week", time(7), on=0), "2026-05-04T07:00", "2026-05-04T07:00"),
        (Schedule("week", time(7), on=0), "2026-05-04T06:00", "2026-04-27T07:00"),
        (Schedule("week", time(7), on=6), "2026-05-04T12:00", "2026-05-03T07:00"),
        (Schedule("week", time(1), on=0, zone="Asia/Tokyo"), "2026-05-03T16:30", "2026-05-03T16:00"),
    ],
)
def test_the_last_time_that_was_named(rhythm: Schedule, now: str, then: str) -> None:
    """By the clock on the wall where the reader is."""
    assert last_due(rhythm, utc(now)) == utc(then)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.sampled_from(["day", "week"]))
def test_however_often_somebody_looks_it_is_due_once_in_its_time(minutes: list[int], every: str) -> None:
    """Between two times that are named it is due at the first look, and at no other."""
    rhythm = Schedule(every, time(7, 30), zone="America/New_York")
    now = told = utc("2026-10-30T00:00")
    times = []
    for step in minutes:
        now += timedelta(minutes=step)
        if is_due(rhythm, told, now):
            times.append(last_due(rhythm, now))
            told = now
    assert times == sorted(set(times))
    assert last_due(rhythm, now) in [*times, last_due(rhythm, utc("2026-10-30T00:00"))]


def test_each_run_is_due_at_each_run() -> None:
    """That is what it says."""
    assert is_due(Schedule("run"), utc("2026-05-01T07:00"), utc("2026-05-01T07:00"))


def test_a_last_time_that_lies_ahead_is_a_wrong_clock() -> None:
    """It is due, rather than not before that time has come."""
    assert is_due(Schedule("day"), utc("2027-05-01T07:00"), utc("2026-05-01T06:00"))
