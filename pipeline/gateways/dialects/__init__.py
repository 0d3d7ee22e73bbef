"""The dialects of gateways: which requests give the list, and how its records are parsed."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Answer, Dialect, storable_id
from pipeline.gateways.dialects.paging import Pages, PageRequest
from pipeline.gateways.dialects.registry import (
    AUTO,
    DEFAULT_DIALECT,
    FACT_NAMES,
    all_dialects,
    dialect_of,
    customise,
    request_dialect,
    answer_dialect,
)
from pipeline.gateways.dialects.rows import RowCache

__all__ = [
    "AUTO",
    "DEFAULT_DIALECT",
    "FACT_NAMES",
    "Answer",
    "Dialect",
    "Pages",
    "PageRequest",
    "RowCache",
    "all_dialects",
    "dialect_of",
    "customise",
    "storable_id",
    "request_dialect",
    "answer_dialect",
]
