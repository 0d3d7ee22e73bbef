"""Say much in few lines: what flaps, what comes or goes in bulk, what every record gained at once.

From the steps of a window to what became of it: net, once for all it happened to, folded, by severity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pipeline.core.impact import is_cut, is_loud, way
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.history.types import Event
from pipeline.history.watch import net_changes, net_sides
from pipeline.reports.types import Line

_T = TypeVar("_T")


FLAPS = 3
"""From so many events of one model on, they are told as one."""


BULK = 8
"""From so many models of one mark on, that come or go together, they are told as one."""


@dataclass(frozen=True, slots=True)
class Flap:
    """Several events of one model, for the same scopes: the last of them, the first, and how many."""

    last: Event
    first: Event
    times: int
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Bulk:
    """Models that came or went together and share a mark: `*:batch`, `vendor/*`, or an owner.

    For changed models the mark is empty, and what they share is that the same fields changed in the same way.
    """

    kind: Kind
    mark: str
    events: tuple[Event, ...]


def flaps(events: Sequence[Event]) -> tuple[list[Event], list[Flap]]:
    """Take out the models that come and go, and the fields that go back and forth."""
    runs: dict[tuple[str, str, tuple[str, ...], bool], list[Event]] = {}
    for event in events:
        key = (event.gateway, event.model, event.scopes, event.kind == Kind.CHANGED)
        runs.setdefault(key, []).append(event)
    folded = {
        key: run for key, run in runs.items() if len(run) >= FLAPS and not any(event.urgent for event in run)
    }
    taken = {id(event) for run in folded.values() for event in run}
    steady = [event for event in events if id(event) not in taken]
    return steady, [Flap(run[-1], run[0], len(run), _is_net(run)) for run in folded.values()]


def _is_net(run: Sequence[Event]) -> tuple[FieldChange, ...]:
    """Give each field from its first state to its last."""
    first: dict[str, FieldChange] = {}
    last: dict[str, FieldChange] = {}
    for event in run:
        for field in event.fields:
            first.setdefault(field.field, field)
            last[field.field] = field
    return tuple(
        FieldChange(name, first[name].before, last[name].after, first[name].category) for name in first
    )


def bulks(events: Iterable[Event]) -> tuple[list[Event], list[Bulk]]:
    """Take out the models of one run that came or went together under one mark."""
    rest = list(events)
    found: list[Bulk] = []
    for kind in (Kind.REMOVED, Kind.ADDED, Kind.RETURNED):
        crowded, _ = crowds([event for event in rest if event.kind == kind], _marks)
        taken = {id(event) for _, members in crowded for event in members}
        rest = [event for event in rest if id(event) not in taken]
        found += [Bulk(kind, mark, tuple(members)) for mark, members in crowded]
    return _look_alike(rest, found)


def crowds(
    items: Sequence[_T], marks_of: Callable[[_T], Collection[str]]
) -> tuple[list[tuple[str, list[_T]]], list[_T]]:
    """Take out those that share a mark, where they are many: the largest crowd first; and give the others."""
    rest = [(item, marks_of(item)) for item in items]
    found: list[tuple[str, list[_T]]] = []
    while True:
        counts = Counter(mark for _, of_it in rest for mark in of_it)
        mark = max(counts, key=lambda mark: (counts[mark], mark), default="")
        if counts[mark] < BULK:
            return found, [item for item, _ in rest]
        found.append((mark, [item for item, of_it in rest if mark in of_it]))
        rest = [(item, of_it) for item, of_it in rest if mark not in of_it]


def _marks(event: Event) -> set[str]:
    """Give the marks of an event of which there is nothing to say beside its kind and its model."""
    plain = not (event.fields or event.twin or event.urgent)
    return marks(event.model, event.owned_by) if plain else set()


def _look_alike(events: list[Event], found: list[Bulk]) -> tuple[list[Event], list[Bulk]]:
    """Take out the models of which the same fields changed in the same way."""
    same: dict[tuple[FieldChange, ...], list[Event]] = {}
    for event in events:
        if event.kind == Kind.CHANGED and not event.urgent:
            same.setdefault(event.fields, []).append(event)
    many = {fields: members for fields, members in same.items() if len(members) >= BULK}
    found += [Bulk(Kind.CHANGED, "", tuple(members)) for members in many.values()]
    taken = {id(event) for members in many.values() for event in members}
    return [event for event in events if id(event) not in taken], found


def marks(model: str, owner: str | None) -> set[str]:
    """Give what a model's name has in common with others: `vendor/*`, `*:variant`, `of OWNER`."""
    vendor, slash, _ = model.partition("/")
    _, colon, variant = model.rpartition(":")
    found = {f"{vendor}/*"} if slash else set()
    if colon:
        found.add(f"*:{variant}")
    if owner:
        found.add(f"of {owner}")
    return found


_ORDER = {Kind.REMOVED: 0, Kind.CHANGED: 1, Kind.RETURNED: 2, Kind.ADDED: 3}


_LOUD_TO_WATCHERS = frozenset({"price", "lifecycle"})


_SAME = 3
"""From so many models on, of which the same fields changed in the same way, they are told as one."""


_OWN = 12
"""From so many lines on, of which the same fields changed, each in its own way, they are told as one."""


def lines(events: Iterable[Event], groups: Mapping[str, str]) -> tuple[Line, ...]:
    """Give what became of each model in a window, by severity, then gateway, scopes, kind and model.

    A model that left and is back, and a field that is again as it was, are told as that alone: `back`.

    Args:
        events: the steps, in their order.
        groups: by scope, its group; without those that name none.
    """
    found = _alike(events)
    told = [_line(net, spans, groups) for net, spans in found.items()]
    owners = {id(line): _owner(spans) for line, spans in zip(told, found.values(), strict=True)}
    return tuple(sorted(_folded(told, lambda line: owners[id(line)]), key=_place))


def _place(line: Line) -> tuple[object, ...]:
    severity = list(Severity).index(line.severity)
    return severity, line.gateway, line.scopes, _ORDER[line.kind], len(line.models) == 1, line.models


@dataclass(frozen=True, slots=True)
class _Net:
    """What became of a model in one scope: equal ones are told once for all their scopes."""

    gateway: str
    model: str
    kind: Kind
    back: bool
    prices: tuple[PriceChange, ...]
    fields: tuple[FieldChange, ...]
    twin: str | None
    candidate: str | None
    watched: bool
    often: bool


_Spans = dict[str, tuple[Event, ...]]
"""By scope, the steps that are behind what became of a model there."""


def _alike(events: Iterable[Event]) -> dict[_Net, _Spans]:
    steps: dict[tuple[str, str, str], list[Event]] = {}
    for event in events:
        for scope in event.scopes:
            steps.setdefault((event.gateway, event.model, scope), []).append(event)
    # Scopes that share all their steps share what became of them.
    known: dict[tuple[int, ...], _Net] = {}
    found: dict[_Net, _Spans] = {}
    for (_, _, scope), of_scope in steps.items():
        key = tuple(map(id, of_scope))
        if key not in known:
            known[key] = _net(of_scope)
        found.setdefault(known[key], {})[scope] = tuple(of_scope)
    return found


def _net(steps: Sequence[Event]) -> _Net:
    first, last = steps[0], steps[-1]
    was_there = first.kind in (Kind.REMOVED, Kind.CHANGED)
    is_there = last.kind != Kind.REMOVED
    left = any(event.kind == Kind.REMOVED for event in steps)
    # What came anew has nothing to be compared with, and of what is gone it does not matter any more.
    comparable = is_there and first.kind != Kind.ADDED
    prices, fields = net_changes(steps) if comparable else ((), ())
    kind, back = last.kind, False
    if was_there and is_there:
        kind, back = Kind.RETURNED if left else Kind.CHANGED, not (prices or fields)
        if back:
            prices, fields = _still(steps)
    elif is_there:
        kind = first.kind
    else:
        back = not was_there
    return _Net(
        gateway=first.gateway,
        model=first.model,
        kind=kind,
        back=back,
        prices=prices,
        fields=fields,
        twin=last.twin,
        candidate=last.candidate,
        watched=any(event.urgent for event in steps),
        often=left or len(steps) >= FLAPS,
    )


def _still(steps: Sequence[Event]) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Give the prices and the other loud fields that moved, and are what they were."""
    prices, fields = net_sides(steps)
    said = {"price"} if prices else set()
    return tuple(prices), tuple(field for field in fields if is_loud(field) and field.category not in said)


def _line(net: _Net, spans: _Spans, groups: Mapping[str, str]) -> Line:
    scopes = tuple(sorted(spans))
    steps = max(spans.values(), key=len)
    ends = [of_scope[-1] for of_scope in spans.values()]
    return Line(
        severity=_severity(net),
        kind=net.kind,
        gateway=net.gateway,
        models=(net.model,),
        scopes=scopes,
        groups=tuple(sorted({groups[scope] for scope in scopes if scope in groups})),
        prices=net.prices,
        # A long list is cut where it is shown: what is worse is not to be what is left out.
        fields=tuple(sorted(net.fields, key=lambda field: not is_cut(field))),
        times=_times(net, steps),
        back=net.back,
        at=max(event.at for event in ends),
        since=min((event.since for event in ends if event.since), default=None),
        away_seconds=max((event.away_seconds or 0 for event in ends), default=0) or None,
        twin=net.twin,
        candidate=net.candidate,
        watched=net.watched,
    )


def _times(net: _Net, steps: Sequence[Event]) -> int:
    """Count the steps of the way that is told: changes of what stayed, comings and goings of what did not."""
    if net.kind == Kind.CHANGED:
        return len(steps)
    return sum(event.kind != Kind.CHANGED for event in steps)


def _severity(net: _Net) -> Severity:
    loud = [field for field in net.fields if is_loud(field)]
    if net.back:
        return Severity.NOTABLE if net.often or net.watched else Severity.QUIET
    if net.kind == Kind.CHANGED and not (net.prices or loud):
        return Severity.QUIET
    if net.watched and (net.kind == Kind.REMOVED or net.prices or any(map(_matters, loud))):
        return Severity.URGENT
    dearer = any(way(price) > 0 for price in net.prices)
    worse = net.kind == Kind.REMOVED or dearer or any(map(is_cut, loud))
    return Severity.BREAKING if worse else Severity.NOTABLE


def _matters(field: FieldChange) -> bool:
    return field.category in _LOUD_TO_WATCHERS


def _owner(spans: _Spans) -> str | None:
    return next(iter(spans.values()))[-1].owned_by


def _folded(told: Iterable[Line], owner: Callable[[Line], str | None]) -> Iterator[Line]:
    """Tell in one line what came or went together under one mark, and what changed in the same way."""
    alike: dict[tuple[object, ...], list[Line]] = {}
    for line in told:
        where, what = (line.gateway, line.scopes), (line.severity, line.kind, line.prices, line.fields)
        shared = (*where, *what, line.back, line.times if line.back else 1)
        alike.setdefault(shared if _is_plain(line) else (*shared, line.models), []).append(line)

    def marks_of(line: Line) -> set[str]:
        return marks(line.models[0], owner(line)) if _is_plain(line) else set()

    single: list[Line] = []
    for lines_of in alike.values():
        first = lines_of[0]
        rest = lines_of
        if not (first.prices or first.fields):
            crowded, rest = crowds(rest, marks_of)
            yield from (_joined(members, mark) for mark, members in crowded)
        if len(rest) >= _SAME and (first.prices or first.fields or first.back):
            rest = [_joined(rest, "")]
        single += rest
    yield from _each_its_own(single)


def _each_its_own(told: Iterable[Line]) -> Iterator[Line]:
    """Tell in one line those of which the same fields changed, whatever they say now."""
    alike: dict[tuple[object, ...], list[Line]] = {}
    for line in told:
        names = tuple(sorted((field.field, field.category, is_cut(field)) for field in line.fields))
        plain = names and line.kind == Kind.CHANGED and not (line.prices or line.back) and _is_plain(line)
        plain = plain and len(line.models) < _OWN
        shared = (line.gateway, line.scopes, line.severity, names)
        alike.setdefault(shared if plain else (id(line),), []).append(line)
    for lines_of in alike.values():
        if len(lines_of) < _OWN:
            yield from lines_of
            continue
        common = set(lines_of[0].fields).intersection(*(line.fields for line in lines_of))
        own = tuple(field.field for field in lines_of[0].fields if field not in common)
        yield replace(_joined(lines_of, ""), own=own)


def _is_plain(line: Line) -> bool:
    """Say whether nothing is to be said of a line's model that is not said of others."""
    return not (line.twin or line.candidate or line.watched)


def _joined(of_it: Sequence[Line], mark: str) -> Line:
    return replace(
        of_it[0],
        models=tuple(sorted(model for line in of_it for model in line.models)),
        mark=mark,
        times=max(line.times for line in of_it),
        at=max(line.at for line in of_it),
        since=min((line.since for line in of_it if line.since), default=None),
        away_seconds=max((line.away_seconds or 0 for line in of_it), default=0) or None,
    )
