"""The dialects of gateways: the requests for a list, and the parser of its records."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import (
    Answer,
    Dialect,
    GroupAnswers,
    Groups,
    ReadAnswer,
    group_record,
    storable_id,
)
from pipeline.gateways.dialects.list_advice import named
from pipeline.gateways.dialects.paging import Page, PageRequest, Pages, reads_header
from pipeline.gateways.dialects.price_advice import price_advice
from pipeline.gateways.dialects.registry import (
    AUTO,
    DEFAULT_DIALECT,
    FACT_NAMES,
    all_dialects,
    answer_dialect,
    customise,
    dialect_of,
    group_models_dialect,
    groups_dialect,
    listing_dialect,
    request_dialect,
)
from pipeline.gateways.dialects.rows import RowCache
from pipeline.gateways.dialects.setting_advice import setting_advice
from pipeline.gateways.dialects.signs import simplified

__all__ = [
    "AUTO",
    "DEFAULT_DIALECT",
    "FACT_NAMES",
    "Answer",
    "Dialect",
    "GroupAnswers",
    "Groups",
    "Page",
    "PageRequest",
    "Pages",
    "ReadAnswer",
    "RowCache",
    "all_dialects",
    "answer_dialect",
    "customise",
    "dialect_of",
    "group_models_dialect",
    "group_record",
    "groups_dialect",
    "listing_dialect",
    "named",
    "price_advice",
    "reads_header",
    "request_dialect",
    "setting_advice",
    "simplified",
    "storable_id",
]
