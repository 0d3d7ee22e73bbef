"""What happened to models, in words: grouped by what it was and to whom.

What stood before and what stands after, in words: prices with unit and percentage, fields, lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from functools import cache, partial

from pipeline.core.canonical import from_text
from pipeline.core.impact import is_cut, lengths, way
from pipeline.core.prices import PER_CALL, PriceChange
from pipeline.core.types import FieldChange, Kind
from pipeline.reports.render.catalogue import Piece, Text, Words, foreign
from pipeline.reports.render.types import Item, Raw, Waiting
from pipeline.reports.types import Line, Summary
from pipeline.reports.value_diff import apart, inside

_VALUE = 60


_ITEMS = 8


_LEAVES = 3


_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)


_FIELD_NAMES = {
    "context_length": "context",
    "context_window": "context",
    "max_context_length": "context",
    "max_output": "max_output",
    "max_output_tokens": "max_output",
    "max_completion_tokens": "max_output",
}


def distinct(prices: Sequence[PriceChange]) -> list[PriceChange]:
    """Leave out prices of which another field of that name says just the same; the shortest path stays."""
    found: dict[object, PriceChange] = {}
    for change in sorted(prices, key=lambda each: len(each.name)):
        last = change.name.rpartition(".")[2] if change.per is None else change.name
        found.setdefault((last, change.before, change.after, change.per), change)
    return [change for change in prices if change in found.values()]


def price(words: Words, change: PriceChange) -> Text:
    """Write how a price moved: `input $2.40 → $1.80 per 1M tokens (−25 %)`."""
    sides = [None if side is None else _money(words, change, side) for side in (change.before, change.after)]
    moved = _moved(words, _price_name(words, change), *sides, unit=_unit(change))
    tone = {1: "worse", -1: "better"}.get(way(change), "")
    moved = _with_percent(words, moved, change.percent, tone)
    if change.source not in ("estimate", "ratio"):
        return moved
    return words.say(f"source.{change.source}", what=moved)


def price_now(words: Words, change: PriceChange) -> Text:
    """Write what a price is after all; nothing where there is none any more."""
    if change.after is None:
        return ()
    amount = words.say(_unit(change), price=_money(words, change, change.after))
    return words.say("price.now", name=_price_name(words, change), price=amount)


def _unit(change: PriceChange) -> str:
    if change.per is None:
        return "price.per_nothing"
    return "price.per_call" if change.per == PER_CALL else "price.per_1m"


def _price_name(words: Words, change: PriceChange) -> Text:
    if change.per is None:
        return (foreign(change.name),)
    return words.say(f"price.{change.name.replace(' ', '_')}")


def _money(words: Words, change: PriceChange, value: Decimal) -> Text:
    return (Piece(words.number(value) if change.per is None else words.money(value)),)


def _moved(
    words: Words, name: Text, before: Text | None, after: Text | None, *, unit: str = "price.per_nothing"
) -> Text:
    """Write what stands before and after; or that it is new, or is there no more."""
    if after is None:
        return words.say("vanished", name=name, before=words.say(unit, price=before or ()))
    now = words.say(unit, price=after)
    if before is None:
        return words.say("appeared", name=name, after=now)
    return words.say("moved", name=name, before=before, after=now)


def _with_percent(words: Words, moved: Text, percent: Decimal | None, tone: str) -> Text:
    if percent is None:
        return moved
    return words.say("with_percent", what=moved, percent=Piece(words.percent(percent), tone))


def field(words: Words, change: FieldChange) -> Text:
    """Write how a field moved: `context 1,000,000 → 256,000 (−74 %)`, `features −tools +audio`."""
    name = _field_name(words, change)
    if limit := _limit(words, name, change):
        return limit
    if differing := _differing(change):
        return words.say("field.now", name=name, value=differing)
    if found := inside(change):
        return words.say("field.inside", name=name, what=_inside(words, found))
    sides = [None if side is None else _side(words, side) for side in (change.before, change.after)]
    if None not in sides and sides[0] == sides[1]:
        clipped = apart(_said(change.before or ""), _said(change.after or ""), longest=_VALUE)
        sides = [(Piece(side, "value"),) for side in clipped]
    return _moved(words, name, *sides)


def _limit(words: Words, name: Text, change: FieldChange) -> Text:
    """Write how a limit moved, a side that says nothing as none; nothing for what is no limit."""
    before, after = lengths(change) or (None, None)
    if before == after:
        return ()
    moved = _moved(words, name, *(None if side is None else _number(words, side) for side in (before, after)))
    if before is None or after is None:
        return moved
    percent = PriceChange("", Decimal(before), Decimal(after)).percent
    return _with_percent(words, moved, percent, "worse" if after < before else "better")


def _inside(words: Words, found: Sequence[FieldChange]) -> Text:
    """Write what differs within a long value, as far as there is room for it."""
    told = words.listed(field(words, each) for each in found[:_LEAVES])
    return words.say("whom.and_more", what=told, n=len(found) - _LEAVES) if len(found) > _LEAVES else told


def own(words: Words, fields: Sequence[FieldChange]) -> Text:
    """Name fields that say something else for each of several models."""
    return words.say("field.own", fields=words.listed(_field_name(words, each) for each in fields))


def field_now(words: Words, change: FieldChange) -> Text:
    """Write what a field says after all; nothing where it is there no more."""
    if change.after is None:
        return ()
    return words.say("field.now", name=_field_name(words, change), value=_side(words, change.after))


def _field_name(words: Words, change: FieldChange) -> Text:
    known = _FIELD_NAMES.get(change.field.rpartition(".")[2])
    return words.say(f"field.{known}") if known else (foreign(change.field),)


def _side(words: Words, text: str) -> Text:
    if _INTEGER.fullmatch(text):
        return _number(words, int(text))
    if items := _items(text):
        return words.listed(foreign(item, "value", longest=_VALUE) for item in items)
    return (foreign(_said(text), "value", longest=_VALUE),)


def _number(words: Words, value: int) -> Text:
    return (Piece(words.number(value)),)


def _said(text: str) -> str:
    """Give what a field says, a text without quotes."""
    said = from_text(text)
    return said if isinstance(said, str) else text


def _items(text: str | None) -> list[str]:
    """Read a list of few words; nothing where it is none."""
    found = _words_of(text)
    return found if len(found) <= _ITEMS else []


def _words_of(text: str | None) -> list[str]:
    found = from_text(text) if text and text.startswith("[") else None
    return found if isinstance(found, list) and all(isinstance(item, str) for item in found) else []


def _differing(change: FieldChange) -> Text:
    """Write what a list has lost and gained; nothing where it is none, or is only in another order."""
    before, after = _words_of(change.before), _words_of(change.after)
    if not before or not after or len({*before} ^ {*after}) > _ITEMS:
        return ()
    lost = [(item, "−", "worse") for item in before if item not in after]
    gained = [(item, "+", "better") for item in after if item not in before]
    pieces: list[Piece] = []
    for item, sign, tone in lost + gained:
        space = (Piece(" "),) if pieces else ()
        pieces += (*space, Piece(sign, tone), foreign(item, "value", longest=_VALUE))
    return tuple(pieces)


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


def whom(
    words: Words, brief: Summary, line_scopes: Sequence[str], gateway: str, groups: Sequence[str]
) -> Text:
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


def _called(brief: Summary, scopes: Sequence[str]) -> str:
    """Say what scopes are: keys, where all of them are keys."""
    keys = {scope.scope for scope in brief.coverage if scope.auth == "key"}
    return "keys" if keys.issuperset(scopes) else "scopes"


def counted(words: Words, brief: Summary, scopes: Sequence[str]) -> str:
    """Count scopes: `12 keys`."""
    return words.plain(f"count.{_called(brief, scopes)}", n=len(scopes))


def blocks(words: Words, brief: Summary, lines: Iterable[Line]) -> Iterator[Waiting]:
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
    words: Words, brief: Summary, kind: What, lines: Sequence[Line], since: str | None, away: int | None
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
