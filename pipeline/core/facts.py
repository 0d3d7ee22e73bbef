"""The facts and permissions of a record.

Facts have one set of names and units for the fields that gateways write differently. Permissions are the
documented flags in the entries of `permission`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from pipeline.core import jsonpath
from pipeline.core.values import (
    LARGEST,
    parse_date,
    parse_length,
    parse_names,
    parse_price,
    parse_text,
    parse_timestamp,
)

PER_TOKEN = Decimal(1_000_000)
PER_1K = Decimal(1000)
PER_1M = Decimal(1)
CENTS_PER_100M = Decimal(1) / Decimal(10_000)

UNITS: dict[str, Decimal] = {
    "token": PER_TOKEN,
    "1k": PER_1K,
    "1m": PER_1M,
    "cents_per_100m": CENTS_PER_100M,
}
"""Price units by their name in the config: the factor from a price to USD per 1M tokens."""

_QUANTUM = Decimal("0.000001")

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prices:
    """The paths of a record's prices, each tried in turn, and their unit.

    Args:
        unit: the factor from a price to USD per 1M tokens; None (unknown) gives no prices.
        source: exact, estimate or ratio.
    """

    unit: Decimal | None = None
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    cache_read: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()
    per_call: tuple[str, ...] = ()
    source: str = "exact"


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a record; None or () for those that it does not have.

    `created` and `deprecated_at` are ISO 8601; lengths are in tokens; prices are exact, in USD per 1M tokens
    (`usd_per_call` in USD); sets are sorted tuples; `price_source` is exact, estimate or ratio.
    """

    object: str | None = None
    owned_by: str | None = None
    created: str | None = None
    root: str | None = None
    parent: str | None = None
    type: str | None = None
    context_length: int | None = None
    max_output: int | None = None
    input_usd_per_1m: Decimal | None = None
    output_usd_per_1m: Decimal | None = None
    cache_read_usd_per_1m: Decimal | None = None
    cache_write_usd_per_1m: Decimal | None = None
    usd_per_call: Decimal | None = None
    price_source: str | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    lifecycle: str | None = None
    deprecated_at: str | None = None
    aliases: tuple[str, ...] = ()


def _same(facts: Facts, _body: Body) -> Facts:
    return facts


@dataclass(frozen=True, slots=True)
class FactPaths:
    """The paths of the facts in a record, each tried in turn until one has a value.

    `adjust` is called last, with the facts and the record, for facts that no path expresses.
    """

    owned_by: tuple[str, ...] = ("owned_by", "owner", "owner_by", "organization", "publisher", "vendor")
    created: tuple[str, ...] = ("created", "created_at", "createTime", "release_date")
    type: tuple[str, ...] = ("type", "mode", "types", "kind")
    context_length: tuple[str, ...] = (
        "context_length",
        "context_window",
        "max_context_length",
        "max_input_tokens",
        "max_model_len",
        "inputTokenLimit",
        "contextLength",
        "meta.n_ctx_train",
        "top_provider.context_length",
        "limits.max_input_tokens",
        "limit.context",
        "context",
    )
    max_output: tuple[str, ...] = (
        "max_output",
        "max_output_tokens",
        "max_completion_tokens",
        "outputTokenLimit",
        "max_output_length",
        "top_provider.max_completion_tokens",
        "limits.max_output_tokens",
        "maxCompletionTokens",
        "limit.output",
    )
    prices: Prices = Prices()
    input_modalities: tuple[str, ...] = (
        "input_modalities",
        "architecture.input_modalities",
        "modalities.input",
        "supported_input_modalities",
    )
    output_modalities: tuple[str, ...] = (
        "output_modalities",
        "architecture.output_modalities",
        "modalities.output",
        "supported_output_modalities",
    )
    features: tuple[str, ...] = ("features", "supported_features", "supported_parameters", "capabilities")
    endpoints: tuple[str, ...] = ("endpoints", "supported_endpoint_types", "supportedGenerationMethods")
    lifecycle: tuple[str, ...] = ("retire_stage", "lifecycle_status", "state", "status")
    deprecated_at: tuple[str, ...] = (
        "shutdown_date",
        "expiration_date",
        "deprecation_date",
        "deprecated_at",
        "deprecation",
        "deprecationDate",
        "planned_deprecation_date",
    )
    aliases: tuple[str, ...] = ("aliases",)
    adjust: Callable[[Facts, Body], Facts] = field(default=_same)

    def __call__(self, body: Body) -> Facts:
        """Return the facts of a record."""
        prices = _prices(self.prices, body)
        found = Facts(
            object=parse_text(body.get("object")),
            owned_by=_first(parse_text, self.owned_by, body),
            created=_first(parse_timestamp, self.created, body),
            root=parse_text(body.get("root")),
            parent=parse_text(body.get("parent")),
            type=_first(parse_text, self.type, body),
            context_length=_first(parse_length, self.context_length, body),
            max_output=_first(parse_length, self.max_output, body),
            input_modalities=_first(parse_names, self.input_modalities, body) or (),
            output_modalities=_first(parse_names, self.output_modalities, body) or (),
            features=_first(parse_names, self.features, body) or (),
            endpoints=_first(parse_names, self.endpoints, body) or (),
            lifecycle=_first(parse_text, self.lifecycle, body),
            deprecated_at=_first(parse_date, self.deprecated_at, body),
            aliases=_first(parse_names, self.aliases, body) or (),
            **prices,
        )
        return self.adjust(found, body)


def _first(parse: Callable[[Any], Any], paths: tuple[str, ...], body: Body) -> Any:
    for path in _parsed(paths):
        value = jsonpath.find(body, path) if len(path) > 1 else body.get(path[0])
        if value is None:
            continue
        found = parse(value)
        if found is not None and found != ():
            return found
    return None


@cache
def _parsed(paths: tuple[str, ...]) -> tuple[jsonpath.Path, ...]:
    return tuple(map(jsonpath.parse, paths))


def _prices(paths: Prices, body: Body) -> dict[str, Any]:
    unit = paths.unit
    found: dict[str, Any] = {"usd_per_call": _first(parse_price, paths.per_call, body)}
    if unit is not None:
        per_token = {
            "input_usd_per_1m": paths.input,
            "output_usd_per_1m": paths.output,
            "cache_read_usd_per_1m": paths.cache_read,
            "cache_write_usd_per_1m": paths.cache_write,
        }
        found |= {name: scale_price(_first(parse_price, at, body), unit) for name, at in per_token.items()}
    if any(value is not None for value in found.values()):
        found["price_source"] = paths.source
    return found


def scale_price(value: Decimal | None, unit: Decimal) -> Decimal | None:
    """Return a price in USD per 1M tokens, rounded to six decimals to remove errors of floats."""
    if value is None or value >= LARGEST or value * unit >= LARGEST:
        return None
    return strip_zeros((value * unit).quantize(_QUANTUM))


def strip_zeros(value: Decimal) -> Decimal:
    """Return a decimal without trailing zeros and without an exponent."""
    plain = value.normalize()
    return plain.quantize(Decimal(1)) if plain == plain.to_integral_value() else plain


def to_columns(facts: Facts) -> dict[str, Any]:
    """Return facts as columns of `records`: prices as REAL for sorting and plotting, sets as JSON arrays."""
    return {name: _column(getattr(facts, name)) for name in Facts.__slots__}


def _column(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case ():
            return None
        case tuple():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return value


FLAGS = (
    "allow_create_engine",
    "allow_sampling",
    "allow_logprobs",
    "allow_search_indices",
    "allow_view",
    "allow_fine_tuning",
    "is_blocking",
)


@dataclass(frozen=True, slots=True)
class Permission:
    """One entry of `permission[]`; flags are 0, 1, or None if the entry does not have them."""

    allow_create_engine: int | None
    allow_sampling: int | None
    allow_logprobs: int | None
    allow_search_indices: int | None
    allow_view: int | None
    allow_fine_tuning: int | None
    is_blocking: int | None
    organization: str | None
    group_name: str | None


def parse_permissions(body: Body) -> tuple[Permission, ...]:
    """Return the entries of `permission`; empty if it is not an array."""
    entries = body.get("permission")
    if not isinstance(entries, list):
        return ()
    return tuple(_permission(entry) for entry in entries if isinstance(entry, dict))


def _permission(entry: Body) -> Permission:
    return Permission(
        **{flag: _flag(entry.get(flag)) for flag in FLAGS},
        organization=parse_text(entry.get("organization")),
        group_name=parse_text(entry.get("group")),
    )


def _flag(value: Any) -> int | None:
    return int(value) if isinstance(value, bool) else None
