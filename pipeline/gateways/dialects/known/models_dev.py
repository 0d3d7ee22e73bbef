"""The catalogue of models.dev and lists like it: limits, and prices in USD per 1M tokens."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import PER_1M, Body, FactPaths, Facts, Prices
from pipeline.gateways.dialects.dialect import Dialect

_FEATURES = ("attachment", "reasoning", "structured_output", "temperature", "tool_call")


def _is_models_dev(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    limits = all(isinstance(row.get("limit"), dict) for row in rows)
    costs = [row["cost"] for row in rows if "cost" in row]
    return bool(costs) and limits and all(isinstance(cost, dict) and "input" in cost for cost in costs)


def _with_features(facts: Facts, body: Body) -> Facts:
    """Read the flags of features; `reasoning` may be an object with a flag `supported`."""
    flags = {name: body.get(name) for name in _FEATURES}
    values = {name: flag.get("supported") if isinstance(flag, dict) else flag for name, flag in flags.items()}
    found = {name for name, flag in values.items() if flag is True}
    return replace(facts, features=tuple(sorted({*facts.features, *found})))


_FACTS = FactPaths(
    prices=Prices(
        unit=PER_1M,
        input=("cost.input",),
        output=("cost.output",),
        cache_read=("cost.cache_read",),
        cache_write=("cost.cache_write",),
    ),
    adjust=_with_features,
)

DIALECTS = (
    Dialect(name="models-dev", recognises=_is_models_dev, facts=_FACTS),
    Dialect(
        name="models-dev-catalogue",
        # An object by provider, with an object by id for the models of each: https://models.dev/api.json
        hosts=("models.dev",),
        path="/api.json",
        list_at=("*.models",),
        id_at="{^}/{id}",
        has_records=False,
        facts=_FACTS,
    ),
)
