"""Remember how models left whose leaving is too old to be kept, so that a return is still told as one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.store import Store, levels
from pipeline.store.writer import Writer

_LEAVINGS = """
    with bounds as (select cast(key as integer) as scope, value as exact from json_each(:exact)),
    gone as (
        select moved.scope, removed.model, max(moved.id) as leaving from bounds
        join sightings as moved on moved.scope = bounds.scope and moved.id < bounds.exact
            and moved.outcome = 'moved'
        join changes as removed on removed.transition = moved.transition and removed.kind = 'removed'
        group by moved.scope, removed.model
    ),
    left_for as (
        select gone.*, (
            select min(back.id) from sightings as back
            join changes as added on added.transition = back.transition and added.kind = 'added'
            where back.scope = gone.scope and back.outcome = 'moved' and back.id > gone.leaving
            and added.model = gone.model
        ) as back
        from gone
    )
    select left_for.scope, left_for.model, left_for.leaving, changes.before as record, models.name,
           confirmed.patience, first.started_at as at
    from left_for
    join sightings as leaving on leaving.id = left_for.leaving
    join changes on changes.transition = leaving.transition and changes.model = left_for.model
    join models on models.id = left_for.model
    left join sightings as confirmed on confirmed.transition = leaving.transition
        and confirmed.scope = left_for.scope and confirmed.outcome = 'confirmed'
        and confirmed.id > leaving.id and (left_for.back is null or confirmed.id < left_for.back)
        and leaving.id = (
            select min(first.id) from sightings as first
            where first.scope = confirmed.scope and first.snapshot >= confirmed.since
            and first.transition = confirmed.transition and first.outcome = 'moved'
        )
    left join snapshots as first on first.id = confirmed.since
    order by confirmed.id desc
"""


def remember(store: Store, exact: Mapping[int, int]) -> None:
    """Write how the models of scopes left last before a sighting: which one, by scope.

    Must run inside a transaction, before the sightings go.
    """
    rows = store.rows(_LEAVINGS, {"exact": json.dumps(exact)})
    level = levels(store, {row["leaving"] for row in rows})
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        effective = row["patience"] == level[row["leaving"], row["model"]]
        key = (row["scope"], row["model"])
        if effective or key not in found:
            found[key] = row | {"at": row["at"] if effective else None}
    _write(store, found)


def _write(store: Store, found: Mapping[tuple[int, int], Mapping[str, Any]]) -> None:
    known = {
        (row["scope"], row["model"]): row
        for row in store.rows("select id, scope, model, sighting from departures")
    }
    writer = Writer(store)
    free = writer.next_id("departures")
    for key, row in sorted(found.items()):
        old = known.get(key)
        if old and old["sighting"] >= row["leaving"]:
            continue
        values = {
            "name": f"{row['name']} left" + (f" {row['at']}" if row["at"] else ""),
            "scope": row["scope"],
            "model": row["model"],
            "record": row["record"],
            "left_at": row["at"],
            "sighting": row["leaving"],
        }
        number = old["id"] if old else free
        free += old is None
        store.db.table("departures").insert({"id": number, **values}, replace=True)
