"""Gateways with lists like OpenRouter's, and prices of other meanings."""

from __future__ import annotations

from msgspec.structs import replace

from pipeline.core.facts import PER_1M, PER_TOKEN, Body, FactPaths, Facts, Prices
from pipeline.gateways.dialects.dialect import SETS, Dialect
from pipeline.gateways.dialects.known.one_api import PERMISSION_NOISE


def _without_zero_cache_prices(facts: Facts, _body: Body) -> Facts:
    """Drop cache prices of 0: these gateways write 0 for a missing price."""
    return replace(
        facts,
        cache_read_usd_per_1m=facts.cache_read_usd_per_1m or None,
        cache_write_usd_per_1m=facts.cache_write_usd_per_1m or None,
    )


_PER_TOKEN = Prices(
    unit=PER_TOKEN,
    input=("pricing.prompt",),
    output=("pricing.completion",),
    cache_read=("pricing.input_cache_read", "pricing.input_cache_reads"),
    cache_write=("pricing.input_cache_write", "pricing.input_cache_writes"),
)

_SETS = (*SETS, "supported_sampling_parameters")


DIALECTS = (
    Dialect(
        name="baseten",
        hosts=("inference.baseten.co",),
        sets=_SETS,
        facts=FactPaths(prices=_PER_TOKEN, adjust=_without_zero_cache_prices),
    ),
    Dialect(
        name="chutes",
        hosts=("llm.chutes.ai",),
        noise=PERMISSION_NOISE,
        sets=_SETS,
        facts=FactPaths(
            # The names are OpenRouter's, the prices are per 1M tokens.
            prices=Prices(
                unit=PER_1M,
                input=("pricing.prompt", "price.input.usd"),
                output=("pricing.completion", "price.output.usd"),
                cache_read=("pricing.input_cache_read",),
            ),
        ),
    ),
    Dialect(
        name="llmgateway",
        hosts=("api.llmgateway.io",),
        sets=(*_SETS, "providers"),
        facts=FactPaths(prices=_PER_TOKEN, adjust=_without_zero_cache_prices),
    ),
    Dialect(
        name="ovh",
        hosts=("catalog.endpoints.ai.ovh.net",),
        path="/rest/v2/openrouter",
        sets=_SETS,
        facts=FactPaths(prices=_PER_TOKEN, adjust=_without_zero_cache_prices),
        has_records=False,
    ),
)
