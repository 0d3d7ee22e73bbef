"""OpenRouter: prices as text in USD per token, aliases, expiration dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import PER_TOKEN, FactPaths, Facts, Prices
from pipeline.gateways.dialects.dialect import SETS, Dialect
from pipeline.gateways.dialects.paging import Paging


def _is_openrouter(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("canonical_slug" in row and "top_provider" in row for row in rows)


def _with_author(facts: Facts, body: Mapping[str, Any]) -> Facts:
    """Set the author from the id, `author/slug` (an alias begins with `~`), since no field has it."""
    author, slash, _ = str(body.get("id")).removeprefix("~").partition("/")
    return replace(facts, owned_by=author or None) if slash else facts


DIALECTS = (
    Dialect(
        name="openrouter",
        hosts=("openrouter.ai", "*.openrouter.ai"),
        path="/api/v1/models",
        # Without `limit` the list is complete; `links.next` is followed in case that changes.
        paging=Paging(param="offset", next_at="links.next", total_at="total_count"),
        # Scores are recomputed all the time: nine of ten changed records differ in these only.
        noise=("benchmarks",),
        # The values of the current provider become null and return within hours.
        quiet=("top_provider", "links", "default_parameters"),
        sets=(*SETS, "reasoning.supported_efforts", "supported_voices"),
        recognises=_is_openrouter,
        facts=FactPaths(
            prices=Prices(
                unit=PER_TOKEN,
                # "-1" is the price of a router: it depends on the model that serves the request.
                input=("pricing.prompt",),
                output=("pricing.completion",),
                cache_read=("pricing.input_cache_read",),
                cache_write=("pricing.input_cache_write",),
            ),
            aliases=("alias_target.slug",),
            adjust=_with_author,
        ),
        has_records=False,
    ),
)
