"""Cloudflare's Workers AI; the configured URL ends in `/accounts/ID/ai`, or is that of the search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from pipeline.core import jsonpath
from pipeline.core.facts import PER_1K, PER_1M, Body, FactPaths, Facts, scale_price
from pipeline.core.values import parse_date, parse_length, parse_price
from pipeline.gateways.dialects.dialect import SETS, Dialect
from pipeline.gateways.dialects.paging import Paging

_PER_TOKENS = re.compile(
    r"^per (?P<size>1?m|million|1?k|thousand) (?P<kind>cached input|input|output) tokens?$",
    re.IGNORECASE,
)

_PRICES = {
    "cached input": "cache_read_usd_per_1m",
    "input": "input_usd_per_1m",
    "output": "output_usd_per_1m",
}


def _is_cloudflare(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(
        isinstance(row.get("properties"), list) and isinstance(row.get("task"), dict) for row in rows
    )


def _properties(body: Body) -> dict[str, Any]:
    found = body.get("properties")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return {str(row.get("property_id")): row.get("value") for row in rows}


def _prices(listed: Any) -> Iterator[tuple[str, Decimal]]:
    """Yield the prices in USD per 1M tokens by the name of the fact; prices in other units are skipped."""
    for row in listed if isinstance(listed, list) else []:
        unit = _PER_TOKENS.match(str(jsonpath.find(row, ("unit",))).strip())
        amount = (
            scale_price(parse_price(jsonpath.find(row, ("price",))), _unit(unit["size"])) if unit else None
        )
        if unit and amount is not None and jsonpath.find(row, ("currency",)) in (None, "USD"):
            yield _PRICES[unit["kind"].lower()], amount


def _unit(size: str) -> Decimal:
    return PER_1K if size.lower() in ("k", "1k", "thousand") else PER_1M


def _from_properties(facts: Facts, body: Body) -> Facts:
    """Read the facts from the properties, whose values are texts: "true" is a flag, "24000" a length."""
    properties = _properties(body)
    prices: dict[str, Any] = dict(_prices(properties.get("price")))
    flags = {name for name, value in properties.items() if value == "true" or value is True}
    return replace(
        facts,
        context_length=parse_length(properties.get("context_window")) or facts.context_length,
        max_output=parse_length(properties.get("max_output_tokens")) or facts.max_output,
        features=tuple(sorted(flags - {"beta"})) or facts.features,
        input_modalities=("image", "text") if "vision" in flags else facts.input_modalities,
        lifecycle="beta" if "beta" in flags else facts.lifecycle,
        deprecated_at=parse_date(properties.get("planned_deprecation_date")) or facts.deprecated_at,
        price_source="exact" if prices else facts.price_source,
        **prices,
    )


DIALECTS = (
    Dialect(
        name="cloudflare",
        hosts=(
            "api.cloudflare.com/client/v4/accounts/*/ai",
            "api.cloudflare.com/client/v4/accounts/*/ai/models",
            "api.cloudflare.com/client/v4/accounts/*/ai/models/search",
        ),
        path="/ai/models/search",
        paging=Paging(
            param="page",
            numbered=True,
            pages_at="result_info.total_pages",  # missing in some answers
            size=(("per_page", "100"),),
            total_at="result_info.total_count",
        ),
        list_at=("result",),
        id_at="name",
        sets=(*SETS, "properties"),
        recognises=_is_cloudflare,
        facts=FactPaths(type=("task.name",), features=(), adjust=_from_properties),
        has_records=False,
    ),
)
