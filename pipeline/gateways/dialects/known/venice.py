"""Venice: all fields of a model are below `model_spec`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pipeline.core import jsonpath
from pipeline.core.amounts import USD, parse_amount
from pipeline.core.facts import PER_1M, Body, FactPaths, Facts, Prices
from pipeline.core.price_conditions import CALL, Price, in_order_of_rows
from pipeline.gateways.dialects.dialect import SETS, Dialect

BILLED_BY_TOKEN = frozenset({None, "text", "code", "embedding"})


_DEPRECATION = jsonpath.parse("model_spec.deprecation")
"""Only models with an announced end have it: https://docs.venice.ai/api-reference/endpoint/models/list"""


_RESOLUTIONS = jsonpath.parse("model_spec.pricing.resolutions")
_QUALITY = jsonpath.parse("model_spec.pricing.quality")


def _of_variants(value: Any, names: tuple[str, ...] = ()) -> Iterator[Price]:
    """Yield the prices of an image by resolution, and by resolution and quality."""
    if not isinstance(value, dict):
        return
    amount = parse_amount(value)
    if amount is None:
        for name, inner in value.items():
            yield from _of_variants(inner, (*names, name))
    elif names and amount.terms.currency == USD:
        yield Price(CALL, CALL, amount.value, window=", ".join(names))


def _adjusted(facts: Facts, body: Body) -> Facts:
    """Read the announced end, and drop prices that are not by token: those of speech are per character."""
    variants = [
        price for path in (_RESOLUTIONS, _QUALITY) for price in _of_variants(jsonpath.find(body, path))
    ]
    if variants:
        facts = replace(facts, more_prices=in_order_of_rows((*facts.more_prices, *variants)))
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
                per_call=("model_spec.pricing.generation.usd", "model_spec.pricing.inpaint.usd"),
            ),
            # `date` is the older name of `removesAt`.
            deprecated_at=("model_spec.deprecation.removesAt", "model_spec.deprecation.date"),
            adjust=_adjusted,
        ),
    ),
)
