"""What differs between two sides: in lines for people, as JSON, and as rows of CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.comparing import Difference
from pipeline.moments import NOW, Known, Moment
from pipeline.reports import Event
from pipeline.reports.as_json import field_value
from pipeline.reports.as_text import count, member_lines, minute, who
from pipeline.reports.display import shown as safe
from pipeline.sides import Compared, Contrast, Side

COLUMNS = ("before_scope", "after_scope", "kind", "model", "field", "before", "after", "class")
"""The columns of the CSV: a row for each pair of scopes, model and field."""


def value(sides: tuple[Side, Side], found: Contrast) -> dict[str, Any]:
    """Give what differs as plain values."""
    return {
        "before": _side_value(sides[0]),
        "after": _side_value(sides[1]),
        "differs": found.differs,
        "compared": [
            {
                "pairs": [{"before": old.scope, "after": new.scope} for old, new in part.pairs],
                "models": {"before": part.before[0].size, "after": part.after[0].size},
                "changes": [
                    {
                        "kind": str(each.kind),
                        "model": each.model,
                        "fields": [field_value(field) for field in each.fields],
                        "quiet": each.quiet,
                    }
                    for each in part.differences
                ],
            }
            for part in found.parts
        ],
        "only_before": [_known_value(each) for each in found.went],
        "only_after": [_known_value(each) for each in found.came],
    }


def _side_value(side: Side) -> dict[str, Any]:
    return {"asked": side.word, "at": side.moment.at, "snapshot": side.moment.run}


def _known_value(known: Known) -> dict[str, Any]:
    return {"gateway": known.gateway, "scope": known.scope, "models": known.size}


def rows(found: Contrast) -> Iterator[Sequence[Any]]:
    """Give what differs as rows of CSV; scopes of one side alone are of the kind `new` or `gone`."""
    for part in found.parts:
        for old, new in part.pairs:
            for each in part.differences:
                head = (old.scope, new.scope, str(each.kind), each.model)
                if not each.fields:
                    yield (*head, None, None, None, None)
                for field in each.fields:
                    yield (*head, field.field, field.before, field.after, field.category)
    for known in found.went:
        yield (known.scope, None, "gone", None, None, None, None, None)
    for known in found.came:
        yield (None, known.scope, "new", None, None, None, None, None)


def lines(
    sides: tuple[Side, Side], found: Contrast, *, quiet_too: bool = False, each: bool = False
) -> Iterator[str]:
    """Say what differs, scopes that differ in the same way under one heading."""
    same: list[Compared] = []
    hidden = 0
    for part in found.parts:
        told = [_event(part, other) for other in part.differences if quiet_too or not other.quiet]
        hidden += len(part.differences) - len(told)
        if told:
            yield _heading(sides, part)
            yield from member_lines(told, each=each, gone="")
        elif not part.differences:
            same.append(part)
    for known, what in ((found.went, "no longer known or asked"), (found.came, "new")):
        yield from (f"{safe(one.scope)}: {what}, {count(one.size, 'model')}" for one in known)
    yield from (f"no difference: {names}" for names in _same(same))
    if not found.parts and not found.came and not found.went:
        yield "no scope is known on both sides"
    if hidden:
        yield f"({hidden} quiet: --all shows them)"


def _heading(sides: tuple[Side, Side], part: Compared) -> str:
    (old, new) = part.pairs[0]
    first, second = (_when(side.moment) for side in sides)
    if part.in_time:
        return f"{_who(part.after)}  {first} → {second}  {old.size} → {count(new.size, 'model')}"
    if sides[0].moment == sides[1].moment == NOW:
        first = second = ""
    one, two = (
        f"{_who(known)} {when}".rstrip() for known, when in ((part.before, first), (part.after, second))
    )
    return f"{one} → {two}  {old.size} → {count(new.size, 'model')}"


def _who(known: Sequence[Known]) -> str:
    groups = sorted({each.group for each in known if each.group})
    return who(known[0].gateway, tuple(each.scope for each in known), tuple(groups))


def _when(moment: Moment) -> str:
    if moment.at:
        return minute(moment.at)
    return "now" if moment.run is None else f"#{moment.run}"


def _same(parts: Sequence[Compared]) -> Iterator[str]:
    """Name those that do not differ: scopes of a gateway together, pairs of scopes each."""
    of_gateway: dict[str, list[Known]] = {}
    for part in parts:
        if part.in_time:
            of_gateway.setdefault(part.after[0].gateway, []).extend(part.after)
        else:
            yield f"{_who(part.before)} and {_who(part.after)}"
    yield from map(_who, of_gateway.values())


def _event(part: Compared, difference: Difference) -> Event:
    """Give a difference in the form in which changes are told in lines."""
    return Event(
        at="",
        snapshot=0,
        kind=difference.kind,
        gateway=part.after[0].gateway,
        model=difference.model,
        scopes=(),
        groups=(),
        fields=difference.fields,
    )
