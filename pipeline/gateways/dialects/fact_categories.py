"""The categories of the fields from which a dialect reads facts: the meaning of the fact decides."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pipeline.core.categories import QUIET, STAGE
from pipeline.core.facts import FactPaths

_FACTS = {
    "owned_by": QUIET,
    "created": QUIET,
    "input_modalities": "capabilities",
    "output_modalities": "capabilities",
    "features": "capabilities",
    "endpoints": "capabilities",
    "lifecycle": STAGE,
    "deprecated_at": "lifecycle",
    "context_length": "limits",
    "max_output": "limits",
}
"""By fact, the category of its fields; of several facts that are read from one field, the last decides.

The words of a path decide for the other facts, and for those that `FactPaths.adjust` reads.
"""

_PRICES = ("input", "output", "cache_read", "cache_write", "per_call")


@cache
def fact_categories(facts: object) -> Mapping[str, str]:
    """Return the category of each path from which facts are read; empty without `FactPaths`."""
    if not isinstance(facts, FactPaths):
        return MappingProxyType({})
    found = {path: category for name, category in _FACTS.items() for path in getattr(facts, name)}
    found |= {path: "price" for name in _PRICES for path in getattr(facts.prices, name)}
    return MappingProxyType(found)
