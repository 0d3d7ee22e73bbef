"""OpenAI's own list, and whatever else answers in its shape without further marks."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect
from pipeline.gateways.dialects.paging import Paging

DIALECTS = (
    Dialect(
        name="openai",
        hosts=("api.openai.com",),
        # OpenAI gives its models in one piece. Its longer lists end with `has_more` and go on `after` the
        # last id: a gateway that says so is followed, and refused when it does not lead on.
        paging=Paging(param="after", next_at="last_id", more_at="has_more"),
        # A bare array and the other usual places are read too: this is what unknown gateways are read as.
        list_at=("data", "models", "result.models", "result", "output.models", ""),
        # Drawn anew at each request by servers that still write permissions.
        noise=("permission[].id", "permission[].created"),
    ),
)
