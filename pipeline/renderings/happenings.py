"""What happened to models, in words: grouped by what it was and to whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache, partial

from pipeline.pricing import PriceChange
from pipeline.renderings.page import Item, Raw, Waiting
from pipeline.renderings.sides import distinct, field, field_now, is_cut, loud, price, price_now, way
from pipeline.renderings.words import Text, Words, foreign
from pipeline.reports.brief import Brief, Line
from pipeline.types import Kind


class What(StrEnum):
    """What happened to a model, in the order in which it is told."""

    REMOVED = "removed"
    DEARER = "dearer"
    REPRICED = "repriced"
    CUT = "cut"
    LIMITS = "limits"
    LIFECYCLE = "lifecycle"
    CAPABILITIES = "capabilities"
    RETURNED = "returned"
    ADDED = "added"
    CHEAPER = "cheaper"
    CHANGED = "changed"
    BACK = "back"


TONES = {
    What.REMOVED: "worse",
    What.DEARER: "worse",
    What.CUT: "worse",
    What.RETURNED: "better",
    What.ADDED: "better",
    What.CHEAPER: "better",
}
"""What is counted by itself, and whether it is good or bad; all else is counted as otherwise changed."""

_WAYS = {frozenset({1}): What.DEARER, frozenset({-1}): What.CHEAPER}
_NAMED = 3
_FIELDS = 6
_IDS = 12


def what(line: Line) -> What:
    """Say what a line is about, in one word."""
    if line.back:
        return What.BACK
    if line.kind != Kind.CHANGED:
        return What(str(line.kind))
    if line.prices:
        return _of_prices(line.prices)
    if any(is_cut(field) for field in line.fields):
        return What.CUT
    found = {field.category for field in line.fields}
    order = (What.LIFECYCLE, What.LIMITS, What.CAPABILITIES)
    return next((each for each in order if str(each) in found), What.CHANGED)


def _of_prices(prices: Sequence[PriceChange]) -> What:
    ways = {way(change.before, change.after) for change in prices}
    return _WAYS.get(frozenset(ways - {0}), What.REPRICED)


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
    for (kind, _, _, since, away), members in sorted(
        groups.items(), key=lambda each: order.index(each[0][0])
    ):
        yield Waiting(len(members), cache(partial(_block, words, brief, kind, members, since, away)))


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
    return Raw(
        title,
        [each.head for each in items if not (each.details or each.notes)],
        [each for each in items if each.details or each.notes],
    )


def item(words: Words, line: Line) -> Item:
    """Give a line: which models, and what there is to say of them beside what the heading says."""
    head = models(words, line)
    if line.watched:
        head = words.say("watched", what=head)
    if line.back:
        return Item(head, (words.say("went_back", n=line.times, state=_state(words, line)),))
    details = [price(words, change) for change in distinct(line.prices)]
    details += [field(words, change) for change in loud(line.fields)]
    return Item(head, tuple(details[:_FIELDS]), tuple(_notes(words, line, len(details) - _FIELDS)))


def _notes(words: Words, line: Line, cut: int) -> Iterator[Text]:
    if cut > 0:
        yield words.say("more_fields", n=cut)
    if line.twin:
        yield words.say("twin", model=foreign(line.twin))
    if line.candidate and line.kind == Kind.REMOVED:
        yield words.say("candidate", model=foreign(line.candidate))
    if line.times > 1:
        yield words.say("net_of", n=line.times)


def models(words: Words, line: Line) -> Text:
    """Name what a line is about: a model, or how many there are of a mark."""
    if line.mark:
        owner = line.mark.removeprefix("of ")
        key = "models.owner" if owner != line.mark else "models.mark"
        return words.say(key, n=len(line.models), mark=foreign(owner))
    named = words.listed(foreign(model) for model in line.models[:_IDS])
    if len(line.models) > _IDS:
        return words.say("models.more", what=named, n=len(line.models) - _IDS)
    return named


def _state(words: Words, line: Line) -> Text:
    """Say how a model stands that went back and forth."""
    if line.prices or line.fields:
        sides = [price_now(words, each) for each in distinct(line.prices)]
        sides += [field_now(words, each) for each in loud(line.fields)[:_NAMED]]
        told = words.listed(side for side in sides if side)
        return words.say("state.at", what=told) if told else words.say("state.same")
    return words.say("state.gone" if line.kind == Kind.REMOVED else "state.offered")
