"""The status of a history: its last run, the state of every scope, and the unsent reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from pipeline.core.types import PROBLEMS
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.history.types import Coverage, Run, ScopeCounts
from pipeline.history.watch import Finding, pending_groups
from pipeline.store import Store
from pipeline.store.coverage import (
    count_scopes_now,
    coverage,
    exceptional_coverage,
    retired_scopes,
    unasked_scopes,
)
from pipeline.store.groups import lost_groups
from pipeline.store.mutes import Mute, mutes
from pipeline.store.outbox import unsent
from pipeline.store.recurrences import unsteady_scopes
from pipeline.store.runs import find_run
from pipeline.store.sites import SiteState, site_states

FIRST_NAMES = 20
"""So many scopes are named where they could be thousands."""


class NotAsked(Struct, frozen=True):
    """Scopes of a gateway that the last run did not ask: their number, and the first names.

    Args:
        since: the start of the last run that asked them (ISO 8601 UTC).
    """

    gateway: str
    since: str
    number: int
    scopes: tuple[str, ...]


class Status(Struct, frozen=True):
    """The last run, the scopes in trouble, the number of the others, and how many reports are unsent.

    Args:
        run: None before the first.
        coverage: the scopes that are held, failing or new, or have pending removals, by name.
        scopes: the number of scopes in each state, by gateway.
        asked: the number of scopes that are asked; those whose group may be gone are left out, also of
            `healthy`, the number of those that are neither held nor failing nor new.
        not_asked: the scopes that the last run did not ask.
        retired: the first names of the scopes that are no longer asked.
        unsteady: the scopes with a problem that began three times in a row, each less than a day after its
            last end, and that have not been well for a day since.
        groups: the scopes whose group may be gone, and how far that is confirmed.
        mutes: those in force.
        sites: those whose databases were merged.
    """

    run: Run | None
    coverage: tuple[Coverage, ...]
    waiting: int
    refused: int
    unsteady: tuple[str, ...] = ()
    groups: Mapping[str, Finding] = field(default_factory=dict)
    mutes: tuple[Mute, ...] = ()
    sites: tuple[SiteState, ...] = ()
    scopes: tuple[ScopeCounts, ...] = ()
    asked: int = 0
    healthy: int = 0
    not_asked: tuple[NotAsked, ...] = ()
    retired: tuple[str, ...] = ()

    def is_healthy(self, since: str = "") -> bool:
        """Return whether the job has run, no scope is failing or held, and no report was refused.

        Args:
            since: the job must have ended a run at or after this time (ISO 8601 UTC); empty for any time.
        """
        has_run = self.run is not None and self.run.finished_at >= since
        return has_run and not self.refused and not any(each.state in PROBLEMS for each in self.coverage)


def find_status(store: Store, watch: Callable[[], Watch] = lambda: NO_WATCH, *, at: str) -> Status:
    """Return the status as of the last run, and what is muted at a time (ISO 8601 UTC).

    `watch` returns the thresholds of scopes; it is called only where they matter.
    """
    run = find_run(store)
    unsteady = tuple(each.name for each in unsteady_scopes(store, run.started_at)) if run else ()
    groups = pending_groups(store, watch()) if lost_groups(store) else {}
    scopes = count_scopes_now(store)
    # A group that may be gone is not asked for its models.
    pending = [each for each in coverage(store, only=groups) if each.state != "retired"] if groups else []
    return Status(
        run,
        exceptional_coverage(store),
        **unsent(store),
        unsteady=unsteady,
        groups=groups,
        mutes=mutes(store, at).all,
        sites=site_states(store),
        scopes=scopes,
        asked=sum(each.asked for each in scopes) - len(pending),
        healthy=sum(each.ok for each in scopes) - sum(each.state == "ok" for each in pending),
        not_asked=_not_asked(unasked_scopes(store, run.snapshot), groups) if run else (),
        retired=retired_scopes(store, FIRST_NAMES),
    )


def _not_asked(found: Iterable[tuple[str, str, str]], but: Mapping[str, Finding]) -> tuple[NotAsked, ...]:
    numbers: dict[tuple[str, str], int] = {}
    names: dict[tuple[str, str], list[str]] = {}
    for gateway, scope, since in found:
        if scope not in but:
            key = (gateway, since)
            numbers[key] = numbers.get(key, 0) + 1
            if numbers[key] <= FIRST_NAMES:
                names.setdefault(key, []).append(scope)
    return tuple(NotAsked(*key, number, tuple(names[key])) for key, number in numbers.items())
