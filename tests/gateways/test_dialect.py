"""The parser of answers: laws for any bytes, and a description of every answer that is not a list."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import strategies
from support.fakes import ASKED_AT, body, read, row

from pipeline.core.canonical import decode, digest, encode
from pipeline.core.facts import to_columns
from pipeline.core.types import Listing
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import Answer, Dialect, Page, PageRequest, all_dialects


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "the answer is empty"),
        (b" \r\n", "the answer is empty"),
        (b"<!DOCTYPE html><html><body>Console</body></html>", "a web page, not JSON: check that `url`"),
        (b"\n  <html lang='en'>", "a web page"),
        (b'<?xml version="1.0"?><Error/>', "is XML, not JSON"),
        (b"upstream connect error", 'a text, not JSON: "upstream connect error"'),
        (b'{"object": "list", "data": [{"id": "lyra"}, {"id": "ve', "is not JSON, or was cut off"),
        (b"[" * 10_000, "nested too deeply"),
        (b'{"data": ' + b"[" * 10_000, "nested too deeply"),
        (b'[{"id": "lyra"}]', "the answer is an array, not a list of models"),
        (b'"lyra"', "the answer is a text"),
        (b"7", "the answer is a number"),
        (b"true", "the answer is true or false"),
        (b"null", "the answer is null or missing"),
        (b"{}", "'data' is null or missing, not the list of models"),
        (b'{"object": "list", "data": null}', "'data' is null, not the list of models"),
        (b'{"data": "lyra,vega"}', "'data' is a text"),
        (b'{"data": {"lyra": {}}}', "'data' is an object"),
        (b'{"data": 0}', "'data' is a number"),
        (b'{"data": false}', "'data' is true or false"),
        (b'{"success": false, "message": "no such group"}', "success: false: no such group"),
        (b'{"success": false, "message": "", "data": [{"id": "lyra"}]}', "success: false"),
        (b'{"error": {"message": "quota used up", "type": "x"}}', "with an error: quota used up"),
        (b'{"error": {"code": "gone"}, "data": [{"id": "lyra"}]}', "with an error: gone"),
        (b'{"error": "closed", "data": []}', "with an error: closed"),
        (b'{"error": {"detail": [1]}}', 'with an error: {"detail":[1]}'),
        (b'{"data": [null, {"id": " "}, {"name": "lyra"}]}', "none of the 3 rows has a model id at 'id'"),
    ],
)
def test_an_answer_that_is_not_a_list_is_described(answer: bytes, message: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(answer)
    assert message in refused.value.message


def test_a_long_error_of_a_gateway_is_clipped() -> None:
    with pytest.raises(Unreadable) as refused:
        read(json.dumps({"error": {"message": "x" * 5000}}).encode())
    assert len(refused.value.message) < 400


EVERY = sorted(all_dialects())


@settings(max_examples=60)
@given(strategies.received, st.sampled_from(EVERY))
@example(b'{"data":[{"id":"lyra","created":1e400,"price":1e400}]}', "one-api")
def test_any_bytes_are_a_listing_or_unreadable(answer: bytes, name: str) -> None:
    dialect = all_dialects()[name]
    try:
        found = read(answer, dialect=dialect)
    except Unreadable:
        return
    _is_sound(found)
    for record in found.records.values():
        to_columns(dialect.facts(decode(record.body.encode())))


@given(st.sampled_from(EVERY), st.lists(strategies.received, min_size=3, max_size=3))
def test_any_bytes_end_the_pages_or_request_another(name: str, answers: list[bytes]) -> None:
    asking = all_dialects()[name].pages()
    request = next(asking)
    for answer in answers:
        try:
            request = asking.send(Page(answer))
        except (StopIteration, Unreadable):
            return
        assert request.path.startswith("/")


def _is_sound(found: Listing) -> None:
    for model, record in found.records.items():
        assert record.model == model
        assert "\x00" not in model
        assert record.body == encode(decode(record.body.encode()))
        assert record.digest == digest(record.body)


@settings(max_examples=30)
@given(
    st.lists(strategies.rows, max_size=5).flatmap(lambda r: st.tuples(st.just(r), st.permutations(r))),
    st.data(),
)
def test_order_and_json_form_do_not_change_a_listing(
    orders: tuple[list[dict[str, Any]], list[dict[str, Any]]], data: st.DataObject
) -> None:
    one, other = (read(data.draw(strategies.spelled({"data": rows})).encode()) for rows in orders)
    assert (one.digest, dict(one.records)) == (other.digest, dict(other.records))


@given(st.lists(strategies.rows, min_size=1, max_size=5))
def test_every_row_with_an_id_is_a_record(rows: list[dict[str, Any]]) -> None:
    found = read(encode({"data": rows}).encode())
    assert set(found.records) == {row["id"] for row in rows}


@given(strategies.listings(), strategies.listings())
def test_digests_are_equal_only_for_equal_listings(one: Listing, other: Listing) -> None:
    assert (one.digest == other.digest) == (dict(one.records) == dict(other.records))


def test_permission_ids_and_the_request_time_do_not_change_a_digest() -> None:
    def answer(ticket: str, now: int) -> Listing:
        permission = [{"id": ticket, "created": now - 86_400, "allow_view": True}]
        return read(body(row("lyra", created=now, permission=permission)), asked_at=now)

    one, other = answer("perm-1", ASKED_AT), answer("perm-2", ASKED_AT + 3600)
    assert one.digest == other.digest


def test_a_nul_in_a_model_id_is_escaped() -> None:
    assert set(read(body(row("lyra\x00vega"), row("lyra"))).records) == {"lyra\\u0000vega", "lyra"}


def test_pages_are_one_listing_or_unreadable_together() -> None:
    pages = body(row("lyra")), body(row("vega")), body()
    assert read(*pages).digest == read(body(row("vega"), row("lyra"))).digest
    with pytest.raises(Unreadable):
        read(*pages, b'{"data": null}')


def test_a_list_without_paging_is_one_request() -> None:
    pages = all_dialects()["one-api"].pages()
    assert next(pages) == PageRequest("/v1/models")
    with pytest.raises(StopIteration) as done:
        pages.send(Page(b"body"))
    assert done.value.value == (b"body",)


def test_a_dialect_sets_the_paths_of_list_and_id() -> None:
    other = Dialect("other", noise=("load",), list_at=("result.models",), id_at="name")
    answer = b'{"result": {"models": [{"name": "lyra", "load": 0.7}]}}'
    assert [record.body for record in other.read(Answer((answer,), 0)).records.values()] == [
        '{"name":"lyra"}'
    ]
    with pytest.raises(Unreadable, match=r"'result\.models' is null or missing"):
        other.read(Answer((b'{"result": []}',), 0))


def test_the_reading_of_a_listing_depends_on_the_rules_alone() -> None:
    one = Dialect("d", noise=("b", "a"), sets=("x", "y"))
    assert one.reading == Dialect("d", noise=("a", "b"), sets=("y", "x")).reading
    assert one.read(Answer((body(),), 0)).reading == one.reading
    others = [Dialect("e"), Dialect("d"), Dialect("d", noise=("a",)), Dialect("d", id_at="name"), one]
    assert len({other.reading for other in others}) == len(others)
    assert decode(one.reading.encode())["noise"] == ["a", "b"]
