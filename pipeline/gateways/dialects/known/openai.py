"""OpenAI's own list, and the lists of unknown gateways."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect
from pipeline.gateways.dialects.paging import Paging

DIALECTS = (
    Dialect(
        name="openai",
        hosts=("api.openai.com",),
        # OpenAI sends its models in one page. Its other lists have `has_more`, and `after` takes the last id
        # (https://platform.openai.com/docs/api-reference/files/list). Some gateways page models like these.
        paging=Paging(param="after", next_at="last_id", more_at="has_more", is_guess=True),
        # More paths than OpenAI uses, because unknown gateways are parsed in this dialect.
        list_at=(
            "data",
            "models",
            "result.models",
            "result",
            "output.models",
            "data.models",
            "data.items",
            "data.list",
            "data.data",
            "data.records",
            "data.rows",
            "items",
            "results",
            "list",
            "model_list",
            "records",
            "",
        ),
        # Random in each answer of servers that still send permissions.
        noise=("permission[].id", "permission[].created"),
    ),
)
