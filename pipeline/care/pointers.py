"""Check the working tables: removals that wait, departures that are remembered, and the outbox."""

from __future__ import annotations

from pipeline.care.problems import Check, Cure, Problem, check
from pipeline.store import Store, levels


def missing_problems(store: Store, *, only_moves: bool) -> Check:
    """Look for removals that wait to be confirmed and are of no move.

    With `only_moves` the changes are damaged themselves: nothing is concluded from them.
    """
    rows = store.rows(
        """
        select missing.id, missing.patience, missing.misses, (
            select min(moved.id) from sightings as moved
            where moved.scope = missing.scope and moved.snapshot >= missing.since
            and moved.transition = missing.transition and moved.outcome = 'moved'
        ) as moved, exists(
            select 1 from changes join scopes on scopes.id = missing.scope
            where changes.transition = missing.transition and changes.kind = 'removed'
            and changes.model not in (
                select records.model from listing_records join records on records.id = listing_records.record
                where listing_records.listing = scopes.listing)
        ) as gone
        from missing order by missing.id
        """
    )
    by_move: dict[int, set[int]] = {}
    for (moved, _), level in levels(store, {row["moved"] for row in rows if row["moved"]}).items():
        by_move.setdefault(moved, set()).add(level)
    found = []
    for row in rows:
        if row["moved"] is None:
            found.append(_missing(row["id"], "its scope has made no such move"))
        elif only_moves:
            continue
        elif not row["gone"]:
            found.append(_missing(row["id"], "nothing that it waits for is missing"))
        elif row["patience"] not in by_move.get(row["moved"], set()) or row["misses"] < 1:
            found.append(_missing(row["id"], "it waits for what no model of its move needs"))
    if not only_moves:
        found += [
            Problem(
                "missing", None, f"{row['scope']} lost {row['model']}, and nothing waits for it", Cure.RESTORE
            )
            for row in store.rows(_UNWAITED)
        ]
    return check("removals to be confirmed", len(rows), "each is of a move of its scope", found)


_UNWAITED = """
    with gone as (
        select moved.scope, removed.model, max(moved.id) as leaving from sightings as moved
        join changes as removed on removed.transition = moved.transition and removed.kind = 'removed'
        where moved.outcome = 'moved' group by moved.scope, removed.model
    )
    select scopes.name as scope, models.name as model from gone
    join sightings as leaving on leaving.id = gone.leaving
    join scopes on scopes.id = gone.scope
    join models on models.id = gone.model
    where not exists (
        select 1 from records join listing_records on listing_records.record = records.id
        where records.model = gone.model and listing_records.listing = scopes.listing)
    and not exists (
        select 1 from missing where missing.scope = gone.scope and missing.transition = leaving.transition)
    and not exists (
        select 1 from sightings as later where later.scope = gone.scope and later.id > gone.leaving
        and later.outcome = 'confirmed' and later.transition = leaving.transition)
    and not exists (
        select 1 from changes as added join sightings as back on back.transition = added.transition
        where added.model = gone.model and added.kind = 'added' and back.scope = gone.scope
        and back.outcome = 'moved' and back.id > gone.leaving)
    order by scopes.name, models.name
"""


def _missing(number: int, says: str) -> Problem:
    return Problem("missing", number, says, Cure.RESTORE)


def departure_problems(store: Store) -> Check:
    """Look for departures whose record is of another model, or whose gateway is another's."""
    rows = store.rows(
        """
        select departures.id, records.model = departures.model and models.gateway = scopes.gateway as well
        from departures
        join records on records.id = departures.record
        join models on models.id = departures.model
        join scopes on scopes.id = departures.scope
        order by departures.id
        """
    )
    found = [
        Problem(
            "departures",
            row["id"],
            "its record is not of its model, or not of its scope's gateway",
            Cure.RESTORE,
        )
        for row in rows
        if not row["well"]
    ]
    return check("departures", len(rows), "each is of a model of its scope's gateway", found)


def delivery_problems(store: Store) -> Check:
    """Look for reports that begin after they end, or of runs that are not there."""
    rows = store.rows(
        """
        select deliveries.id, until.id is null or (deliveries.since is not null and since.id is null) as lost,
               coalesce(deliveries.since, 0) >= deliveries.until as backwards
        from deliveries
        left join snapshots as until on until.id = deliveries.until
        left join snapshots as since on since.id = deliveries.since
        order by deliveries.id
        """
    )
    found = [
        Problem("deliveries", row["id"], "it is of a run that is not there", Cure.RESTORE)
        for row in rows
        if row["lost"]
    ] + [
        Problem("deliveries", row["id"], "it ends before it begins", Cure.RESTORE)
        for row in rows
        if row["backwards"]
    ]
    lost = store.rows(
        "select id from destinations where told > 0 and told not in (select id from snapshots) order by id"
    )
    found += [
        Problem("destinations", row["id"], "it was told up to a run that is not there", Cure.RESTORE)
        for row in lost
    ]
    return check("deliveries", len(rows), "each is of runs that are there", found)
