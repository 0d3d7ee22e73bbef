"""Replay the ledger: compute the state of every scope from its sightings."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct, field

from pipeline.core.types import PROBLEMS, SETS_LISTING
from pipeline.store import Store


class SightingRow(NamedTuple):
    """The columns of a sighting that affect the state of its scope; ids are those of the tables."""

    scope: int
    id: int
    snapshot: int
    at: str
    outcome: str
    listing: int | None
    transition: int | None
    since: int | None


class PointerState(Struct):
    """The pointers of a scope: its current listing, its held listing, and its last sighting."""

    listing: int | None = None
    held: int | None = None
    sighting: int | None = None


class Replay(Struct):
    """The result of a replay.

    Args:
        states: the final pointers, by scope.
        sides: the moves of sightings, as listing before and after, by transition.
        breaks: the reason why a sighting does not follow from those before it, by sighting.
    """

    states: dict[int, PointerState] = field(default_factory=dict)
    sides: dict[int, set[tuple[int | None, int | None]]] = field(default_factory=dict)
    breaks: dict[int, str] = field(default_factory=dict)


def read_sightings(store: Store) -> list[SightingRow]:
    """Return every sighting, by scope and in order."""
    rows = store.stream(
        """
        select sightings.scope, sightings.id, sightings.snapshot, snapshots.started_at, sightings.outcome,
               sightings.listing, sightings.transition, sightings.since
        from sightings join snapshots on snapshots.id = sightings.snapshot
        order by sightings.scope, sightings.id
        """
    )
    return [SightingRow(*row) for row in rows]


def replay(sightings: Iterable[SightingRow]) -> Replay:
    """Replay sightings, which are sorted by scope."""
    found = Replay()
    for scope, own in groupby(sightings, key=lambda sighting: sighting.scope):
        replaying = _ScopeReplay(found)
        for sighting in own:
            replaying.add(sighting)
        found.states[scope] = replaying.state
    return found


class _ScopeReplay:
    """The replay of one scope."""

    def __init__(self, found: Replay) -> None:
        self.state = PointerState()
        self._found = found
        self._problems: set[int] = set()
        self._moves: dict[int, int] = {}

    def add(self, sighting: SightingRow) -> None:
        """Apply one sighting."""
        message = self._break(sighting)
        if message:
            self._found.breaks[sighting.id] = message
        state = self.state
        if sighting.outcome == "moved" and sighting.transition is not None:
            sides = (state.listing, sighting.listing)
            self._found.sides.setdefault(sighting.transition, set()).add(sides)
            self._moves[sighting.transition] = sighting.snapshot
        if sighting.outcome in SETS_LISTING:
            state.listing = sighting.listing
        if sighting.outcome in ("baseline", "moved", "recovered", "retired"):
            state.held = None
        if sighting.outcome == "held":
            state.held = sighting.listing
        if sighting.outcome in PROBLEMS:
            self._problems.add(sighting.snapshot)
        state.sighting = sighting.id

    def _break(self, sighting: SightingRow) -> str | None:  # noqa: PLR0911 - a table of rules
        """Return why a sighting cannot follow those before it."""
        state = self.state
        match sighting.outcome:
            case "baseline" if state.listing is not None:
                return "its scope had a listing already"
            case "moved" | "reread" | "confirmed" | "settled" | "held" if state.listing is None:
                return "its scope had no listing before it"
            case "baseline" | "moved" | "reread" | "held" if sighting.listing is None:
                return "it has no listing"
            case "moved" if sighting.transition is None:
                return "it has no transition"
            case "confirmed" | "recovered" | "settled" if sighting.listing != state.listing:
                return "its listing is not the one that its scope had"
            case "confirmed" if sighting.transition not in self._moves or sighting.since is None:
                return "it confirms a move that its scope has not made"
            case "confirmed" if self._moves[sighting.transition or 0] < (sighting.since or 0):
                return "it confirms a move from before the first run without the models"
            case "confirmed":
                return None
            case _ if sighting.since is not None and sighting.since not in self._problems:
                return "its hold or failure began in a run in which its scope had none"
        return None
