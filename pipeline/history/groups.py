"""The groups of users: their present state, and the events of their lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from pipeline.core import canonical
from pipeline.core.impact import is_group_gone
from pipeline.core.types import GROUP_FIELD, GROUP_PREFIX, FieldChange, Kind
from pipeline.core.watchlist import Watch
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.groups import group_listings
from pipeline.store.models import ListedModels


def as_group_events(store: Store, events: Iterable[Event], watch: Watch) -> Iterator[Event]:
    """Yield the events of lists of groups as events of groups.

    Each has the name of its group instead of a model, the field `group` on the side where the group exists,
    and the models of the group, which a change of its ratio reprices; the watched ones also by themselves.
    """
    events = list(events)
    listings = group_listings(store, {(each.scopes[0], _name(each), each.snapshot) for each in events})
    listed = ListedModels(store)
    for event in events:
        group = _name(event)
        _, listing = listings.get((event.scopes[0], group, event.snapshot), (None, None))
        models = () if listing is None else tuple(sorted(listed.names(listing).values()))
        yield replace(
            event,
            kind=Kind.GROUP,
            model="",
            groups=(group,),
            fields=tuple(_fields(event, canonical.encode(group))),
            models=models,
            listed=None if listing is None else len(models),
            watched_models=tuple(filter(watch.has, models)) if _is_covered(event, watch) else (),
            case_variant=None,
            successor=None,
        )


def comings_and_goings(events: Iterable[Event], scope: str, group: str | None) -> list[Event]:
    """Return the events by which the group of a scope was gone or came back, in their order."""
    user = scope.rpartition(".")[0]
    return [
        each
        for each in events
        if each.kind == Kind.GROUP
        and group in each.groups
        and user in each.scopes
        and (each.away_seconds is not None or is_group_gone(each.kind, each.fields))
    ]


def _is_covered(event: Event, watch: Watch) -> bool:
    return any(watch.covers(name) for scope in event.scopes for name in (scope, f"{scope}.{_name(event)}"))


def _name(event: Event) -> str:
    return event.model.removeprefix(GROUP_PREFIX)


def _fields(event: Event, name: str) -> Iterator[FieldChange]:
    if event.kind == Kind.REMOVED:
        yield FieldChange(GROUP_FIELD, name, None, "other")
        return
    if event.kind in (Kind.ADDED, Kind.RETURNED):
        yield FieldChange(GROUP_FIELD, None, name, "other")
    yield from event.fields
