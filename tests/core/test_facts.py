"""The facts of a record: documented fields as columns, whatever their values."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies

from pipeline.core.canonical import decode
from pipeline.core.facts import (
    FLAGS,
    PER_1K,
    PER_1M,
    PER_TOKEN,
    FactPaths,
    Facts,
    Permission,
    Prices,
    parse_permissions,
    scale_price,
    to_columns,
)

facts = FactPaths()


def test_documented_fields_become_facts() -> None:
    named = {"object": "model", "owned_by": "acme", "root": "r", "parent": "p"}
    assert facts({"id": "m", "created": 1_750_000_000, **named}) == Facts(
        "model", "acme", "2025-06-15T15:06:40Z", "r", "p"
    )


def test_missing_null_and_empty_fields_give_no_fact() -> None:
    assert facts({}) == facts({"root": None, "parent": "", "created": None, "features": []}) == Facts()
    assert set(to_columns(Facts()).values()) == {None}


def test_the_first_path_with_a_value_is_used() -> None:
    reading = FactPaths(context_length=("a", "b.c"))
    assert reading({"a": 0, "b": {"c": "128k"}}).context_length == 128_000
    assert reading({"a": 4096, "b": {"c": 1}}).context_length == 4096


def test_adjust_is_called_last() -> None:
    reading = FactPaths(adjust=lambda found, body: Facts(owned_by=f"{found.owned_by} of {body['id']}"))
    assert reading({"id": "m", "owned_by": "acme"}) == Facts(owned_by="acme of m")


@pytest.mark.parametrize(
    ("unit", "value", "parsed"),
    [
        (PER_TOKEN, b"2.5e-7", "0.25"),
        (PER_TOKEN, b'"0.0000025"', "2.5"),
        (PER_1K, b"0.002", "2"),
        (PER_1M, b"15", "15"),
        (PER_1M, b"0", "0"),
        (PER_1M, b"0.30000000000000004", "0.3"),
    ],
)
def test_prices_are_in_usd_per_1m_tokens(unit: Decimal, value: bytes, parsed: str) -> None:
    found = FactPaths(prices=Prices(unit, input=("in",)))({"in": decode(value)})
    assert (str(found.input_usd_per_1m), found.price_source) == (parsed, "exact")


def test_a_price_without_a_unit_is_no_fact() -> None:
    found = FactPaths(prices=Prices(input=("in",), per_call=("call",)))({"in": 3, "call": "0.04"})
    assert (found.input_usd_per_1m, found.usd_per_call) == (None, Decimal("0.04"))


@pytest.mark.parametrize(
    "value",
    [b"-1", b'"-1"', b"null", b'"free"', b"true", b"[]", b"{}", b"1e400", b"1e99999999999"],
)
def test_an_invalid_price_is_no_fact(value: bytes) -> None:
    assert FactPaths(prices=Prices(PER_1M, input=("in",)))({"in": decode(value)}).input_usd_per_1m is None


@given(st.decimals(min_value=0, max_value=10**6, places=6))
def test_a_price_is_not_rounded_within_six_decimals(price: Decimal) -> None:
    assert scale_price(price, PER_1M) == price


def test_columns_are_numbers_and_json_arrays() -> None:
    found = to_columns(Facts(input_usd_per_1m=Decimal("0.25"), features=("tools", "视觉"), context_length=8))
    assert (found["input_usd_per_1m"], found["context_length"]) == (0.25, 8)
    assert found["features"] == '["tools", "视觉"]'


def test_each_permission_is_parsed() -> None:
    entry: dict[str, Any] = dict.fromkeys(FLAGS, True)
    entry |= {"is_blocking": False, "allow_view": "yes", "organization": "*"}
    assert parse_permissions({"permission": [entry, None, 3, {}]}) == (
        Permission(1, 1, 1, 1, None, 1, 0, "*", None),
        Permission(*[None] * 9),
    )


@pytest.mark.parametrize("body", [{}, {"permission": None}, {"permission": {}}, {"permission": "all"}])
def test_a_record_without_permissions_has_none(body: dict[str, Any]) -> None:
    assert parse_permissions(body) == ()


@given(strategies.rows)
def test_any_record_has_facts_of_their_types(row: dict[str, Any]) -> None:
    found = facts(row)
    texts = ("object", "owned_by", "created", "root", "parent", "type", "lifecycle", "deprecated_at")
    assert all(getattr(found, name) is None or isinstance(getattr(found, name), str) for name in texts)
    if found.created is not None:
        assert datetime.fromisoformat(found.created).tzinfo is not None
    assert set(to_columns(found)) == set(Facts.__struct_fields__) - {"more_prices"}
    assert all(isinstance(value, str | int | float | None) for value in to_columns(found).values())
    flags = (getattr(permission, flag) for permission in parse_permissions(row) for flag in FLAGS)
    assert all(flag in (0, 1, None) for flag in flags)
