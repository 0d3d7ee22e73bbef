"""Prices with conditions, and of other units than tokens: what is read from a record, and what is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from gateways.test_known_dialects import price_as_written
from hypothesis import given
from msgspec.structs import replace
from support import strategies

from pipeline.core.facts import PER_1M, PER_TOKEN, FactPaths, Prices, strip_zeros, to_price_rows
from pipeline.core.price_conditions import find_conditions

BASE = {"pricing": {"input": 2, "output": 8, "unit": "per_million_tokens"}}
FACTS = FactPaths()


def read(record: dict[str, Any], unit: Decimal | None = None) -> list[str]:
    """Return the prices of a record beside the plain ones of tokens."""
    prices = find_conditions(record, unit).prices
    return [price_as_written(replace(price, amount=strip_zeros(price.amount))) for price in prices]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("input_cost_per_token_above_200k_tokens", "input 4 USD per 1M tokens, above 200000"),
        ("input_cost_per_token_above_128000_tokens", "input 4 USD per 1M tokens, above 128000"),
        ("output_cost_per_token_above_1m_tokens", "output 4 USD per 1M tokens, above 1000000"),
        ("input_cost_per_token_batches", "input 4 USD per 1M tokens, batch"),
        ("output_cost_per_token_flex", "output 4 USD per 1M tokens, flex"),
        ("input_cost_per_token_above_272k_tokens_flex", "input 4 USD per 1M tokens, above 272000, flex"),
        ("output_cost_per_reasoning_token", "reasoning 4 USD per 1M tokens"),
        ("input_cost_per_audio_token", "input_audio 4 USD per 1M tokens"),
        ("cached_input_audio_cost_per_token", "cache_read_audio 4 USD per 1M tokens"),
        ("off_peak_input_price_per_token", "input 4 USD per 1M tokens, off-peak"),
        ("peak_output_price_per_token", "output 4 USD per 1M tokens, peak"),
        ("cache_write_1h_cost_per_token", "cache_write 4 USD per 1M tokens, 1h"),
    ],
)  # fmt: skip
def test_words_of_a_name_are_conditions(name: str, expected: str) -> None:
    assert read({name: Decimal("0.000004")}) == [expected]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("input_cost_per_image", "input 0.5 USD per image"),
        ("price_per_image", "image 0.5 USD per image"),
        ("output_cost_per_second", "output 0.5 USD per second"),
        ("input_cost_per_audio_per_second", "input_audio 0.5 USD per second"),
        ("video_price_per_second", "video 0.5 USD per second"),
        ("cost_per_request", "request 0.5 USD per request"),
        ("pricePerCall", "request 0.5 USD per request"),
        ("web_search_cost_per_request", "search 0.5 USD per request"),
        ("price_per_search", "search 0.5 USD per search"),
        ("input_cost_per_query", "input 0.5 USD per query"),
        ("input_cost_per_character", "input 0.5 USD per character"),
        ("price_per_page", "page 0.5 USD per page"),
        ("price_per_1k_searches", "search 0.0005 USD per search"),
        ("price_per_million_characters", "character 0.0000005 USD per character"),
    ],
)
def test_a_name_may_state_another_unit_than_tokens(name: str, expected: str) -> None:
    assert read({name: Decimal("0.5")}) == [expected]


@pytest.mark.parametrize(
    "name",
    [
        "image_price",
        "pricing_priority",
        "input_cost_per_token_eu",
        "output_cost_per_second_1080p",
        "batch_discount_price",
        "price_per_day",
        "average_cost_per_request",
        "input_dbu_cost_per_token_batches",
        "audio_image_cost_per_token",
        "prompt_price_long_context",
        "cache_read_1h_cost_per_token",
    ],
)
def test_an_unknown_word_or_an_unstated_unit_gives_no_price(name: str) -> None:
    assert read({name: Decimal("0.5")}) == []


@pytest.mark.parametrize(
    ("tier", "start"),
    [
        ({"min": 0, "max": 200001}, None),
        ({"min": 200001}, 200000),
        ({"min_prompt_tokens": 200000}, 200000),
        ({"from": "32K"}, 32000),
        ({"range": [0, 128000]}, None),
        ({"range": [128000, 1000000]}, 128000),
        ({"tier": {"type": "context", "size": 200000}}, 200000),
        ({"range_name": "32K<Input<=128K"}, 32000),
        ({"range_name": "Input>128K"}, 128000),
        ({"range_name": "Input<=32K"}, None),
        ({"range_name": "Default"}, None),
    ],
)
def test_a_tier_states_the_length_of_the_prompt_from_which_it_holds(
    tier: dict[str, Any], start: int | None
) -> None:
    record = {"pricing": {"tiers": [{"input": 3, **tier}]}}
    found = find_conditions(record, PER_1M)
    assert read(record, PER_1M) == ([f"input 3 USD per 1M tokens, above {start}"] if start else [])
    assert found.first_tiers == ({} if start else {"input": 3})


@pytest.mark.parametrize(
    "tier",
    [
        {"min": 200000, "region": "eu"},
        {"min": 200000, "when": {"region": "eu"}},
        {"min_images": 3},
        {"max_results_range": [0, 25]},
        {"tier": {"type": "volume", "size": 200000}},
        {"tier": "gold"},
        {"range_name": "gold"},
        {"min": "many"},
        {"min": 1000, "from": 2000},
        {"utc_start": 2500},
        {"utc_days": "weekend"},
        {"max": 1000},
    ],
)
def test_a_tier_with_a_condition_that_is_unknown_gives_no_price(tier: dict[str, Any]) -> None:
    listed = [{"input": 3, **tier}, {"input": 4, **tier}]
    assert find_conditions({"pricing": {"tiers": listed}}, PER_1M).prices == ()
    assert not find_conditions({"pricing": {"tiers": listed}}, PER_1M).first_tiers


def test_the_plain_price_of_writing_a_cache_is_that_for_five_minutes() -> None:
    pricing = {"input": 3, "output": 15, "cache_write_5m": Decimal("3.75"), "cache_write_1h": 6}
    facts = FACTS({"pricing": pricing | {"unit": "per_million_tokens"}})
    assert facts.cache_write_usd_per_1m == Decimal("3.75")
    assert [price_as_written(price) for price in facts.more_prices] == ["cache_write 6 USD per 1M tokens, 1h"]


def test_a_price_of_an_image_that_is_one_of_a_token_is_left_out() -> None:
    assert read({"input_cost_per_image": Decimal("0.0000008")}) == []
    assert read({"input_cost_per_image": Decimal("0.00006")}) == ["input 0.00006 USD per image"]


def test_bare_names_in_a_tier_have_its_condition() -> None:
    overrides = [
        {"min_prompt_tokens": 200000, "prompt": "0.000002", "audio": "0.000004", "web_search": "0.02"}
    ]
    assert read({"pricing": {"overrides": overrides}}, PER_TOKEN) == [
        "input 2 USD per 1M tokens, above 200000",
        "input_audio 4 USD per 1M tokens, above 200000",
        "search 0.02 USD per search, above 200000",
    ]


def test_windows_of_hours_and_days_are_texts() -> None:
    overrides = [
        {"utc_start": 1630, "utc_end": 30, "prompt": "0.000001"},
        {"utc_days": ["saturday", "sunday"], "completion": "0.000002"},
    ]
    assert read({"pricing": {"overrides": overrides}}, PER_TOKEN) == [
        "input 1 USD per 1M tokens, 16:30–00:30 UTC",
        "output 2 USD per 1M tokens, saturday sunday",
    ]


@pytest.mark.parametrize(
    ("pricing", "expected"),
    [
        ({"image": "0.0048"}, ["image 0.0048 USD per image"]),
        ({"image": "0.0000003"}, []),
        ({"image": "0", "request": "0"}, []),
        ({"request": "0.005"}, ["request 0.005 USD per request"]),
        ({"web_search": "0.01"}, ["search 0.01 USD per search"]),
        ({"web_search": "10"}, ["search 0.01 USD per search"]),
        ({"web_search": "0.75"}, []),
        ({"audio": "0.00004"}, ["input_audio 40 USD per 1M tokens"]),
        ({"audio": "0.004"}, []),
        ({"image_output": "0.00003"}, ["output_image 30 USD per 1M tokens"]),
        ({"image_output": "0.03"}, []),
    ],
)
def test_bare_names_beside_prices_per_token_are_read_where_the_amount_leaves_one_unit(
    pricing: dict[str, Any], expected: list[str]
) -> None:
    assert read({"pricing": pricing}, PER_TOKEN) == expected
    others = read({"pricing": {name: Decimal(value) for name, value in pricing.items()}}, PER_1M)
    assert [each for each in others if not each.startswith("output_image")] == []


def test_other_currencies_are_kept_with_their_unit() -> None:
    record = {"pricing": {"input": 4, "output": 16, "currency": "CNY", "unit": "per_million_tokens"}}
    assert read(record) == ["input 4 CNY per 1M tokens", "output 16 CNY per 1M tokens"]
    facts = FACTS(record)
    assert (facts.input_usd_per_1m, facts.price_source, len(facts.more_prices)) == (None, None, 2)
    without_unit = {"pricing": {"input": 4, "output": 16, "currency": "CNY"}}
    assert FACTS(without_unit).more_prices == ()


def test_an_object_states_the_unit_beside_its_price() -> None:
    record = {"pricing": {"output": {"price": Decimal("0.04"), "unit": "image"}}}
    assert read(record) == ["output 0.04 USD per image"]
    assert read({"pricing": {"output": {"price": 3, "unit": "gpu_hour"}}}) == []


def test_the_unit_of_the_plain_prices_is_that_of_the_others() -> None:
    record = {"pricing": {**BASE["pricing"], "batch": {"input": 1, "output": 4}}}
    facts = FACTS(record)
    assert facts.input_usd_per_1m == 2
    assert [price_as_written(price) for price in facts.more_prices] == [
        "input 1 USD per 1M tokens, batch",
        "output 4 USD per 1M tokens, batch",
    ]


def test_a_price_with_tiers_only_has_the_first_as_its_plain_price() -> None:
    tiers = [{"cost": "0.000002", "min": 0, "max": 200001}, {"cost": "0.000004", "min": 200001}]
    facts = FactPaths(prices=Prices(unit=PER_TOKEN, input=("pricing.input",)))(
        {"pricing": {"input_tiers": tiers}}
    )
    assert (facts.input_usd_per_1m, facts.price_source) == (2, "exact")
    assert [price.from_tokens for price in facts.all_prices] == [0, 200000]


def test_prices_that_cannot_be_take_those_with_conditions_with_them() -> None:
    record = {"pricing": {"input": 50_000_000, "batch": {"input": 1}, "unit": "per_million_tokens"}}
    assert FACTS(record).all_prices == ()


def test_an_element_of_a_list_may_be_the_price_of_one_resolution_or_quality() -> None:
    listed = [
        {"resolution": "720p", "audio": True, "cost_per_second": "0.1"},
        {"resolution": "1080p", "audio": False, "cost_per_second": "0.2"},
    ]
    assert read({"pricing": {"video": listed}}) == [
        "video 0.2 USD per second, 1080p, without audio",
        "video 0.1 USD per second, 720p, with audio",
    ]
    by_quality = [{"quality": "low", "input": 1}, {"quality": "high", "input": 2}]
    facts = FACTS({"pricing": {"tiers": by_quality, "unit": "per_million_tokens"}})
    assert facts.input_usd_per_1m is None


@given(strategies.rows)
def test_any_record_has_rows_of_one_key_each(record: dict[str, Any]) -> None:
    rows = to_price_rows(FACTS(record))
    keys = [(row["meter"], row["unit"], row["from_tokens"], row["window"], row["currency"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert [row["place"] for row in rows] == list(range(len(rows)))
    assert all(0 <= row["amount"] < 2**63 for row in rows)
