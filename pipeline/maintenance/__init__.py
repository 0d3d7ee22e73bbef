"""Maintenance of the database: verify, rebuild, prune, back up, forget and rename."""

from __future__ import annotations

from pipeline.maintenance.facts import DialectsOf, dialects_of
from pipeline.maintenance.prune import Pruned, prune
from pipeline.maintenance.rebuild import Rebuilt, rebuild
from pipeline.maintenance.scopes import forget, rename_gateway, rename_scope
from pipeline.maintenance.verify import Check, Cure, Problem, verify

__all__ = [
    "Check",
    "Cure",
    "DialectsOf",
    "Problem",
    "Pruned",
    "Rebuilt",
    "dialects_of",
    "forget",
    "prune",
    "rebuild",
    "rename_gateway",
    "rename_scope",
    "verify",
]
