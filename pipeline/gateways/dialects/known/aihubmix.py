"""AiHubMix: the list of a key or of the default group, and the public catalogue with prices."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import PER_1M, Body, FactPaths, Facts, Prices
from pipeline.core.values import parse_text
from pipeline.gateways.dialects.dialect import SETS, Dialect
from pipeline.gateways.dialects.known.one_api import NO_MODELS, PERMISSION_NOISE


def _adjusted(facts: Facts, body: Body) -> Facts:
    """Mark prices computed from old ratios as estimates; the model of a routing variant is its parent."""
    estimated = facts.price_source is not None and body.get("pricing_source") == "legacy_ratio"
    source = "estimate" if estimated else facts.price_source
    return replace(facts, price_source=source, parent=parse_text(body.get("variant_of")))


def _is_catalogue(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("model_id" in row and "types" in row for row in rows)


DIALECTS = (
    Dialect(
        name="aihubmix",
        # Its answers look like One-API's, so only the address identifies it.
        hosts=("aihubmix.com", "api.aihubmix.com"),
        no_models=NO_MODELS,
        noise=PERMISSION_NOISE,
        quiet=("owned_by",),
        lenient_records=True,
    ),
    Dialect(
        name="aihubmix-catalog",
        hosts=("aihubmix.com/api/v1*", "api.aihubmix.com/api/v1*"),
        path="/api/v1/models",
        id_at="model_id",
        quiet=("desc", "model_name", "last_updated", "schema_checked"),
        sets=(*SETS, "types"),
        recognises=_is_catalogue,
        facts=FactPaths(
            # The documentation claims "per 1K tokens"; the values equal the vendors' prices per 1M.
            prices=Prices(
                unit=PER_1M,
                input=("pricing.input",),
                output=("pricing.output",),
                cache_read=("pricing.cache_read",),
                cache_write=("pricing.cache_write",),
            ),
            adjust=_adjusted,
        ),
        has_records=False,
    ),
)
