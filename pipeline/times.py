"""Read and write moments: ISO 8601 UTC to the second, dates, and how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"^(\d{1,6})([mhdw])$", re.ASCII)


def iso(at: datetime) -> str:
    """Write a time in ISO 8601, UTC, to the second; one without a zone is taken for UTC."""
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(at: str) -> str:
    """Write a time in ISO 8601 as names of files have it: `20260501T080000Z`."""
    return at.replace("-", "").replace(":", "")


def moment(value: str, now: datetime) -> str:
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
