"""The One-API family: AiHubMix, One-API and New-API answer `/v1/models` in the shape of OpenAI's list."""

from __future__ import annotations

from pipeline.dialects.dialect import Dialect

ONE_API = Dialect(
    name="one-api",
    # Permission ids are drawn anew, or are one constant; neither says anything of the model.
    noise=("permission[].id", "permission[].created"),
)
