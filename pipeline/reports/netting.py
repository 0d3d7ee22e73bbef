"""From the steps of a window to what became of it: net, once for all it happened to, folded, by severity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.pricing import PriceChange, split
from pipeline.reports.brief import Line, Severity
from pipeline.reports.folding import FLAPS, crowds, marks
from pipeline.reports.report import Event
from pipeline.reports.worse import is_cut, is_loud, way
from pipeline.types import FieldChange, Kind

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
    prices, fields = changed(steps) if comparable else ((), ())
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


def _sides(steps: Sequence[Event]) -> tuple[list[PriceChange], list[FieldChange]]:
    """Give all prices and fields that moved, from their first state to their last."""
    fields: dict[str, FieldChange] = {}
    prices: dict[str, PriceChange] = {}
    for event in steps:
        for field in event.fields:
            fields[field.field] = replace(field, before=fields.get(field.field, field).before)
        for price in event.prices:
            prices[price.name] = replace(price, before=prices.get(price.name, price).before)
    return list(prices.values()), list(fields.values())


def changed(steps: Sequence[Event]) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Give the prices and the other fields that are not what they were."""
    prices, fields = _sides(steps)
    differing = [field for field in fields if field.before != field.after]
    loud, others = split(differing, [price for price in prices if price.before != price.after])
    told = tuple(field for field in others if is_loud(field))
    # Whose price or limit is another one, of that nobody asks how it is described.
    return loud, told or (() if loud else tuple(differing))


def _still(steps: Sequence[Event]) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Give the prices and the other loud fields that moved, and are what they were."""
    prices, fields = _sides(steps)
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
