"""Accept held answers when a person decides so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pipeline.core.diff import FieldComparer, diff
from pipeline.core.types import Outcome, Scope, ScopeState
from pipeline.core.watchlist import matches
from pipeline.errors import QuestionError
from pipeline.gateways.dialects import dialect_of
from pipeline.history.selectors import require_scopes
from pipeline.store import LedgerWriter, Sighting, Snapshot, Store, read_listing, scope_states

QuietPaths = Callable[[str, str | None], tuple[str, ...]]
"""Returns the quiet paths of a scope, by its name and the `reading` of its listing."""


def held_scopes(store: Store, globs: Sequence[str]) -> list[str]:
    """Return the names of the scopes with a held answer that match one of some globs.

    Raises:
        QuestionError: there are none, or a glob matches no scope.
    """
    require_scopes(store, globs)
    states = sorted(scope_states(store).items())
    held = [name for name, state in states if state.held and matches(name, globs)] if globs else []
    if not held:
        raise QuestionError(f"nothing is held for {' '.join(globs)}: see `modelwatch status`")
    return held


def quiet_paths(scopes: Iterable[Scope]) -> QuietPaths:
    """Return what finds the quiet paths of a scope of the config: its dialect's and its gateway's."""
    gateways = {scope.gateway.name: scope.gateway for scope in scopes}

    def quiet(scope: str, reading: str | None) -> tuple[str, ...]:
        dialect, gateway = dialect_of(reading), gateways.get(scope.partition("/")[0])
        return (*(dialect.quiet if dialect else ()), *(gateway.overrides.quiet if gateway else ()))

    return quiet


def accept(store: Store, scopes: Sequence[str], quiet: QuietPaths, *, at: str) -> int:
    """Make the held listings of scopes their current ones, and confirm the removals at once.

    Args:
        store: an open database; the caller holds its lock.
        scopes: their names.
        quiet: returns the quiet paths of a scope, by its name and the reading of its listing.
        at: the time now, in ISO 8601 UTC.

    Returns:
        The snapshot of the acceptance: a run that asked no scope, from which reports continue as from others.

    Raises:
        LookupError: nothing is held for one of the scopes.
    """
    with store.transaction():
        states = scope_states(store)
        ledger = LedgerWriter(store)
        snapshot = ledger.snapshot(
            Snapshot(
                started_at=at,
                finished_at=at,
                status="done",
                covered=ledger.coverage([]),
                scopes=0,
                answered=0,
                moved=len(scopes),
                held=0,
                failed=0,
            )
        )
        for scope in scopes:
            state = states.get(scope)
            if state is None or state.held is None:
                raise LookupError(f"nothing is held for {scope}")
            _accept_held(store, ledger, snapshot, at, state, quiet(scope, state.reading))
        return snapshot


def _accept_held(
    store: Store, ledger: LedgerWriter, snapshot: int, at: str, state: ScopeState, quiet: tuple[str, ...]
) -> None:
    assert state.listing is not None
    assert state.held is not None
    before, after = read_listing(store, state.listing), read_listing(store, state.held)
    moved = Sighting(
        state.id,
        state.name,
        Outcome.MOVED,
        listing=state.held,
        transition=ledger.transition(
            (state.listing, state.held), diff(before, after), FieldComparer(before, after, quiet)
        ),
        since=ledger.held_since(state.id),
    )
    (number,) = ledger.sightings(snapshot, [moved])
    ledger.flaps.record_moves([number], at)
    # Without the validators and the fingerprint of an earlier answer, the next answer is read in full.
    ledger.point(
        [replace(state, listing=state.held, held=None, fingerprint=None, etag=None, last_modified=None)]
    )
    levels = set(ledger.flap_levels([number]).values())
    confirming = ledger.sightings(
        snapshot,
        [replace(moved, outcome=Outcome.CONFIRMED, flap_level=level) for level in sorted(levels)],
    )
    ledger.flaps.end_removed(confirming)
