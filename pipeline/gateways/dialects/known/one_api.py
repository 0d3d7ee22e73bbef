"""The One-API family: One-API itself and One-Hub, in the shape of OpenAI's list."""

from __future__ import annotations

from typing import Any

from pipeline.core.facts import FactPaths
from pipeline.gateways.dialects.dialect import Dialect

CREATED = 1626777600
"""What One-API and its descendants write as `created` of every model."""


ONE_HUB_CREATED = 1677649963
"""What One-Hub writes there; OpenAI has one model that is truly of this moment."""


# Permission ids are one constant, or drawn anew at each request; neither says anything of the model.
PERMISSION_NOISE = ("permission[].id", "permission[].created")


# A group that lost its last channel is cached as "", which splits into one model without a name.
NO_MODELS = ("",)


def _is_one_api(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return (
        isinstance(envelope, dict)
        and "success" not in envelope
        and "object" in envelope
        and has_constant_created(rows)
    )


def has_constant_created(rows: list[dict[str, Any]]) -> bool:
    """Return whether all rows carry the family's constant."""
    return bool(rows) and all(row.get("created") == CREATED for row in rows)


def _is_one_hub(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(row.get("created") == ONE_HUB_CREATED for row in rows)


DIALECTS = (
    Dialect(
        name="one-api",
        no_models=NO_MODELS,
        noise=PERMISSION_NOISE,
        # One id can come once for each kind of channel: which owner is kept is of little interest.
        quiet=("owned_by",),
        recognises=_is_one_api,
    ),
    Dialect(
        name="one-hub",
        # Its list of none is a Go slice that was never made.
        null_is_empty=True,
        quiet=("owned_by",),
        recognises=_is_one_hub,
        facts=FactPaths(created=()),
    ),
)
