"""The One-API family: One-API itself and One-Hub, in the shape of OpenAI's list."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import Body, FactPaths, Facts, Prices, scale_price
from pipeline.core.values import ONE_API_CREATED, parse_price
from pipeline.gateways.dialects.dialect import SETS, Dialect

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


_PER_RATIO = Decimal(2)
"""USD per 1M tokens of a ratio of 1; a call costs a thousandth of it.

See https://github.com/MartialBE/one-hub/blob/main/model/price.go.
"""


def _is_available(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return (
        isinstance(envelope, dict)
        and "success" in envelope
        and bool(rows)
        and all("groups" in row and "price" in row and "owned_by" in row for row in rows)
    )


def _with_price_per_call(facts: Facts, body: Body) -> Facts:
    """Read the price of a model that is billed by calls; that of tokens means nothing then."""
    price = body.get("price")
    if not isinstance(price, dict) or price.get("type") != "times":
        return facts
    ratio = parse_price(price.get("input"))
    per_call = None if ratio is None else scale_price(ratio, _PER_RATIO / 1000)
    none: dict[str, Any] = dict.fromkeys(("input_usd_per_1m", "output_usd_per_1m"))
    return replace(facts, **none, usd_per_call=per_call, price_source="ratio" if per_call else None)


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
    Dialect(
        name="one-hub-models",
        # The models of the public groups, or of the signed-in user, as an object by id:
        # https://github.com/MartialBE/one-hub/blob/main/controller/model.go
        hosts=("*/api/available_model",),
        path="/api/available_model",
        by_id=True,
        has_records=False,
        sets=(*SETS, "groups"),
        recognises=_is_available,
        facts=FactPaths(
            prices=Prices(unit=_PER_RATIO, input=("price.input",), output=("price.output",), source="ratio"),
            adjust=_with_price_per_call,
        ),
    ),
)
