"""Amounts of money, with the currency and unit that texts and objects state."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from support import strategies

from pipeline.core.amounts import Amount, Terms, parse_amount, parse_terms, terms_beside

PER_1M = Decimal(1)
PER_1K = Decimal(1000)
PER_TOKEN = Decimal(1_000_000)


@pytest.mark.parametrize(
    ("value", "number", "terms"),
    [
        (3, "3", Terms()),
        (Decimal("2.5e-7"), "2.5e-7", Terms()),
        (" 0.0000005 ", "0.0000005", Terms()),
        ("$0.50", "0.50", Terms(currency="USD")),
        ("US$0.5", "0.5", Terms(currency="USD")),
        ("0.5 USD", "0.5", Terms(currency="USD")),
        ("$1,250.00", "1250", Terms(currency="USD")),
        ("$0.50 / 1M", "0.5", Terms(PER_1M, "USD")),
        ("0.5$/M", "0.5", Terms(PER_1M, "USD")),
        ("$2.50 per 1M input tokens", "2.5", Terms(PER_1M, "USD")),
        ("0.002 USD per 1K tokens", "0.002", Terms(PER_1K, "USD")),
        ("50 cents per 1M tokens", "50", Terms(Decimal("0.01"), "USD")),
        ("¥4/百万tokens", "4", Terms(PER_1M, "CNY")),
        ("4元/千tokens", "4", Terms(PER_1K, "CNY")),
        ("€0.40", "0.4", Terms(currency="EUR")),
        ("1.5 credits", "1.5", Terms(currency="credits")),
        ({"usd": "0.5", "diem": "0.4"}, "0.5", Terms(currency="USD")),
        ({"value": 4, "currency": "CNY", "unit": "perMTokens"}, "4", Terms(PER_1M, "CNY")),
        ({"amount": "0.5"}, "0.5", Terms()),
        ("￥2/百万tokens", "2", Terms(PER_1M, "CNY")),
        ("2元每百万个词元", "2", Terms(PER_1M, "CNY")),
        ("0.02元/万tokens", "0.02", Terms(Decimal(100), "CNY")),
        ("2美元/百万tokens", "2", Terms(PER_1M, "USD")),
        ("A$0.50 / 1M", "0.5", Terms(PER_1M, "AUD")),
        ("₽45/1M", "45", Terms(PER_1M, "RUB")),
        ("0,50 €/1M", "0.5", Terms(PER_1M, "EUR")),
        ("0,125", "0.125", Terms()),
        ("1,50", "1.5", Terms()),
        ("1,500", "1500", Terms()),
        ({"amount": 500, "scale": 9, "currency": "USD"}, "5e-7", Terms(currency="USD")),
        ({"currencyCode": "USD", "units": "2", "nanos": 500000000}, "2.5", Terms(currency="USD")),
        ({"amount": 250, "decimals": 2, "currency": "USD"}, "2.5", Terms(currency="USD")),
    ],
)
def test_an_amount_has_the_terms_that_are_written_beside_it(value: Any, number: str, terms: Terms) -> None:
    assert parse_amount(value) == Amount(Decimal(number), terms)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -1,
        "-1",
        "",
        "free",
        "0.5-1.0",
        "from 0.5",
        "2026-01-01",
        "50%",
        "$0.04 per image",
        [],
        {},
        "1e400",
        "1.500,00 €",
        "1'500",
        "1,00,000",
        "$2 50",
        "$0.50 / 750 tokens",
        "₦45 / 1M",
        "2.5 EUR cents / 1M",
    ],
)
def test_what_is_no_amount_is_none(value: Any) -> None:
    assert parse_amount(value) is None


@given(strategies.values)
def test_any_value_is_an_amount_or_none(value: Any) -> None:
    found = parse_amount(value)
    assert found is None or found.value >= 0


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("per_million_tokens", Terms(PER_1M)),
        ("1M", Terms(PER_1M)),
        ("perMTokens", Terms(PER_1M)),
        ("millionTokens", Terms(PER_1M)),
        ("USD/1M tokens", Terms(PER_1M, "USD")),
        ("per 1,000,000 tokens", Terms(PER_1M)),
        ("元/百万tokens", Terms(PER_1M, "CNY")),
        ("1K", Terms(PER_1K)),
        ("per_token", Terms(PER_TOKEN)),
        ("tokens", Terms()),
        ("1", Terms()),
        ("cents", Terms(currency="US cents")),
        ("cents per 100M tokens", Terms(Decimal("0.0001"), "USD")),
        ("RMB", Terms(currency="CNY")),
        ("人民币元", Terms(currency="CNY")),
        ("USD_CENTS", Terms(currency="US cents")),
        ("ndollars_per_mtok", Terms(Decimal("1e-9"), "USD")),
        ("micro", Terms(currency="micro-USD")),
        ("128K", Terms(other=True)),
        ("image", Terms(other=True)),
        ("USD per second", Terms(currency="USD", other=True)),
    ],
)
def test_a_unit_is_parsed_by_its_words(text: str, terms: Terms) -> None:
    assert parse_terms(text) == terms


@pytest.mark.parametrize(
    ("value", "terms"),
    [
        ({"currency": "CNY"}, Terms(currency="CNY")),
        ({"currency": "Doubloon", "unit": "1M"}, Terms(PER_1M, "Doubloon")),
        ({"unit": "per_1k_tokens", "currency": "usd"}, Terms(PER_1K, "USD")),
        ({"per": 1_000_000}, Terms(PER_1M)),
        ({"per_tokens": 1000}, Terms(PER_1K)),
        ({"priceUnit": "1M", "billing_currency": "eur"}, Terms(PER_1M, "EUR")),
        ({"unit": "CNY per 1K tokens"}, Terms(PER_1K, "CNY")),
        ({"unit_type": "TOKEN", "storage_unit": "1K", "per_page": 1000}, Terms()),
        ({"unit": 7, "currency": None}, Terms()),
        ({"input": 3}, Terms()),
        ({"currency": "USD", "unit": "cents", "per": 1_000_000}, Terms(Decimal("0.01"), "USD")),
        ({"currency": "EUR", "unit": "cents"}, Terms(None, "EUR", other=True)),
        ({"currency": "USD_CENTS", "unit": "1M"}, Terms(Decimal("0.01"), "USD")),
        ({"currency_code": 156}, Terms(currency="156")),
        ({"currency": 840}, Terms(currency="USD")),
        ({"currency": {"code": "EUR", "symbol": "€"}}, Terms(currency="EUR")),
        ({"unit": "0.001"}, Terms(PER_1K)),
        ({"unit_price": Decimal("0.001")}, Terms()),
        ({"units": 1_000_000}, Terms(PER_1M)),
    ],
)
def test_an_object_states_the_terms_of_its_prices(value: dict[str, Any], terms: Terms) -> None:
    assert terms_beside(value) == terms
