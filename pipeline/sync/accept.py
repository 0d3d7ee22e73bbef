"""Accept held answers when a person decides so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from pipeline.core.diff import NO_RULES, FieldComparer, diff
from pipeline.core.types import Gateway, Outcome, Scope, ScopeState, split_site
from pipeline.core.watchlist import matches
from pipeline.errors import QuestionError
from pipeline.gateways.dialects import (
    Dialect,
    customise,
    dialect_of,
    group_models_dialect,
    groups_dialect,
    price_advice,
)
from pipeline.history.selectors import require_scopes
from pipeline.store import LedgerWriter, Sighting, Store, read_listing, scope_states

DialectOf = Callable[[str, str], Dialect | None]
"""Returns the dialect of a listing by the name of its scope and its `reading`; None for an unknown one."""


def held_scopes(store: Store, globs: Sequence[str]) -> list[str]:
    """Return the names of the scopes with a held answer that match one of some globs.

    Raises:
        QuestionError: there are none, or a glob matches no scope. Without globs it names the held scopes.
    """
    require_scopes(store, globs)
    everywhere = sorted(name for name, state in scope_states(store).items() if state.held)
    held = [name for name in everywhere if not split_site(name)[0]]
    if held and not globs:
        raise QuestionError(f"name the scopes to accept; held: {' '.join(held)}")
    found = [name for name in held if matches(name, globs)]
    at_sites = [name for name in everywhere if name not in held and globs and matches(name, globs)]
    if not found and at_sites:
        raise QuestionError(f"{at_sites[0]} is held at another site: accept it there, and merge again")
    if not found:
        what = f" for {' '.join(globs)}" if globs else ""
        raise QuestionError(f"nothing is held{what}: see `modelwatch status`")
    return found


def dialect_of_scopes(gateways: Iterable[Gateway], scopes: Iterable[Scope] = ()) -> DialectOf:
    """Return what finds the dialect of a scope's listing, with the overrides of the config's gateways."""
    by_name = {each.name: each for each in gateways}
    all_groups = [scope for scope in scopes if scope.all_groups]

    def found(name: str, reading: str) -> Dialect | None:
        dialect, gateway = dialect_of(reading), by_name.get(name.partition("/")[0])
        for scope in all_groups:
            if name == scope.name:
                return groups_dialect(scope.gateway)
            if name.startswith(f"{scope.name}."):
                return group_models_dialect(scope.gateway)
        return customise(dialect, gateway.overrides) if dialect and gateway else dialect

    return found


def accept(store: Store, scopes: Sequence[str], find_dialect: DialectOf, *, at: str) -> int:
    """Make the held listings of scopes their current ones, and confirm the removals at once.

    Args:
        store: an open database; the caller holds its lock.
        scopes: their names.
        find_dialect: returns the dialect of a listing by the name of its scope and its reading.
        at: the time now, in ISO 8601 UTC.

    Returns:
        The snapshot of the acceptance: a run that asked no scope, from which reports continue as from others.

    Raises:
        LookupError: nothing is held for one of the scopes.
    """
    with store.transaction():
        states = scope_states(store)
        ledger = LedgerWriter(store)
        snapshot = ledger.snapshot_without_scopes(at, moved=len(scopes))
        for scope in scopes:
            state = states.get(scope)
            if state is None or state.held is None:
                raise LookupError(f"nothing is held for {scope}")
            _accept_held(store, ledger, snapshot, at, state, find_dialect)
        return snapshot


def _accept_held(
    store: Store, ledger: LedgerWriter, snapshot: int, at: str, state: ScopeState, find_dialect: DialectOf
) -> None:
    assert state.listing is not None
    assert state.held is not None
    before, after = read_listing(store, state.listing), read_listing(store, state.held)
    dialect = find_dialect(state.name, after.reading)
    fields_of = FieldComparer(before, after, dialect.field_rules if dialect else NO_RULES)
    moved = Sighting(
        state.id,
        state.name,
        Outcome.MOVED,
        listing=state.held,
        transition=ledger.transition((state.listing, state.held), diff(before, after), fields_of),
        since=state.began if state.outcome == Outcome.HELD else ledger.held_since(state.id),
    )
    (number,) = ledger.sightings(snapshot, [moved])
    ledger.flaps.record_moves([number], at)
    # Without the validators and the fingerprint of an earlier answer, the next answer is read in full.
    advice = price_advice(dialect, after.records.values()) if dialect else None
    accepted = replace(state, listing=state.held, held=None, price_advice=advice)
    ledger.point([replace(accepted, fingerprint=None, etag=None, last_modified=None)])
    levels = set(ledger.flap_levels([number]).values())
    confirming = ledger.sightings(
        snapshot,
        [replace(moved, outcome=Outcome.CONFIRMED, flap_level=level) for level in sorted(levels)],
    )
    ledger.flaps.end_removed(confirming)
