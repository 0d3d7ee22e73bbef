"""Care of the database: check it, derive again what follows from the truth, drop, rename and forget."""

from __future__ import annotations

from pipeline.care.problems import Check, Cure, Problem
from pipeline.care.pruning import Pruned, prune
from pipeline.care.readings import DialectsOf, dialects_of
from pipeline.care.rebuilding import Rebuilt, rebuild
from pipeline.care.scopes import forget, rename_gateway, rename_scope
from pipeline.care.verifying import verify

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
