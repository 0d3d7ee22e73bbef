"""vLLM, SGLang and llama.cpp: servers that write the time of the request as `created` of every model."""

from __future__ import annotations

from typing import Any

from pipeline.core.facts import FactPaths
from pipeline.gateways.dialects.dialect import Dialect, Recognises


def _owned_by(owner: str, *fields: str) -> Recognises:
    """Return a function that recognises a server by the owner of every model, and by fields of its own."""

    def recognises(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
        return bool(rows) and all(
            row.get("owned_by") == owner and all(field in row for field in fields) for row in rows
        )

    return recognises


DIALECTS = (
    Dialect(
        name="vllm",
        noise=("created", "permission[].id", "permission[].created"),
        recognises=_owned_by("vllm", "max_model_len"),
    ),
    Dialect(
        name="sglang",
        noise=("created",),
        recognises=_owned_by("sglang"),
    ),
    Dialect(
        name="llamacpp",
        # A model is loaded for its requests, and unloaded for those of another.
        noise=("created", "status"),
        # Only loaded models have it.
        quiet=("meta",),
        recognises=_owned_by("llamacpp"),
        facts=FactPaths(lifecycle=()),
    ),
)
