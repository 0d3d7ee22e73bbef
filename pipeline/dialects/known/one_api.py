"""The One-API family: AiHubMix, One-API and New-API answer `/v1/models` in the shape of OpenAI's list."""

from __future__ import annotations

from typing import Any

from pipeline.dialects.dialect import Dialect

CREATED = 1626777600
"""What this family writes as `created` of every model."""


def _is_one_api(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(row.get("created") == CREATED for row in rows)


DIALECTS = (
    Dialect(
        name="one-api",
        # Permission ids are drawn anew, or are one constant; neither says anything of the model.
        noise=("permission[].id", "permission[].created"),
        recognises=_is_one_api,
    ),
)
