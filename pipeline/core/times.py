"""Moments and durations as text, HTTP dates, and the schedule of reports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from msgspec import Struct

from pipeline.core.caches import cache_short

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(
    r"(\d{1,6}|an?)\s*(m|min|minute|h|hour|d|day|w|week|month|y|year)(?:(?<=\w{3})s)?(\s+ago)?", re.ASCII
)
_DAYS_AGO = {"d": 1, "w": 7, "month": 30, "y": 365}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = re.compile(
    rf"(today|yesterday|(?:last\s+)?(?:{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _WEEKDAYS)}))"
    r"(?:\s+(\d{1,2}:\d\d(?::\d\d)?))?",
    re.ASCII,
)
_DURATION = re.compile(r"^(\d{1,9})([smhdw]?)$", re.ASCII)

APART = 60.0
"""Answers to runs that begin less than so many seconds apart count as one."""

TOLERANCE = 0.9
"""The share of a time after which it counts as passed."""


def iso(at: datetime) -> str:
    """Return a moment in ISO 8601, UTC, to the second; without a zone it is in UTC."""
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(at: str) -> str:
    """Return an ISO 8601 moment for a file name: `20260501T080000Z`."""
    return at.replace("-", "").replace(":", "")


def minute(at: str) -> str:
    """Return an ISO 8601 moment for people, to the minute: `2026-05-01 08:00`."""
    return f"{at[:10]} {at[11:16]}"


def duration(seconds: int) -> str:
    """Return a duration in its largest unit that is at least one: `3 h`, `5.8 days`."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            number = f"{seconds / size:.1f}".removesuffix(".0")
            return "1 day" if (number, unit) == ("1", "days") else f"{number} {unit}"
    return f"{seconds} s"


def seconds_between(before: str, after: str) -> float:
    """Return the seconds from one ISO 8601 moment to another; negative if the second is earlier."""
    return (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds()


def elapsed(since: str, until: str) -> int:
    """Return the whole seconds between two ISO 8601 moments; 0 if the clock was set back between them."""
    return max(0, int(seconds_between(since, until)))


def shifted(at: str, seconds: float) -> str:
    """Return the moment some seconds after another, both ISO 8601 UTC; before it for a negative number."""
    return iso(datetime.fromisoformat(at) + timedelta(seconds=seconds))


def are_apart(before: str, after: str) -> bool:
    """Return whether two runs (starts in ISO 8601 UTC) count as two."""
    return not 0 <= seconds_between(before, after) < APART


def counted_runs(starts: Iterable[str]) -> list[str]:
    """Return the starts of runs (ISO 8601 UTC), oldest first, without those that do not count as another."""
    found: list[str] = []
    for at in starts:
        if not found or are_apart(found[-1], at):
            found.append(at)
    return found


def has_lasted(since: str, now: str, seconds: float) -> bool:
    """Return whether nine tenths of a time have passed since a moment (ISO 8601): schedules are not exact."""
    return not seconds or seconds_between(since, now) >= TOLERANCE * seconds


def parse_duration(text: str) -> float:
    """Parse `90s`, `30m`, `2h`, `1d` or `1w`, or a number of seconds; return the seconds.

    Raises:
        ValueError: it is none of these; the message says what to write.
    """
    found = _DURATION.match(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no duration: write 30m, 2h or 1d, or a number of seconds")
    try:
        return timedelta(**{_UNITS[found[2] or "s"]: int(found[1])}).total_seconds()
    except OverflowError:
        raise ValueError(f"{text!r} is no duration: it is too long") from None


MOMENTS = "2h, 3d, '2 weeks ago', yesterday, monday, 2026-05-01 or 2026-05-01T08:00Z"
"""What to write as a time, for messages."""


def parse_moment(text: str, now: datetime) -> str:
    """Parse a moment in any form that people write; what names no zone is in UTC.

    * `2h`, `1d`, `3w`, `2 days ago`, `an hour ago`: so long before now; a month has 30 days, a year 365
    * `now`; `today`, `yesterday`, `monday`, `last fri`: the beginning of that day, or with a time of day,
      `yesterday 14:30`. A weekday is the latest one, which may be today; with `last` it is before today.
    * `2026-05-01`, `2026-05-01 08:00`, `2026-05-01T08:00+02:00`: ISO 8601

    Returns:
        The moment as `iso` returns it.

    Raises:
        ValueError: it is none of these; the message says what to write.
    """
    words = text.strip().lower()
    try:
        if words == "now":
            return iso(now)
        if ago := _AGO.fullmatch(words):
            return iso(now - _time_ago(ago[1], ago[2]))
        if day := _DAY.fullmatch(words):
            of_day = time.fromisoformat(day[2].zfill(5) if day[2] else "00:00")
            return iso(datetime.combine(_day(day[1], now.astimezone(UTC).date()), of_day, UTC))
        return iso(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write {MOMENTS}") from None


def parse_end(text: str, now: datetime) -> str:
    """Parse a moment to come: `12h`, `14d` or `2w` from now, or ISO 8601; what names no zone is in UTC.

    Returns:
        The moment as `iso` returns it.

    Raises:
        ValueError: it is neither; the message says what to write.
    """
    words = text.strip()
    try:
        if words[-1:].isalpha() and words[-1:] != "Z":
            return iso(now + timedelta(seconds=parse_duration(words)))
        return iso(datetime.fromisoformat(words))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time to come: write 14d, 12h, 2026-12-24 or 2026-12-24T08:00Z"
        ) from None


def _time_ago(number: str, unit: str) -> timedelta:
    times = int(number) if number.isdigit() else 1
    if unit == "month":
        return timedelta(days=times * _DAYS_AGO[unit])
    if unit[0] in _DAYS_AGO:
        return timedelta(days=times * _DAYS_AGO[unit[0]])
    return timedelta(**{_UNITS[unit[0]]: times})


def _day(words: str, today: date) -> date:
    """Return the day that is called `today`, `yesterday`, `monday` or `last monday`."""
    *last, name = words.split()
    if name in ("today", "yesterday"):
        return today - timedelta(days=name == "yesterday")
    weekday = [each[:3] for each in _WEEKDAYS].index(name[:3])
    back = (today.weekday() - weekday) % 7
    return today - timedelta(days=back or (7 if last else 0))


@cache_short(16, 64)
def parse_http_date(text: str) -> int | None:
    """Return an HTTP date in Unix seconds; None for anything else.

    See https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7.
    """
    from email.utils import parsedate_to_datetime  # slow to import, and needed only with HTTP

    try:
        at = parsedate_to_datetime(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds to wait by a `Retry-After` header: a number of seconds, or an HTTP date.

    See https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3.

    Args:
        value: the header's value; "" where it is missing.
        now: Unix seconds, by the server's clock where it is known.

    Returns:
        0 for a date that is past; None for a value that is neither.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    at = parse_http_date(value)
    return None if at is None else max(0.0, at - now)


class Schedule(Struct, frozen=True):
    """When a destination gets its report: after every `run`, or once a `day` or `week` at a time of day.

    Args:
        every: run, day or week.
        at: the time of day in `zone`.
        on: the weekday of a weekly report; 0 is Monday.
        zone: an IANA name, such as Europe/Berlin.
    """

    every: str = "run"
    at: time = time(7)
    on: int = 0
    zone: str = "UTC"


def is_due(schedule: Schedule, previous: datetime, now: datetime) -> bool:
    """Return whether the next report is due.

    A previous time in the future is one before the clock was set back: the next report is due as if it were
    right. One that is more than a day or week ahead, as the schedule has it, counts as due: the clock was
    wrong then, and the next report may be years away.

    Args:
        schedule: how often.
        previous: when the last report was due; aware.
        now: aware.
    """
    if schedule.every == "run":
        return True
    period = timedelta(weeks=1) if schedule.every == "week" else timedelta(days=1)
    return previous > now + period or previous < last_due(schedule, now)


def local_time(at: str, zone: str) -> datetime:
    """Return a time (ISO 8601 UTC) in a time zone (an IANA name)."""
    from zoneinfo import ZoneInfo  # most runs do not need it

    return datetime.fromisoformat(at).astimezone(ZoneInfo(zone))


def local_day(at: str, zone: str) -> date:
    """Return the day of a time (ISO 8601 UTC) in a time zone (an IANA name)."""
    return date.fromisoformat(at[:10]) if zone == "UTC" else local_time(at, zone).date()


def midnight(day: date, zone: str) -> str:
    """Return the beginning (ISO 8601 UTC) of a day in a time zone (an IANA name)."""
    from zoneinfo import ZoneInfo

    return iso(datetime.combine(day, time(), ZoneInfo(zone)))


def zone_name(moment: datetime) -> str:
    """Return the abbreviation of the zone of a time: `CET`, else its distance from UTC: `UTC+5:45`."""
    name = moment.tzname() or ""
    if name.isalpha():
        return name
    minutes = round((moment.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"


def last_due(schedule: Schedule, now: datetime) -> datetime:
    """Return the last moment (UTC) not after now at which a daily or weekly report is due."""
    from zoneinfo import ZoneInfo  # most runs do not need it

    local = now.astimezone(ZoneInfo(schedule.zone))
    day = local.date()
    if schedule.every == "week":
        day -= timedelta(days=(day.weekday() - schedule.on) % 7)
    moment = datetime.combine(day, schedule.at, local.tzinfo)
    if moment.astimezone(UTC) > now:
        day -= timedelta(days=7 if schedule.every == "week" else 1)
        moment = datetime.combine(day, schedule.at, local.tzinfo)
    return moment.astimezone(UTC)


def next_due(schedule: Schedule, now: datetime) -> datetime:
    """Return the next moment after now at which a daily or weekly report is due, in the schedule's zone."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(schedule.zone)
    day = last_due(schedule, now).astimezone(zone).date()
    day += timedelta(days=7 if schedule.every == "week" else 1)
    return datetime.combine(day, schedule.at, zone)
