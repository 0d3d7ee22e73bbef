"""The dialects that gateways speak: which requests give the list, and how to read it."""

from __future__ import annotations

from pipeline.dialects import groups
from pipeline.dialects.dialect import Answer, Dialect
from pipeline.dialects.paging import Pages, Request
from pipeline.dialects.registry import AUTO, DEFAULT, FACTS, dialects, recognised, spelled, to_ask, to_read

__all__ = [
    "AUTO",
    "DEFAULT",
    "FACTS",
    "Answer",
    "Dialect",
    "Pages",
    "Request",
    "dialects",
    "groups",
    "recognised",
    "spelled",
    "to_ask",
    "to_read",
]
