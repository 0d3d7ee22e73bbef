"""ElevenLabs: a bare array of models of speech, which are billed by character."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import NO_PRICES, Body, FactPaths, Facts
from pipeline.gateways.dialects.dialect import SETS, Dialect


def _is_elevenlabs(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return isinstance(envelope, list) and bool(rows) and all("can_do_text_to_speech" in row for row in rows)


def _with_modalities(facts: Facts, body: Body) -> Facts:
    if body.get("can_do_text_to_speech") is not True:
        return facts
    return replace(facts, input_modalities=("text",), output_modalities=("audio",))


DIALECTS = (
    Dialect(
        name="elevenlabs",
        # https://elevenlabs.io/docs/api-reference/models/list
        hosts=("api.elevenlabs.io", "api.*.elevenlabs.io"),
        key_header="xi-api-key",
        list_at=("",),
        id_at="model_id",
        quiet=("name", "description"),
        sets=(*SETS, "languages"),
        recognises=_is_elevenlabs,
        facts=FactPaths(type=(), prices=NO_PRICES, adjust=_with_modalities),
    ),
)
