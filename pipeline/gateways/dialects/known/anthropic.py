"""Anthropic's list, and those of gateways that serve Anthropic's clients."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import Body, FactPaths, Facts
from pipeline.gateways.dialects.dialect import Dialect
from pipeline.gateways.dialects.paging import Paging

_INPUTS = {"image_input": "image", "pdf_input": "pdf"}


def _is_anthropic(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    cursors = isinstance(envelope, dict) and {"first_id", "last_id", "has_more"} <= envelope.keys()
    return (
        cursors and bool(rows) and all(row.get("type") == "model" and "display_name" in row for row in rows)
    )


def _with_modalities(facts: Facts, _body: Body) -> Facts:
    """Derive the input modalities from the capabilities, which omit text, since it is always accepted."""
    if not facts.features:
        return facts
    inputs = {_INPUTS[feature] for feature in facts.features if feature in _INPUTS}
    return replace(facts, input_modalities=tuple(sorted({"text"} | inputs)))


DIALECTS = (
    Dialect(
        name="anthropic",
        hosts=("api.anthropic.com",),
        headers=(("anthropic-version", "2023-06-01"),),
        key_header="x-api-key",
        # The default is twenty models per page: https://docs.anthropic.com/en/api/models-list
        paging=Paging(param="after_id", next_at="last_id", more_at="has_more", size=(("limit", "1000"),)),
        recognises=_is_anthropic,
        facts=FactPaths(
            type=(),  # always "model"
            max_output=("max_tokens",),
            adjust=_with_modalities,
        ),
    ),
)
