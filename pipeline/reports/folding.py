"""Net and fold the events of a window.

`fold_events` is the algorithm of summaries: compute the net change of each model in each scope, merge equal
net changes of several scopes, then those of several models. `fold_batches` and `fold_flapping` shorten lists
of events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.impact import by_importance, is_group_gone, is_reduction, is_significant, severity
from pipeline.core.jsonpath import generalise
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, FlapStep, Kind, Severity
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.history.net import net_changes, net_fields, net_prices
from pipeline.history.shapes import group_shapes
from pipeline.history.types import Event
from pipeline.reports.types import NetChange

_T = TypeVar("_T")

FLAPPING = 3
"""The number of events from which a model is flapping."""

BATCH = 8
"""The number of models from which models with a common label are folded."""

_SAME_CHANGE = 3
"""The number of models with the same change from which they are folded in a summary."""

_SAME_FIELDS = 12
"""The number of models with changes of the same fields from which they are folded, whatever the values."""

_KIND_ORDER = (Kind.REMOVED, Kind.CHANGED, Kind.SHAPE, Kind.GROUP, Kind.RETURNED, Kind.ADDED)


def fold_events(
    events: Iterable[Event], groups: Mapping[str, str], watch: Watch = NO_WATCH
) -> tuple[NetChange, ...]:
    """Return the net changes of a window, by severity, then gateway, scopes, kind and model.

    Args:
        events: in their order.
        groups: by scope, its group; scopes without one are left out.
        watch: the models that the config watches.
    """
    in_order = list(events)
    events = [event for event in in_order if event.kind not in (Kind.SHAPE, Kind.GROUP)]
    owners = {
        _change(net, alike, groups, watch): alike[0].steps[-1].owned_by
        for net, alike in _net_by_scope(events).items()
    }
    found = [*_fold_fields(_fold_models(owners)), *_net_shapes(in_order, groups), *_net_groups(in_order)]
    return tuple(sorted(found, key=_order))


def _order(change: NetChange) -> tuple[object, ...]:
    severity, kind = list(Severity).index(change.severity), _KIND_ORDER.index(change.kind)
    return severity, change.gateway, change.scopes, kind, len(change.models) == 1, change.models


def _net_shapes(events: Iterable[Event], groups: Mapping[str, str]) -> Iterator[NetChange]:
    """Yield the fields that lists gained or lost in a window; scopes with equal ones share a change.

    A field that a model lost and gained again is left out for it, except where that is reported as a value
    that keeps changing, or has settled.
    """
    by_list: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        for scope in event.scopes if event.kind in (Kind.SHAPE, Kind.CHANGED) else ():
            if event.kind == Kind.SHAPE:
                by_list.setdefault((event.gateway, scope), []).append(event)
            elif (event.gateway, scope) in by_list:
                by_list[event.gateway, scope].append(event)
    shared: dict[NetChange, list[str]] = {}
    computed: dict[tuple[int, ...], list[list[str]]] = {}
    for (_, scope), steps in by_list.items():
        key = tuple(map(id, steps))
        if key not in computed:
            computed[key] = [shared.setdefault(change, []) for change in _net_of_list(steps)]
        for scopes in computed[key]:
            scopes.append(scope)
    for change, scopes in shared.items():
        names = tuple(sorted({groups[scope] for scope in scopes if scope in groups}))
        yield replace(change, scopes=tuple(sorted(scopes)), groups=names)


def _net_of_list(events: Sequence[Event]) -> Iterator[NetChange]:
    """Yield the fields that one list gained or lost, without scopes; the first event is a change of shape."""
    steps = _ListSteps(events[0])
    for event in events:
        if event.kind == Kind.SHAPE:
            steps.add(event)
        else:
            steps.regain(event)
    for models, fields in group_shapes(steps.net()):
        yield NetChange(
            severity=severity(Kind.SHAPE, (), fields, urgent=False),
            kind=Kind.SHAPE,
            gateway=events[0].gateway,
            models=models,
            scopes=(),
            fields=tuple(by_importance(fields)),
            at=steps.last.at,
            listed=steps.last.listed,
            repeated=fields[0].flap_step == FlapStep.REPEATED,
        )


def _net_groups(events: Iterable[Event]) -> Iterator[NetChange]:
    """Yield the net changes of groups; scopes with equal ones share a change.

    A ratio that ends where it began is left out; a group that was gone, and is as it was before, is not.
    """
    by_group: dict[tuple[str, str, str], list[Event]] = {}
    for event in events:
        for scope in event.scopes if event.kind == Kind.GROUP else ():
            by_group.setdefault((event.gateway, event.groups[0], scope), []).append(event)
    shared: dict[NetChange, list[str]] = {}
    for (gateway, group, scope), steps in by_group.items():
        prices, fields = net_changes(steps)
        was_gone = any(is_group_gone(event.kind, event.fields) for event in steps)
        if not (prices or fields or was_gone):
            continue
        last = steps[-1]
        urgent = any(event.urgent for event in steps)
        is_reverted = not (prices or fields)
        change = NetChange(
            severity=Severity.NOTABLE if is_reverted else severity(Kind.GROUP, prices, fields, urgent=urgent),
            kind=Kind.GROUP,
            gateway=gateway,
            models=last.models,
            scopes=(),
            groups=(group,),
            prices=prices,
            fields=tuple(by_importance(fields)),
            steps=len(steps),
            reverted=is_reverted,
            at=last.at,
            since=last.since,
            away_seconds=last.away_seconds,
            listed=last.listed,
            watched_models=last.watched_models,
        )
        shared.setdefault(change, []).append(scope)
    for change, scopes in shared.items():
        yield replace(change, scopes=tuple(sorted(scopes)))


class _ListSteps:
    """The fields that the models of one list gained or lost with it, in the order of the events."""

    def __init__(self, first: Event) -> None:
        self.last = first
        self._fields: dict[tuple[str, str], list[FieldChange]] = {}

    def add(self, event: Event) -> None:
        """Add a change of shape."""
        self.last = event
        for model in event.models:
            for field in event.fields:
                self._fields.setdefault((model, field.field), []).append(field)

    def regain(self, event: Event) -> None:
        """Forget the fields that a model has since, by a change of its own."""
        for field in event.fields:
            if field.after is not None:
                self._fields.pop((event.model, generalise(field.field)), None)

    def net(self) -> dict[str, list[FieldChange]]:
        """Return the fields whose presence differs, or that are marked, by model."""
        found: dict[str, list[FieldChange]] = {}
        for (model, _), steps in self._fields.items():
            (field,) = net_fields((step,) for step in steps)
            is_marked = field.flap_step in (FlapStep.ANNOUNCED, FlapStep.SETTLED)
            if is_marked or (field.before is None) != (field.after is None):
                found.setdefault(model, []).append(field)
        return found


class _Net(Struct, frozen=True):
    """The net change of a model in one scope; scopes with equal ones share a `NetChange`."""

    gateway: str
    model: str
    kind: Kind
    reverted: bool
    repeated: bool
    prices: tuple[PriceChange, ...]
    fields: tuple[FieldChange, ...]
    case_variant: str | None
    successor: str | None
    listed: int | None
    urgent: bool
    flapping: bool


class _Alike(NamedTuple):
    """Scopes in which the same events happened to a model."""

    scopes: Sequence[str]
    steps: Sequence[Event]


def _net_by_scope(events: Iterable[Event]) -> dict[_Net, list[_Alike]]:
    """Return each net change with its scopes and the events behind it."""
    by_model: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        by_model.setdefault((event.gateway, event.model), []).append(event)
    found: dict[_Net, list[_Alike]] = {}
    for of_model in by_model.values():
        for alike in _with_same_steps(of_model):
            found.setdefault(_net(alike.steps), []).append(alike)
    return found


def _with_same_steps(events: Sequence[Event]) -> Iterable[_Alike]:
    """Return the scopes of one model's events, those with the same events together."""
    if len(events) == 1:
        return [_Alike(events[0].scopes, events)]
    by_scope: dict[str, list[Event]] = {}
    for event in events:
        for scope in event.scopes:
            by_scope.setdefault(scope, []).append(event)
    found: dict[tuple[int, ...], _Alike] = {}
    for scope, steps in by_scope.items():
        scopes = found.setdefault(tuple(map(id, steps)), _Alike([], steps)).scopes
        assert isinstance(scopes, list)
        scopes.append(scope)
    return found.values()


def _net(steps: Sequence[Event]) -> _Net:
    """Return the net change of the events of one model in one scope.

    Prices that differ by quiet fields alone, as by the ratio of a group, are reported elsewhere.
    """
    steps = [replace(event, prices=()) if _is_priced_quietly(event) else event for event in steps]
    first, last = steps[0], steps[-1]
    before = first.kind in (Kind.REMOVED, Kind.CHANGED)
    after = last.kind != Kind.REMOVED
    left = any(event.kind == Kind.REMOVED for event in steps)
    # A new model has nothing to compare with, and the fields of a removed one no longer matter.
    prices, fields = net_changes(steps) if after and first.kind != Kind.ADDED else ((), ())
    kind, reverted = last.kind, False
    if before and after:
        kind, reverted = Kind.RETURNED if left else Kind.CHANGED, not (prices or fields)
        if reverted:
            prices, fields = _unchanged_sides(steps)
    elif after:
        kind = first.kind
    else:
        reverted = not before
    return _Net(
        gateway=first.gateway,
        model=first.model,
        kind=kind,
        reverted=reverted,
        repeated=all(event.repeated for event in steps),
        prices=prices,
        fields=fields,
        case_variant=last.case_variant,
        successor=last.successor,
        listed=last.listed,
        urgent=any(event.urgent for event in steps),
        flapping=left or sum(not event.repeated for event in steps) >= FLAPPING,
    )


def _is_priced_quietly(event: Event) -> bool:
    is_explained = any(field.category == "price" or field.flapping for field in event.fields)
    return event.kind == Kind.CHANGED and event.quiet and bool(event.fields) and not is_explained


def _unchanged_sides(steps: Sequence[Event]) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Return the prices and the other significant fields that changed and changed back."""
    prices = net_prices(event.prices for event in steps)
    fields = net_fields(event.fields for event in steps)
    shown = {"price"} if prices else set()
    return tuple(price for price in prices if price.flap_step != FlapStep.REPEATED), tuple(
        field for field in fields if is_significant(field) and field.category not in shown
    )


def _change(net: _Net, alike: Sequence[_Alike], groups: Mapping[str, str], watch: Watch) -> NetChange:
    scopes = tuple(sorted(scope for each in alike for scope in each.scopes))
    last = [each.steps[-1] for each in alike]
    absences = [[step for step in each.steps if step.kind == Kind.RETURNED] for each in alike]
    away = (
        [of_scope[-1].away_seconds for of_scope in absences if of_scope] if net.kind == Kind.RETURNED else []
    )
    return NetChange(
        severity=_severity(net),
        kind=net.kind,
        gateway=net.gateway,
        models=(net.model,),
        scopes=scopes,
        groups=tuple(sorted({groups[scope] for scope in scopes if scope in groups})),
        prices=net.prices,
        # Renderings cut long lists of fields.
        fields=tuple(by_importance(net.fields, urgent=_severity(net) == Severity.URGENT)),
        steps=_count_steps(net, max((each.steps for each in alike), key=len)),
        reverted=net.reverted,
        repeated=net.repeated,
        at=max(event.at for event in last),
        since=min((event.since for event in last if event.since), default=None),
        last_since=max((event.since for event in last if event.since), default=None),
        away_seconds=max(filter(None, away), default=None),
        least_away=min(filter(None, away), default=None),
        absence=_common(map(_only_absence, absences)),
        case_variant=net.case_variant,
        successor=net.successor,
        listed=net.listed,
        watched=watch.has(net.model) and any(map(watch.covers, scopes)),
    )


def _only_absence(returns: Sequence[Event]) -> tuple[str, str] | None:
    """Return beginning and end of an absence, if there was only one."""
    if len(returns) != 1 or returns[0].since is None:
        return None
    return returns[0].since, returns[0].at


def _common(values: Iterable[_T]) -> _T | None:
    """Return the value that all values are equal to; None where they differ."""
    found = list(values)
    return found[0] if found and found.count(found[0]) == len(found) else None


def _count_steps(net: _Net, steps: Sequence[Event]) -> int:
    """Count the changes of a model that stayed, or the removals and returns of any other."""
    if net.kind == Kind.CHANGED:
        return sum(not event.repeated for event in steps) or len(steps)
    return sum(event.kind != Kind.CHANGED for event in steps)


def _severity(net: _Net) -> Severity:
    if net.reverted:
        return Severity.NOTABLE if net.flapping or net.urgent else Severity.QUIET
    return severity(net.kind, net.prices, net.fields, urgent=net.urgent)


def _fold_models(owners: Mapping[NetChange, str | None]) -> Iterator[NetChange]:
    """Fold models with a common label, and models with the same change; `owners` has the owner of each."""

    def alike(change: NetChange) -> Hashable:
        place = (change.gateway, change.scopes, change.severity, change.kind, change.watched)
        ends = (change.reverted, change.repeated, change.steps if change.reverted else 1)
        content = (change.prices, change.fields, *ends)
        return (*place, *content, () if _is_plain(change) else change.models)

    def labels_of(change: NetChange) -> set[str]:
        return set() if change.prices or change.fields else labels(change.models[0], owners[change])

    def is_same(change: NetChange) -> bool:
        return bool(change.prices or change.fields or change.reverted)

    rest, batches = _fold(list(owners), alike, labels_of, is_same, at_least=_SAME_CHANGE)
    yield from rest
    yield from (_join(batch.members, batch.label) for batch in batches)


def _fold_fields(changes: Iterable[NetChange]) -> Iterator[NetChange]:
    """Fold models with changes of the same fields, even to different values."""
    alike: dict[Hashable, list[NetChange]] = {}
    for change in changes:
        names = tuple(
            sorted(
                (field.field, field.category, field.flap_step, is_reduction(field)) for field in change.fields
            )
        )
        prices = tuple(sorted((price.name, price.flap_step) for price in change.prices))
        # Each price is worth its line, but not each that keeps changing.
        foldable = (names or prices) and all(price.flapping for price in change.prices)
        foldable = foldable and change.kind == Kind.CHANGED and not change.reverted
        foldable = foldable and _is_plain(change) and len(change.models) < _SAME_FIELDS
        key = (change.gateway, change.scopes, change.severity, change.watched, names, prices)
        alike.setdefault(key if foldable else id(change), []).append(change)
    for members in alike.values():
        if len(members) < _SAME_FIELDS:
            yield from members
            continue
        common = set(members[0].fields).intersection(*(change.fields for change in members))
        equal = set(members[0].prices).intersection(*(change.prices for change in members))
        varying = [field.field for field in members[0].fields if field not in common]
        varying += [price.name for price in members[0].prices if price not in equal]
        yield replace(_join(members), varying=tuple(varying))


def _is_plain(change: NetChange) -> bool:
    """Return whether a change can be folded: it has no note of its own, and is not urgent."""
    marked = change.case_variant or change.successor or change.listed is not None
    return not (marked or change.severity == Severity.URGENT)


def _join(changes: Sequence[NetChange], label: str = "") -> NetChange:
    return replace(
        changes[0],
        models=tuple(sorted(model for change in changes for model in change.models)),
        label=label,
        steps=max(change.steps for change in changes),
        at=max(change.at for change in changes),
        since=min((change.since for change in changes if change.since), default=None),
        last_since=max((change.last_since for change in changes if change.last_since), default=None),
        away_seconds=max((change.away_seconds or 0 for change in changes), default=0) or None,
        least_away=min((change.least_away for change in changes if change.least_away), default=None),
        absence=_common(change.absence for change in changes),
    )


class Batch(Struct, Generic[_T], frozen=True):
    """Items to show as one: they have a common label or, if it is empty, the same change."""

    label: str
    members: Sequence[_T]


def fold_batches(events: Sequence[Event]) -> tuple[list[Event], list[Batch[Event]]]:
    """Fold events of one run and the same scopes; return the other events in their order, and the batches."""

    def alike(event: Event) -> Hashable:
        return (event.kind, event.fields, event.prices, id(event) if event.urgent else None)

    def labels_of(event: Event) -> set[str]:
        foldable = event.kind != Kind.CHANGED and not (event.fields or event.case_variant or event.urgent)
        return labels(event.model, event.owned_by) if foldable else set()

    def is_same(event: Event) -> bool:
        return event.kind == Kind.CHANGED

    rest, batches = _fold(events, alike, labels_of, is_same, at_least=BATCH)
    order = (Kind.REMOVED, Kind.ADDED, Kind.RETURNED, Kind.CHANGED)
    return rest, sorted(batches, key=lambda batch: order.index(batch.members[0].kind))


def _fold(
    items: Sequence[_T],
    alike: Callable[[_T], Hashable],
    labels_of: Callable[[_T], Collection[str]],
    is_same: Callable[[_T], bool],
    *,
    at_least: int,
) -> tuple[list[_T], list[Batch[_T]]]:
    """Fold items that share a label, then items that are the same; return the others, and the batches.

    Args:
        items: in their order, which the others keep.
        alike: the key of an item; only items with equal keys are folded together.
        labels_of: the labels of an item.
        is_same: whether items with the key of this one have the same content, and are folded without a label.
        at_least: the number of such items from which they are folded.
    """
    groups: dict[Hashable, list[_T]] = {}
    for item in items:
        groups.setdefault(alike(item), []).append(item)
    batches: list[Batch[_T]] = []
    for members in groups.values():
        labelled, others = _fold_labels(members, labels_of)
        batches += labelled
        if len(others) >= at_least and is_same(others[0]):
            batches.append(Batch("", others))
    folded = {id(item) for batch in batches for item in batch.members}
    return [item for item in items if id(item) not in folded], batches


def _fold_labels(
    items: Sequence[_T], labels_of: Callable[[_T], Collection[str]]
) -> tuple[list[Batch[_T]], list[_T]]:
    """Return batches of items with a common label, the largest first, and the other items."""
    rest = [(item, labels_of(item)) for item in items]
    found: list[Batch[_T]] = []
    while True:
        counts = Counter(label for _, of_item in rest for label in of_item)
        label = max(counts, key=lambda label: (counts[label], label), default="")
        if counts[label] < BATCH:
            return found, [item for item, _ in rest]
        found.append(Batch(label, [item for item, of_item in rest if label in of_item]))
        rest = [(item, of_item) for item, of_item in rest if label not in of_item]


def labels(model: str, owner: str | None) -> set[str]:
    """Return the labels that a model may share with others: `vendor/*`, `*:variant`, `of OWNER`."""
    vendor, slash, _ = model.partition("/")
    _, colon, variant = model.rpartition(":")
    found = {f"{vendor}/*"} if slash else set()
    if colon:
        found.add(f"*:{variant}")
    if owner:
        found.add(f"of {owner}")
    return found


def worst_first(events: Iterable[Event]) -> list[Event]:
    """Return events with the urgent ones first; then those of each run, by scopes, the worst scopes first."""
    order = list(Severity)
    events = list(events)
    worst: dict[Hashable, int] = {}
    for event in events:
        key = (event.snapshot, event.gateway, event.scopes, event.urgent)
        worst[key] = min(order.index(event.severity), worst.get(key, len(order)))
    first = {event.snapshot: number for number, event in reversed(list(enumerate(events)))}

    def place(event: Event) -> tuple[bool, int, int]:
        key = (event.snapshot, event.gateway, event.scopes, event.urgent)
        return not event.urgent, first[event.snapshot], worst[key]

    return sorted(events, key=place)


class Flapping(Struct, frozen=True):
    """Several events of one model in the same scopes: the last, the first, their number, the net changes."""

    last: Event
    first: Event
    steps: int
    fields: tuple[FieldChange, ...] = ()
    prices: tuple[PriceChange, ...] = ()


def fold_flapping(
    events: Sequence[Event], all_events: Iterable[Event] = ()
) -> tuple[list[Event], list[Flapping]]:
    """Fold models that come and go, and models that change repeatedly; return the other events, and these.

    The events that announce a value that keeps changing, or where it has settled, are not folded, nor its new
    values.

    Args:
        events: those to fold.
        all_events: those of the same time, with others that are not shown.
    """
    marked = {
        (event.gateway, event.model, event.scopes, field.field)
        for event in (*events, *all_events)
        for field in event.fields
        if field.flapping
    }
    sequences: dict[Hashable, list[Event]] = {}
    for event in events:
        if event.kind in (Kind.SHAPE, Kind.GROUP):
            continue
        place = event.gateway, event.model, event.scopes
        if event.repeated or not any((*place, field.field) in marked for field in event.fields):
            key = (event.gateway, event.model, event.scopes, event.kind == Kind.CHANGED, event.repeated)
            sequences.setdefault(key, []).append(event)
    flapping = [
        steps
        for steps in sequences.values()
        if len(steps) >= FLAPPING and not any(event.urgent for event in steps)
    ]
    folded = {id(event) for steps in flapping for event in steps}
    rest = [event for event in events if id(event) not in folded]
    return rest, [
        Flapping(
            steps[-1],
            steps[0],
            len(steps),
            tuple(net_fields(event.fields for event in steps)),
            tuple(net_prices(event.prices for event in steps)),
        )
        for steps in flapping
    ]
