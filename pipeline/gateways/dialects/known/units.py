"""Gateways in OpenAI's shape that need a query for facts, or do not state units or currencies of prices.

Other gateways of this shape need no dialect: see `core/field_names.py` and `core/price_fields.py`.
"""

from __future__ import annotations

from decimal import Decimal

from pipeline.core.facts import PER_1M, PER_TOKEN, FactPaths, Prices
from pipeline.gateways.dialects.dialect import SETS, Dialect

TEN_THOUSANDTHS_PER_1M = Decimal("0.0001")
"""Prices in 1/10,000 USD per 1M tokens: the factor to USD per 1M tokens."""

# https://github.com/lobehub/lobe-chat/blob/main/packages/model-runtime/src/providers/novita/index.ts
_NOVITA = FactPaths(
    prices=Prices(
        unit=TEN_THOUSANDTHS_PER_1M,
        input=("input_token_price_per_m", "pricing.prompt.price_per_m"),
        output=("output_token_price_per_m", "pricing.completion.price_per_m"),
        cache_read=("pricing.input_cache_read.price_per_m",),
    ),
)

DIALECTS = (
    Dialect(
        name="deepinfra",
        # https://github.com/RooCodeInc/Roo-Code/blob/main/src/api/providers/fetchers/deepinfra.ts
        hosts=("api.deepinfra.com",),
        path="/v1/openai/models",
        sets=(*SETS, "metadata.tags"),
        facts=FactPaths(
            features=("metadata.tags",),
            prices=Prices(
                unit=PER_1M,
                input=("metadata.pricing.input_tokens",),
                output=("metadata.pricing.output_tokens",),
                cache_read=("metadata.pricing.cache_read_tokens",),
            ),
        ),
    ),
    Dialect(
        name="friendli",
        # https://friendli.ai/docs/openapi/serverless/models
        hosts=("api.friendli.ai",),
        path="/serverless/v1/models",
        # `unit_type` is TOKEN, where prices are per 1M of them.
        facts=FactPaths(prices=Prices(unit=PER_1M, input=("pricing.input",), output=("pricing.output",))),
    ),
    Dialect(
        name="nano-gpt",
        # https://docs.nano-gpt.com/api-reference/endpoint/models
        hosts=("nano-gpt.com",),
        path="/api/v1/models",
        # Without it, the list has ids only.
        params=(("detailed", "true"),),
    ),
    Dialect(
        name="nebius",
        # https://github.com/charmbracelet/catwalk/blob/main/cmd/nebius/main.go
        hosts=("api.studio.nebius.ai", "api.studio.nebius.com", "api.tokenfactory.nebius.com"),
        # Without it, the list has ids only.
        params=(("verbose", "true"),),
    ),
    Dialect(
        name="novita",
        hosts=("api.novita.ai",),
        path="/openai/v1/models",
        facts=_NOVITA,
    ),
    Dialect(
        name="novita-v3",
        hosts=("api.novita.ai/v3*",),
        path="/v3/openai/models",
        facts=_NOVITA,
    ),
    Dialect(
        name="requesty",
        # https://github.com/RooCodeInc/Roo-Code/blob/main/src/api/providers/fetchers/requesty.ts
        hosts=("router.requesty.ai", "router.*.requesty.ai"),
        facts=FactPaths(
            prices=Prices(
                unit=PER_TOKEN,
                input=("input_price",),
                output=("output_price",),
                cache_read=("cached_price",),
                cache_write=("caching_price",),
            ),
        ),
    ),
    Dialect(
        name="shengsuanyun",
        # https://github.com/anomalyco/models.dev/blob/dev/packages/core/src/sync/providers/shengsuanyun.ts
        hosts=("router.shengsuanyun.com",),
        path="/api/v1/models",
        # The list does not state it.
        facts=FactPaths(prices=Prices(unit=PER_1M, currency="CNY")),
    ),
    Dialect(
        name="zenifra",
        # https://github.com/anomalyco/models.dev/blob/dev/packages/core/src/sync/providers/zenifra.ts
        hosts=("ai.zenifra.com",),
        # The list does not state it.
        facts=FactPaths(prices=Prices(unit=PER_1M, currency="BRL")),
    ),
)
