"""The groups of a New-API user, listed like models: their ratios are facts, and change."""

from __future__ import annotations

from pipeline.gateways.dialects.dialect import Dialect

DIALECTS = (Dialect(name="new-api-groups", quiet=("desc",)),)
