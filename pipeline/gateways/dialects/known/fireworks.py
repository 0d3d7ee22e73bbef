"""Fireworks' list of an account's models; the configured URL ends in `/v1/accounts/NAME`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import Body, FactPaths, Facts
from pipeline.gateways.dialects.dialect import Dialect
from pipeline.gateways.dialects.paging import Paging

_FEATURES = {
    "supportsLora": "lora",
    "supportsServerless": "serverless",
    "supportsTools": "tools",
    "tunable": "tunable",
}


def _is_fireworks(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(str(row.get("name")).startswith("accounts/") and "kind" in row for row in rows)


def _adjusted(facts: Facts, body: Body) -> Facts:
    features = tuple(sorted(feature for flag, feature in _FEATURES.items() if body.get(flag) is True))
    images = body.get("supportsImageInput") is True
    return replace(
        facts,
        features=features or facts.features,
        input_modalities=("image", "text") if images else facts.input_modalities,
    )


DIALECTS = (
    Dialect(
        name="fireworks",
        # The same host has a list in OpenAI's shape below /inference/v1.
        hosts=("api.fireworks.ai/v1/accounts/*",),
        path="/models",
        # It may be an estimate: https://google.aip.dev/158
        not_totals=frozenset({"totalSize"}),
        paging=Paging(param="pageToken", next_at="nextPageToken", size=(("pageSize", "200"),)),
        list_at=("models",),
        id_at="name",
        quiet=("deployedModelRefs", "status", "updateTime"),
        recognises=_is_fireworks,
        facts=FactPaths(lifecycle=("state",), adjust=_adjusted),
    ),
)
