"""The timeline of one model: when each scope was offered it, and what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct

from pipeline.core.categories import QUIET_CATEGORIES
from pipeline.core.impact import is_group_gone
from pipeline.core.prices import PriceChange, mark_flapping, price_changes, split_prices
from pipeline.core.text import printable, quoted
from pipeline.core.types import FieldChange, Kind
from pipeline.errors import QuestionError
from pipeline.history.changes import find_events
from pipeline.history.flaps import restore_prices
from pipeline.history.groups import comings_and_goings
from pipeline.history.selectors import matching_models, scope_test, unknown_model
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.catalog import is_pruned
from pipeline.store.coverage import Coverage, coverage
from pipeline.store.groups import LostGroup, group_ids, lost_groups
from pipeline.store.models import model_rows
from pipeline.store.presence import ModelSighting, last_break, model_sightings
from pipeline.store.windows import time_window


class StepKind(StrEnum):
    """The kind of a step; the first four are those of events.

    `first`: in the scope's first answer. `missing`: the removal is pending. `listed` and `unlisted`: the
    listing has the model, or lacks it, since it was derived under new rules. `group_gone` and
    `group_returned`: the group of the scope is gone, or is back, with all of its models; `group_missing`: it
    may be gone.
    """

    ADDED = "added"
    REMOVED = "removed"
    RETURNED = "returned"
    CHANGED = "changed"
    FIRST = "first"
    MISSING = "missing"
    LISTED = "listed"
    UNLISTED = "unlisted"
    GROUP_GONE = "group_gone"
    GROUP_RETURNED = "group_returned"
    GROUP_MISSING = "group_missing"


FIRST_OFFERS = frozenset({StepKind.ADDED, StepKind.FIRST, StepKind.LISTED})
"""The steps whose prices have none before them."""

_OFFERED = FIRST_OFFERS | {
    StepKind.RETURNED,
    StepKind.CHANGED,
    StepKind.GROUP_RETURNED,
    StepKind.GROUP_MISSING,
}
"""The steps after which the model is offered, by the last list of a group that may be gone."""

_Prices = Mapping[str, Any]


class TimelineStep(Struct, frozen=True):
    """One step of a timeline; times in ISO 8601 UTC.

    Args:
        at: when it was effective, as of an event.
        since: for a removal, the first run without the model; for a return, the run at which it had left.
        away_seconds: for a return, the time between.
        prices: those that changed; for a first offer, all prices.
        fields: the other fields that changed, without quiet ones.
        quiet: the number of quiet fields that changed.
        group: the group that is gone, may be gone, or is back.
    """

    kind: StepKind
    at: str
    since: str | None = None
    away_seconds: int | None = None
    prices: tuple[PriceChange, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    quiet: int = 0
    group: str | None = None


class Timeline(Struct, frozen=True):
    """The history of a model in scopes where it is exactly the same; times in ISO 8601 UTC.

    Args:
        state: the state of the scopes: `ok`, `held`, `failed` or `retired`.
        state_since: the start of a hold or failure.
        last_asked: for retired scopes, the last run that asked them.
        steps: oldest first.
        pruned: older history may have been dropped, so that the first answer is only the first one kept.
    """

    gateway: str
    model: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...]
    state: str
    state_since: str | None
    last_asked: str | None
    steps: tuple[TimelineStep, ...]
    pruned: bool = False

    @property
    def offered(self) -> bool:
        """Whether the model is offered now, by the last accepted answer."""
        return bool(self.steps) and self.steps[-1].kind in _OFFERED


def find_timelines(
    store: Store, model: str, *, scopes: Sequence[str] = (), at_most: int | None = None
) -> tuple[Timeline, ...]:
    """Return the timelines of a model, or of the models that a glob matches.

    Args:
        store: an open database.
        model: an id, or a glob of ids.
        scopes: globs of scopes; none means all.
        at_most: refuse a glob that matches more models.

    Raises:
        QuestionError: no scope was ever offered such a model, or a glob matches no scope or too many models.
    """
    only = scope_test(store, scopes)
    ids = matching_models(store, model)
    if not ids:
        raise QuestionError(unknown_model(store, model))
    if at_most is not None and len(ids) > at_most:
        raise QuestionError(
            f"{printable(model)} matches {len(ids)} models, "
            f"{printable(ids[0])} to {printable(ids[-1])}: narrow it to {at_most} at most"
        )
    found = tuple(timeline for each in ids for timeline in timelines(store, each, only))
    if not found:
        globs = " or ".join(map(quoted, scopes))
        raise QuestionError(f"no scope that matches {globs} has ever been offered {quoted(model)}")
    return found


def timelines(
    store: Store, model: str, only: Callable[[str], bool] = lambda _scope: True
) -> tuple[Timeline, ...]:
    """Return the timelines of a model, by gateway and scope; scopes with equal timelines share one.

    Scopes that were never offered the model have none.

    Args:
        store: an open database.
        model: the id, as gateways write it.
        only: the test for the names of scopes.
    """
    ids = {row.id for row in model_rows(store, [model])}
    events = find_events(store, time_window(store), ids)
    sightings = model_sightings(store, ids)
    groups = group_ids(store)
    of_groups = find_events(store, time_window(store), groups) if groups else ()
    lost = lost_groups(store)
    pruned = is_pruned(store)
    sharing: dict[tuple[Any, ...], list[Coverage]] = {}
    for scope in coverage(store):
        of_scope = sightings.get(scope.scope, ())
        if only(scope.scope) and any(sighting.listed for sighting in of_scope):
            steps = _steps(
                of_scope,
                [event for event in events if scope.scope in event.scopes],
                comings_and_goings(of_groups, scope.scope, scope.group),
                lost.get(scope.scope),
            )
            last_asked = scope.last_asked if scope.state == "retired" else None
            key = (scope.gateway, scope.state, scope.state_since, last_asked, steps)
            sharing.setdefault(key, []).append(scope)
    return tuple(
        Timeline(
            gateway=gateway,
            model=model,
            scopes=tuple(scope.scope for scope in scopes),
            groups=tuple(sorted({scope.group for scope in scopes if scope.group})),
            state=state,
            state_since=state_since,
            last_asked=last_asked,
            steps=steps,
            pruned=pruned,
        )
        for (gateway, state, state_since, last_asked, steps), scopes in sharing.items()
    )


def _steps(
    sightings: Sequence[ModelSighting],
    events: Sequence[Event],
    of_group: Sequence[Event] = (),
    lost: LostGroup | None = None,
) -> tuple[TimelineStep, ...]:
    """Return the steps of one scope: its events, those of its group, and the sightings that are no events.

    `lost` is its group if that is gone now, or may be.
    """
    late = sorted([*filter(_is_late, events), *of_group], key=lambda event: event.snapshot)
    others = {event.snapshot: event for event in events if not _is_late(event)}
    steps: list[TimelineStep] = []
    prices: _Prices | None = None
    listed = False
    for sighting in sightings:
        while late and late[0].snapshot < sighting.snapshot:
            steps += _late_steps(late.pop(0), steps, listed=listed)
        if late and late[0].kind == Kind.GROUP and late[0].snapshot == sighting.snapshot:
            # The list of a group that is back is compared with its last one.
            steps += _late_steps(late.pop(0), steps, listed=listed and sighting.listed)
        match sighting.outcome:
            case "moved" if sighting.snapshot in others:
                steps.append(_step(others[sighting.snapshot], prices, sighting.prices))
            case "baseline" if sighting.listed:
                steps.append(_first_offer(StepKind.FIRST, sighting))
            case "reread" if sighting.listed and not listed:
                steps.append(_first_offer(StepKind.LISTED, sighting))
            case "reread" if listed and not sighting.listed:
                steps.append(TimelineStep(StepKind.UNLISTED, sighting.at))
            case _:
                pass
        listed = sighting.listed
        prices = sighting.prices or prices
    for event in late:
        steps += _late_steps(event, steps, listed=listed)
    return (*steps, *_pending_step(sightings, steps, lost, listed=listed))


def _pending_step(
    sightings: Sequence[ModelSighting],
    steps: Sequence[TimelineStep],
    lost: LostGroup | None,
    *,
    listed: bool,
) -> Iterator[TimelineStep]:
    """Yield the step of a model that may be gone now, by itself or with its group."""
    if listed and lost and lost.pending:
        yield TimelineStep(StepKind.GROUP_MISSING, lost.since, lost.since, group=lost.group)
    if not listed and steps and steps[-1].kind in _OFFERED:
        yield TimelineStep(StepKind.MISSING, last_break(sightings).at)


def _is_late(event: Event) -> bool:
    """Return whether an event is of no move: a confirmed removal, or a value that has settled."""
    return event.kind == Kind.REMOVED or event.settled


def _late_steps(event: Event, steps: Sequence[TimelineStep], *, listed: bool) -> Iterator[TimelineStep]:
    """Yield the step of an event that is of no move; of a group, if its list has the model (`listed`)."""
    if event.kind != Kind.GROUP:
        yield _step(event)
        return
    (group,) = event.groups
    if is_group_gone(event.kind, event.fields):
        if listed:
            yield TimelineStep(StepKind.GROUP_GONE, event.at, event.since, group=group)
    elif listed and steps and steps[-1].kind == StepKind.GROUP_GONE:
        yield TimelineStep(StepKind.GROUP_RETURNED, event.at, event.since, event.away_seconds, group=group)


def _step(event: Event, before: _Prices | None = None, after: _Prices | None = None) -> TimelineStep:
    """Return an event as a step, with the prices before and after it."""
    if event.kind == Kind.ADDED and after:
        return TimelineStep(StepKind.ADDED, event.at, prices=price_changes({}, after))
    changed = price_changes(before, after) if before and after else event.prices if event.settled else ()
    changed = restore_prices(changed, event.prices)
    prices, fields = split_prices(event.fields, mark_flapping(changed, event.fields))
    return TimelineStep(
        StepKind(event.kind),
        event.at,
        event.since,
        event.away_seconds,
        prices,
        fields,
        sum(field.category in QUIET_CATEGORIES for field in event.fields),
    )


def _first_offer(kind: StepKind, sighting: ModelSighting) -> TimelineStep:
    return TimelineStep(kind, sighting.at, prices=price_changes({}, sighting.prices or {}))
