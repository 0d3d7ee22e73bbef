"""Vercel's AI Gateway: prices as texts in USD per token, some of them in tiers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.core import jsonpath
from pipeline.core.facts import PER_TOKEN, Body, FactPaths, Facts, Prices, scale_price
from pipeline.core.values import parse_price
from pipeline.gateways.dialects.dialect import Dialect

TIERS = {
    "input_usd_per_1m": ("pricing", "input_tiers"),
    "output_usd_per_1m": ("pricing", "output_tiers"),
    "cache_read_usd_per_1m": ("pricing", "input_cache_read_tiers"),
    "cache_write_usd_per_1m": ("pricing", "input_cache_write_tiers"),
}


def _first_tiers(facts: Facts, body: Body) -> Facts:
    """Read a price with tiers only from its first tier, that of short requests."""
    found: dict[str, Any] = {}
    for name, at in TIERS.items():
        match jsonpath.find(body, at):
            case [{"cost": cost}, *_] if getattr(facts, name) is None:
                found[name] = scale_price(parse_price(cost), PER_TOKEN)
    prices = {name: value for name, value in found.items() if value is not None}
    return replace(facts, **prices, price_source="exact") if prices else facts


DIALECTS = (
    Dialect(
        name="vercel",
        hosts=("ai-gateway.vercel.sh",),
        quiet=("name", "description"),
        facts=FactPaths(
            # `created` is the same for all models; `released` is the model's own.
            created=("released",),
            max_output=("max_tokens",),
            features=("tags",),
            prices=Prices(
                unit=PER_TOKEN,
                input=("pricing.input",),
                output=("pricing.output",),
                cache_read=("pricing.input_cache_read",),
                cache_write=("pricing.input_cache_write",),
            ),
            adjust=_first_tiers,
        ),
    ),
)
