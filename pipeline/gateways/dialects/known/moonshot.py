"""Moonshot (Kimi): OpenAI's shape with the length of the context, and flags for what a model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.core.facts import FactPaths, Facts
from pipeline.gateways.dialects.dialect import Dialect

_FLAGS = "supports_"


_TAKES = {"supports_image_in": "image", "supports_video_in": "video"}


def _is_moonshot(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("supports_image_in" in row for row in rows)


def _with_flags(facts: Facts, body: Mapping[str, Any]) -> Facts:
    """Every model takes text; the flags say what else."""
    on = {name for name, flag in body.items() if name.startswith(_FLAGS) and flag is True}
    takes = [_TAKES[name] for name in on & _TAKES.keys()]
    return replace(
        facts,
        input_modalities=tuple(sorted(["text", *takes])),
        features=tuple(sorted(name.removeprefix(_FLAGS) for name in on - _TAKES.keys())),
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
