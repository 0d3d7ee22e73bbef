"""Parsers of single values as gateways write them: prices, lengths, times, dates, sets of names.

They return None for a value without information.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.core.canonical import as_text
from pipeline.core.times import iso

ONE_API_CREATED = 1626777600
"""The `created` of every model of One-API and its descendants."""

LITELLM_CREATED = 1677610602
"""The `created` of every model in the list of LiteLLM's proxy."""

_PLACEHOLDERS = frozenset({0, ONE_API_CREATED, LITELLM_CREATED})

LARGEST = 2**53
"""The limit for numbers: above it, doubles do not hold every integer.

See https://www.rfc-editor.org/rfc/rfc8259#section-6.
"""

_SMALLEST_EXPONENT = -15
"""That of the least amount, as of 1e-15: a lower price of a token could not be billed."""

_LONGEST_FRACTION = 60
"""So many digits may follow the point of an amount."""

_FLOAT_ERROR = Decimal("1e-12")
"""The relative difference up to which numbers are one: 0.30000000000000004 is 0.3."""

_MILLISECONDS_FROM = 100_000_000_000
_LATEST = 253_402_300_799  # the last second of the year 9999
_EPOCH_YEAR = 1970
_FARTHEST_YEAR = 2090  # later dates mean "never"
_UNIX = re.compile(r"^[1-9]\d{9}(?:\d{3})?$", re.ASCII)
"""Seconds or milliseconds since 1970 as text: fewer digits are a version, eight are a day."""

_SLASHES = re.compile(r"^(\d{4})/(\d{2})/(\d{2})(?!/)", re.ASCII)
_DAY = re.compile(r"^\d{4}([-/]?)\d{2}\1\d{2}$", re.ASCII)
_THOUSANDS = re.compile(r"^(\d+(?:\.\d+)?)\s*([kKmM])?(?:\s*[Tt]okens?)?$")


def parse_price(value: Any) -> Decimal | None:
    """Parse a price, a number or its text; None for a negative one, which means "it depends".

    None also for one that no price can be; see `is_amount`.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        price = Decimal(value.strip().lstrip("$") if isinstance(value, str) else value)
    except InvalidOperation:
        return None
    return price if is_amount(price) else None


def is_amount(value: Decimal) -> bool:
    """Return whether a number can be an amount of money: 0, or between 1e-15 and 2**53, of few digits."""
    if not (value.is_finite() and 0 <= value < LARGEST):
        return False
    _, _, exponent = value.as_tuple()
    is_short = isinstance(exponent, int) and exponent >= -_LONGEST_FRACTION
    return value == 0 or (is_short and value.adjusted() >= _SMALLEST_EXPONENT)


def is_same_number(one: Decimal, other: Decimal) -> bool:
    """Return whether two numbers are equal up to errors of floats."""
    return one == other or abs(one - other) <= _FLOAT_ERROR * max(abs(one), abs(other))


def is_alike(one: Any, other: Any, is_same: Callable[[Any, Any], bool]) -> bool:
    """Return whether two JSON values are equal, with a comparison of their numbers and texts."""
    match one, other:
        case list(), list():
            return len(one) == len(other) and all(
                is_alike(*pair, is_same) for pair in zip(one, other, strict=True)
            )
        case dict(), dict():
            return one.keys() == other.keys() and all(
                is_alike(item, other[key], is_same) for key, item in one.items()
            )
        case _:
            return as_text(one) == as_text(other) or is_same(one, other)


def parse_number(value: Any) -> Decimal | None:
    """Parse a limit as it is: 8192, 8192.0, "8,192", "8k tokens", 0.5, -1; None for another value."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    scaled = _scaled(value) if isinstance(value, str) else None
    try:
        number = Decimal(value) if scaled is None else scaled
    except InvalidOperation:
        return None
    return number if number.is_finite() and -LARGEST < number < LARGEST else None


def _scaled(text: str) -> Decimal | None:
    """Parse a number with its thousands: "1,000", "128k tokens"."""
    match = _THOUSANDS.match(text.strip().replace(",", ""))
    return Decimal(match[1]) * {"k": 1000, "m": 1_000_000}.get((match[2] or "").lower(), 1) if match else None


def parse_length(value: Any) -> int | None:
    """Parse a length in tokens: 128000, 256000.0, "1,000", "128k tokens"; None for 0 and below."""
    if isinstance(value, str):
        value = _scaled(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value) if 0 < value < LARGEST else None


def parse_text(value: Any) -> str | None:
    """Return a text, or another value as JSON; None for null and anything empty."""
    if value is None or value in ("", [], {}):
        return None
    return value if isinstance(value, str) else as_text(value)


def parse_stage(value: Any) -> str | None:
    """Return a stage of the lifecycle, such as `deprecated`; None for numbers, flags and anything empty."""
    return value if isinstance(value, str) and any(map(str.isalpha, value)) else None


def parse_names(value: Any) -> tuple[str, ...] | None:
    """Parse a set of names, sorted: an array, a comma-joined text, or the keys of an object of flags."""
    match value:
        case str():
            names = [part.strip() for part in value.split(",")]
        case list():
            names = [item if isinstance(item, str) else as_text(item) for item in value if item is not None]
        case dict():
            names = [name for name, flag in value.items() if _is_set(flag)]
        case _:
            return None
    return tuple(sorted({name for name in names if name})) or None


def _is_set(flag: Any) -> bool:
    return flag is True or (isinstance(flag, dict) and flag.get("supported") is True)


def parse_timestamp(value: Any) -> str | None:
    """Parse seconds or milliseconds since 1970, also as text, or ISO 8601, also with slashes.

    None for placeholders.
    """
    if isinstance(value, str):
        text = value.strip()
        if not _UNIX.match(text):
            return _parse_iso(_SLASHES.sub(r"\1-\2-\3", text))
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value in _PLACEHOLDERS:
        return None
    if not 0 < value <= _LATEST * 1000:
        return None
    seconds = int(value) // 1000 if value >= _MILLISECONDS_FROM else int(value)
    return iso(datetime.fromtimestamp(seconds, UTC))


def _parse_iso(value: str) -> str | None:
    try:
        at = datetime.fromisoformat(value)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if at.timestamp() in _PLACEHOLDERS or at.year <= _EPOCH_YEAR:
        return None
    return iso(at)


def is_same_date(one: Any, other: Any) -> bool:
    """Return whether two values are the same date, however they are written.

    2026-12-20    2026-12-20T00:00:00Z    2026/12/20    1797724800    "1797724800000"

    Two with a time of day are the same at the same moment; else they are if their day in UTC is.
    """
    days = [parse_date(value) for value in (one, other)]
    if days[0] is None or days[0] != days[1]:
        return False
    if not all(map(_has_time, (one, other))):
        return True
    return parse_timestamp(one) == parse_timestamp(other)


def _has_time(value: Any) -> bool:
    """Return whether a date has a time of day."""
    if isinstance(value, dict):
        return False
    return not (isinstance(value, str) and _DAY.match(value.strip()))


def parse_date(value: Any) -> str | None:
    """Parse a date: as a timestamp, or {year, month, day}; None from 2090 on, for "never"."""
    match value:
        case {"year": int(year), "month": int(month), "day": int(number)}:
            found = _date(year, month, number)
        case {"inference": inner} | {"date": inner}:
            return parse_date(inner)
        case _:
            at = parse_timestamp(value)
            found = at[:10] if at else None
    # The first year is that of flags and version numbers.
    return found if found and _EPOCH_YEAR < int(found[:4]) < _FARTHEST_YEAR else None


def _date(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except (ValueError, OverflowError):
        return None
