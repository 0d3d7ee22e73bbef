"""The row cache: cached and uncached parsing agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import strategies
from support.fakes import ASKED_AT, body, row

from pipeline.core.canonical import encode
from pipeline.core.types import Listing
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import Answer, Dialect, RowCache, all_dialects

NEW_API = all_dialects()["new-api"]


def uncached(dialect: Dialect, answer: Answer) -> Listing | str:
    """Parse an answer without a cache."""
    try:
        return dialect.read(answer)
    except Unreadable as error:
        return error.message


def cached(alike: RowCache, answer: Answer) -> Listing | str:
    """Parse an answer after others."""
    try:
        return alike.read(answer)
    except Unreadable as error:
        return error.message


ROWS = st.one_of(
    strategies.objects,
    st.builds(
        lambda model, more: {**more, "id": model},
        st.sampled_from(("lyra", "vega", "*", "")),
        strategies.objects,
    ),
    st.fixed_dictionaries(
        {"id": st.sampled_from(("lyra", "vega")), "created": st.integers(ASKED_AT - 400, ASKED_AT + 400)}
    ),
    strategies.values,
)
LISTS = st.one_of(
    st.lists(ROWS, max_size=5),
    st.lists(st.builds(row, st.sampled_from(("lyra", "vega", "orion")), form=st.integers(0, 2)), max_size=5),
)
ENVELOPES = st.dictionaries(
    st.sampled_from(("error", "errors", "success", "updated_at", "has_more", "last_id", "links", "data")),
    strategies.values,
    max_size=3,
)


@settings(max_examples=400)
@given(
    st.sampled_from(list(all_dialects().values())),
    st.lists(st.tuples(LISTS, ENVELOPES, st.integers(ASKED_AT - 500, ASKED_AT + 500)), max_size=4),
)
@example(NEW_API, [([], {"error": "0"}, ASKED_AT), ([row("lyra")], {"success": False}, ASKED_AT)])
def test_cached_and_uncached_parsing_agree(
    dialect: Dialect, answers: list[tuple[list[Any], dict[str, Any], int]]
) -> None:
    alike = RowCache(dialect)
    place = dialect.list_at[0].split(".")
    for rows, envelope, asked_at in answers:
        value: Any = rows
        for step in reversed([name for name in place if name]):
            value = {**envelope, step: value}
        answer = Answer((encode(value).encode(),), asked_at)
        assert cached(alike, answer) == uncached(dialect, answer)


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from(
            [
                body(row("lyra")),
                body(row("lyra"), row("vega")),
                body(row("lyra")) + b" ",
                body(row("lyra")) + b"x",
                body(row("lyra")).replace(b"lyra", b"ly\xffra"),
                body(row("lyra")).replace(b"lyra", b"ly\\ud800ra"),
                body(row("lyra"), note=1).replace(b'"note":1', b'"note":NaN'),
                b"\xef\xbb\xbf" + body(row("lyra")),
                b'{"data": [{"id": "lyra", "n": 1e400}], "data": [{"id": "vega"}]}',
                b'{"data": ' + b"[" * 3000 + b"]" * 3000 + b"}",
                b'{"data": null}',
                b'{"data": {"id": "lyra"}}',
                b"[]",
                b"",
            ]
        ),
        max_size=6,
    )
)
def test_cached_and_uncached_parsing_agree_on_any_bytes(bodies: list[bytes]) -> None:
    alike = RowCache(NEW_API)
    for each in bodies:
        answer = Answer((each,), ASKED_AT)
        assert cached(alike, answer) == uncached(NEW_API, answer)


def test_equal_rows_in_a_new_envelope_give_the_same_listing() -> None:
    alike = RowCache(NEW_API)
    first = alike.read(Answer((body(row("lyra"), row("vega"), at=1),), ASKED_AT))
    assert alike.read(Answer((body(row("lyra"), row("vega"), at=2),), ASKED_AT + 9)) is first
    turned = alike.read(Answer((body(row("vega"), row("lyra"), at=3),), ASKED_AT))
    assert turned.digest == first.digest
    assert turned.records["lyra"] is first.records["lyra"]


@pytest.mark.parametrize(
    ("body", "later"),
    [
        ('{"data":[A,B],"error":"x","z":[B],"error":null}', '{"data":[A,B],"error":"x","z":[B],"q":null}'),
        ('{"data":[A,B],"success":false,"z":B,"success":true}', '{"data":[A,B],"success":false,"z":B}'),
        ('{"data":[A,1],"n":1}', '{"data":[A,1],"n":1]}'),
        ('{"data":["a","b"],"b":1}', '{"data":["a","b"],"b"]}'),
        ('{"first":A,"data":[A , B]}', '{"first":A,"data":[A , B],"error":{"message":"x"}}'),
        ('{"data":[A,B , A]}', '{"data":[A,B , A],"data":[A]}'),
    ],
)
def test_a_row_repeated_in_the_envelope_hides_nothing(body: str, later: str) -> None:
    alike = RowCache(NEW_API)
    for each in (body, later, body):
        written = each.replace("A", '{"id":"lyra"}').replace("B", '{"id":"vega"}').encode()
        answer = Answer((written,), ASKED_AT)
        assert cached(alike, answer) == uncached(NEW_API, answer)


def test_a_row_created_at_the_request_time_is_not_cached() -> None:
    alike = RowCache(NEW_API)
    fresh = Answer((body(row("lyra", created=ASKED_AT)),), ASKED_AT)
    later = Answer(fresh.bodies, ASKED_AT + 86_400)
    for answer in (fresh, later, fresh):
        assert alike.read(answer) == NEW_API.read(answer)
    assert alike.read(fresh) != alike.read(later)
