"""New-API: the list of a key, and the price list that says which group may use which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pipeline.core.facts import PER_1M, Body, FactPaths, Facts, scale_price
from pipeline.core.values import parse_price
from pipeline.errors import Unreadable
from pipeline.gateways.dialects.dialect import SETS, Dialect
from pipeline.gateways.dialects.known.one_api import NO_MODELS, PERMISSION_NOISE, dated

PER_RATIO = Decimal(2)
"""USD per 1M input tokens of a model whose ratio is 1."""


AUTO_GROUP = "auto"
"""The group whose keys are served by the first of the `auto_groups` that has the model."""


GROUP_RATIO = "group_ratio"
"""By what a group's prices are multiplied: told once, for the group, so it is quiet in its models."""


_BY_CALL = 1


_GROUPS = ("enable_groups", "enable_group")


def _is_new_api(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return isinstance(envelope, dict) and envelope.get("success") is True and dated(rows)


def _priced(facts: Facts, body: Body) -> Facts:
    """Read ratios as prices; where an expression bills the model, the ratios do not count."""
    if body.get("billing_expr"):
        return facts
    of_group = parse_price(body.get(GROUP_RATIO, 1))
    if of_group is None:
        return facts
    if body.get("quota_type") == _BY_CALL:
        paid = parse_price(body.get("model_price"))
        if paid is None:
            return facts
        by_call = scale_price(paid * of_group, PER_1M)
        return replace(facts, usd_per_call=by_call, price_source=None if by_call is None else "ratio")
    own = parse_price(body.get("model_ratio"))
    if own is None:
        return facts
    ratio = own * of_group
    return replace(
        facts,
        input_usd_per_1m=scale_price(ratio, PER_RATIO),
        output_usd_per_1m=_times(ratio, body.get("completion_ratio")),
        cache_read_usd_per_1m=_times(ratio, body.get("cache_ratio")),
        cache_write_usd_per_1m=_times(ratio, body.get("create_cache_ratio")),
        price_source="ratio",
    )


def _times(ratio: Decimal, factor: Any) -> Decimal | None:
    by = parse_price(factor)
    return None if by is None else scale_price(ratio * by, PER_RATIO)


def of_group(envelope: Mapping[str, Any], group: str) -> list[dict[str, Any]]:
    """Give the rows of a price list that one group may use, at that group's prices.

    Args:
        envelope: the opened answer of `/api/pricing`.
        group: its name; `auto` stands for the groups of `auto_groups`, in their order.

    Returns:
        Rows as in `data`, with the group's ratio beside the model's, and without the names of groups, which
        would tell this group what happens to others.

    Raises:
        Unreadable: there is no list, or the answer knows no such group.
    """
    rows = envelope.get("data")
    if not isinstance(rows, list):
        raise Unreadable("'data' is null or missing, not the price list")
    ratios = _named(envelope, "group_ratio")
    tried = _listed(envelope, "auto_groups") if group == AUTO_GROUP else [group]
    usable = _named(envelope, "usable_group")
    if not any(isinstance(name, str) and (name in ratios or name in usable) for name in tried):
        raise Unreadable(f"the price list knows no group {group!r}")
    found = []
    for row in rows:
        served_by = _first_of(tried, row)
        if served_by is not None:
            # The server, too, counts a group without a ratio of its own as 1.
            found.append(_at(row, ratios.get(served_by, 1)))
    return found


def _named(envelope: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = envelope.get(key)
    return value if isinstance(value, dict) else {}


def _listed(envelope: Mapping[str, Any], key: str) -> list[Any]:
    value = envelope.get(key)
    return value if isinstance(value, list) else []


def _first_of(groups: list[str], row: Any) -> str | None:
    if not isinstance(row, dict):
        return None
    enabled: list[Any] = next((row[name] for name in _GROUPS if isinstance(row.get(name), list)), [])
    return next((group for group in groups if group in enabled), None)


def _at(row: dict[str, Any], ratio: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _GROUPS} | {GROUP_RATIO: ratio}


DIALECTS = (
    Dialect(
        name="new-api",
        no_models=NO_MODELS,
        noise=PERMISSION_NOISE,
        # The owner is that of the group's preferred channel: it flips when priorities are changed.
        quiet=("owned_by",),
        recognises=_is_new_api,
    ),
    Dialect(
        name="new-api-pricing",
        hosts=("*/api/pricing",),
        path="/api/pricing",
        id_at="model_name",
        # It is put on whichever record comes first, and their order is another after each rebuild.
        noise=("pricing_version",),
        quiet=("description", "icon", "owner_by", "vendor_id", GROUP_RATIO),
        # Documentation and program disagree on the name of the groups.
        sets=(*SETS, "enable_group"),
        facts=FactPaths(adjust=_priced),
    ),
)
