"""What matters of a change: values that are equal however they are written."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.canonical import as_text, decode
from pipeline.core.impact import is_same_value, is_significant
from pipeline.core.types import FieldChange

SAME = [
    ("price", "0.000002", '"0.000002"'),
    ("price", "2e-6", '"0.000002"'),
    ("price", '"0.0000020"', '"2e-06"'),
    ("price", "2", "2.0"),
    ("price", '"$0.50"', "0.5"),
    ("price", '"$0.50 / 1M"', '"0.5 USD per 1M tokens"'),
    ("price", '"4 CNY"', '"4.00 CNY"'),
    ("price", '"€0.5"', '"€0.50"'),
    ("price", "0.30000000000000004", "0.3"),
    ("price", "1.9999999999999998e-06", "2e-6"),
    ("price", "-1", '"-1"'),
    ("price", "0", '"0.00"'),
    ("price", '["0.1", "0.20"]', "[0.1, 0.2]"),
    ("price", '{"tiers": [{"min": 0, "price": "0.1"}]}', '{"tiers": [{"min": 0, "price": 0.10}]}'),
    ("limits", "8192", '"8192"'),
    ("limits", "8192.0", '"8,192"'),
    ("limits", '"128k tokens"', "128000"),
    ("limits", "-1", '"-1"'),
    ("limits", "[8192, 4096]", '["8192", "4096.0"]'),
]

DIFFERENT = [
    ("price", "0.000002", "0.000003"),
    ("price", '"0.5 USD"', '"0.5 CNY"'),
    ("price", '"0.5 EUR"', '"0.5 CNY"'),
    ("price", '"0.5 CNY"', "0.5"),
    ("price", '"$0.5 / 1K"', '"$0.5 / 1M"'),
    ("price", "1", "true"),
    ("price", '"free"', "0"),
    ("price", "2", "-2"),
    ("price", '["0.1", "0.2"]', '["0.2", "0.1"]'),
    ("price", '["0.1"]', '["0.1", "0.1"]'),
    ("price", '{"input": 1}', '{"output": 1}'),
    ("price", '"NaN"', '"nan"'),
    ("limits", "8192", "8193"),
    ("limits", "0.5", "0.7"),
    ("limits", "1", "true"),
    ("limits", '"unlimited"', "8192"),
    ("other", "1", '"1"'),
    ("lifecycle", "1", '"1"'),
]


def texts(before: str, after: str) -> tuple[str, str]:
    """Return two values, in JSON, as a field change has them."""
    return as_text(decode(before.encode())), as_text(decode(after.encode()))


@pytest.mark.parametrize(("category", "before", "after"), SAME)
def test_an_amount_in_another_spelling_is_no_change(category: str, before: str, after: str) -> None:
    sides = texts(before, after)
    for one, other in (sides, sides[::-1]):
        assert is_same_value(one, other, category)
        assert not is_significant(FieldChange("field", one, other, category))


@pytest.mark.parametrize(("category", "before", "after"), DIFFERENT)
def test_another_amount_is_a_change(category: str, before: str, after: str) -> None:
    sides = texts(before, after)
    for one, other in (sides, sides[::-1]):
        assert not is_same_value(one, other, category)
        assert is_significant(FieldChange("field", one, other, category))


@pytest.mark.parametrize("value", [None, "2"])
def test_a_price_that_appears_or_vanishes_is_a_change(value: Any) -> None:
    assert is_significant(FieldChange("field", value, "3" if value is None else None, "price"))
