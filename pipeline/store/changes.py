"""What the ledger says of a window: who moved, what each move changed, and how models had left."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

from pipeline.store.database import Store
from pipeline.store.flapping import flap_levels

Models = Collection[int] | None
"""The models that are asked for, by their ids in the database; None is all of them."""


def _as_json(models: Models) -> str | None:
    return None if models is None else json.dumps(sorted(models))


FOREVER = "~"
"""Later than any time in ISO 8601."""


@dataclass(frozen=True, slots=True)
class Window:
    """The runs after `since` up to `until`, by snapshot id; `since` 0 begins with the history.

    Of what was imported only answers given at or after `start` (ISO 8601 UTC): they are older than their ids;
    and of all only what was before `end`.
    """

    since: int
    until: int
    start: str = ""
    end: str = FOREVER


IN_TIME = """
    snapshots.started_at < :end and (snapshots.status <> 'imported' or snapshots.started_at >= :start)
"""
"""Says in SQL whether a snapshot of a window's numbers is in its time, too."""


@dataclass(frozen=True, slots=True)
class Move:
    """A scope's move, or the confirmation of one; `imported` when it is that of a saved answer."""

    id: int
    outcome: str
    snapshot: int
    at: str
    imported: bool
    transition: int
    listing: int
    flap_level: int | None
    since_at: str | None
    scope: int
    scope_name: str
    group_name: str | None
    gateway: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A row of `changes`."""

    id: int
    transition: int
    kind: str
    model: int
    model_name: str
    before: int | None
    after: int | None
    owned_by: str | None


def moves(store: Store, window: Window, models: Models = None) -> list[Move]:
    """Give the moves and confirmations of a window (that name one of `models`), oldest first."""
    rows = store.rows(
        f"""
        select sightings.id, sightings.outcome, sightings.snapshot, snapshots.started_at as at,
               snapshots.status = 'imported' as imported, sightings.transition, sightings.listing,
               sightings.flap_level, first.started_at as since_at, sightings.scope,
               scopes.name as scope_name, scopes.group_name, gateways.name as gateway
        from sightings
        join snapshots on snapshots.id = sightings.snapshot
        join scopes on scopes.id = sightings.scope
        join gateways on gateways.id = scopes.gateway
        left join snapshots as first on first.id = sightings.since
        where sightings.snapshot > :since and sightings.snapshot <= :until and {IN_TIME}
        and sightings.outcome in ('moved', 'confirmed')
        and (:models is null or sightings.transition in (
            select changes.transition from json_each(:models) as wanted
            join changes on changes.model = wanted.value
        ))
        order by sightings.id
        """,  # noqa: S608 - our own words
        {**asdict(window), "models": _as_json(models)},
    )
    return [Move(**row) for row in rows]


def changes_of(store: Store, transitions: Iterable[int]) -> dict[int, list[ChangeRow]]:
    """Give the changes of transitions, by transition."""
    rows = store.rows(
        """
        select changes.id, changes.transition, changes.kind, changes.model, models.name as model_name,
               changes.before, changes.after, records.owned_by
        from json_each(:transitions) as wanted
        join changes on changes.transition = wanted.value
        join models on models.id = changes.model
        join records on records.id = coalesce(changes.after, changes.before)
        order by changes.id
        """,
        {"transitions": json.dumps(sorted(transitions))},
    )
    found: dict[int, list[ChangeRow]] = {}
    for row in rows:
        found.setdefault(row["transition"], []).append(ChangeRow(**row))
    return found


class Present:
    """The models of listings, each listing asked for once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: dict[int, dict[int, str]] = {}
        self._folded: dict[int, dict[str, list[str]]] = {}

    def twin(self, listing: int, model: str) -> str | None:
        """Find a model of a listing whose id differs only in case."""
        if listing not in self._folded:
            folded = self._folded[listing] = {}
            for name in sorted(self.models(listing).values()):
                folded.setdefault(name.casefold(), []).append(name)
        same = self._folded[listing].get(model.casefold(), [])
        return next((name for name in same if name != model), None)

    def models(self, listing: int) -> dict[int, str]:
        """Give a listing's models: their ids in the database, and their names."""
        if listing not in self._models:
            rows = self._store.rows(
                """
                select records.model, models.name from listing_records
                join records on records.id = listing_records.record
                join models on models.id = records.model
                where listing_records.listing = :listing
                """,
                {"listing": listing},
            )
            self._models[listing] = {row["model"]: row["name"] for row in rows}
        return self._models[listing]


def readded(store: Store, window: Window, models: Models = None) -> set[tuple[int, int]]:
    """Find the models (of `models`) that were back for a while between a move and its confirmation."""
    rows = store.rows(
        """
        select confirmed.id, changes.model from sightings as confirmed
        join sightings as between_them on between_them.scope = confirmed.scope
            and between_them.snapshot > confirmed.since and between_them.snapshot <= confirmed.snapshot
            and between_them.outcome = 'moved'
        join changes on changes.transition = between_them.transition and changes.kind = 'added'
        where confirmed.snapshot > :since and confirmed.snapshot <= :until
        and confirmed.outcome = 'confirmed'
        and (:models is null or changes.model in (select value from json_each(:models)))
        """,
        {"since": window.since, "until": window.until, "models": _as_json(models)},
    )
    return {(row["id"], row["model"]) for row in rows}


def levels_of(store: Store, confirmed: Iterable[Move]) -> dict[tuple[int, int], int]:
    """Give the level of each model whose removal a sighting may confirm, by that sighting and model."""
    rows = store.rows(
        """
        select confirmed.id, (
            select min(moved.id) from sightings as moved
            where moved.scope = confirmed.scope and moved.snapshot >= confirmed.since
            and moved.transition = confirmed.transition and moved.outcome = 'moved'
        ) as moved
        from json_each(:confirmed) as wanted join sightings as confirmed on confirmed.id = wanted.value
        """,
        {"confirmed": json.dumps(sorted(move.id for move in confirmed))},
    )
    of_move = flap_levels(store, {row["moved"] for row in rows})
    confirming: dict[int, list[int]] = {}
    for row in rows:
        confirming.setdefault(row["moved"], []).append(row["id"])
    return {
        (sighting, model): level
        for (moved, model), level in of_move.items()
        for sighting in confirming[moved]
    }


def window(store: Store, *, since: str | None = None, until: str | None = None) -> Window:
    """Give the window from a time (ISO 8601 UTC) on, and before another: a run that began at `since` is in.

    Without `since` it begins with the history, without `until` it goes on until now.
    """
    end = {"until": until or FOREVER}
    (row,) = store.rows("select coalesce(max(id), 0) as newest from snapshots where started_at < :until", end)
    if since is None:
        return Window(0, row["newest"], end=end["until"])
    (start,) = store.rows(
        "select coalesce(min(id) - 1, :newest) as before from snapshots where started_at >= :since",
        {"since": since, **row},
    )
    return Window(min(start["before"], row["newest"]), row["newest"], since, end["until"])
