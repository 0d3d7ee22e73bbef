"""The dialects of gateways: which requests give the list, and how its records are parsed."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Answer, Dialect, storable
from pipeline.gateways.dialects.paging import Pages, Request
from pipeline.gateways.dialects.registry import (
    AUTO,
    DEFAULT,
    FACTS,
    dialects,
    recognised,
    spelled,
    to_ask,
    to_read,
)
from pipeline.gateways.dialects.rows import RowCache

__all__ = [
    "AUTO",
    "DEFAULT",
    "FACTS",
    "Answer",
    "Dialect",
    "Pages",
    "Request",
    "RowCache",
    "dialects",
    "recognised",
    "spelled",
    "storable",
    "to_ask",
    "to_read",
]
