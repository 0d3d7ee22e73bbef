"""Lists of clouds with paths and names of their own: Bedrock, Copilot, Databricks, Volcengine, watsonx."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from pipeline.core import jsonpath
from pipeline.core.facts import NO_PRICES, Body, FactPaths, Facts
from pipeline.core.values import parse_date, parse_names
from pipeline.gateways.dialects.dialect import SETS, Dialect
from pipeline.gateways.dialects.paging import Paging


def _bedrock(facts: Facts, body: Body) -> Facts:
    """Read the flags and sets of features; modalities are in capitals."""
    found = {
        *(parse_names(body.get("inferenceTypesSupported")) or ()),
        *(parse_names(body.get("customizationsSupported")) or ()),
    }
    if body.get("responseStreamingSupported") is True:
        found.add("STREAMING")
    return replace(facts, features=tuple(sorted(map(str.lower, found))))


def _stages(body: Body) -> Iterator[tuple[str, str | None]]:
    stages = body.get("lifecycle")
    for stage in stages if isinstance(stages, list) else []:
        if isinstance(stage, dict) and isinstance(stage.get("id"), str):
            yield stage["id"], parse_date(stage.get("start_date"))


def _watsonx(facts: Facts, body: Body) -> Facts:
    """Read the stages, announced with dates: `available`, `deprecated`, `constricted`, `withdrawn`."""
    stages = dict(_stages(body))
    functions = body.get("functions")
    names = [jsonpath.find(one, ("id",)) for one in functions] if isinstance(functions, list) else []
    ends = [name for name in ("withdrawn", "constricted", "deprecated") if name in stages]
    return replace(
        facts,
        lifecycle="deprecated" if ends else "available" if "available" in stages else facts.lifecycle,
        deprecated_at=next((stages[name] for name in ends if stages[name]), None),
        endpoints=tuple(sorted({name for name in names if isinstance(name, str)})),
    )


def _databricks(facts: Facts, body: Body) -> Facts:
    """Set the model that an endpoint serves as its parent."""
    entities = jsonpath.find(body, ("config", "served_entities"))
    names = [
        jsonpath.find(one, ("foundation_model", "name")) or jsonpath.find(one, ("entity_name",))
        for one in (entities if isinstance(entities, list) else [])
    ]
    parent = next((name for name in names if isinstance(name, str)), None)
    return replace(facts, parent=facts.parent or parent)


DIALECTS = (
    Dialect(
        name="bedrock",
        # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html
        hosts=("bedrock.*.amazonaws.com", "bedrock-fips.*.amazonaws.com"),
        path="/foundation-models",
        list_at=("modelSummaries",),
        id_at="modelId",
        quiet=("modelName",),
        sets=(
            *SETS,
            "customizationsSupported",
            "inferenceTypesSupported",
            "inputModalities",
            "outputModalities",
        ),
        facts=FactPaths(
            owned_by=("providerName",),
            lifecycle=("modelLifecycle.status",),
            deprecated_at=("modelLifecycle.endOfLifeTime", "modelLifecycle.legacyTime"),
            adjust=_bedrock,
        ),
    ),
    Dialect(
        name="databricks",
        # https://docs.databricks.com/api/workspace/servingendpoints/list
        hosts=("*.cloud.databricks.com", "*.azuredatabricks.net", "*.gcp.databricks.com"),
        path="/api/2.0/serving-endpoints",
        paging=Paging(param="page_token", next_at="next_page_token"),
        list_at=("endpoints",),
        id_at="name",
        # Whether an instance is up, and who created the endpoint.
        noise=("state", "last_updated_timestamp"),
        quiet=("creator",),
        facts=FactPaths(
            owned_by=(), created=("creation_timestamp",), type=("task",), lifecycle=(), adjust=_databricks
        ),
        has_records=False,
    ),
    Dialect(
        name="github-copilot",
        # https://github.com/charmbracelet/catwalk/blob/main/cmd/copilot/main.go
        hosts=("api.githubcopilot.com", "api.*.githubcopilot.com"),
        path="/models",
        facts=FactPaths(
            type=("capabilities.type",),
            context_length=(
                "capabilities.limits.max_context_window_tokens",
                "capabilities.limits.max_prompt_tokens",
            ),
            features=("capabilities.supports",),
        ),
    ),
    Dialect(
        name="volcengine",
        # https://www.volcengine.com/docs/82379/1330310
        hosts=("ark.*.volces.com", "ark.*.bytepluses.com"),
        path="/api/v3/models",
        sets=(*SETS, "modalities.input_modalities", "modalities.output_modalities", "task_type"),
        facts=FactPaths(
            type=("domain",),
            context_length=("token_limits.context_window", "token_limits.max_input_token_length"),
            max_output=("token_limits.max_output_token_length",),
            input_modalities=("modalities.input_modalities",),
            output_modalities=("modalities.output_modalities",),
            prices=NO_PRICES,
        ),
    ),
    Dialect(
        name="watsonx",
        # https://cloud.ibm.com/apidocs/watsonx-ai#list-foundation-model-specs
        hosts=("*.ml.cloud.ibm.com",),
        path="/ml/v1/foundation_model_specs",
        params=(("version", "2025-02-06"),),
        paging=Paging(param="start", next_at="next.href", total_at="total_count", size=(("limit", "200"),)),
        list_at=("resources",),
        id_at="model_id",
        quiet=("label", "short_description", "long_description"),
        sets=(*SETS, "functions", "tasks", "task_ids"),
        facts=FactPaths(
            owned_by=("provider",),
            context_length=("model_limits.max_sequence_length",),
            max_output=("model_limits.max_output_tokens",),
            lifecycle=(),
            deprecated_at=(),
            adjust=_watsonx,
        ),
        has_records=False,
    ),
)
