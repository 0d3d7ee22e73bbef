"""The format in which OpenRouter asks its providers for their lists: prices and lengths in each modality.

See https://openrouter.ai/docs/guides/providers/integration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from pipeline.core import jsonpath
from pipeline.core.facts import NO_PRICES, PER_TOKEN, TOKEN_PRICES, Body, FactPaths, Facts, Prices
from pipeline.core.values import parse_length
from pipeline.gateways.dialects.dialect import Dialect

_CONTEXT = jsonpath.parse("supported_inputs.max_context_length.value")
_LONGEST = jsonpath.parse("max_length.value")
_PRICES = FactPaths(prices=Prices(unit=PER_TOKEN))


def _is_of_a_provider(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(
        any(_modalities(row, "input_modalities")) and any(_modalities(row, "output_modalities"))
        for row in rows
    )


def _modalities(body: Body, name: str) -> Iterator[Body]:
    found = body.get(name)
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict) and isinstance(each.get("type"), str):
            yield each


def _priced(modality: Body) -> Iterator[dict[str, Any]]:
    """Yield the prices of a modality, labelled with it unless it is text."""
    found = modality.get("pricing")
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict):
            prefix = "" if modality["type"] == "text" else f"{modality['type']} "
            yield {**each, "type": f"{prefix}{each.get('type')}"}


def _adjusted(facts: Facts, body: Body) -> Facts:
    """Read the modalities, and the lengths and prices in them."""
    inputs = list(_modalities(body, "input_modalities"))
    outputs = list(_modalities(body, "output_modalities"))
    lengths = (parse_length(jsonpath.find(each, _CONTEXT)) for each in inputs)
    longest = (parse_length(jsonpath.find(each, _LONGEST)) for each in outputs)
    priced = _PRICES({"pricing": [price for each in (*inputs, *outputs) for price in _priced(each)]})
    prices: dict[str, Any] = {name: getattr(priced, name) for name in (*TOKEN_PRICES, "price_source")}
    return replace(
        facts,
        context_length=next(filter(None, lengths), facts.context_length),
        max_output=next(filter(None, longest), facts.max_output),
        input_modalities=tuple(sorted({each["type"] for each in inputs})),
        output_modalities=tuple(sorted({each["type"] for each in outputs})),
        more_prices=priced.more_prices,
        **prices,
    )


DIALECTS = (
    Dialect(
        name="openrouter-provider",
        recognises=_is_of_a_provider,
        # Prices are in lists within lists, whose places the config cannot name.
        facts=FactPaths(prices=NO_PRICES, input_modalities=(), output_modalities=(), adjust=_adjusted),
        has_records=False,
    ),
)
