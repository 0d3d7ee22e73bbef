"""One spelling for every JSON value: what is equal gets one digest, and what is odd is put up with."""

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
def test_spelling_does_not_matter(data: st.DataObject, value: Any) -> None:
    """Order of keys, white space, escapes and the way a number is written leave no trace."""
    one, other = (data.draw(strategies.spelled(value)) for _ in range(2))
    assert encode(decode(one.encode())) == encode(decode(other.encode()))


@given(st.data(), strategies.values, strategies.values)
def test_different_values_are_spelled_differently(data: st.DataObject, one: Any, other: Any) -> None:
    """Two spellings are equal only where the values are."""
    spelled = [encode(decode(data.draw(strategies.spelled(value)).encode())) for value in (one, other)]
    assert (spelled[0] == spelled[1]) == (_told_apart(one) == _told_apart(other))


def _told_apart(value: Any) -> Any:
    """Keep true from 1 and false from 0, which Python calls equal."""
    match value:
        case bool():
            return ("truth", value)
        case list():
            return [_told_apart(item) for item in value]
        case dict():
            return {key: _told_apart(item) for key, item in value.items()}
        case _:
            return value


@given(strategies.received)
def test_what_was_read_is_spelled_once_for_all(body: bytes) -> None:
    """Reading our own spelling gives that spelling again, whatever came in."""
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
def test_text_for_people_can_be_read_back(value: Any) -> None:
    """A field's value survives being written for people, also a string that looks like a number."""
    assert from_text(as_text(value)) == value


def test_strings_are_bare_unless_they_would_mislead() -> None:
    """People see names without quotes; the string "8" is not the number 8."""
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
def test_numbers_are_spelled_by_value(text: str, spelled: str) -> None:
    """Numbers are exact at any size; what is no number, or beyond every number, is null."""
    assert encode(decode(f"[{text}]".encode())) == f"[{spelled}]"
    assert encode(decode(f'[{text},"\udcff"]'.encode(errors="surrogateescape"))) == f'[{spelled},"\ufffd"]'


def test_numbers_come_as_exact_types() -> None:
    """No float ever comes out: an integer by value is an int, all else a Decimal."""
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
def test_what_gateways_get_wrong_is_put_up_with(body: bytes, value: Any) -> None:
    """A BOM, NaN, half a surrogate pair, bytes that are no UTF-8 and doubled keys can be read."""
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
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    """There is one kind of error to expect."""
    with pytest.raises(ValueError, match=r"."):
        decode(body)


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
def test_ten_thousand_levels_are_refused(brackets: tuple[bytes, bytes]) -> None:
    """A bomb of brackets is an error like any other, closed or not."""
    opening, closing = brackets
    for bomb in (opening * 10_000 + b"1" + closing * 10_000, opening * 10_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            decode(bomb)


@pytest.mark.parametrize("levels", [100, 400, 600, 900, 2000])
def test_levels_and_stray_bytes_together_are_a_value_error_at_most(levels: int) -> None:
    """Deep nesting beside bytes that are no UTF-8 is read or refused, and nothing else."""
    body = b"[" * levels + b'"\xff"' + b"]" * levels
    try:
        value = decode(body)
    except ValueError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017 - how deep Python goes is its own affair
    else:
        assert encode(value) == "[" * levels + '"\ufffd"' + "]" * levels


def stands(model: str, body: str) -> Record:
    """Give a record of some body under an id."""
    return Record(model, canonical.digest(body), body)


def test_digests_are_pinned() -> None:
    """A changed digest is a migration: databases in use hold these."""
    record = encode(decode(b'{"pricing": {"input": 2.50e-6}, "id": "acme/\\u03b2", "n": 1.0, "x": null}'))
    assert record == '{"id":"acme/β","n":1,"pricing":{"input":0.0000025},"x":null}'
    assert {
        "nothing": canonical.digest(""),
        "record": canonical.digest(record),
        "no records": canonical.digest_of_records([]),
        "records": canonical.digest_of_records([stands("lyra", "02"), stands("vega", "01")]),
    } == {
        "nothing": "01cae66941d9efbd404e4d88758ea67670",
        "record": "01ef6d5f54ef05755cb68a843405e71e86",
        "no records": "01cae66941d9efbd404e4d88758ea67670",
        "records": "015c51182ae98ea88cfd5927698ccd56b8",
    }


RECORDS = st.sets(st.tuples(strategies.texts, strategies.texts)).map(
    lambda found: [stands(model.replace("\0", ""), body) for model, body in found]
)


@given(RECORDS.flatmap(lambda x: st.tuples(st.just(x), st.permutations(x))))
def test_records_have_one_digest_in_any_order(orders: tuple[list[Record], list[Record]]) -> None:
    """The digest of records does not know in which order they came."""
    one, other = orders
    assert canonical.digest_of_records(one) == canonical.digest_of_records(other)


@given(RECORDS, RECORDS)
def test_different_records_have_different_digests(one: list[Record], other: list[Record]) -> None:
    """The digest tells records from every other set of them, under whatever ids."""
    same = {(each.model, each.digest) for each in one} == {(each.model, each.digest) for each in other}
    uniques = [list({(each.model, each.digest): each for each in side}.values()) for side in (one, other)]
    assert (canonical.digest_of_records(uniques[0]) == canonical.digest_of_records(uniques[1])) == same


def test_a_digest_is_a_version_and_128_bits() -> None:
    """The first byte says by which spelling a digest was made."""
    digest = canonical.digest("anything")
    assert digest.startswith(canonical.VERSION)
    assert len(bytes.fromhex(digest)) == 1 + 16
