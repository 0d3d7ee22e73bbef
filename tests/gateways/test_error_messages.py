"""The message of an error body, in each of its usual forms and where a body has several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Reply, Scripted

from pipeline.gateways.dialects import all_dialects
from pipeline.gateways.dialects.paging import merged


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"message": "one"}, "one"),
        ({"detail": "two"}, "two"),
        ({"msg": "three"}, "three"),
        ({"msg": "three", "detail": "two", "message": "one"}, "one"),
        ({"msg": "three", "detail": "two"}, "two"),
        ({"message": "", "msg": "three"}, "three"),
        ({"error": "plain"}, "plain"),
        ({"error": {"message": "inner"}, "message": "outer"}, "inner"),
        ({"error": None, "message": "outer"}, "outer"),
        ({"errors": [{"msg": "first"}, {"msg": "second"}]}, "first"),
        ({"error": {"errors": [{"detail": "deep"}]}}, "deep"),
        ([{"message": "in a list"}], "in a list"),
        ("a text", "a text"),
        ({}, ""),
        ([], ""),
    ],
)
def test_the_message_of_an_error_is_the_most_specific_one(tmp_path: Path, body: Any, expected: str) -> None:
    job = Job(tmp_path / "home")
    with Scripted(lambda _: Reply(json.dumps(body).encode(), 502)) as server:
        job.asks(server.url, attempts=1)
        job.quick("run", "-q")
    (row,) = job.quick("scopes", "--json").json()
    assert row["error"]["message"].partition(" answered 502")[2] == (f": {expected}" if expected else "")


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (((("a", "1"), ("b", "2")), (("a", "3"),)), (("b", "2"), ("a", "3"))),
        (((("a", "1"), ("a", "2")), (("b", "3"),)), (("a", "1"), ("a", "2"), ("b", "3"))),
        (((("a", "1"), ("a", "2")), (("a", "3"), ("a", "4"))), (("a", "3"), ("a", "4"))),
        (((("a", "1"),), (), (("a", "2"),), (("c", "3"),)), (("a", "2"), ("c", "3"))),
        ((), ()),
    ],
)
def test_parameters_of_a_later_group_replace_those_of_the_same_name(
    groups: tuple[tuple[tuple[str, str], ...], ...], expected: tuple[tuple[str, str], ...]
) -> None:
    assert merged(*groups) == expected


@pytest.mark.parametrize("body", [[], {}, {"data": []}, None, "text"])
def test_no_dialect_is_recognised_by_an_answer_that_has_nothing(body: Any) -> None:
    assert [each.name for each in all_dialects().values() if each.recognises(body, [])] == []
