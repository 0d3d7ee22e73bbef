"""Changes of prices, and the fields that they repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pipeline.core import canonical
from pipeline.core.diff import field_changes
from pipeline.core.facts import PER_TOKEN, FactPaths, Facts, Prices, to_columns
from pipeline.core.price_conditions import Price
from pipeline.core.prices import (
    MORE_PRICES,
    PriceChange,
    price_changes,
    price_name,
    prices_of_fields,
    split_prices,
    tokens_text,
)
from pipeline.core.types import FieldChange
from pipeline.gateways.dialects import all_dialects

FACTS = FactPaths(prices=Prices(unit=PER_TOKEN, input=("pricing.prompt",), output=("pricing.completion",)))


def row(body: dict[str, Any], facts_of: Callable[[dict[str, Any]], Facts] = FACTS) -> dict[str, Any]:
    """Return the prices of a record as a query returns them."""
    facts = facts_of(body)
    more = [
        [each.meter, each.unit, each.from_tokens, each.window, each.currency, float(each.amount)]
        for each in facts.more_prices
    ]
    return to_columns(facts) | {MORE_PRICES: json.dumps(more) if more else None}


def changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the prices that differ between two records, and the paths of the other printed fields."""
    sides = [{"id": "lyra", "pricing": {"prompt": "0.000001", **side}} for side in (before, after)]
    bodies = [canonical.decode(canonical.encode(side).encode()) for side in sides]
    fields = field_changes(*(canonical.encode(side) for side in sides))
    prices, others = split_prices(fields, price_changes(*map(row, bodies)))
    texts = [f"{price.name} {price.before} → {price.after}" for price in prices]
    return texts, [field.field for field in others]


LONG = {"min_prompt_tokens": 200000, "prompt": "0.000002"}
RAISED = LONG | {"prompt": "0.000003"}
NIGHT = {"utc_start": 1630, "utc_end": 30, "prompt": "0.0000005"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"overrides": [LONG]}, {"overrides": [RAISED]}, ["input above 200k tokens 2 → 3"]),
        ({}, {"overrides": [LONG]}, ["input above 200k tokens None → 2"]),
        ({"overrides": [LONG]}, {}, ["input above 200k tokens 2 → None"]),
        (
            {"overrides": [LONG]},
            {"overrides": [LONG | {"min_prompt_tokens": 250000}]},
            ["input above 200k tokens 2 → None", "input above 250k tokens None → 2"],
        ),
        (
            {"overrides": [NIGHT]},
            {"overrides": [NIGHT | {"utc_start": 1800}]},
            ["input, 16:30–00:30 UTC 0.5 → None", "input, 18:00–00:30 UTC None → 0.5"],
        ),
        ({"overrides": [NIGHT]}, {"overrides": [LONG, NIGHT]}, ["input above 200k tokens None → 2"]),
        ({"web_search": "0.01"}, {"web_search": "0.02"}, ["search 0.01 → 0.02"]),
        ({"overrides": [NIGHT, LONG]}, {"overrides": [LONG]}, ["input, 16:30–00:30 UTC 0.5 → None"]),
    ],
)  # fmt: skip
def test_a_field_that_a_price_repeats_is_in_neither_result(
    before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    assert changes(before, after) == (expected, [])


def test_a_field_of_a_tier_that_is_unknown_is_printed() -> None:
    tier = LONG | {"region": "eu"}
    prices, others = changes({"overrides": [tier]}, {"overrides": [tier | {"prompt": "0.000003"}]})
    assert (prices, others) == (["pricing.overrides.0.prompt 0.000002 → 0.000003"], [])
    prices, others = changes({"overrides": [LONG]}, {"overrides": [tier]})
    assert prices == ["input above 200k tokens 2 → None"]
    assert others == ["pricing.overrides.0.region"]


def test_equal_prices_are_left_out_or_all_returned() -> None:
    record = row({"pricing": {"prompt": "0.000001", "overrides": [LONG]}})
    assert price_changes(record, record) == ()
    assert [price.name for price in price_changes(record, record, equal_too=True)] == [
        "input",
        "input above 200k tokens",
    ]
    assert [price.name for price in price_changes({}, record)] == ["input", "input above 200k tokens"]


@pytest.mark.parametrize(
    ("price", "name"),
    [
        (Price("input", "1M tokens", Decimal(1), 200000), "input above 200k tokens"),
        (Price("input", "1M tokens", Decimal(1), 1_000_000, "batch"), "input above 1M tokens, batch"),
        (Price("cache_read_audio", "1M tokens", Decimal(1), 131072), "cache read audio above 131,072 tokens"),
        (Price("input", "image", Decimal(1)), "input per image"),
        (Price("image", "image", Decimal(1)), "image"),
        (Price("input", "1M tokens", Decimal(1), currency="CNY"), "input in CNY"),
        (Price("call", "call", Decimal(1), 32000), "a call above 32k tokens"),
    ],
)
def test_the_name_of_a_price_has_its_condition(price: Price, name: str) -> None:
    assert price_name(price) == name


def test_a_number_of_tokens_is_short_where_it_is_round() -> None:
    assert [tokens_text(number) for number in (200, 200_000, 2_000_000)] == ["200", "200k", "2M"]
    assert tokens_text(131_072) == "131,072"


def test_a_price_with_a_condition_holds_not_always() -> None:
    assert not PriceChange("input", Decimal(1), Decimal(2), "1M tokens").has_condition
    assert PriceChange("input, batch", Decimal(1), Decimal(2), "1M tokens", window="batch").has_condition


EXPRESSION = 'len <= 200000 ? tier("short", p * 3 + c * 15) : tier("long", p * {long} + c * 30)'


def test_the_numbers_of_a_billing_expression_are_not_printed_beside_its_prices() -> None:
    facts = all_dialects()["new-api-pricing"].facts
    sides = [{"model_name": "lyra", "billing_expr": EXPRESSION.replace("{long}", long)} for long in "67"]
    known = price_changes(*(row(side, facts) for side in sides))
    prices, others = split_prices(field_changes(*map(canonical.encode, sides)), known)
    assert [(price.name, price.before, price.after) for price in prices] == [
        ("input above 200k tokens", 6, 7)
    ]
    assert others == ()
    other = {"model_name": "lyra", "billing_expr": 'tier("flat", p * 4)'}
    known = price_changes(row(sides[0], facts), row(other, facts))
    prices, [left] = split_prices(field_changes(canonical.encode(sides[0]), canonical.encode(other)), known)
    assert (prices[0].name, prices[0].before, prices[0].after, left.field) == ("input", 3, 4, "billing_expr")


@pytest.mark.parametrize(
    ("source", "raw", "price", "expected"),
    [
        ("ratio", ("1.5", "3"), ("3", "6"), True),
        ("ratio", ("3", "1.5"), ("6", "3"), True),
        ("ratio", ("1.5", "3"), ("3", "7"), False),
        ("exact", ("1.5", "3"), ("3", "6"), False),
        (None, ("1.5", "3"), ("3", "6"), False),
        ("ratio", (None, "3"), ("3", "6"), False),
        ("ratio", ("1.5", None), ("3", "6"), False),
        ("ratio", ("1.5", "3"), (None, "6"), False),
        ("ratio", ("1.5", "3"), ("3", None), False),
        ("ratio", ("0", "3"), ("3", "6"), False),
    ],
)
def test_a_ratio_belongs_to_the_price_that_is_computed_from_it_alone(
    source: str | None,
    raw: tuple[str | None, str | None],
    price: tuple[str | None, str | None],
    *,
    expected: bool,
) -> None:
    field = FieldChange("model_ratio", *raw, "price")
    sides = (None if side is None else Decimal(side) for side in price)
    change = PriceChange("input", *sides, "1M tokens", source)
    assert (field in prices_of_fields([field], [change])) is expected
