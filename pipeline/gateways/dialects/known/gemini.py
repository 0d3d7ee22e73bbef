"""Google's Gemini API: its own list, and the one for OpenAI's clients."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import Body, FactPaths, Facts
from pipeline.gateways.dialects.dialect import Dialect
from pipeline.gateways.dialects.paging import Paging


def _is_gemini(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    # The name alone is no mark: some gateways omit "models/", and write null for the methods.
    return bool(rows) and all("name" in row and "supportedGenerationMethods" in row for row in rows)


def _with_thinking(facts: Facts, body: Body) -> Facts:
    return replace(facts, features=("thinking",)) if body.get("thinking") is True else facts


DIALECTS = (
    Dialect(
        name="gemini",
        hosts=("generativelanguage.googleapis.com",),
        path="/v1beta/models",
        key_header="x-goog-api-key",
        paging=Paging(param="pageToken", next_at="nextPageToken", size=(("pageSize", "1000"),)),
        list_at=("models",),
        id_at="name",
        recognises=_is_gemini,
        facts=FactPaths(adjust=_with_thinking),
    ),
    Dialect(
        name="gemini-openai",
        hosts=("generativelanguage.googleapis.com/v1beta/openai*",),
        path="/v1beta/openai/models",
    ),
)
