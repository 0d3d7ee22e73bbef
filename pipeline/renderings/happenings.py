"""What happened to models, in words: grouped by what it was and to whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache, partial

from pipeline.renderings.page import Item, Raw, Waiting
from pipeline.renderings.sides import distinct, field, field_now, own, price, price_now
from pipeline.renderings.words import Text, Words, foreign
from pipeline.reports.brief import Brief, Line
from pipeline.reports.worse import is_cut, way
from pipeline.types import Kind


class What(StrEnum):
    """What happened to a model, in the order in which it is told."""

    REMOVED = "removed"
    DEARER = "dearer"
    CUT = "cut"
    LOST = "lost"
    REPRICED = "repriced"
    LIMITS = "limits"
    LIFECYCLE = "lifecycle"
    CAPABILITIES = "capabilities"
    RETURNED = "returned"
    ADDED = "added"
    PRICED = "priced"
    CHEAPER = "cheaper"
    CHANGED = "changed"
    BACK = "back"


TONES = {
    What.REMOVED: "worse",
    What.DEARER: "worse",
    What.CUT: "worse",
    What.LOST: "worse",
    What.RETURNED: "better",
    What.ADDED: "better",
    What.CHEAPER: "better",
}
"""What is good, and what is bad; all else is neither."""

_ORDER = (What.LIFECYCLE, What.LIMITS, What.CAPABILITIES)
_NAMED = 3
_FIELDS = 6
_IDS = 12


def what(line: Line) -> What:
    """Say what a line is about, in one word: of several things the worst, as its severity does."""
    if line.back:
        return What.BACK
    if line.kind in (Kind.REMOVED, Kind.ADDED):
        return What(str(line.kind))
    if worse := _worse(line):
        return worse
    if line.kind == Kind.RETURNED:
        return What.RETURNED
    if line.prices:
        return _of_prices(line)
    found = {field.category for field in line.fields}
    return next((each for each in _ORDER if str(each) in found), What.CHANGED)


def _worse(line: Line) -> What | None:
    ways = set(map(way, line.prices))
    if 1 in ways:
        return What.REPRICED if -1 in ways else What.DEARER
    cut = {field.category for field in line.fields if is_cut(field)}
    if not cut:
        return None
    return What.CUT if "limits" in cut else What.LOST


def _of_prices(line: Line) -> What:
    if all(price.before is None for price in line.prices):
        return What.PRICED
    return What.CHEAPER if -1 in map(way, line.prices) else What.REPRICED


def whom(words: Words, brief: Brief, line_scopes: Sequence[str], gateway: str, groups: Sequence[str]) -> Text:
    """Name scopes, or count them when they are many: `12 keys of aihubmix in group vip`."""
    if len(line_scopes) <= _NAMED:
        return words.listed(foreign(scope, "name") for scope in line_scopes)
    counted = words.say(
        f"whom.{_called(brief, line_scopes)}", n=len(line_scopes), gateway=foreign(gateway, "name")
    )
    if not groups:
        return counted
    named = words.listed(foreign(group, "name", longest=40) for group in groups[:_NAMED])
    if len(groups) > _NAMED:
        named = words.say("whom.and_more", what=named, n=len(groups) - _NAMED)
    return words.say("whom.in_groups", n=len(groups), who=counted, groups=named)


def _called(brief: Brief, scopes: Sequence[str]) -> str:
    """Say what scopes are: keys, where all of them are keys."""
    keys = {scope.scope for scope in brief.coverage if scope.auth == "key"}
    return "keys" if keys.issuperset(scopes) else "scopes"


def counted(words: Words, brief: Brief, scopes: Sequence[str]) -> str:
    """Count scopes: `12 keys`."""
    return words.plain(f"count.{_called(brief, scopes)}", n=len(scopes))


def blocks(words: Words, brief: Brief, lines: Iterable[Line]) -> Iterator[Waiting]:
    """Group lines by what happened and to whom."""
    order = list(What)
    groups: dict[tuple[What, str, tuple[str, ...], str | None, int | None], list[Line]] = {}
    for line in lines:
        kind = what(line)
        since = line.since if kind == What.REMOVED and line.since != line.at else None
        away = line.away_seconds if kind == What.RETURNED else None
        groups.setdefault((kind, line.gateway, line.scopes, since, away), []).append(line)
    placed = sorted(groups.items(), key=lambda each: (order.index(each[0][0]), _time(each[0][0], each[1])))
    for (kind, _, _, since, away), members in placed:
        yield Waiting(len(members), cache(partial(_block, words, brief, kind, members, since, away)))


def _time(kind: What, lines: Sequence[Line]) -> str:
    """Give when models went or came back, by which their groups are ordered; nothing of all else."""
    if kind == What.REMOVED:
        return min(line.since or line.at for line in lines)
    return min(line.at for line in lines) if kind == What.RETURNED else ""


def _block(
    words: Words, brief: Brief, kind: What, lines: Sequence[Line], since: str | None, away: int | None
) -> Raw:
    first = lines[0]
    who = whom(words, brief, first.scopes, first.gateway, first.groups)
    title = words.say(f"block.{kind}", whom=who)
    if since:
        title = words.say("block.missing_since", what=title, when=words.minute(since))
    if away:
        title = words.say("block.back_after", what=title, duration=words.duration(away))
    items = [item(words, line) for line in lines]
    alone = [
        len(line.models) == 1 and not (each.details or each.notes)
        for line, each in zip(lines, items, strict=True)
    ]
    return Raw(
        title,
        [each.head for each, in_row in zip(items, alone, strict=True) if in_row],
        [each for each, in_row in zip(items, alone, strict=True) if not in_row],
    )


def item(words: Words, line: Line) -> Item:
    """Give a line: which models, and what there is to say of them beside what the heading says."""
    head = models(words, line)
    if line.watched:
        head = words.say("watched", what=head)
    if line.back:
        return Item(head, (words.say("went_back", n=line.times, state=_state(words, line)),))
    details = [price(words, change) for change in distinct(line.prices)]
    told = line.fields
    details += [field(words, change) for change in told if change.field not in line.own]
    if theirs := [change for change in told if change.field in line.own]:
        details.append(own(words, theirs[:_IDS]))
    return Item(head, tuple(details[:_FIELDS]), tuple(_notes(words, line, len(details) - _FIELDS)))


def _notes(words: Words, line: Line, cut: int) -> Iterator[Text]:
    if cut > 0:
        yield words.say("more_fields", n=cut, rest=words.rest)
    if line.kind == Kind.RETURNED and line.away_seconds and what(line) != What.RETURNED:
        yield words.say("back_after", duration=words.duration(line.away_seconds))
    if line.twin:
        yield words.say("twin", model=foreign(line.twin))
    if line.candidate and line.kind == Kind.REMOVED:
        yield words.say("candidate", model=foreign(line.candidate))
    if line.times > 1:
        yield words.say("net_of", n=line.times)


def crowd(words: Words, line: Line) -> Text:
    """Say how many models a line is about, and what they share."""
    if not line.mark:
        return words.say("count.models", n=len(line.models))
    owner = line.mark.removeprefix("of ")
    key = "models.owner" if owner != line.mark else "models.mark"
    return words.say(key, n=len(line.models), mark=foreign(owner))


def models(words: Words, line: Line) -> Text:
    """Name what a line is about: a model, or many with how many they are and what they share."""
    named = words.listed(foreign(model) for model in line.models[:_IDS])
    if len(line.models) > _IDS:
        named = words.say("whom.and_more", what=named, n=len(line.models) - _IDS)
    elif not line.mark:
        return named
    return words.say("models.named", what=crowd(words, line), models=named)


def _state(words: Words, line: Line) -> Text:
    """Say how a model stands that went back and forth."""
    if line.prices or line.fields:
        sides = [price_now(words, each) for each in distinct(line.prices)]
        sides += [field_now(words, each) for each in line.fields[:_NAMED]]
        told = words.listed(side for side in sides if side)
        return words.say("state.at", what=told) if told else words.say("state.same")
    return words.say("state.gone" if line.kind == Kind.REMOVED else "state.offered")
