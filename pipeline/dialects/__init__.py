"""The dialects that gateways speak: which requests give the list, and how to read it."""

from __future__ import annotations

from pipeline.dialects import groups
from pipeline.dialects.alike import Alike
from pipeline.dialects.dialect import Answer, Dialect, storable
from pipeline.dialects.paging import Pages, Request
from pipeline.dialects.registry import AUTO, DEFAULT, FACTS, dialects, recognised, spelled, to_ask, to_read

__all__ = [
    "AUTO",
    "DEFAULT",
    "FACTS",
    "Alike",
    "Answer",
    "Dialect",
    "Pages",
    "Request",
    "dialects",
    "groups",
    "recognised",
    "spelled",
    "storable",
    "to_ask",
    "to_read",
]
