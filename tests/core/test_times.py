"""Moments and durations as text, HTTP dates, and the schedule of a digest."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from email.utils import formatdate
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.times import (
    Schedule,
    duration,
    has_lasted,
    is_due,
    last_due,
    next_due,
    parse_duration,
    parse_http_date,
    parse_moment,
    retry_after,
)

BERLIN = Schedule("day", time(7, 30), zone="Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        (Schedule("day", time(7)), "2026-05-01T07:00", "2026-05-01T07:00"),
        (Schedule("day", time(7)), "2026-05-01T06:59", "2026-04-30T07:00"),
        (BERLIN, "2026-01-05T06:30", "2026-01-05T06:30"),
        (BERLIN, "2026-07-05T06:29", "2026-07-05T05:30"),
        # The hour that is skipped in spring, and the one that is repeated in autumn.
        (Schedule("day", time(2, 30), zone="Europe/Berlin"), "2026-03-29T12:00", "2026-03-29T01:30"),
        (Schedule("day", time(2, 30), zone="Europe/Berlin"), "2026-10-25T12:00", "2026-10-25T00:30"),
        # 4 May 2026 is a Monday.
        (Schedule("week", time(7), on=0), "2026-05-04T07:00", "2026-05-04T07:00"),
        (Schedule("week", time(7), on=0), "2026-05-04T06:00", "2026-04-27T07:00"),
        (Schedule("week", time(7), on=6), "2026-05-04T12:00", "2026-05-03T07:00"),
        (Schedule("week", time(1), on=0, zone="Asia/Tokyo"), "2026-05-03T16:30", "2026-05-03T16:00"),
    ],
)
def test_the_last_due_time_is_that_of_the_zone(schedule: Schedule, now: str, due: str) -> None:
    assert last_due(schedule, utc(now)) == utc(due)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.sampled_from(["day", "week"]))
def test_a_report_is_due_once_between_two_due_times(minutes: list[int], every: str) -> None:
    schedule = Schedule(every, time(7, 30), zone="America/New_York")
    now = previous = utc("2026-10-30T00:00")
    times = []
    for step in minutes:
        now += timedelta(minutes=step)
        if is_due(schedule, previous, now):
            times.append(last_due(schedule, now))
            previous = now
    assert times == sorted(set(times))
    assert last_due(schedule, now) in [*times, last_due(schedule, utc("2026-10-30T00:00"))]


def test_a_schedule_of_every_run_is_always_due() -> None:
    assert is_due(Schedule("run"), utc("2026-05-01T07:00"), utc("2026-05-01T07:00"))


def test_a_previous_time_years_in_the_future_is_due() -> None:
    assert is_due(Schedule("day"), utc("2027-05-01T07:00"), utc("2026-05-01T06:00"))


NOW = 1_790_000_000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("\u0664", None),
        ("soon", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        (f"Mon, 01 Jan 2024 00:00:00 +{'9' * 30}", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_an_http_date_is_parsed_in_its_forms(text: str, at: int | None) -> None:
    assert parse_http_date(text) == at


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", "2026-05-01T06:00:00Z"),
        ("1d", "2026-04-30T08:00:00Z"),
        ("3w", "2026-04-10T08:00:00Z"),
        ("2026-04-01", "2026-04-01T00:00:00Z"),
        ("2026-04-01T10:00+02:00", "2026-04-01T08:00:00Z"),
        ("2026-04-01 10:00", "2026-04-01T10:00:00Z"),
        ("2 hours ago", "2026-05-01T06:00:00Z"),
        ("2hours", "2026-05-01T06:00:00Z"),
        ("an hour ago", "2026-05-01T07:00:00Z"),
        ("90 min ago", "2026-05-01T06:30:00Z"),
        ("1 day ago", "2026-04-30T08:00:00Z"),
        (" 2  Days  Ago ", "2026-04-29T08:00:00Z"),
        ("a week ago", "2026-04-24T08:00:00Z"),
        ("2 months ago", "2026-03-02T08:00:00Z"),
        ("1y", "2025-05-01T08:00:00Z"),
        ("now", "2026-05-01T08:00:00Z"),
        ("today", "2026-05-01T00:00:00Z"),
        ("Yesterday", "2026-04-30T00:00:00Z"),
        ("yesterday 9:30", "2026-04-30T09:30:00Z"),
        ("friday", "2026-05-01T00:00:00Z"),
        ("last friday", "2026-04-24T00:00:00Z"),
        ("saturday", "2026-04-25T00:00:00Z"),
        ("Thu 23:15:30", "2026-04-30T23:15:30Z"),
        ("last thu", "2026-04-30T00:00:00Z"),
    ],
)
def test_a_moment_is_relative_or_a_date(text: str, moment: str) -> None:
    assert parse_moment(text, utc("2026-05-01T08:00")) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "2x", "9999999d", "999999w", "\u0662h", "2 ds ago", "hour ago", "-2h", "1.5h"),
        *("yesterday 25:00", "yesterday9:30", "mond", "last today", "2026-02-30", "tomorrow", "999999 y"),
    ],
)
def test_another_text_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="write 2h"):
        parse_moment(text, utc("2026-05-01T08:00"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (5400, "1.5 h"), (86400, "1 day"), (501_120, "5.8 days")],
)
def test_a_duration_is_in_its_largest_unit(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("90s", 90), ("30m", 1800), (" 2h ", 7200), ("1d", 86400), ("1w", 604800)],
)
def test_a_duration_is_a_number_with_a_unit_or_of_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "2 h", "-1h", "1.5h", "2y", "1h30m", "٣h"])
def test_another_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write 30m, 2h or 1d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("since", "seconds", "lasted"),
    [
        ("2026-05-01T06:00:00Z", 7200, True),
        ("2026-05-01T06:12:00Z", 7200, True),
        ("2026-05-01T06:12:01Z", 7200, False),
        ("2026-05-01T09:00:00Z", 7200, False),
        ("2026-05-01T09:00:00Z", 0, True),
    ],
)
def test_a_time_has_lasted_after_nine_tenths(since: str, seconds: float, *, lasted: bool) -> None:
    assert has_lasted(since, "2026-05-01T08:00:00Z", seconds) == lasted


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC"])
@pytest.mark.parametrize("every", ["day", "week"])
@pytest.mark.parametrize("at", ["01:45", "02:15", "02:30", "07:00"])
def test_each_day_or_week_has_one_due_report_through_both_changes_to_daylight_saving(
    zone: str, every: str, at: str
) -> None:
    """In the gap of the spring and the hour that comes twice in autumn, too."""
    schedule = Schedule(every, time.fromisoformat(at), on=6, zone=zone)
    previous = now = utc("2026-03-01T00:00")
    days: list[date] = []
    while now < utc("2026-11-20T00:00"):
        if is_due(schedule, previous, now):
            days.append(now.astimezone(ZoneInfo(zone)).date())
            previous = now
        now += timedelta(minutes=15)
    # The first run reports what was due before it.
    step = 7 if every == "week" else 1
    assert {(later - earlier).days for earlier, later in pairwise(days[1:])} == {step}
    assert every == "day" or {day.weekday() for day in days[1:]} == {6}


@pytest.mark.parametrize(("every", "back"), [("day", 1), ("day", 20), ("week", 1), ("week", 100)])
def test_a_clock_that_is_set_back_makes_no_second_report_of_a_day_or_week(every: str, back: int) -> None:
    schedule = Schedule(every, time(7), on=3)
    sent = utc("2026-05-07T07:10")
    for hours in range(back + 12):
        assert not is_due(schedule, sent, sent + timedelta(hours=hours - back))
    assert is_due(schedule, sent, sent + timedelta(days=7 if every == "week" else 1))


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        (Schedule("day", time(7, 30), zone="Europe/Berlin"), "2026-05-01T04:00:00Z", "2026-05-01T05:30:00Z"),
        (Schedule("day", time(7, 30), zone="Europe/Berlin"), "2026-05-01T05:30:00Z", "2026-05-02T05:30:00Z"),
        # The clocks go back in that night.
        (Schedule("day", time(7, 30), zone="Europe/Berlin"), "2026-10-24T12:00:00Z", "2026-10-25T06:30:00Z"),
        (Schedule("week", time(7), on=2), "2026-05-01T12:00:00Z", "2026-05-06T07:00:00Z"),
    ],
)
def test_the_next_due_time_is_that_of_the_zone(schedule: Schedule, now: str, due: str) -> None:
    assert next_due(schedule, utc(now)) == utc(due)
