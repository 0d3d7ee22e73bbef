"""Flap levels: a model that comes and goes must be missing for longer before its removal is confirmed."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pipeline.store.database import Store

FLAP_DAYS = 30
"""How many days back a model's removals count."""

MAX_LEVEL = 3
"""The highest level; it needs eight times as many answers to confirm a removal."""


def flap_levels(store: Store, moved: Iterable[int]) -> dict[tuple[int, int], int]:
    """Return the flap level of each model that a sighting's move removed, by sighting and model.

    The level is 0 for a model with at most one removal from the scope in the 30 days before; each further
    removal raises it by one.
    """
    rows = store.rows(
        f"""
        select moved.id, removed.model, count(then_run.id) as times
        from json_each(:moved) as wanted
        join sightings as moved on moved.id = wanted.value
        join snapshots as run on run.id = moved.snapshot
        join changes as removed on removed.transition = moved.transition and removed.kind = 'removed'
        join changes as gone on gone.model = removed.model and gone.kind = 'removed'
        left join sightings as earlier on earlier.transition = gone.transition
            and earlier.scope = moved.scope and earlier.outcome = 'moved' and earlier.id < moved.id
        left join snapshots as then_run on then_run.id = earlier.snapshot
            and then_run.started_at >= strftime('%Y-%m-%dT%H:%M:%SZ', run.started_at, '-{FLAP_DAYS} days')
        group by moved.id, removed.model
        """,  # noqa: S608 - a number of our own
        {"moved": json.dumps(sorted(moved))},
    )
    return {(row["id"], row["model"]): flap_level(row["times"]) for row in rows}


def flap_level(times: int) -> int:
    """Return the level of a model by the number of its earlier removals."""
    return min(max(times - 1, 0), MAX_LEVEL)


def answers_needed(confirm: int, level: int) -> int:
    """Return how many complete answers in a row must lack a model: `confirm`, doubled for each level."""
    return confirm << level
