"""From the ledger to what people are told: which moves were changes, for whom, and since when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any

from pipeline.core.diff import field_changes
from pipeline.core.prices import PRICES, price_changes
from pipeline.core.types import FieldChange, Kind
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.changes import (
    ChangeRow,
    Models,
    Move,
    Present,
    Window,
    changes_of,
    levels_of,
    moves,
    readded,
)
from pipeline.store.departures import Departure, departures_of_returned

_ALIKE = 0.8
"""How much alike two names are, from 0 to 1, to be called a possible rename."""


_ORDER = {Kind.REMOVED: 0, Kind.CHANGED: 1, Kind.RETURNED: 2, Kind.ADDED: 3}


@dataclass(frozen=True, slots=True)
class _Told:
    """What is equal for all the scopes to which one event happened."""

    snapshot: int
    at: str
    kind: Kind
    gateway: str
    model: str
    since: str | None
    before: int | None
    after: int | None
    case_variant: str | None
    successor: str | None
    owned_by: str | None = field(compare=False)


def find_events(store: Store, window: Window, models: Models = None) -> tuple[Event, ...]:
    """Give what happened to models in a window, each once for all the scopes to which it happened.

    A removal is told when it is effective. A model that comes back before that was never removed: if it
    comes back in another form, that is told as a change. With `models` (ids of the database) only what
    happened to those is looked for.
    """
    left = departures_of_returned(store, window, models)
    return _told_of(store, moves(store, window, models), left, readded(store, window, models), models)


def removals(store: Store, window: Window) -> tuple[Event, ...]:
    """Give the removals among the changes of a window, without looking for the others."""
    found = [move for move in moves(store, window) if move.outcome == "confirmed"]
    return _told_of(store, found, {}, readded(store, window))


def _told_of(
    store: Store,
    found: Sequence[Move],
    left: dict[tuple[int, int], Departure],
    back_for_a_while: set[tuple[int, int]],
    models: Models = None,
) -> tuple[Event, ...]:
    changed = changes_of(store, {move.transition for move in found})
    levels = levels_of(store, [move for move in found if move.outcome == "confirmed"])
    teller = _EventBuilder(Present(store), left, back_for_a_while, levels, changed)
    told: dict[_Told, list[Move]] = {}
    for move in found:
        for change in changed.get(move.transition, ()):
            what = teller.tell(move, change) if models is None or change.model in models else None
            if what:
                told.setdefault(what, []).append(move)
    rows = {(row.before, row.after): row.id for rows in changed.values() for row in rows}
    clock = _clock(found)

    def order(event: Event) -> tuple[object, ...]:
        place = clock[event.snapshot], event.snapshot
        return (*place, event.gateway, event.scopes, _ORDER[event.kind], event.model)

    return tuple(sorted(_events(store, told, rows), key=order))


def _clock(found: Iterable[Move]) -> dict[int, str]:
    """Give the time by which each snapshot is put in order.

    Runs are in the order in which they happened, whatever time they thought it was; what was imported has its
    place between them by its own time.
    """
    clock: dict[int, str] = {}
    latest = ""
    for move in found:
        if not move.imported:
            latest = max(latest, move.at)
        clock[move.snapshot] = move.at if move.imported else latest
    return clock


@dataclass(frozen=True, slots=True)
class _EventBuilder:
    """Decides what a row of a move is to the scope that made it: an event, or nothing."""

    present: Present
    left: dict[tuple[int, int], Departure]
    back_for_a_while: set[tuple[int, int]]
    levels: dict[tuple[int, int], int]
    changed: dict[int, list[ChangeRow]]
    candidates: dict[int, str | None] = field(default_factory=dict)

    def tell(self, move: Move, change: ChangeRow) -> _Told | None:
        """Give the event, None where there is none to tell."""
        match move.outcome, change.kind:
            case "confirmed", Kind.REMOVED if self._is_gone(move, change.model):
                told = _told(move, change, Kind.REMOVED, since=move.since_at)
                twin = self.present.twin(move.listing, change.model_name)
                return replace(told, case_variant=twin, successor=None if twin else self._candidate(change))
            case "moved", Kind.CHANGED:
                return _told(move, change, Kind.CHANGED, change.before)
            case "moved", Kind.ADDED:
                arrived = self._arrived(move, change)
                twin = self.present.twin(move.listing, change.model_name)
                return None if arrived is None else replace(arrived, case_variant=twin)
            case _:
                return None

    def _arrived(self, move: Move, change: ChangeRow) -> _Told | None:
        """Say what an added record is to its scope: added, returned, changed, or nothing at all."""
        leave = self.left.get((move.id, change.model))
        if leave is None:
            return _told(move, change, Kind.ADDED)
        if leave.at is not None:
            return _told(move, change, Kind.RETURNED, leave.record, leave.at)
        return None if leave.record == change.after else _told(move, change, Kind.CHANGED, leave.record)

    def _is_gone(self, move: Move, model: int) -> bool:
        if self.levels[move.id, model] != move.flap_level or (move.id, model) in self.back_for_a_while:
            return False
        return model not in self.present.models(move.listing)

    def _candidate(self, gone: ChangeRow) -> str | None:
        """Find the one model that came when this one went and has much the same name and the same owner."""
        if gone.id not in self.candidates:
            self.candidates[gone.id] = self._only_alike(gone)
        return self.candidates[gone.id]

    def _only_alike(self, gone: ChangeRow) -> str | None:
        came = [row for row in self.changed[gone.transition] if row.kind == Kind.ADDED]
        alike = [
            row.model_name
            for row in came
            if row.owned_by == gone.owned_by and _are_alike(row.model_name, gone.model_name)
        ]
        return alike[0] if len(alike) == 1 else None


def _are_alike(name: str, other: str) -> bool:
    matcher = SequenceMatcher(None, name, other)
    return (
        matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE
    )


def _told(
    move: Move, change: ChangeRow, kind: Kind, before: int | None = None, since: str | None = None
) -> _Told:
    return _Told(
        snapshot=move.snapshot,
        at=move.at,
        kind=kind,
        gateway=move.gateway,
        model=change.model_name,
        owned_by=change.owned_by,
        since=since,
        before=before,
        # What comes or goes is one event for all scopes, though their records of it may differ.
        after=change.after if before is not None else None,
        case_variant=None,
        successor=None,
    )


def _events(
    store: Store, told: dict[_Told, list[Move]], rows: dict[tuple[int | None, int | None], int]
) -> list[Event]:
    differing = {(what.before, what.after) for what in told if what.before and what.after}
    stored = _field_changes(store, [rows[sides] for sides in differing if sides in rows])
    bodies = _bodies(store, [side for sides in differing if sides not in rows for side in sides])
    facts = _facts(store, {side for sides in differing for side in sides})
    return [
        Event(
            at=what.at,
            snapshot=what.snapshot,
            kind=what.kind,
            gateway=what.gateway,
            model=what.model,
            scopes=tuple(sorted({move.scope_name for move in of_it})),
            groups=tuple(sorted({move.group_name for move in of_it if move.group_name})),
            owned_by=what.owned_by,
            since=what.since,
            away_seconds=_seconds(what.since, what.at) if what.kind == Kind.RETURNED else None,
            fields=_fields(what, rows, stored, bodies),
            prices=price_changes(facts[what.before], facts[what.after]) if what.before and what.after else (),
            case_variant=what.case_variant,
            successor=what.successor,
        )
        for what, of_it in told.items()
    ]


def _fields(
    what: _Told,
    rows: dict[tuple[int | None, int | None], int],
    stored: dict[int, tuple[FieldChange, ...]],
    bodies: dict[int, str],
) -> tuple[FieldChange, ...]:
    if what.before is None or what.after is None or what.before == what.after:
        return ()
    row = rows.get((what.before, what.after))
    return field_changes(bodies[what.before], bodies[what.after]) if row is None else stored[row]


def _field_changes(store: Store, changes: Iterable[int]) -> dict[int, tuple[FieldChange, ...]]:
    rows = store.rows(
        """
        select field_changes.change, fields.name as field, field_changes.before, field_changes.after,
               fields.class as category
        from json_each(:changes) as wanted
        join field_changes on field_changes.change = wanted.value
        join fields on fields.id = field_changes.field
        order by field_changes.id
        """,
        {"changes": json.dumps(sorted(changes))},
    )
    found: dict[int, list[FieldChange]] = {}
    for row in rows:
        found.setdefault(row.pop("change"), []).append(FieldChange(**row))
    return {change: tuple(of_it) for change, of_it in found.items()}


def _bodies(store: Store, records: Iterable[int | None]) -> dict[int, str]:
    rows = store.rows(
        """
        select records.id, records.body from json_each(:records) as wanted
        join records on records.id = wanted.value
        """,
        {"records": json.dumps(sorted({record for record in records if record is not None}))},
    )
    return {row["id"]: row["body"] for row in rows}


def _facts(store: Store, records: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Give what each record costs, by our reading of it."""
    rows = store.rows(
        f"""
        select records.id, records.price_source, {", ".join(f"records.{column}" for column in PRICES)}
        from json_each(:records) as wanted join records on records.id = wanted.value
        """,  # noqa: S608 - names of our own
        {"records": json.dumps(sorted(records))},
    )
    return {row["id"]: row for row in rows}


def _seconds(since: str | None, until: str) -> int | None:
    if since is None:
        return None
    # A clock that was set back must not make it less than no time.
    away = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    return max(0, int(away.total_seconds()))
