"""Read single values as gateways write them: prices, lengths, times, dates, sets of names."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.core.canonical import as_text

PLACEHOLDERS = frozenset({0, 1626777600, 1677610602})
"""Values of `created` that server software writes for every model: they tell nothing."""


LARGEST = 2**53
"""Beyond this a number is a mistake: no double holds it exactly."""


_MILLISECONDS_FROM = 100_000_000_000


_LATEST = 253_402_300_799  # the last second of the year 9999


_EPOCH_YEAR = 1970


_FARTHEST_YEAR = 2090  # dates beyond are a way to write "never"


_THOUSANDS = re.compile(r"^(\d+(?:\.\d+)?)\s*([kKmM])?$")


def parse_price(value: Any) -> Decimal | None:
    """Read a price: a number or its text; a negative one says "it depends", which is no price."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        found = Decimal(value.strip().lstrip("$") if isinstance(value, str) else value)
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 <= found < LARGEST else None


def parse_length(value: Any) -> int | None:
    """Read a length in tokens: 128000, 256000.0, "1,000", "128k"; 0, "" and below say nothing."""
    if isinstance(value, str):
        spelled = _THOUSANDS.match(value.strip().replace(",", ""))
        if not spelled:
            return None
        factor = {"k": 1000, "m": 1_000_000}.get((spelled[2] or "").lower(), 1)
        value = Decimal(spelled[1]) * factor
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value) if 0 < value < LARGEST else None


def parse_text(value: Any) -> str | None:
    """Read a text; what is no text is given as JSON, and nothing or "" as None."""
    if value is None or value in ("", [], {}):
        return None
    if isinstance(value, str):
        return value
    return as_text(value)


def parse_names(value: Any) -> tuple[str, ...] | None:
    """Read a set of names: an array, a comma-joined text, or an object of flags; sorted, None when empty."""
    match value:
        case str():
            found = [part.strip() for part in value.split(",")]
        case list():
            found = [item if isinstance(item, str) else as_text(item) for item in value if item is not None]
        case dict():
            found = [name for name, flag in value.items() if _is_on(flag)]
        case _:
            return None
    return tuple(sorted({name for name in found if name})) or None


def _is_on(flag: Any) -> bool:
    return flag is True or (isinstance(flag, dict) and flag.get("supported") is True)


def parse_timestamp(value: Any) -> str | None:
    """Read a time: seconds or milliseconds since 1970, or ISO 8601; placeholders say nothing."""
    if isinstance(value, str):
        return _iso_moment(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value in PLACEHOLDERS:
        return None
    if not 0 < value <= _LATEST * 1000:
        return None
    seconds = int(value) // 1000 if value >= _MILLISECONDS_FROM else int(value)
    return _written(datetime.fromtimestamp(seconds, UTC))


def _iso_moment(value: str) -> str | None:
    try:
        at = datetime.fromisoformat(value.strip())
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if at.timestamp() in PLACEHOLDERS or at.year <= _EPOCH_YEAR:
        return None
    return _written(at)


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_date(value: Any) -> str | None:
    """Read a date: ISO 8601, seconds since 1970, or {year, month, day}; the far future says "never"."""
    match value:
        case {"year": int(year), "month": int(month), "day": int(number)}:
            found = _date(year, month, number)
        case {"inference": inner} | {"date": inner}:
            return parse_date(inner)
        case _:
            at = parse_timestamp(value)
            found = at[:10] if at else None
    return found if found and int(found[:4]) < _FARTHEST_YEAR else None


def _date(year: int, month: int, number: int) -> str | None:
    try:
        return date(year, month, number).isoformat()
    except (ValueError, OverflowError):
        return None
