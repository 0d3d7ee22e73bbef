"""How often models have come and gone: one that flaps must be missed longer to be believed gone."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pipeline.store.database import Store

DAYS = 30
"""How far back a model's leaving counts."""


MOST = 3
"""The highest level: a removal is then believed after eight times as many answers."""


def flap_levels(store: Store, moved: Iterable[int]) -> dict[tuple[int, int], int]:
    """Give the level of each model that a sighting's move removed, by sighting and model.

    0 for a model that left never or once in the days before, one more for each further time.
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
            and then_run.started_at >= strftime('%Y-%m-%dT%H:%M:%SZ', run.started_at, '-{DAYS} days')
        group by moved.id, removed.model
        """,  # noqa: S608 - a number of our own
        {"moved": json.dumps(sorted(moved))},
    )
    return {(row["id"], row["model"]): flap_level(row["times"]) for row in rows}


def flap_level(times: int) -> int:
    """Give the level of a model that has left so many times before."""
    return min(max(times - 1, 0), MOST)


def answers_needed(confirm: int, level: int) -> int:
    """Say how many complete answers in a row must miss a model of a level."""
    return confirm << level
