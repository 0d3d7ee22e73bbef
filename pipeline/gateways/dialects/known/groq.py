"""Groq: OpenAI's shape with limits, and whether a model is active."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import FactPaths, Facts
from pipeline.gateways.dialects.dialect import Dialect


def _is_groq(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("active" in row and "public_apps" in row for row in rows)


def _with_lifecycle(facts: Facts, body: Mapping[str, Any]) -> Facts:
    match body.get("active"):
        case True:
            return replace(facts, lifecycle="active")
        case False:
            return replace(facts, lifecycle="inactive")
        case _:
            return facts


DIALECTS = (
    Dialect(
        name="groq",
        hosts=("api.groq.com",),
        path="/openai/v1/models",
        recognises=_is_groq,
        facts=FactPaths(adjust=_with_lifecycle),
    ),
)
