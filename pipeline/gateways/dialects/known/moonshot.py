"""Moonshot (Kimi): OpenAI's shape with the context length, and flags for inputs and features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import FactPaths, Facts
from pipeline.gateways.dialects.dialect import Dialect

_FLAGS = "supports_"
_INPUTS = {"supports_image_in": "image", "supports_video_in": "video"}


def _is_moonshot(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("supports_image_in" in row for row in rows)


def _with_flags(facts: Facts, body: Mapping[str, Any]) -> Facts:
    """Read the flags: flags of inputs add to text, which every model accepts; other flags are features."""
    on = {name for name, flag in body.items() if name.startswith(_FLAGS) and flag is True}
    inputs = [_INPUTS[name] for name in on & _INPUTS.keys()]
    return replace(
        facts,
        input_modalities=tuple(sorted(["text", *inputs])),
        features=tuple(sorted(name.removeprefix(_FLAGS) for name in on - _INPUTS.keys())),
    )


DIALECTS = (
    Dialect(
        name="moonshot",
        hosts=("api.moonshot.ai", "api.moonshot.cn"),
        noise=("permission[].id", "permission[].created"),
        recognises=_is_moonshot,
        facts=FactPaths(adjust=_with_flags),
    ),
)
