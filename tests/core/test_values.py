"""Parsers of single values: lengths, prices, times, dates, names."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import strategies

from pipeline.core.canonical import decode
from pipeline.core.values import (
    LARGEST,
    parse_date,
    parse_length,
    parse_names,
    parse_price,
    parse_text,
    parse_timestamp,
)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (b"128000", 128_000),
        (b"256000.0", 256_000),
        (b'"1,048,576"', 1_048_576),
        (b'"128k"', 128_000),
        (b'"1.5 M"', 1_500_000),
        (b"0", None),
        (b"-1", None),
        (b'""', None),
        (b'"unlimited"', None),
        (b"true", None),
        (b"null", None),
        (b"1e400", None),
        (b"1e99999999999", None),
    ],
)
def test_a_length_is_a_positive_number_of_tokens(value: bytes, parsed: int | None) -> None:
    assert parse_length(decode(value)) == parsed


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (b"0.25", "0.25"),
        (b"0", "0"),
        (b'"0.0000025"', "0.0000025"),
        (b'" $3 "', "3"),
        (b"1e-15", "1e-15"),
        (b"1e-16", None),
        (b'"0.' + b"0" * 4000 + b'1"', None),
        (b"0." + b"0" * 4000 + b"1", None),
        (b"0.000002" + b"0" * 4000 + b"1", None),
        (b"0." + b"0" * 4000, "0"),
        (b"0.30000000000000004", "0.30000000000000004"),
        (b"-1", None),
        (b'"-0.5"', None),
        (b'"free"', None),
        (b'"NaN"', None),
        (b'"Infinity"', None),
        (b"false", None),
        (b"[1]", None),
    ],
)
def test_a_price_is_a_number_that_is_not_negative(value: bytes, parsed: str | None) -> None:
    assert parse_price(decode(value)) == (None if parsed is None else Decimal(parsed))


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (b"1750000000", "2025-06-15T15:06:40Z"),
        (b"1750000000.9", "2025-06-15T15:06:40Z"),
        (b"1750000000123", "2025-06-15T15:06:40Z"),
        (b"1", "1970-01-01T00:00:01Z"),
        (b"253402300799000", "9999-12-31T23:59:59Z"),
        (b'"2025-06-15"', "2025-06-15T00:00:00Z"),
        (b'"2025-06-15T17:06:40+02:00"', "2025-06-15T15:06:40Z"),
        (b'"2025-06-15T15:06:40.123Z"', "2025-06-15T15:06:40Z"),
        (b"253402300800000", None),
        (b"1e17", None),
        (b"1e400", None),
        (b"1e99999999999", None),
        (b"-1", None),
        (b"0", None),
        (b"1626777600", None),
        (b"1677610602", None),
        (b'"1970-01-01T00:00:00Z"', None),
        (b'"soon"', None),
        (b'""', None),
        (b"true", None),
        (b"[]", None),
    ],
)
def test_a_timestamp_is_seconds_milliseconds_or_iso_8601(value: bytes, parsed: str | None) -> None:
    assert parse_timestamp(decode(value)) == parsed


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
def test_a_time_beyond_the_calendar_is_none(value: str) -> None:
    assert parse_timestamp(value) is None
    assert parse_date(value) is None


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (b'"2027-03-01"', "2027-03-01"),
        (b'"2027-03-01T23:00:00Z"', "2027-03-01"),
        (b"1803859200", "2027-03-01"),
        (b'"1803859200"', "2027-03-01"),
        (b'"1803859200000"', "2027-03-01"),
        (b'"2027/03/01"', "2027-03-01"),
        (b'"2027/03/01 12:00:00"', "2027-03-01"),
        (b'"20270301"', "2027-03-01"),
        (b'"180385920"', None),
        (b'"03/01/2027"', None),
        (b'{"year": 2027, "month": 3, "day": 1}', "2027-03-01"),
        (b'{"date": "2027-03-01"}', "2027-03-01"),
        (b'"2098-12-31"', None),
        (b'{"year": 2027, "month": 13, "day": 1}', None),
        (b'{"year": 1e400, "month": 1, "day": 1}', None),
        (b'{"year": 0, "month": 0, "day": 0}', None),
        (b'"never"', None),
        (b"null", None),
        (b"{}", None),
    ],
)
def test_a_date_in_the_far_future_is_none(value: bytes, parsed: str | None) -> None:
    assert parse_date(decode(value)) == parsed


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (["b", "a", "b", None, ""], ("a", "b")),
        ("vision, tools,,", ("tools", "vision")),
        ({"tools": True, "vision": False, "json": {"supported": True}, "x": 1}, ("json", "tools")),
        ([1, {"a": 2}], ("1", '{"a":2}')),
        ([], None),
        ("", None),
        ({}, None),
        (None, None),
        (7, None),
    ],
)
def test_names_are_a_sorted_set(value: Any, parsed: tuple[str, ...] | None) -> None:
    assert parse_names(value) == parsed


def test_a_text_is_returned_unchanged_and_another_value_as_json() -> None:
    values: list[Any] = ["acme", 7, {"b": 1, "a": None}, False]
    assert [parse_text(value) for value in values] == ["acme", "7", '{"a":null,"b":1}', "false"]
    nothing: list[Any] = [None, "", [], {}]
    assert [parse_text(value) for value in nothing] == [None] * 4


odd_values = st.one_of(
    strategies.values,
    st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat),
    st.dates().map(date.isoformat),
    st.fixed_dictionaries(dict.fromkeys(["year", "month", "day"], st.integers())),
    st.sampled_from([decode(b"1e400"), decode(b"1e99999999999"), decode(b"1e-99999999999")]),
    st.sampled_from(["1e400", "9" * 5000, "9" * 5000 + "k", "9999-12-31", "0001-01-01"]),
)


@given(odd_values)
@example(decode(b'{"year": 1e400, "month": 1, "day": 1}'))
def test_any_value_is_parsed_or_none(value: Any) -> None:
    for parse in (parse_text, parse_names, parse_price):
        parse(value)
    tokens = parse_length(value)
    assert tokens is None or 0 <= tokens < LARGEST
    for at in (parse_timestamp(value), parse_date(value)):
        assert at is None or isinstance(datetime.fromisoformat(at), datetime)
