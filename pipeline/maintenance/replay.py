"""Follow the ledger: every scope's sightings in order, to what the scope knows now."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from pipeline.store import Store

SETTERS = ("baseline", "moved", "reread")
"""The outcomes that say what a scope is offered from then on."""


TROUBLE = ("failed", "held")


class Seen(NamedTuple):
    """A sighting, as far as it says what a scope knows; ids are those of the tables."""

    scope: int
    id: int
    snapshot: int
    at: str
    outcome: str
    listing: int | None
    transition: int | None
    since: int | None


@dataclass(slots=True)
class Known:
    """What the ledger says that a scope knows: its listing, what is held, and its last sighting."""

    listing: int | None = None
    held: int | None = None
    sighting: int | None = None


@dataclass(slots=True)
class Replay:
    """Where the ledger leads.

    Args:
        known: by scope, what it knows at the end.
        sides: by transition, the moves that sightings say it is: from which listing to which.
        breaks: by sighting, what does not follow from those before it.
    """

    known: dict[int, Known] = field(default_factory=dict)
    sides: dict[int, set[tuple[int | None, int | None]]] = field(default_factory=dict)
    breaks: dict[int, str] = field(default_factory=dict)


def sightings(store: Store) -> list[Seen]:
    """Give every sighting, scope by scope and in each in order."""
    rows = store.stream(
        """
        select sightings.scope, sightings.id, sightings.snapshot, snapshots.started_at, sightings.outcome,
               sightings.listing, sightings.transition, sightings.since
        from sightings join snapshots on snapshots.id = sightings.snapshot
        order by sightings.scope, sightings.id
        """
    )
    return [Seen(*row) for row in rows]


def replay(seen: list[Seen]) -> Replay:
    """Follow every scope's sightings."""
    found = Replay()
    for scope, of_it in groupby(seen, key=lambda each: each.scope):
        follower = _Follower(found)
        for each in of_it:
            follower.follow(each)
        found.known[scope] = follower.known
    return found


class _Follower:
    """Follows one scope."""

    def __init__(self, found: Replay) -> None:
        self.known = Known()
        self._found = found
        self._troubles: set[int] = set()
        self._moves: dict[int, int] = {}

    def follow(self, each: Seen) -> None:
        """Go on by one sighting."""
        says = self._says(each)
        if says:
            self._found.breaks[each.id] = says
        known = self.known
        if each.outcome == "moved" and each.transition is not None:
            self._found.sides.setdefault(each.transition, set()).add((known.listing, each.listing))
            self._moves[each.transition] = each.snapshot
        if each.outcome in SETTERS:
            known.listing = each.listing
        if each.outcome in ("baseline", "moved", "recovered"):
            known.held = None
        if each.outcome == "held":
            known.held = each.listing
        if each.outcome in TROUBLE:
            self._troubles.add(each.snapshot)
        known.sighting = each.id

    def _says(self, each: Seen) -> str | None:  # noqa: PLR0911 - a table of rules
        known = self.known
        match each.outcome:
            case "baseline" if known.listing is not None:
                return "a baseline of a scope that was known already"
            case "moved" | "reread" | "confirmed" | "held" if known.listing is None:
                return "nothing was known of its scope before it"
            case "baseline" | "moved" | "reread" | "held" if each.listing is None:
                return "it names no listing"
            case "moved" if each.transition is None:
                return "it names no transition"
            case "confirmed" | "recovered" if each.listing != known.listing:
                return "its listing is not the one that its scope had"
            case "confirmed" if each.transition not in self._moves or each.since is None:
                return "it confirms a move that its scope has not made"
            case "confirmed" if self._moves[each.transition or 0] < (each.since or 0):
                return "it confirms a move from before the run that first missed the models"
            case "confirmed":
                return None
            case _ if each.since is not None and self._is_elsewhere(each):
                return "its trouble began in a run in which its scope had none"
        return None

    def _is_elsewhere(self, each: Seen) -> bool:
        """Say whether no trouble of the scope began in the run that a sighting names."""
        return each.since not in self._troubles
