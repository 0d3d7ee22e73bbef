"""Venice: all fields of a model are below `model_spec`."""

from __future__ import annotations

from dataclasses import replace

from pipeline.core import jsonpath
from pipeline.core.facts import PER_1M, Body, FactPaths, Facts, Prices
from pipeline.gateways.dialects.dialect import SETS, Dialect

BILLED_BY_TOKEN = frozenset({None, "text", "code", "embedding"})


_DEPRECATION = jsonpath.parse("model_spec.deprecation")
"""Only models with an announced end have it: https://docs.venice.ai/api-reference/endpoint/models/list"""


def _adjusted(facts: Facts, body: Body) -> Facts:
    """Read the announced end, and drop prices that are not by token: those of speech are per character."""
    if isinstance(jsonpath.find(body, _DEPRECATION), dict):
        facts = replace(facts, lifecycle="deprecated")
    if facts.type in BILLED_BY_TOKEN:
        return facts
    return replace(
        facts,
        input_usd_per_1m=None,
        output_usd_per_1m=None,
        cache_read_usd_per_1m=None,
        cache_write_usd_per_1m=None,
        price_source=None if facts.usd_per_call is None else facts.price_source,
    )


DIALECTS = (
    Dialect(
        name="venice",
        hosts=("api.venice.ai",),
        path="/api/v1/models",
        # Without it, only text models are listed.
        params=(("type", "all"),),
        quiet=("model_spec.name", "model_spec.description"),
        sets=(*SETS, "model_spec.traits"),
        facts=FactPaths(
            context_length=("model_spec.availableContextTokens",),
            max_output=("model_spec.maxCompletionTokens",),
            features=("model_spec.capabilities",),
            prices=Prices(
                unit=PER_1M,
                input=("model_spec.pricing.input.usd",),
                output=("model_spec.pricing.output.usd",),
                cache_read=("model_spec.pricing.cache_input.usd",),
                cache_write=("model_spec.pricing.cache_write.usd",),
                per_call=("model_spec.pricing.generation.usd",),
            ),
            # `date` is the older name of `removesAt`.
            deprecated_at=("model_spec.deprecation.removesAt", "model_spec.deprecation.date"),
            adjust=_adjusted,
        ),
    ),
)
