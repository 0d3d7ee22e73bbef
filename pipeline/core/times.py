"""When a destination is told again: at each run, or once a day or week at a time of day in its zone.

Read and write moments: ISO 8601 UTC to the second, dates, and how long ago.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often a destination is told: each `run`, or once a `day` or `week` at a time of day.

    Args:
        every: run, day or week.
        at: the time of day in `zone`.
        on: for a week, the day: 0 is Monday.
        zone: an IANA name, such as Europe/Berlin.
    """

    every: str = "run"
    at: time = time(7)
    on: int = 0
    zone: str = "UTC"


def minute(at: str) -> str:
    """Write a time for people, to the minute, UTC."""
    return f"{at[:10]} {at[11:16]}"


def duration(seconds: int) -> str:
    """Write a duration in its largest unit that is at least one: `3 h`, `5.8 days`."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds} s"


def is_due(rhythm: Schedule, told: datetime, now: datetime) -> bool:
    """Say whether it is time again; so it is, too, when the last time lies ahead: a clock was wrong then.

    Args:
        rhythm: how often.
        told: when it was time the last time; aware.
        now: aware too.
    """
    return rhythm.every == "run" or told > now or told < last_due(rhythm, now)


def last_due(rhythm: Schedule, now: datetime) -> datetime:
    """Give the last moment (UTC), up to now, that a daily or weekly rhythm names."""
    from zoneinfo import ZoneInfo  # most runs have no use for it

    local = now.astimezone(ZoneInfo(rhythm.zone))
    day = local.date()
    if rhythm.every == "week":
        day -= timedelta(days=(day.weekday() - rhythm.on) % 7)
    moment = datetime.combine(day, rhythm.at, local.tzinfo)
    if moment.astimezone(UTC) > now:
        day -= timedelta(days=7 if rhythm.every == "week" else 1)
        moment = datetime.combine(day, rhythm.at, local.tzinfo)
    return moment.astimezone(UTC)


_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


_AGO = re.compile(r"^(\d{1,6})([mhdw])$", re.ASCII)


def iso(at: datetime) -> str:
    """Write a time in ISO 8601, UTC, to the second; one without a zone is taken for UTC."""
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(at: str) -> str:
    """Write a time in ISO 8601 as names of files have it: `20260501T080000Z`."""
    return at.replace("-", "").replace(":", "")


def parse_moment(value: str, now: datetime) -> str:
    """Read `2h`, `1d`, `3w` ago, or a date, or a date and time (UTC unless it names its zone).

    Raises:
        ValueError: it is none of these; the message says what to write.
    """
    ago = _AGO.match(value)
    try:
        if ago:
            return iso(now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        return iso(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is no time: write 2h, 1d, 3w, 2026-05-01 or 2026-05-01T08:00Z") from None


def http_date(text: str) -> int | None:
    """Parse an HTTP date (`Date`, `Last-Modified`); return it in Unix seconds, None where it is not one."""
    from email.utils import parsedate_to_datetime  # imports sockets, which most commands never need

    try:
        at = parsedate_to_datetime(text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def retry_after(text: str, now: float) -> float | None:
    """Parse a `Retry-After` header, which holds seconds or an HTTP date.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after

    Args:
        text: the value of the header.
        now: the time in Unix seconds, by the clock to which the date refers.

    Returns:
        The seconds to wait, 0 for a date in the past; None where the value is neither.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    at = http_date(text)
    return None if at is None else max(0.0, at - now)
