"""LiteLLM's proxy: its list, and its two lists with facts and prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import PER_TOKEN, FactPaths, Facts, Prices
from pipeline.core.values import LITELLM_CREATED, parse_names
from pipeline.gateways.dialects.dialect import SETS, Dialect

NO_MODELS = ("*[*]*", "all-team-models", "all-proxy-models", "no-default-models")
"""Routes such as `openai/*`, and placeholders for the models of a key or a team."""

_SUPPORTS = "supports_"
_PRICES = ("input_usd_per_1m", "output_usd_per_1m", "cache_read_usd_per_1m", "cache_write_usd_per_1m")


def _is_list(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(
        (row.get("created"), row.get("owned_by")) == (LITELLM_CREATED, "openai") for row in rows
    )


def _is_info(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("model_name" in row and isinstance(row.get("model_info"), dict) for row in rows)


def _is_group_info(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("model_group" in row and "providers" in row for row in rows)


def _is_price_file(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    is_by_id = isinstance(envelope, dict) and "data" not in envelope
    return (
        bool(rows) and is_by_id and all("litellm_provider" in row and "model_name" not in row for row in rows)
    )


def _without_owner(facts: Facts, _body: Mapping[str, Any]) -> Facts:
    """Drop the owner: the list has "openai" for every model."""
    return replace(facts, owned_by=None)


def _with_flags(facts: Facts, info: Any) -> Facts:
    """Read the flags, and drop prices that are all 0: the proxy writes 0 for an unknown price."""
    if not isinstance(info, Mapping):
        return facts
    flags = (name for name, on in info.items() if name.startswith(_SUPPORTS) and on is True)
    facts = replace(facts, features=tuple(sorted(flag.removeprefix(_SUPPORTS) for flag in flags)))
    if any(getattr(facts, name) for name in _PRICES):
        return facts
    unknown: dict[str, Any] = dict.fromkeys((*_PRICES, "price_source"))
    return replace(facts, **unknown)


def _of_a_deployment(facts: Facts, body: Mapping[str, Any]) -> Facts:
    return _with_flags(facts, body.get("model_info"))


def _of_a_group(facts: Facts, body: Mapping[str, Any]) -> Facts:
    providers = parse_names(body.get("providers")) or ()
    return _with_flags(replace(facts, owned_by=", ".join(providers) or None), body)


def _fact_paths(prefix: str, adjust: Callable[[Facts, Mapping[str, Any]], Facts]) -> FactPaths:
    """Return the paths of the facts below a prefix, which ends in a dot or is empty."""
    return FactPaths(
        owned_by=(f"{prefix}litellm_provider",),
        type=(f"{prefix}mode",),
        # `max_tokens` is skipped: it is the longest output of some models and the context of others.
        context_length=(f"{prefix}max_input_tokens",),
        max_output=(f"{prefix}max_output_tokens",),
        prices=Prices(
            unit=PER_TOKEN,
            input=(f"{prefix}input_cost_per_token",),
            output=(f"{prefix}output_cost_per_token",),
            cache_read=(f"{prefix}cache_read_input_token_cost",),
            cache_write=(f"{prefix}cache_creation_input_token_cost",),
        ),
        input_modalities=(f"{prefix}supported_modalities",),
        output_modalities=(f"{prefix}supported_output_modalities",),
        endpoints=(f"{prefix}supported_endpoints",),
        deprecated_at=(f"{prefix}deprecation_date",),
        adjust=adjust,
    )


DIALECTS = (
    Dialect(
        name="litellm",
        no_models=NO_MODELS,
        recognises=_is_list,
        facts=FactPaths(adjust=_without_owner),
    ),
    Dialect(
        name="litellm-info",
        hosts=("*/model/info",),
        path="/model/info",
        id_at="model_name",
        no_models=NO_MODELS,
        # One name may have several deployments, each with its own id and upstream. They do not matter to
        # users of the name, and `litellm_params` may hold internal addresses.
        noise=(
            "litellm_params",
            "model_info.id",
            "model_info.db_model",
            "model_info.created_at",
            "model_info.created_by",
            "model_info.updated_at",
            "model_info.updated_by",
        ),
        sets=(
            *SETS,
            "model_info.access_groups",
            "model_info.supported_endpoints",
            "model_info.supported_modalities",
            "model_info.supported_openai_params",
            "model_info.supported_output_modalities",
        ),
        recognises=_is_info,
        facts=_fact_paths("model_info.", _of_a_deployment),
        has_records=False,
    ),
    Dialect(
        name="litellm-group-info",
        hosts=("*/model_group/info",),
        path="/model_group/info",
        id_at="model_group",
        no_models=NO_MODELS,
        # The result of the proxy's last health check.
        noise=("health_status", "health_response_time", "health_checked_at"),
        sets=(*SETS, "providers", "supported_openai_params"),
        recognises=_is_group_info,
        facts=_fact_paths("", _of_a_group),
        has_records=False,
    ),
    Dialect(
        name="litellm-prices",
        # The file with the prices of all models, an object by id, whose first member describes the fields:
        # https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json
        list_at=("",),
        by_id=True,
        has_records=False,
        no_models=("sample_spec",),
        recognises=_is_price_file,
        facts=_fact_paths("", _with_flags),
    ),
)
