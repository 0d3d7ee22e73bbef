"""The price list of New-API, as each group sees it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipeline.core import canonical
from pipeline.core.facts import Facts
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import Answer, RowCache, all_dialects
from pipeline.gateways.dialects.known.new_api import models_of_group

ORION = {
    "model_name": "orion",
    "quota_type": 0,
    "model_ratio": 1.5,
    "completion_ratio": 4,
    "cache_ratio": 0.1,
}
SKETCH = {"model_name": "sketch", "quota_type": 1, "model_ratio": 0, "model_price": 0.05}


def prices(*rows: dict[str, Any] | None, **envelope: Any) -> dict[str, Any]:
    answer = {
        "success": True,
        "data": list(rows),
        "group_ratio": {"default": 1, "gold": 0.7, "odd": "varies"},
        "usable_group": {"default": "everybody", "gold": "paying", "odd": "?", "quiet": "no ratio"},
        "auto_groups": ["gold", "default"],
        **envelope,
    }
    decoded: dict[str, Any] = canonical.decode(canonical.encode(answer).encode())
    return decoded


def enabled(row: dict[str, Any], *groups: str) -> dict[str, Any]:
    return {**row, "enable_groups": list(groups)}


def names(envelope: dict[str, Any], group: str) -> list[str]:
    return [row["model_name"] for row in models_of_group(envelope, group)]


def facts(row: dict[str, Any]) -> Facts:
    return all_dialects()["new-api-pricing"].facts(row)


def test_a_group_has_the_models_enabled_for_it() -> None:
    """Under either name of the field."""
    envelope = prices(
        enabled(ORION, "default", "gold"), {**SKETCH, "enable_group": ["gold"]}, {"model_name": "x"}
    )
    assert names(envelope, "gold") == ["orion", "sketch"]
    assert names(envelope, "default") == ["orion"]


def test_an_empty_price_list_is_no_reason_to_leave_a_group_out() -> None:
    with pytest.raises(
        Unreadable, match="the price list is empty, so that the models of group 'gold' are"
    ) as error:
        models_of_group(prices(group_ratio={}, usable_group={}), "gold")
    assert "no_models" not in error.value.message
    with pytest.raises(Unreadable, match=r"has no group 'gold'.*no_models"):
        models_of_group(prices(enabled(ORION, "x"), group_ratio={}, usable_group={}), "gold")


def test_prices_are_multiplied_by_the_ratio_of_the_group() -> None:
    tokens, calls = models_of_group(prices(enabled(ORION, "gold"), enabled(SKETCH, "gold")), "gold")
    assert facts(tokens).input_usd_per_1m == Decimal("2.1")
    assert facts(tokens).output_usd_per_1m == Decimal("8.4")
    assert facts(tokens).cache_read_usd_per_1m == Decimal("0.21")
    assert (facts(calls).usd_per_call, facts(calls).price_source) == (Decimal("0.035"), "ratio")


def test_prices_of_an_expression_are_multiplied_by_the_ratio_of_the_group() -> None:
    expression = 'len <= 200000 ? tier("a", p * 3 + c * 15) : tier("b", p * 6 + c * 22.5)'
    tiers = {"model_name": "tiers", "billing_mode": "tiered_expr", "billing_expr": expression}
    [row] = models_of_group(prices(enabled(tiers, "gold")), "gold")
    found = facts(row)
    assert (found.input_usd_per_1m, found.price_source) == (Decimal("2.1"), "ratio")
    assert {(price.meter, price.from_tokens): price.amount for price in found.more_prices} == {
        ("input", 200000): Decimal("4.2"),
        ("output", 200000): Decimal("15.75"),
    }


@pytest.mark.parametrize(
    "expression",
    [
        "p * 2 + c * 6",
        'tier("a", p * 1 + c * 2) + tier("b", p * 1)',
        'tier("a", p * 1 + p * 2)',
        'tier("a", p * 1 - c * 2)',
        'tier("a", fixed(0.01)) * image_count',
        'len <= 9 ? tier("a", p * 1) : len > 3 ? tier("b", p * 2) : tier("c", p * 3)',
        'len <= 9 ? tier("a", p * 1) : len <= 3 ? tier("b", p * 2) : tier("c", p * 3)',
        'len <= 9 ? tier("a", p * 1)',
        'tier("a", p * 1) : tier("b", p * 2)',
        'v2:tier("a", p * 1)',
        'tier("a", p * 1e+400)',
        7,
        ["p * 1"],
    ],
)
def test_an_expression_of_another_form_gives_no_price(expression: object) -> None:
    [row] = prices({**ORION, "billing_mode": "tiered_expr", "billing_expr": expression})["data"]
    assert (facts(row).price_source, facts(row).all_prices) == (None, ())


def test_a_group_without_a_ratio_has_the_ratio_1() -> None:
    [row] = models_of_group(prices(enabled(ORION, "quiet")), "quiet")
    assert facts(row).input_usd_per_1m == Decimal(3)


def test_a_ratio_that_is_no_number_gives_no_price() -> None:
    [row] = models_of_group(prices(enabled(ORION, "odd")), "odd")
    assert (row["model_name"], facts(row)) == ("orion", Facts())


def test_auto_uses_the_first_of_its_groups_with_the_model() -> None:
    envelope = prices(
        enabled(ORION, "default", "gold"), enabled(SKETCH, "default"), enabled({"model_name": "x"}, "odd")
    )
    assert {row["model_name"]: row["group_ratio"] for row in models_of_group(envelope, "auto")} == {
        "orion": Decimal("0.7"),
        "sketch": 1,
    }


def test_a_change_of_another_group_does_not_change_this_one() -> None:
    before = models_of_group(prices(enabled(ORION, "default")), "default")
    after = models_of_group(prices(enabled(ORION, "gold", "default")), "default")
    assert before == after


def test_the_rows_of_a_group_are_a_price_list() -> None:
    rows = models_of_group(prices(enabled(ORION, "gold")), "gold")
    body = canonical.encode({"data": rows}).encode()
    listing = all_dialects()["new-api-pricing"].read(Answer((body,), 1_790_000_000))
    assert canonical.encode(rows[0]) == listing.records["orion"].body


@pytest.mark.parametrize(
    ("envelope", "group", "message"),
    [
        (prices(enabled(ORION, "default")), "platinum", "has no group 'platinum'"),
        (prices(enabled(ORION, "default"), auto_groups=None), "auto", "has no group 'auto'"),
        (prices(data=None), "default", "'data' is null or missing"),
    ],
)
def test_an_unknown_group_is_unreadable_rather_than_empty(
    envelope: dict[str, Any], group: str, message: str
) -> None:
    with pytest.raises(Unreadable) as refused:
        models_of_group(envelope, group)
    assert message in refused.value.message


def test_a_group_that_only_rows_name_has_their_models() -> None:
    """The groups of an anonymous price list are the public ones."""
    envelope = prices(enabled(ORION, "default"), enabled(SKETCH, "svip", "default"))
    assert names(envelope, "svip") == ["sketch"]


def test_a_row_for_all_groups_belongs_to_each() -> None:
    envelope = prices(enabled(ORION, "all"), enabled(SKETCH, "default"), auto_groups=["svip"])
    assert names(envelope, "svip") == names(envelope, "gold") == names(envelope, "auto") == ["orion"]


def test_the_ratio_of_the_user_is_paid_rather_than_the_public_one() -> None:
    envelope = prices(enabled({**ORION, "model_ratio": 1.25}, "gold", "svip"), group_ratio={"gold": 0.8})
    for group in ("gold", "svip"):
        [row] = models_of_group(envelope, group, {"gold": Decimal("0.3"), "svip": Decimal("0.3")})
        assert facts(row).input_usd_per_1m == Decimal("0.75")
    [row] = models_of_group(envelope, "gold", {"gold": None})
    assert facts(row).input_usd_per_1m == Decimal(2)


def test_auto_has_only_the_groups_of_the_user_at_their_ratios() -> None:
    envelope = prices(enabled(ORION, "default", "gold"), enabled(SKETCH, "gold"))
    own = {"default": Decimal("0.5"), "auto": "by load"}
    [row] = models_of_group(envelope, "auto", own)
    assert (row["model_name"], row["group_ratio"]) == ("orion", Decimal("0.5"))


def test_a_group_without_models_is_empty() -> None:
    assert models_of_group(prices(enabled(ORION, "default"), None), "gold") == []


def test_a_price_list_has_the_models_of_the_groups_that_the_caller_may_use() -> None:
    rows = [
        enabled(ORION, "svip"),
        enabled(SKETCH, "svip", "gold"),
        enabled({"model_name": "common"}, "all"),
        enabled({"model_name": "off"}),
        {"model_name": "free"},
    ]

    def listed(**envelope: Any) -> list[str]:
        body = canonical.encode(prices(*rows, **envelope)).encode()
        dialect = all_dialects()["new-api-pricing"]
        answer = Answer((body,), 1_790_000_000)
        read = dialect.read(answer)
        assert RowCache(dialect).read(answer) == read
        return sorted(read.records)

    assert listed() == ["common", "free", "sketch"]
    assert (
        listed(usable_group={}) == listed(usable_group=None) == ["common", "free", "off", "orion", "sketch"]
    )
