"""Azure OpenAI: the models of a resource, in the dated API and in the one without dates."""

from __future__ import annotations

from msgspec.structs import replace

from pipeline.core.facts import Body, FactPaths, Facts
from pipeline.core.values import parse_text
from pipeline.gateways.dialects.dialect import Dialect

_HOSTS = (
    "*.openai.azure.com",
    "*.openai.azure.us",
    "*.openai.azure.cn",
    "*.cognitiveservices.azure.com",
    "*.services.ai.azure.com",
)


def _with_parent(facts: Facts, body: Body) -> Facts:
    """Set the base model of a tuned model as its parent."""
    return replace(facts, parent=parse_text(body.get("model"))) if body.get("model") else facts


_FACTS = FactPaths(
    # `status` is the state of the tuning, and "succeeded" for every base model.
    lifecycle=("lifecycle_status",),
    # The end of inference; `deprecation.fine_tune` is earlier.
    deprecated_at=("deprecation.inference",),
    adjust=_with_parent,
)

DIALECTS = (
    Dialect(
        name="azure",
        hosts=_HOSTS,
        path="/openai/models",
        params=(("api-version", "2024-10-21"),),
        key_header="api-key",
        facts=_FACTS,
    ),
    Dialect(
        name="azure-v1",
        hosts=tuple(f"{host}/openai/v1*" for host in _HOSTS),
        path="/openai/v1/models",
        key_header="api-key",
        facts=_FACTS,
    ),
)
