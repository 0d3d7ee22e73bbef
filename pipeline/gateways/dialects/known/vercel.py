"""Vercel's AI Gateway: prices as texts in USD per token, some of them in tiers."""

from __future__ import annotations

from pipeline.core.facts import PER_TOKEN, FactPaths, Prices
from pipeline.gateways.dialects.dialect import Dialect

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
        ),
    ),
)
