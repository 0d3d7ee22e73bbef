"""Find the time in a file's name, as people and programs write it there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from pipeline.values import moment

_DATED = re.compile(
    r"""
    (?<!\d) (?P<year>(?:19|20)\d\d) (?P<gap>[-_.]?) (?P<month>0[1-9]|1[0-2]) (?P=gap)
    (?P<day>0[1-9]|[12]\d|3[01])
    (?: [T_\ .-]* (?P<hour>[01]\d|2[0-3]) [-_.:h]? (?P<minute>[0-5]\d)
        (?: [-_.:m]? (?P<second>[0-5]\d) (?:[.,]\d{1,9})? )?
        (?P<zone> Z | \+\d\d:?\d\d | -\d\d:\d\d )?
    )?
    (?! \d | T\d )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_UNIX = re.compile(r"(?<![0-9a-f])(?:\d{13}|\d{10})(?![0-9a-f])", re.IGNORECASE)


def time_in(name: str) -> str | None:
    """Give the time that a name tells (ISO 8601 UTC), None when it tells none.

    A date with or without a time of day, in any of the usual spellings, UTC unless it names its zone; or ten
    or thirteen digits, which are seconds or milliseconds since 1970.
    """
    for dated in _DATED.finditer(name):
        at = _moment(dated)
        if at:
            return at
    unix = _UNIX.search(name)
    return moment(int(unix[0])) if unix else None


def _moment(dated: re.Match[str]) -> str | None:
    year, month, day, hour, minute, second = (int(dated[part] or 0) for part in _PARTS)
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=_zone(dated["zone"]))
        return moment(at.isoformat())
    except ValueError:  # such as 30 February
        return None


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-ahead if text[0] == "-" else ahead)
