"""The router of Hugging Face: each model has several providers, each with its price and limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import PER_1M, Body, FactPaths, Facts, scale_price
from pipeline.core.values import parse_length, parse_price
from pipeline.gateways.dialects.dialect import SETS, Dialect

FEATURES = {"supports_tools": "tools", "supports_structured_output": "structured_output"}


def _adjusted(facts: Facts, body: Body) -> Facts:
    """Read the best offers of the live providers: the lowest price, the longest context, every feature.

    The price is an estimate: a request goes to the fastest provider, which changes by the minute, unless it
    names one or asks for the cheapest.
    """
    live = [provider for provider in _providers(body) if provider.get("status") in (None, "live")]
    priced = [found for found in map(_price, live) if found is not None]
    contexts = [
        found for found in (parse_length(one.get("context_length")) for one in live) if found is not None
    ]
    flags = {name for flag, name in FEATURES.items() for one in live if one.get(flag) is True}
    facts = replace(facts, context_length=max(contexts, default=None), features=tuple(sorted(flags)))
    if not priced:
        return facts
    cheapest = min(priced, key=lambda pair: (sum(pair), pair))
    return replace(
        facts,
        input_usd_per_1m=scale_price(cheapest[0], PER_1M),
        output_usd_per_1m=scale_price(cheapest[1], PER_1M),
        price_source="estimate",
    )


def _providers(body: Body) -> list[dict[str, Any]]:
    providers = body.get("providers")
    return [one for one in providers if isinstance(one, dict)] if isinstance(providers, list) else []


def _price(provider: dict[str, Any]) -> tuple[Decimal, Decimal] | None:
    pricing = provider.get("pricing")
    if not isinstance(pricing, dict):
        return None
    paid = parse_price(pricing.get("input")), parse_price(pricing.get("output"))
    return None if paid[0] is None or paid[1] is None else (paid[0], paid[1])


DIALECTS = (
    Dialect(
        name="huggingface",
        hosts=("router.huggingface.co",),
        noise=("providers[].first_token_latency_ms", "providers[].throughput"),
        quiet=("providers[].status",),
        sets=(*SETS, "providers"),
        facts=FactPaths(adjust=_adjusted),
    ),
)
