"""Together's list: a bare array with prices in USD per 1M tokens."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core import jsonpath
from pipeline.core.facts import PER_1M, Body, FactPaths, Facts, Prices
from pipeline.gateways.dialects.dialect import Dialect

_HOURLY = jsonpath.parse("pricing.hourly")


_BILLED_OTHERWISE = ("audio", "image", "transcribe", "video")


def _is_together(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    bare = isinstance(envelope, list)
    return bare and bool(rows) and all(jsonpath.find(row, _HOURLY) is not None for row in rows)


def _without_token_prices(facts: Facts, _body: Body) -> Facts:
    """Drop token prices of 0 of models that are billed per image or second: they are not free."""
    if facts.type not in _BILLED_OTHERWISE or facts.input_usd_per_1m or facts.output_usd_per_1m:
        return facts
    return replace(facts, input_usd_per_1m=None, output_usd_per_1m=None, price_source=None)


DIALECTS = (
    Dialect(
        name="together",
        hosts=("api.together.xyz", "api.together.ai"),
        list_at=("",),
        # Whether an instance is up.
        noise=("running",),
        recognises=_is_together,
        facts=FactPaths(
            prices=Prices(unit=PER_1M, input=("pricing.input",), output=("pricing.output",)),
            adjust=_without_token_prices,
        ),
    ),
)
