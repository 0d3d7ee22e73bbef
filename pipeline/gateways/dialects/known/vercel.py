"""Vercel's AI Gateway: prices as texts in USD per token, some of them in tiers."""

from __future__ import annotations

from msgspec.structs import replace

from pipeline.core.facts import PER_TOKEN, Body, FactPaths, Facts, Prices
from pipeline.gateways.dialects.dialect import Dialect


def _without_speech(facts: Facts, body: Body) -> Facts:
    """Drop the price of input that is the one of a character or a second, which has a name of its own."""
    pricing = body.get("pricing")
    others = ("speech_input_character_cost", "transcription_duration_cost_per_second")
    if not isinstance(pricing, dict) or facts.output_usd_per_1m is not None:
        return facts
    if not any(pricing.get(name) for name in others):
        return facts
    return replace(facts, input_usd_per_1m=None, price_source=None)


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
            adjust=_without_speech,
        ),
    ),
)
