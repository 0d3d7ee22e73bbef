"""Maintenance of the database: verify, rebuild, prune, forget, rename and merge."""

from __future__ import annotations

from pipeline.maintenance.facts import DialectsOf, dialects_of
from pipeline.maintenance.merge import (
    MergeResult,
    OtherDatabase,
    merge,
    merged_already,
    require_site_name,
)
from pipeline.maintenance.prune import PruneResult, prune, prune_bound
from pipeline.maintenance.rebuild import RebuildTotals, rebuild
from pipeline.maintenance.scopes import forget, rename, rename_gateway, rename_scope
from pipeline.maintenance.verify import Check, Cure, Problem, verify

__all__ = [
    "Check",
    "Cure",
    "DialectsOf",
    "MergeResult",
    "OtherDatabase",
    "Problem",
    "PruneResult",
    "RebuildTotals",
    "dialects_of",
    "forget",
    "merge",
    "merged_already",
    "prune",
    "prune_bound",
    "rebuild",
    "rename",
    "rename_gateway",
    "rename_scope",
    "require_site_name",
    "verify",
]
