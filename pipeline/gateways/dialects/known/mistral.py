"""Mistral's list, where every alias has a row of its own."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core import jsonpath
from pipeline.core.facts import Body, FactPaths, Facts
from pipeline.gateways.dialects.dialect import Dialect

_INPUTS = {"completion_chat": "text", "vision": "image", "audio": "audio"}


_FLAG = jsonpath.parse("capabilities.completion_chat")


def _is_mistral(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(jsonpath.find(row, _FLAG) is not None for row in rows)


def _adjusted(facts: Facts, body: Body) -> Facts:
    inputs = {_INPUTS[feature] for feature in facts.features if feature in _INPUTS}
    return replace(
        facts,
        input_modalities=tuple(sorted(inputs)) or facts.input_modalities,
        # Only tuned models have this flag; false means that the model is in use.
        lifecycle="archived" if body.get("archived") is True else facts.lifecycle,
    )


DIALECTS = (
    Dialect(
        name="mistral",
        hosts=("api.mistral.ai",),
        list_at=("data", ""),
        # The time at which the answer was made, up to minutes before the request.
        noise=("created",),
        recognises=_is_mistral,
        facts=FactPaths(adjust=_adjusted),
    ),
)
