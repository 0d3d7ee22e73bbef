"""vLLM, SGLang and llama.cpp: servers that write the time of asking as `created` of every model."""

from __future__ import annotations

from typing import Any

from pipeline.core.facts import FactPaths
from pipeline.gateways.dialects.dialect import Dialect, Recognises


def _signed(owner: str, *fields: str) -> Recognises:
    """Recognise a server by its name, which it writes as every model's owner, and by fields of its own."""

    def recognises(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
        return bool(rows) and all(
            row.get("owned_by") == owner and all(field in row for field in fields) for row in rows
        )

    return recognises


DIALECTS = (
    Dialect(
        name="vllm",
        noise=("created", "permission[].id", "permission[].created"),
        recognises=_signed("vllm", "max_model_len"),
    ),
    Dialect(
        name="sglang",
        noise=("created",),
        recognises=_signed("sglang"),
    ),
    Dialect(
        name="llamacpp",
        # A model is loaded when somebody asks for it, and unloaded for the next.
        noise=("created", "status"),
        # Only a loaded model has it.
        quiet=("meta",),
        recognises=_signed("llamacpp"),
        facts=FactPaths(lifecycle=()),
    ),
)
