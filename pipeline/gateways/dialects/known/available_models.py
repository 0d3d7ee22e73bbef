"""What a signed-in user may use, as the One-API family's dashboards ask for it: names, or little more."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect

DIALECTS = (
    Dialect(
        name="available-models",
        hosts=("*/api/user/available_models",),
        path="/api/user/available_models",
        # AiHubMix gives objects with the name at `model`; One-API gives bare names.
        id_at="model",
        quiet=("order",),
    ),
    Dialect(
        name="user-models",
        # New-API's: the names of all groups that the user may choose from.
        hosts=("*/api/user/models",),
        path="/api/user/models",
        id_at="model",
    ),
)
