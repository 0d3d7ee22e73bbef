"""The status of a history: its last run, the state of every scope, and the unsent reports."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from pipeline.core.types import PROBLEMS
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.history.types import Coverage, Run
from pipeline.history.watch import Finding, pending_groups
from pipeline.store import Store
from pipeline.store.coverage import coverage
from pipeline.store.mutes import Mute, mutes
from pipeline.store.outbox import unsent
from pipeline.store.recurrences import unsteady_scopes
from pipeline.store.runs import find_run
from pipeline.store.sites import SiteState, site_states


class Status(Struct, frozen=True):
    """The last run (None before the first), the state of every scope, and how many reports are unsent.

    `unsteady` has the scopes with a problem that began three times in a row, each less than a day after its
    last end, and that have not been well for a day since. `groups` has the scopes
    whose group may be gone, and how far that is confirmed. `mutes` are those in force. `sites` are those
    whose databases were merged.
    """

    run: Run | None
    coverage: tuple[Coverage, ...]
    waiting: int
    refused: int
    unsteady: tuple[str, ...] = ()
    groups: Mapping[str, Finding] = field(default_factory=dict)
    mutes: tuple[Mute, ...] = ()
    sites: tuple[SiteState, ...] = ()

    def is_healthy(self, since: str = "") -> bool:
        """Return whether the job has run, no scope is failing or held, and no report was refused.

        Args:
            since: the job must have ended a run at or after this time (ISO 8601 UTC); empty for any time.
        """
        has_run = self.run is not None and self.run.finished_at >= since
        return has_run and not self.refused and not any(each.state in PROBLEMS for each in self.coverage)


def find_status(store: Store, watch: Watch = NO_WATCH, *, at: str) -> Status:
    """Return the status as of the last run, and what is muted at a time (ISO 8601 UTC).

    `watch` has the thresholds of scopes.
    """
    run = find_run(store)
    unsteady = tuple(each.name for each in unsteady_scopes(store, run.started_at)) if run else ()
    return Status(
        run,
        coverage(store),
        **unsent(store),
        unsteady=unsteady,
        groups=pending_groups(store, watch),
        mutes=mutes(store, at).all,
        sites=site_states(store),
    )
