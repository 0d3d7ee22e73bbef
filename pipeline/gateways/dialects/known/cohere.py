"""Cohere's list; its last page has no token for a next one."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import Body, FactPaths, Facts
from pipeline.gateways.dialects.dialect import SETS, Dialect
from pipeline.gateways.dialects.paging import Paging


def _is_cohere(_envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all("name" in row and "tokenizer_url" in row for row in rows)


def _with_lifecycle(facts: Facts, body: Body) -> Facts:
    return replace(facts, lifecycle="deprecated") if body.get("is_deprecated") is True else facts


DIALECTS = (
    Dialect(
        name="cohere",
        hosts=("api.cohere.com", "api.cohere.ai"),
        paging=Paging(param="page_token", next_at="next_page_token", size=(("page_size", "1000"),)),
        list_at=("models",),
        id_at="name",
        sets=(*SETS, "default_endpoints"),
        recognises=_is_cohere,
        facts=FactPaths(adjust=_with_lifecycle),
    ),
)
