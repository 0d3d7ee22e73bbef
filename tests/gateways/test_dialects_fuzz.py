"""Spoiled golden answers are a listing or unreadable, in every dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import TESTS

from pipeline.core.canonical import decode
from pipeline.core.facts import parse_permissions, to_columns
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import Answer, Dialect, all_dialects

GOLDEN = TESTS / "golden"

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**40, "", "0", "-1", "1e400", "NaN", "\x00", "\ud800", "9" * 5000),
    *([], {}, [None], [[]], {"": None}, {"year": 99999, "month": 0, "day": 0}, ["a", 1, None, {}]),
]


def bodies(dialect: Dialect) -> list[Any]:
    """Return the parsed golden answers of a dialect."""
    found = []
    for path in sorted((GOLDEN / dialect.name).glob("*.json")):
        if not path.name.endswith(".expected.json"):
            text = path.read_text("utf-8")
            value = json.loads(text) if text.startswith(("{", "[")) else None
            recorded = value.get("_answer", {}).get("bodies", [value]) if isinstance(value, dict) else [value]
            found += [body for body in recorded if isinstance(body, dict | list)]
    return found


def spoiled(draw: st.DrawFn, value: Any) -> Any:
    """Return a value with some of its parts replaced by odd ones."""
    if draw(st.integers(0, 11)) == 0:
        return draw(st.sampled_from(ODD))
    match value:
        case dict():
            return {key: spoiled(draw, item) for key, item in value.items()}
        case list():
            return [spoiled(draw, item) for item in value[:4]]
        case _:
            return value


@pytest.mark.parametrize("dialect", all_dialects().values(), ids=list(all_dialects()))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_spoiled_golden_answer_is_a_listing_or_unreadable(dialect: Dialect, data: st.DataObject) -> None:
    golden = bodies(dialect)
    if not golden:
        pytest.fail(f"{dialect.name} has no golden answer")
    body = json.dumps(data.draw(st.composite(spoiled)(data.draw(st.sampled_from(golden))))).encode()
    try:
        listing = dialect.read(Answer((body,), 1_790_000_000))
    except Unreadable:
        return
    for record in listing.records.values():
        value = decode(record.body.encode())
        assert to_columns(dialect.facts(value))
        parse_permissions(value)
