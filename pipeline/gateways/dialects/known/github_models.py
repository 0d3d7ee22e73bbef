"""The catalogue of GitHub Models: a bare array, without prices."""

from __future__ import annotations

from typing import Any

from pipeline.gateways.dialects.dialect import SETS, Dialect


def _is_github_models(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return isinstance(envelope, list) and bool(rows) and all("rate_limit_tier" in row for row in rows)


DIALECTS = (
    Dialect(
        name="github-models",
        hosts=("models.github.ai",),
        path="/catalog/models",
        list_at=("",),
        quiet=("summary",),
        sets=(*SETS, "capabilities", "supported_input_modalities", "supported_output_modalities"),
        recognises=_is_github_models,
        has_records=False,
    ),
)
