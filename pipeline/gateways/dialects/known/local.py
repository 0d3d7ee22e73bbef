"""Local servers, Ollama and LM Studio: the models on the disk, loaded or not."""

from __future__ import annotations

from functools import partial
from typing import Any

from pipeline.core.facts import FactPaths
from pipeline.gateways.dialects.dialect import SETS, Dialect


def _is_ollama(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(row.get("owned_by") == "library" for row in rows)


def _have_all(_envelope: Any, rows: list[dict[str, Any]], *, names: tuple[str, ...]) -> bool:
    return bool(rows) and all(name in row for row in rows for name in names)


DIALECTS = (
    Dialect(
        name="ollama",
        hosts=("*/api/tags",),
        path="/api/tags",
        list_at=("models",),
        null_is_empty=True,
        id_at="name",
        # The time of the pull, which changes when the same weights (`digest`) are pulled again.
        noise=("modified_at",),
        quiet=("digest", "size"),
        sets=(*SETS, "details.families"),
        facts=FactPaths(created=(), type=()),
        has_records=False,
    ),
    Dialect(
        name="ollama-v1",
        null_is_empty=True,
        # Here `created` is the time of the pull.
        noise=("created",),
        recognises=_is_ollama,
        facts=FactPaths(created=()),
    ),
    Dialect(
        name="lmstudio",
        path="/api/v0/models",
        # Models are loaded and unloaded with use.
        noise=("state", "loaded_context_length"),
        sets=(*SETS, "capabilities"),
        recognises=partial(_have_all, names=("compatibility_type", "arch")),
    ),
    Dialect(
        name="lmstudio-v1",
        path="/api/v1/models",
        list_at=("models",),
        id_at="key",
        noise=("loaded_instances",),
        quiet=("size_bytes",),
        sets=(*SETS, "variants"),
        recognises=partial(_have_all, names=("key", "loaded_instances")),
    ),
)
