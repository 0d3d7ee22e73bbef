"""Canonical JSON: equal values have one form and one digest, and odd JSON is accepted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import strategies

from pipeline.core import canonical
from pipeline.core.canonical import as_text, decode, encode, from_text
from pipeline.core.types import Record


@given(st.data(), strategies.values)
def test_all_forms_of_a_value_have_one_canonical_form(data: st.DataObject, value: Any) -> None:
    one, other = (data.draw(strategies.spelled(value)) for _ in range(2))
    assert encode(decode(one.encode())) == encode(decode(other.encode()))


@given(st.data(), strategies.values, strategies.values)
def test_different_values_have_different_canonical_forms(data: st.DataObject, one: Any, other: Any) -> None:
    spelled = [encode(decode(data.draw(strategies.spelled(value)).encode())) for value in (one, other)]
    assert (spelled[0] == spelled[1]) == (_with_distinct_booleans(one) == _with_distinct_booleans(other))


def _with_distinct_booleans(value: Any) -> Any:
    """Return a value in which true differs from 1 and false from 0, which Python calls equal."""
    match value:
        case bool():
            return ("truth", value)
        case list():
            return [_with_distinct_booleans(item) for item in value]
        case dict():
            return {key: _with_distinct_booleans(item) for key, item in value.items()}
        case _:
            return value


@given(strategies.received)
def test_encoding_a_decoded_form_gives_that_form(body: bytes) -> None:
    try:
        text = encode(decode(body))
    except ValueError:
        return
    assert encode(decode(text.encode())) == text


@given(strategies.values)
@example("12")
@example("null")
@example('"')
@example("NaN")
@example("\ufeff1")
@example("9" * 5000)
@example("1e99999999999999999999")
@example('"\\ud800"')
@example("[" * 300 + "]" * 300)
@example("\x00")
def test_a_text_of_a_value_can_be_parsed_back(value: Any) -> None:
    assert from_text(as_text(value)) == value


def test_strings_are_bare_unless_they_would_parse_as_another_value() -> None:
    assert [as_text(value) for value in ("gpt", "8", 8, "", None, True, [1])] == [
        "gpt",
        '"8"',
        "8",
        "",
        "null",
        "true",
        "[1]",
    ]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("1.0", "1"),
        ("-0", "0"),
        ("-0.0e7", "0"),
        ("2.5e-6", "0.0000025"),
        ("0.00000250", "0.0000025"),
        ("1E2", "100"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("18446744073709551616", "18446744073709551616"),
        ("12345678901234567890123.50", "12345678901234567890123.5"),
        ("1e400", "1" + "0" * 400),
        ("-1e400", "-1" + "0" * 400),
        ("1e-400", "1E-400"),
        ("9" * 4200, "9" * 4200),
        ("9" * 6000, "9" * 6000),
        ("1e99999999999", "1E+99999999999"),
        ("1e9999999999999999999999", "null"),
        ("NaN", "null"),
        ("-Infinity", "null"),
    ],
)
def test_numbers_are_written_by_value(text: str, spelled: str) -> None:
    assert encode(decode(f"[{text}]".encode())) == f"[{spelled}]"
    assert encode(decode(f'[{text},"\udcff"]'.encode(errors="surrogateescape"))) == f'[{spelled},"\ufffd"]'


def test_numbers_are_decoded_to_int_or_decimal() -> None:
    assert [type(value) for value in decode(b"[1, 1.0, 1e3, 0.1, 1e-9]")] == [int, int, int, Decimal, Decimal]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf{"id": "a"}', {"id": "a"}),
        (b'{"id": NaN, "x": [Infinity]}', {"id": None, "x": [None]}),
        (b'{"id": "a\\ud800b"}', {"id": "a\ufffdb"}),
        (b'{"\\udfff": 1}', {"\ufffd": 1}),
        (b'{"id": "\\ud83d\\ude00"}', {"id": "\U0001f600"}),
        (b'{"id": "caf\xe9"}', {"id": "caf\ufffd"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\u0000"', "\x00"),
    ],
)
def test_common_errors_of_gateways_are_accepted(body: bytes, value: Any) -> None:
    """A BOM, NaN, half a surrogate pair, invalid UTF-8 and repeated keys."""
    assert decode(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"{",
        b'{"a": }',
        b"[1,]",
        b"<html>",
        b"{'a': 1}",
        b"\x1f\x8b\x08",
        b'{"a":1}'.decode().encode("utf-16"),
    ],
)
def test_invalid_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(body)


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
def test_ten_thousand_levels_are_a_value_error(brackets: tuple[bytes, bytes]) -> None:
    opening, closing = brackets
    for bomb in (opening * 10_000 + b"1" + closing * 10_000, opening * 10_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            decode(bomb)


@pytest.mark.parametrize("levels", [100, 400, 600, 900, 2000])
def test_deep_invalid_utf_8_is_decoded_or_a_value_error(levels: int) -> None:
    body = b"[" * levels + b'"\xff"' + b"]" * levels
    try:
        value = decode(body)
    except ValueError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017 - how deep Python goes is its own affair
    else:
        assert encode(value) == "[" * levels + '"\ufffd"' + "]" * levels


def record(model: str, body: str) -> Record:
    """Return a record of some body under an id."""
    return Record(model, canonical.digest(body), body)


def test_digests_are_pinned() -> None:
    """Databases in use hold these: another digest needs a migration."""
    body = encode(decode(b'{"pricing": {"input": 2.50e-6}, "id": "acme/\\u03b2", "n": 1.0, "x": null}'))
    assert body == '{"id":"acme/β","n":1,"pricing":{"input":0.0000025},"x":null}'
    assert {
        "nothing": canonical.digest(""),
        "record": canonical.digest(body),
        "no records": canonical.digest_of_records([]),
        "records": canonical.digest_of_records([record("lyra", "02"), record("vega", "01")]),
    } == {
        "nothing": "01cae66941d9efbd404e4d88758ea67670",
        "record": "01ef6d5f54ef05755cb68a843405e71e86",
        "no records": "01cae66941d9efbd404e4d88758ea67670",
        "records": "015c51182ae98ea88cfd5927698ccd56b8",
    }


RECORDS = st.sets(st.tuples(strategies.texts, strategies.texts)).map(
    lambda found: [record(model.replace("\0", ""), body) for model, body in found]
)


@given(RECORDS.flatmap(lambda x: st.tuples(st.just(x), st.permutations(x))))
def test_the_digest_of_records_ignores_their_order(orders: tuple[list[Record], list[Record]]) -> None:
    one, other = orders
    assert canonical.digest_of_records(one) == canonical.digest_of_records(other)


@given(RECORDS, RECORDS)
def test_different_sets_of_records_have_different_digests(one: list[Record], other: list[Record]) -> None:
    same = {(each.model, each.digest) for each in one} == {(each.model, each.digest) for each in other}
    uniques = [list({(each.model, each.digest): each for each in side}.values()) for side in (one, other)]
    assert (canonical.digest_of_records(uniques[0]) == canonical.digest_of_records(uniques[1])) == same


def test_a_digest_is_a_version_and_128_bits() -> None:
    digest = canonical.digest("anything")
    assert digest.startswith(canonical.VERSION)
    assert len(bytes.fromhex(digest)) == 1 + 16
