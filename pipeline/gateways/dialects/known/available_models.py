"""The models of a signed-in user, as the dashboards of the One-API family request them: mostly bare names."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect

DIALECTS = (
    Dialect(
        name="available-models",
        hosts=("*/api/user/available_models",),
        path="/api/user/available_models",
        # AiHubMix sends objects with the id at `model`; One-API sends bare names.
        id_at="model",
        quiet=("order",),
        has_records=False,
    ),
    Dialect(
        name="user-models",
        # New-API: the models of all groups that the user may choose.
        hosts=("*/api/user/models",),
        path="/api/user/models",
        id_at="model",
        has_records=False,
    ),
)
