"""vLLM, SGLang and llama.cpp: servers that write the time of the request as `created` of every model."""

from __future__ import annotations

from functools import partial
from typing import Any

from pipeline.core.facts import FactPaths
from pipeline.gateways.dialects.dialect import Dialect


def _are_owned_by(
    _envelope: Any, rows: list[dict[str, Any]], *, owner: str, fields: tuple[str, ...] = ()
) -> bool:
    """Return whether every model has an owner that only one server writes, and the fields of its own."""
    return bool(rows) and all(
        row.get("owned_by") == owner and all(field in row for field in fields) for row in rows
    )


DIALECTS = (
    Dialect(
        name="vllm",
        noise=("created", "permission[].id", "permission[].created"),
        recognises=partial(_are_owned_by, owner="vllm", fields=("max_model_len",)),
    ),
    Dialect(
        name="sglang",
        noise=("created",),
        recognises=partial(_are_owned_by, owner="sglang"),
    ),
    Dialect(
        name="llamacpp",
        # A model is loaded for its requests, and unloaded for those of another.
        noise=("created", "status"),
        # Only loaded models have it.
        quiet=("meta",),
        recognises=partial(_are_owned_by, owner="llamacpp"),
        facts=FactPaths(lifecycle=()),
    ),
)
