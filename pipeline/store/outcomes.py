"""Sets of outcomes as SQL lists, for `sightings.outcome in …`."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core import types
from pipeline.core.types import Outcome


def _sql_list(outcomes: Iterable[Outcome]) -> str:
    return "(" + ", ".join(f"'{outcome}'" for outcome in outcomes) + ")"


SETS_LISTING = _sql_list(types.SETS_LISTING)
"""The outcomes that set the current listing of a scope."""

PROBLEMS = _sql_list(types.PROBLEMS)
"""The outcomes of a scope that is not healthy."""
