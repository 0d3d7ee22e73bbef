"""The One-API family: One-API itself and One-Hub, in the shape of OpenAI's list."""

from __future__ import annotations

from typing import Any

from pipeline.core.facts import FactPaths
from pipeline.core.values import ONE_API_CREATED
from pipeline.gateways.dialects.dialect import Dialect

ONE_HUB_CREATED = 1677649963
"""The `created` of every model of One-Hub; one model of OpenAI really has this value."""


# Permission ids are constant, or random in each answer.
PERMISSION_NOISE = ("permission[].id", "permission[].created")


# A group without channels is cached as "", which splits into one model without a name.
NO_MODELS = ("",)


def _is_one_api(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return (
        isinstance(envelope, dict)
        and "success" not in envelope
        and "object" in envelope
        and has_constant_created(rows)
    )


def has_constant_created(rows: list[dict[str, Any]]) -> bool:
    """Return whether all rows have the family's `created`."""
    return bool(rows) and all(row.get("created") == ONE_API_CREATED for row in rows)


def _is_one_hub(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(row.get("created") == ONE_HUB_CREATED for row in rows)


DIALECTS = (
    Dialect(
        name="one-api",
        no_models=NO_MODELS,
        noise=PERMISSION_NOISE,
        # An id is listed once per kind of channel, each with another owner.
        quiet=("owned_by",),
        recognises=_is_one_api,
        lenient_records=True,
    ),
    Dialect(
        name="one-hub",
        # Its empty list is a nil slice of Go, which is null in JSON.
        null_is_empty=True,
        quiet=("owned_by",),
        recognises=_is_one_hub,
        facts=FactPaths(created=()),
        lenient_records=True,
    ),
)
