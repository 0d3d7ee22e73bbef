"""Prices of unknown formats: read where the record or two of its prices show the unit, else not at all."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from support import strategies

from pipeline.core.canonical import decode
from pipeline.core.facts import NO_PRICES, PER_1M, PER_TOKEN, FactPaths, Prices
from pipeline.core.price_fields import find_prices, names_unread_price

NAMES = {"in": "input_usd_per_1m", "out": "output_usd_per_1m", "read": "cache_read_usd_per_1m"}
NAMES["write"] = "cache_write_usd_per_1m"


def record(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = decode(json.dumps(value).encode())
    return found


def prices(value: dict[str, Any]) -> dict[str, str]:
    """Return the prices of a record by their short names, as facts have them."""
    facts = FactPaths()(record(value))
    found = {short: getattr(facts, name) for short, name in NAMES.items()}
    return {short: format(price, "f") for short, price in found.items() if price is not None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"input_cost_per_token": 2.5e-7, "output_cost_per_token": 1e-6}, {"in": "0.25", "out": "1"}),
        (
            {"pricePerToken": {"input": "0.000003", "output": "0.000015", "cacheRead": "0.0000003"}},
            {"in": "3", "out": "15", "read": "0.3"},
        ),
        ({"input_price_per_million": 0.5, "output_price_per_million": 1.5}, {"in": "0.5", "out": "1.5"}),
        ({"pricing": {"input_per_1m": "0.02", "output_per_1m": "0.04"}}, {"in": "0.02", "out": "0.04"}),
        ({"input_price_per_1k_tokens": 0.0005}, {"in": "0.5"}),
        ({"price": {"in": 50, "out": 150, "unit": "cents per 1M tokens"}}, {"in": "0.5", "out": "1.5"}),
        (
            {"pricing": {"prompt": 2.5, "completion": 10, "unit": "per_million_tokens"}},
            {"in": "2.5", "out": "10"},
        ),
        ({"pricing": {"input": 0.03, "output": 0.06}, "pricing_unit": "1K"}, {"in": "30", "out": "60"}),
        ({"pricing": {"input": "$0.50 / 1M", "output": "$1.50 / 1M"}}, {"in": "0.5", "out": "1.5"}),
        (
            {"pricings": {"prompt": [{"value": 0.5, "unit": "perMTokens", "currency": "USD"}]}},
            {"in": "0.5"},
        ),
        (
            {"prices": [{"type": "input", "price": 0.5, "unit": "1M tokens"}, {"type": "image", "price": 9}]},
            {"in": "0.5"},
        ),
        (
            {"metadata": {"pricing": {"input_per_million": 1, "cached_input_per_million": 0.1}}},
            {"in": "1", "read": "0.1"},
        ),
        (
            {
                "input_cost_per_token": 2.5e-7,
                "cache_creation_input_token_cost": 3e-7,
                "cache_read_input_token_cost": 2.5e-8,
                "input_cost_per_token_above_200k_tokens": 5e-7,
            },
            {"in": "0.25", "read": "0.025", "write": "0.3"},
        ),
    ],
)
def test_a_unit_that_the_record_states_is_obeyed(value: dict[str, Any], expected: dict[str, str]) -> None:
    assert prices(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"pricing": {"prompt": "0.0000005", "completion": "0.0000015"}}, {"in": "0.5", "out": "1.5"}),
        ({"pricing": {"prompt": "$0.00000055", "completion": "$0.0000022"}}, {"in": "0.55", "out": "2.2"}),
        ({"pricing": {"prompt": "0.00000002", "completion": "0"}}, {"in": "0.02", "out": "0"}),
        ({"pricing": [{"prompt": "0.0000005", "completion": "0.000002"}]}, {"in": "0.5", "out": "2"}),
        ({"pricing": {"prompt": 0.25, "completion": 1}}, {"in": "0.25", "out": "1"}),
        ({"pricing": {"input": 0.6, "output": 0.6, "unit_type": "TOKEN"}}, {"in": "0.6", "out": "0.6"}),
        (
            {"input_price": 3e-6, "output_price": 1.5e-5, "cached_price": 3e-7},
            {"in": "3", "out": "15", "read": "0.3"},
        ),
        (
            {"pricing": {"input": {"usd": 0.7, "diem": 0.7}, "output": {"usd": 2.8}}},
            {"in": "0.7", "out": "2.8"},
        ),
    ],
)
def test_two_prices_show_a_unit_that_alone_is_possible(
    value: dict[str, Any], expected: dict[str, str]
) -> None:
    assert prices(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"pricing": {"prompt": "0.00015", "completion": "0.0006"}, "top_provider": {}},
            {"in": "150", "out": "600"},
        ),
        ({"pricing": {"prompt": "0", "completion": "0"}, "architecture": {}}, {"in": "0", "out": "0"}),
        (
            {"cost": {"input": 0.02, "output": 0.04}, "limit": {"context": 8000}},
            {"in": "0.02", "out": "0.04"},
        ),
        (
            {"prompt_text_token_price": 20000, "completion_text_token_price": 100000},
            {"in": "2", "out": "10"},
        ),
    ],
)
def test_a_record_in_the_shape_of_a_known_format_has_its_unit(
    value: dict[str, Any], expected: dict[str, str]
) -> None:
    assert prices(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"pricing": {"input": 0.03, "output": 0.06}},
        {"pricing": {"input": 0.00003, "output": 0.00006}},
        {"pricing": {"input": 0.0005, "output": 0.0015}},
        {"pricing": {"prompt": "0.0000005"}},
        {"pricing": {"input": 2.5}},
        {"pricing": {"input": 0, "output": 0}},
        {"input_token_price_per_m": 5700, "output_token_price_per_m": 23000},
        {"input_token_price_per_m": 0.5, "output_token_price_per_m": 2},
        {"pricing": {"input": 2, "output": 8000}},
        {"completion_rate": 0.98, "prompt": "You are a helper"},
        {"pricing": {"image": 0.04, "unit": "image"}},
        {"pricing": {"input": 0.5, "output": 1, "unit": "second"}},
        {"price": 3},
    ],
)
def test_an_unsure_price_gives_no_figure(value: dict[str, Any]) -> None:
    assert prices(value) == {}
    assert find_prices(record(value)).impossible == ()


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ({"pricing": {"input": 4, "output": 16, "currency": "CNY"}}, "CNY"),
        ({"pricing": {"input": 4, "output": 16}, "currency": "RMB"}, "CNY"),
        ({"pricing": {"input_token": 0.4, "output_token": 1.2, "currency": "EUR"}}, "EUR"),
        ({"price": {"input": "¥4 / 1M", "output": "¥16 / 1M"}}, "CNY"),
        ({"pricing": {"input": 4, "output": 16, "unit": "CNY per 1M tokens"}}, "CNY"),
        ({"pricing": {"prompt": "4", "completion": "8", "currency": "credits"}}, "credits"),
        ({"price_per_token": {"input_cents": 3, "output_cents": 4}}, None),
        ({"price": {"input": "￥4", "output": "￥16"}}, "CNY"),
        ({"pricing": {"input_cny": 4, "output_cny": 16}}, "CNY"),
        ({"inputPriceRubPerMillion": 45, "outputPriceRubPerMillion": 90}, "RUB"),
        ({"pricing": {"EUR": {"input": 4, "output": 16}}}, "EUR"),
        ({"pricing": {"input": "¥4 / 1M", "output": 16}}, "CNY"),
    ],
)
def test_another_currency_gives_no_figure_in_usd(value: dict[str, Any], currency: str | None) -> None:
    assert prices(value) == {}
    assert currency is None or find_prices(record(value)).why_none == currency


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"input_cost_per_token": 0.25, "output_cost_per_token": 1}, "input_cost_per_token"),
        ({"pricing": {"input": 250000, "output": 9, "unit": "per_1m_tokens"}}, "pricing.input"),
        ({"pricing": {"input": 1e-9, "output": 2e-9, "unit": "per_1m_tokens"}}, "pricing.input"),
    ],
)
def test_a_magnitude_that_cannot_be_gives_no_figure_and_is_named(value: dict[str, Any], path: str) -> None:
    assert prices(value) == {}
    assert FactPaths().impossible_prices(record(value))[0][0] == path


def test_the_limits_of_a_magnitude_are_ten_thousand_dollars_and_a_millionth_of_a_cent() -> None:
    reading = FactPaths(prices=Prices(PER_1M, input=("in",)))
    figures = {
        text: reading(record({"in": text})).input_usd_per_1m for text in ("10000", "10000.01", "0.00000001")
    }
    assert figures == {"10000": Decimal(10_000), "10000.01": None, "0.00000001": Decimal("0.00000001")}
    assert reading.impossible_prices(record({"in": 10001})) == (("in", Decimal(10_001)),)
    assert reading(record({"in": 10001})).price_source is None
    assert reading(record({"in": "0.000000009"})).input_usd_per_1m is None


def test_paths_and_units_of_a_dialect_are_overruled_by_what_the_record_states() -> None:
    reading = FactPaths(prices=Prices(PER_TOKEN, input=("pricing.in",), output=("pricing.out",)))
    assert reading(record({"pricing": {"in": 3, "unit": "1M"}})).input_usd_per_1m == 3
    assert reading(record({"pricing": {"in": "0.000003", "currency": "EUR"}})).price_source is None
    assert reading(record({"pricing": {"in": "0.000003"}, "unit": "GB"})).input_usd_per_1m == 3


def test_a_unit_without_paths_is_that_of_the_prices_found_by_name() -> None:
    reading = FactPaths(prices=Prices(PER_1M))
    assert reading(record({"pricing": {"input": 0.03, "output": 0.06}})).input_usd_per_1m == Decimal("0.03")
    assert FactPaths(prices=NO_PRICES)(record({"input_price_per_million": 3})).input_usd_per_1m is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"pricing": {"input": 1.4, "output": 4.4, "input_cache_read": "0.00000026"}},
            {"in": "1.4", "out": "4.4", "read": "0.26"},
        ),
        (
            {"pricing": {"input": 3, "output": 15, "cache_read": 0.003}},
            {"in": "3", "out": "15", "read": "0.003"},
        ),
        (
            {"pricing": {"input_price_per_million": 3e-6, "output_price_per_million": 1.5e-5}},
            {"in": "3", "out": "15"},
        ),
        ({"input_price_per_million": 3e-6}, {"in": "0.000003"}),
        ({"input_price_per_million": 0.01, "output_price_per_million": 0.02}, {"in": "0.01", "out": "0.02"}),
    ],
)
def test_a_price_in_another_unit_than_the_others_or_its_name_says_is_read_in_its_own(
    value: dict[str, Any], expected: dict[str, str]
) -> None:
    assert prices(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"list_price": {"input": 9, "output": 99}, "price": {"input": 3, "output": 15}},
        {"base_input_per_1m": 9, "base_output_per_1m": 99, "input_per_1m": 3, "output_per_1m": 15},
        {"cost": {"default": {"input": 9}, "input": 3, "output": 15}},
        {"pricing": {"eur": {"input": 9, "output": 99}, "usd": {"input": 3, "output": 15}}},
    ],
)
def test_the_plain_price_in_usd_goes_before_others(value: dict[str, Any]) -> None:
    assert prices(value) == {"in": "3", "out": "15"}


def test_a_number_of_tokens_is_no_price() -> None:
    tokens = {
        "input": {"price": {"USD": 2.5}, "units": 1000000},
        "output": {"price": {"USD": 10}, "units": 1000000},
    }
    assert prices({"pricing": {"tokens": tokens}}) == {"in": "2.5", "out": "10"}


def test_prices_without_a_currency_are_in_that_of_the_dialect() -> None:
    reading = FactPaths(
        prices=Prices(PER_1M, input=("in",), output=("out",), per_call=("call",), currency="CNY")
    )
    facts = reading(record({"in": 4, "out": "$2", "call": 3}))
    assert (facts.input_usd_per_1m, facts.output_usd_per_1m, facts.usd_per_call) == (None, 2, None)


@given(strategies.rows)
def test_any_record_has_possible_prices(row: dict[str, Any]) -> None:
    found = find_prices(row)
    assert all(figure >= 0 for figure in found.usd.values())
    FactPaths().impossible_prices(row)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pricing.input", True),
        ("cost.completion", True),
        ("price", True),
        ("usd_price", True),
        ("billing.prompt_price", True),
        ("inputPrice", True),
        ("input", False),
        ("input_tokens", False),
        ("max_output_tokens", False),
        ("prompt_template", False),
        ("limits.input", False),
        ("price_of_gold", False),
        ("description", False),
    ],
)
def test_a_name_of_a_price_of_tokens_has_a_word_for_prices(path: str, *, expected: bool) -> None:
    assert names_unread_price(path) is expected
