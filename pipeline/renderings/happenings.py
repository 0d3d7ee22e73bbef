"""What happened to models, in words: grouped by what it was and to whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum

from pipeline.canonical import from_text
from pipeline.pricing import PER_CALL, PriceChange
from pipeline.renderings.page import Item, Raw
from pipeline.renderings.words import Piece, Text, Words, foreign
from pipeline.reports.brief import Brief, Line
from pipeline.types import FieldChange, Kind


class What(StrEnum):
    """What happened to a model, in the order in which it is told."""

    REMOVED = "removed"
    DEARER = "dearer"
    REPRICED = "repriced"
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
    What.RETURNED: "better",
    What.ADDED: "better",
    What.CHEAPER: "better",
}
"""What is counted by itself, and whether it is good or bad; all else is counted as otherwise changed."""

_NAMED = 3
_FIELDS = 6
_IDS = 12
_VALUE = 60
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_FIELD_NAMES = {
    "context_length": "context",
    "context_window": "context",
    "max_context_length": "context",
    "max_output": "max_output",
    "max_output_tokens": "max_output",
    "max_completion_tokens": "max_output",
}


def what(line: Line) -> What:
    """Say what a line is about, in one word."""
    if line.back:
        return What.BACK
    if line.kind != Kind.CHANGED:
        return What(str(line.kind))
    if line.prices:
        return _of_prices(line.prices)
    found = {field.category for field in line.fields}
    order = (What.LIFECYCLE, What.LIMITS, What.CAPABILITIES)
    return next((each for each in order if str(each) in found), What.CHANGED)


def _of_prices(prices: Sequence[PriceChange]) -> What:
    ways = {_way(change.before, change.after) for change in prices}
    if ways == {1}:
        return What.DEARER
    return What.CHEAPER if ways == {-1} else What.REPRICED


def _way(before: Decimal | None, after: Decimal | None) -> int:
    if before is None or after is None or before == after:
        return 0
    return 1 if after > before else -1


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


def blocks(words: Words, brief: Brief, lines: Iterable[Line]) -> Iterator[Raw]:
    """Group lines by what happened and to whom."""
    order = list(What)
    groups: dict[tuple[What, str, tuple[str, ...], str | None, int | None], list[Line]] = {}
    for line in lines:
        since = line.since if line.kind == Kind.REMOVED and line.since != line.at else None
        away = line.away_seconds if line.kind == Kind.RETURNED else None
        groups.setdefault((what(line), line.gateway, line.scopes, since, away), []).append(line)
    for (kind, gateway, scopes, since, away), members in sorted(
        groups.items(), key=lambda each: order.index(each[0][0])
    ):
        who = whom(words, brief, scopes, gateway, members[0].groups)
        title = words.say(f"block.{kind}", whom=who)
        if since and kind == What.REMOVED:
            title = words.say("block.missing_since", what=title, when=words.minute(since))
        if away and kind == What.RETURNED:
            title = words.say("block.back_after", what=title, duration=words.duration(away))
        items = [(line, item(words, line)) for line in members]
        yield Raw(
            title,
            [each.head for _, each in items if not each.details],
            [each for _, each in items if each.details],
        )


def item(words: Words, line: Line) -> Item:
    """Give a line: which models, and what there is to say of them beside what the heading says."""
    head = models(words, line)
    if line.watched:
        head = words.say("watched", what=head)
    details = [*(price(words, change) for change in line.prices if not line.back)]
    details += [field(words, change) for change in line.fields[:_FIELDS] if not line.back]
    if len(line.fields) > _FIELDS and not line.back:
        details.append(words.say("more_fields", n=len(line.fields) - _FIELDS))
    if line.twin:
        details.append(words.say("twin", model=foreign(line.twin)))
    if line.candidate and line.kind == Kind.REMOVED:
        details.append(words.say("candidate", model=foreign(line.candidate)))
    if line.back:
        details.append(words.say("went_back", n=line.times, state=_state(words, line)))
    elif line.times > 1:
        details.append(words.say("net_of", n=line.times))
    return Item(head, tuple(details))


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
    if line.prices:
        known = [change for change in line.prices if change.after is not None]
        sides = (words.say("price.now", name=_name(words, each), price=_amount(words, each)) for each in known)
        return words.say("state.at", what=words.listed(sides)) if known else words.say("state.same")
    if line.fields:
        sides = (
            words.say("field.now", name=_field_name(words, each), value=_side(words, each.after))
            for each in line.fields[:_NAMED]
        )
        return words.say("state.at", what=words.listed(sides))
    return words.say("state.gone" if line.kind == Kind.REMOVED else "state.offered")


def _amount(words: Words, change: PriceChange) -> Text:
    return words.say(_unit(change), price=_money(words, change, change.after))


def _unit(change: PriceChange) -> str:
    if change.per is None:
        return "price.per_nothing"
    return "price.per_call" if change.per == PER_CALL else "price.per_1m"


def _name(words: Words, change: PriceChange) -> Text:
    if change.per is None:
        return (foreign(change.name),)
    return words.say(f"price.{change.name.replace(' ', '_')}")


def _money(words: Words, change: PriceChange, value: Decimal | None) -> str:
    if value is None:
        return words.plain("none")
    return words.number(value) if change.per is None else words.money(value)


def price(words: Words, change: PriceChange) -> Text:
    """Write how a price moved: `input $2.40 → $1.80 per 1M tokens (−25 %)`."""
    moved = words.say(
        "moved",
        name=_name(words, change),
        before=_money(words, change, change.before),
        after=words.say(_unit(change), price=_money(words, change, change.after)),
    )
    way = _way(change.before, change.after)
    moved = _with_percent(words, moved, change.percent, {1: "worse", -1: "better"}.get(way, ""))
    return words.say(f"source.{change.source}", what=moved) if change.source in ("estimate", "ratio") else moved


def _with_percent(words: Words, moved: Text, percent: Decimal | None, tone: str) -> Text:
    if percent is None:
        return moved
    return words.say("with_percent", what=moved, percent=Piece(words.percent(percent), tone))


def field(words: Words, change: FieldChange) -> Text:
    """Write how a field moved: `context 1,000,000 → 256,000 (−74 %)`."""
    sides = (_side(words, change.before), _side(words, change.after))
    moved = words.say("moved", name=_field_name(words, change), before=sides[0], after=sides[1])
    if change.category != "limits" or not (_is_number(change.before) and _is_number(change.after)):
        return moved
    before, after = Decimal(change.before or 0), Decimal(change.after or 0)
    percent = PriceChange("", before, after).percent
    return _with_percent(words, moved, percent, "worse" if after < before else "better")


def _is_number(text: str | None) -> bool:
    return text is not None and bool(_INTEGER.fullmatch(text))


def _field_name(words: Words, change: FieldChange) -> Text:
    known = _FIELD_NAMES.get(change.field.rpartition(".")[2])
    return words.say(f"field.{known}") if known else (foreign(change.field),)


def _side(words: Words, value: str | None) -> Text:
    if value is None:
        return words.say("none")
    if _is_number(value):
        return (Piece(words.number(int(value))),)
    said = from_text(value)
    return (foreign(said if isinstance(said, str) else value, "value", longest=_VALUE),)
