"""DashScope's own list, counted in records and not in pages."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import NO_PRICES, Body, FactPaths, Facts
from pipeline.gateways.dialects.dialect import SETS, Dialect
from pipeline.gateways.dialects.paging import Paging


def _is_dashscope(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("model" in row and "model_info" in row for row in rows)


def _in_lower_case(facts: Facts, _body: Body) -> Facts:
    """Write modalities as other gateways do: "text" for "Text"."""
    return replace(
        facts,
        input_modalities=tuple(sorted(map(str.lower, facts.input_modalities))),
        output_modalities=tuple(sorted(map(str.lower, facts.output_modalities))),
    )


DIALECTS = (
    Dialect(
        name="dashscope",
        # The same hosts have a list in OpenAI's shape below /compatible-mode/v1.
        hosts=("dashscope*.aliyuncs.com/api*", "*.maas.aliyuncs.com/api*"),
        path="/api/v1/models",
        paging=Paging(param="page_no", numbered=True, size=(("page_size", "100"),), total_at="output.total"),
        list_at=("output.models",),
        id_at="model",
        sets=(
            *SETS,
            "capabilities",
            "inference_metadata.request_modality",
            "inference_metadata.response_modality",
        ),
        recognises=_is_dashscope,
        facts=FactPaths(
            # They are in the currency of the region, which the answer does not name.
            prices=NO_PRICES,
            owned_by=("provider",),
            created=("published_time",),
            context_length=("model_info.context_window", "model_info.max_input_tokens"),
            max_output=("model_info.max_output_tokens",),
            input_modalities=("inference_metadata.request_modality",),
            output_modalities=("inference_metadata.response_modality",),
            features=("features",),  # the capabilities beside them are codes
            adjust=_in_lower_case,
        ),
    ),
)
