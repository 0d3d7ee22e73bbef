"""xAI: the plain list, and the one of language models with prices, modalities and aliases."""

from __future__ import annotations

from typing import Any

from pipeline.core.facts import CENTS_PER_100M, FactPaths, Prices
from pipeline.gateways.dialects.dialect import Dialect

FINGERPRINT = "fingerprint"
"""The field with the build of the answering back end, which is not a property of the model."""


def _is_language_models(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    # The plain list, at `data`, may have the same prices.
    named = isinstance(envelope, dict) and "models" in envelope
    return named and bool(rows) and all("prompt_text_token_price" in row for row in rows)


# Both lists may have prices and `max_prompt_length`: https://docs.x.ai/docs/api-reference
_FACTS = FactPaths(
    prices=Prices(
        unit=CENTS_PER_100M,
        input=("prompt_text_token_price",),
        output=("completion_text_token_price",),
        cache_read=("cached_prompt_text_token_price",),
    ),
)

DIALECTS = (
    Dialect(
        name="xai",
        hosts=("api.x.ai", "*.api.x.ai"),
        noise=(FINGERPRINT,),
        facts=_FACTS,
    ),
    Dialect(
        name="xai-language-models",
        hosts=("api.x.ai/v1/language-models", "*.api.x.ai/v1/language-models"),
        path="/v1/language-models",
        list_at=("models",),
        noise=(FINGERPRINT,),
        recognises=_is_language_models,
        facts=_FACTS,
    ),
)
