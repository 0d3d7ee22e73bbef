"""OpenAI's own list, and the lists of unknown gateways."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect
from pipeline.gateways.dialects.paging import Paging

DIALECTS = (
    Dialect(
        name="openai",
        hosts=("api.openai.com",),
        # OpenAI sends its models in one piece. Its paged lists have `has_more` and continue `after` the last
        # id; a gateway that does the same is followed, and refused where the next page is missing.
        paging=Paging(param="after", next_at="last_id", more_at="has_more"),
        # More paths than OpenAI uses, because unknown gateways are parsed in this dialect.
        list_at=("data", "models", "result.models", "result", "output.models", ""),
        # Random in each answer of servers that still send permissions.
        noise=("permission[].id", "permission[].created"),
    ),
)
