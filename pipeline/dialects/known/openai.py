"""OpenAI's own list, and whatever else answers in its shape without further marks."""

from __future__ import annotations

from pipeline.dialects.dialect import Dialect

DIALECTS = (
    Dialect(
        name="openai",
        hosts=("api.openai.com",),
        noise=("permission[].id", "permission[].created"),
        # A bare array and the other usual places are read too: this is what unknown gateways are read as.
        list_at=("data", "models", "result.models", "result", "output.models", ""),
    ),
)
