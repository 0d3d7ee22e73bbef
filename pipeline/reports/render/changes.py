"""Net changes as text, grouped by type of change and by scopes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache, partial
from itertools import groupby

from msgspec.structs import replace

from pipeline.core.impact import direction, is_pressing, is_reduction, is_significant, shutdown_dates
from pipeline.core.prices import PriceChange
from pipeline.core.types import GROUP_FIELD, FieldChange, FlapStep, Kind, Severity
from pipeline.reports.render.fields import distinct, field_now, fields, price, price_now, varying_fields
from pipeline.reports.render.locales import Locale, Text, untrusted
from pipeline.reports.render.scopes import scopes_text
from pipeline.reports.render.types import BlockContent, Item, LazyBlock
from pipeline.reports.types import NetChange, Summary

_MAX_MODELS = 12
_MAX_FIELDS = 6
_MAX_FIELDS_NOW = 3


class ChangeType(StrEnum):
    """The types of changes, in the order in which they are shown."""

    REMOVED = "removed"
    SHUTDOWN_ANNOUNCED = "shutdown_announced"
    SHUTDOWN_MOVED = "shutdown_moved"
    PRICE_INCREASE = "price_increase"
    LIMIT_REDUCTION = "limit_reduction"
    CAPABILITY_LOSS = "capability_loss"
    FIELD_LOSS = "field_loss"
    PRICE_CHANGE = "price_change"
    LIMIT_CHANGE = "limit_change"
    DEPRECATION = "deprecation"
    CAPABILITY_CHANGE = "capability_change"
    FIELD_GAIN = "field_gain"
    RETURNED = "returned"
    ADDED = "added"
    PRICED = "priced"
    PRICE_DECREASE = "price_decrease"
    SHUTDOWN_WITHDRAWN = "shutdown_withdrawn"
    CHANGED = "changed"
    FLAPPING = "flapping"
    KEEPS_CHANGING = "keeps_changing"
    SETTLED = "settled"


TONES = {
    ChangeType.REMOVED: "worse",
    ChangeType.SHUTDOWN_ANNOUNCED: "worse",
    ChangeType.SHUTDOWN_MOVED: "worse",
    ChangeType.PRICE_INCREASE: "worse",
    ChangeType.LIMIT_REDUCTION: "worse",
    ChangeType.CAPABILITY_LOSS: "worse",
    ChangeType.FIELD_LOSS: "worse",
    ChangeType.RETURNED: "better",
    ChangeType.ADDED: "better",
    ChangeType.PRICE_DECREASE: "better",
    ChangeType.SHUTDOWN_WITHDRAWN: "better",
}
"""The tones of the types that are for the worse or for the better."""

_OF_CATEGORY = {
    "limits": ChangeType.LIMIT_CHANGE,
    "capabilities": ChangeType.CAPABILITY_CHANGE,
}
"""By category of a field, the type of a change that is not for the worse; the first match applies."""


_PRESSING = (
    ChangeType.SHUTDOWN_ANNOUNCED,
    ChangeType.SHUTDOWN_MOVED,
    ChangeType.PRICE_INCREASE,
    ChangeType.PRICE_CHANGE,
    ChangeType.DEPRECATION,
    ChangeType.PRICED,
    ChangeType.PRICE_DECREASE,
    ChangeType.SHUTDOWN_WITHDRAWN,
)
"""The types that make a change of a watched model urgent, the worst first."""


_ALSO = (
    ChangeType.SHUTDOWN_ANNOUNCED,
    ChangeType.SHUTDOWN_MOVED,
    ChangeType.PRICE_INCREASE,
    ChangeType.LIMIT_REDUCTION,
    ChangeType.CAPABILITY_LOSS,
    ChangeType.PRICE_CHANGE,
    ChangeType.RETURNED,
)
"""The types that are named and counted beside the type of a change."""


def change_types(change: NetChange) -> tuple[ChangeType, ...]:
    """Return the type of a change, then the others for the worse that apply, and that the model returned."""
    first = change_type(change)
    if change.reverted or change.kind not in (Kind.CHANGED, Kind.RETURNED) or first in _COUNTED:
        return (first,)
    once = _without_flapping(change)
    reduced = _reduced(once)
    found = {_end_type(once), _price_type(once)}
    found |= {ChangeType.LIMIT_REDUCTION} if "limits" in reduced else set()
    found |= {ChangeType.CAPABILITY_LOSS} if reduced - {"limits"} else set()
    found |= {ChangeType.RETURNED} if change.kind == Kind.RETURNED else set()
    return (first, *(each for each in _ALSO if each in found - {first}))


def change_type(change: NetChange) -> ChangeType:
    """Return the type of a change; if several apply, the worst, which also decides its severity.

    What else changed decides before a value that keeps changing, and before one that has settled. A model
    that was gone once, or offered once, has returned, or was removed: it does not keep coming and going.
    """
    if change.kind == Kind.SHAPE:
        return _shape_type(change.fields[0])
    presence = [field for field in change.fields if field.field == GROUP_FIELD]
    if change.kind == Kind.GROUP and presence:
        is_back = ChangeType.RETURNED if change.away_seconds else ChangeType.ADDED
        return ChangeType.REMOVED if presence[0].after is None else is_back
    if change.reverted:
        return _reverted_type(change)
    if change.kind in (Kind.REMOVED, Kind.ADDED):
        return ChangeType(str(change.kind))
    once = _without_flapping(change)
    if once == change or once.prices or once.fields or change.kind != Kind.CHANGED:
        return _once_type(once)
    steps = {each.flap_step for each in change.fields} | {each.flap_step for each in change.prices}
    return ChangeType.SETTLED if steps == {FlapStep.SETTLED} else ChangeType.KEEPS_CHANGING


_THERE_AND_BACK = 2
"""The number of events of a model that was removed and returned, or was added and removed."""


def _reverted_type(change: NetChange) -> ChangeType:
    """Return the type of a change that ends as it was before."""
    if change.kind == Kind.CHANGED:
        return ChangeType.KEEPS_CHANGING
    if change.steps > _THERE_AND_BACK:
        return ChangeType.FLAPPING
    return ChangeType.REMOVED if change.kind == Kind.REMOVED else ChangeType.RETURNED


def _without_flapping(change: NetChange) -> NetChange:
    return replace(
        change,
        prices=tuple(each for each in change.prices if not each.flapping),
        fields=tuple(each for each in change.fields if not each.flapping),
    )


def _shape_type(field: FieldChange) -> ChangeType:
    """Return the type of a change of shape by one of its fields, which all have the same mark."""
    match field.flap_step:
        case FlapStep.ANNOUNCED:
            return ChangeType.KEEPS_CHANGING
        case FlapStep.SETTLED:
            return ChangeType.SETTLED
        case _:
            return ChangeType.FIELD_LOSS if field.after is None else ChangeType.FIELD_GAIN


def _once_type(change: NetChange) -> ChangeType:
    end, price = _end_type(change), _price_type(change)
    pressing = [each for each in (end, price) if each]
    if change.severity == Severity.URGENT and pressing:
        return min(pressing, key=_PRESSING.index)
    if price and 1 in map(direction, change.prices):
        return price
    reduced = _reduced(change)
    if reduced:
        return ChangeType.LIMIT_REDUCTION if "limits" in reduced else ChangeType.CAPABILITY_LOSS
    if change.kind == Kind.RETURNED:
        return ChangeType.RETURNED
    found = {field.category for field in change.fields}
    others = (each for category, each in _OF_CATEGORY.items() if category in found)
    return price or end or next(others, ChangeType.CHANGED)


def _reduced(change: NetChange) -> set[str]:
    """Return the categories of the fields that changed for the worse: `limits` and `capabilities`."""
    return {field.category for field in change.fields if is_reduction(field)}


def _end_type(change: NetChange) -> ChangeType | None:
    """Return the type of a change of a shutdown date, or of a stage; None where neither changed."""
    fields = [each for each in change.fields if each.category == "lifecycle" and is_significant(each)]
    dates = [each for each in map(shutdown_dates, fields) if each]
    if any(after and not before for before, after in dates):
        return ChangeType.SHUTDOWN_ANNOUNCED
    if any(after for _, after in dates):
        return ChangeType.SHUTDOWN_MOVED
    if dates:
        return ChangeType.SHUTDOWN_WITHDRAWN
    return ChangeType.DEPRECATION if fields else None


def new_shutdown(change: NetChange) -> str | None:
    """Return the earliest shutdown date that is new in a change (ISO 8601); None without any."""
    dates = (shutdown_dates(field) or (None, None) for field in change.fields)
    return min((after for before, after in dates if after and after != before), default=None)


def _price_type(change: NetChange) -> ChangeType | None:
    """Return the type of a change of prices; None where none changed."""
    if not change.prices:
        return None
    directions = set(map(direction, change.prices))
    if 1 in directions:
        return ChangeType.PRICE_CHANGE if -1 in directions else ChangeType.PRICE_INCREASE
    if all(price.before is None for price in change.prices):
        return ChangeType.PRICED
    return ChangeType.PRICE_DECREASE if -1 in directions else ChangeType.PRICE_CHANGE


def blocks(locale: Locale, summary: Summary, changes: Iterable[NetChange]) -> Iterator[LazyBlock]:
    """Yield a block for each type of change in each set of scopes."""
    order = list(ChangeType)
    groups: dict[tuple[object, ...], list[NetChange]] = {}
    for change in changes:
        kind, *also = change_types(change)
        time: tuple[object, ...] = ()
        if kind == ChangeType.REMOVED:
            time = (change.since, change.last_since) if change.since != change.at else ()
        elif kind == ChangeType.RETURNED:
            time = (change.away_seconds, change.least_away)
        groups.setdefault((kind, *also, change.gateway, change.scopes, time), []).append(change)

    def place(members: Sequence[NetChange]) -> tuple[int, str]:
        kind = change_type(members[0])
        return order.index(kind), _time(kind, members)

    for members in sorted(groups.values(), key=place):
        yield LazyBlock(len(members), cache(partial(_block, locale, summary, members)))


def _time(kind: ChangeType, changes: Sequence[NetChange]) -> str:
    """Return the time by which blocks of removals and returns are sorted; empty for any other."""
    if kind == ChangeType.REMOVED:
        return min(change.since or change.at for change in changes)
    return min(change.at for change in changes) if kind == ChangeType.RETURNED else ""


def _block(locale: Locale, summary: Summary, changes: Sequence[NetChange]) -> BlockContent:
    first = changes[0]
    kind, *also = change_types(first)
    scopes = scopes_text(locale, summary, first.scopes, first.gateway, first.groups)
    title = locale.text(f"block.{kind}", scopes=scopes)
    if also:
        names = locale.join(locale.text(f"also.{each}") for each in also)
        title = locale.text("block.also", what=title, also=names)
    if kind == ChangeType.REMOVED and first.since and first.since != first.at:
        last = locale.minute(first.last_since or first.since)
        if locale.minute(first.since) == last:
            title = locale.text("block.missing_since", what=title, when=last)
        else:
            earliest = locale.minute(first.since, zone=False)
            title = locale.text("block.missing_between", what=title, when=earliest, last=last)
    if kind == ChangeType.RETURNED and first.away_seconds:
        duration, least = locale.duration(first.away_seconds), locale.duration(first.least_away or 0)
        key = "block.returned_between" if first.least_away and duration != least else "block.returned_after"
        title = locale.text(key, what=title, duration=duration, least=least)
    row: list[Text] = []
    items: list[Item] = []
    for change in changes:
        entry = _item(locale, change)
        if len(change.models) == 1 and not (entry.details or entry.notes):
            row.append(entry.head)
        else:
            items.append(entry)
    return BlockContent(title, row, items)


def _item(locale: Locale, change: NetChange) -> Item:
    """Return the entry of a change: its models and details."""
    if change.kind == Kind.SHAPE:
        return _shape_item(locale, change)
    if change.kind == Kind.GROUP:
        (name,) = change.groups
        head, *more = group_texts(
            locale,
            name,
            change.prices,
            change.fields,
            models=change.listed,
            watched=change.watched_models,
            away=change.away_seconds,
            gateway=change.gateway,
        )
        return Item(head, tuple(more))
    head = _models(locale, change)
    if change.watched:
        head = locale.text("watched", what=head)
    if change.reverted and change_type(change) == ChangeType.RETURNED:
        return Item(head, (_absence(locale, change),))
    if change.reverted:
        return Item(head, (locale.text("flapped", n=change.steps, state=_state(locale, change)),))
    details = [price(locale, each) for each in distinct(change.prices) if each.name not in change.varying]
    alike = [each for each in change.fields if each.field not in change.varying]
    pressing = [each for each in alike if change.severity == Severity.URGENT and is_pressing(each)]
    rest = [each for each in alike if each not in pressing]
    details = [*fields(locale, pressing), *details, *fields(locale, rest)]
    varying: list[FieldChange | PriceChange] = [
        each for each in distinct(change.prices) if each.name in change.varying
    ]
    varying += [each for each in change.fields if each.field in change.varying]
    for _, different in groupby(varying[:_MAX_MODELS], key=lambda each: each.flap_step):
        details.append(varying_fields(locale, list(different)))
    return Item(head, tuple(details[:_MAX_FIELDS]), tuple(_notes(locale, change, len(details) - _MAX_FIELDS)))


_COUNTED = (ChangeType.FLAPPING, ChangeType.KEEPS_CHANGING, ChangeType.SETTLED)
"""The types whose entries name the number of changes, or are not of a number of changes."""


def _shape_item(locale: Locale, change: NetChange) -> Item:
    """Return the entry of a change of shape: its fields, and the models that gained or lost them."""
    head = shape(locale, change.fields, len(change.models), change.listed or len(change.models))
    return Item(head, (), (locale.join_some(locale.models(change.gateway, change.models), _MAX_MODELS),))


def shape(locale: Locale, changes: Sequence[FieldChange], number: int, listed: int) -> Text:
    """Return a change of shape as `context_length: lost by 9 of 10 models`.

    Args:
        locale: its language.
        changes: the fields, all with the same mark.
        number: of the models that gained or lost them.
        listed: the number of models in the list.
    """
    first = changes[0]
    lost, step = first.after is None, first.flap_step
    names = locale.join_some((untrusted(each.field) for each in changes), _MAX_FIELDS)
    if step == FlapStep.ANNOUNCED:
        now = locale.text("shape.now_lost" if lost else "shape.now_back")
        return locale.text("shape.keeps_changing", fields=names, n=number, listed=listed, now=now)
    if step == FlapStep.SETTLED and first.flapping:
        return locale.text(
            "shape.gone" if lost else "shape.back",
            fields=names,
            models=number,
            listed=listed,
            n=first.flapping.changes or 0,
            duration=locale.duration(first.flapping.seconds or 0),
        )
    head = locale.text("shape.lost" if lost else "shape.gained", fields=names, n=number, listed=listed)
    return locale.text("value.repeated", what=head) if step == FlapStep.REPEATED else head


def group_texts(
    locale: Locale,
    name: str,
    prices: Sequence[PriceChange],
    changes: Sequence[FieldChange],
    *,
    models: int | None,
    watched: Sequence[str],
    away: int | None,
    gateway: str = "",
) -> list[Text]:
    """Return a change of a group as texts.

    `group svip is gone (208 models)`, `ratio of group vip 0.8 → 1 (prices of 208 models +25 %)`

    Args:
        locale: its language.
        name: of the group.
        prices: its ratio, if that changed.
        changes: the other fields that differ; none for a group that was gone and is back as it was.
        models: the number of its models; None where they are unknown.
        watched: the watched ones of its models.
        away: for a group that is back, how many seconds it was gone.
        gateway: to whose pages the models lead.
    """
    group, duration = untrusted(name), locale.duration(away or 0)
    presence = next((each for each in changes if each.field == GROUP_FIELD), None)
    found: list[Text] = []
    if presence or not (prices or changes):
        is_gone = presence and presence.after is None
        key = "group.gone" if is_gone else "group.back" if away else "group.new"
        text = locale.text(key, group=group, duration=duration)
        found.append(text if models is None else locale.text("with_models", what=text, n=models))
    for each in prices:
        if each.before is None or each.after is None or each.percent is None or each.flapping:
            found.append(locale.text("group.other", group=group, what=price(locale, each)))
        else:
            sides = {"before": f"{each.before.normalize():f}", "after": f"{each.after.normalize():f}"}
            percent = locale.percent(each.percent)
            found.append(locale.text("group.ratio", group=group, n=models or 0, percent=percent, **sides))
    others = fields(locale, [each for each in changes if each is not presence])
    found += [locale.text("group.other", group=group, what=each) for each in others]
    if watched:
        names = locale.join_some(locale.models(gateway, watched), _MAX_MODELS)
        found[0] = locale.text("group.watched", what=found[0], models=names)
    return found


def _notes(locale: Locale, change: NetChange, left_out: int) -> Iterator[Text]:
    if left_out > 0:
        yield locale.text("more_fields", n=left_out, rest=locale.rest)
    if change.kind == Kind.RETURNED and change.away_seconds and change_type(change) != ChangeType.RETURNED:
        yield _absence(locale, change)
    if change.case_variant:
        yield locale.text("case_variant", model=locale.model(change.gateway, change.case_variant))
    if change.successor and change.kind == Kind.REMOVED:
        yield locale.text("successor", model=locale.model(change.gateway, change.successor))
    is_explained = change.absence is not None and change.steps <= _THERE_AND_BACK
    if (
        change.steps > 1
        and len(change.models) == 1
        and not is_explained
        and change_type(change) not in _COUNTED
    ):
        yield locale.text("net_of", n=change.steps)


def _absence(locale: Locale, change: NetChange) -> Text:
    """Return from when to when a model was missing: `missing from 1 Nov 09:17 to 1 Nov 18:17 UTC (9 h)`."""
    duration = locale.duration(change.away_seconds or 0)
    if change.absence is None:
        return locale.text("returned_after", duration=duration)
    since, until = change.absence
    return locale.text(
        "absence", since=locale.minute(since, zone=False), until=locale.minute(until), duration=duration
    )


def models_count(locale: Locale, number: int, label: str = "") -> Text:
    """Return a number of models, with their label: `29 *:batch models`, `9 models (owner dipper-labs)`."""
    if not label:
        return locale.text("count.models", n=number)
    owner = label.removeprefix("of ")
    key = "models.owner" if owner != label else "models.label"
    return locale.text(key, n=number, label=untrusted(owner))


def _models(locale: Locale, change: NetChange) -> Text:
    """Return the ids of a change's models; if they are many or have a label, also their number."""
    named = locale.join_some(locale.models(change.gateway, change.models), _MAX_MODELS)
    if not change.label and len(change.models) <= _MAX_MODELS:
        return named
    return locale.text(
        "models.named", what=models_count(locale, len(change.models), change.label), models=named
    )


def _state(locale: Locale, change: NetChange) -> Text:
    """Return the state of a model that flapped."""
    if change.prices or change.fields:
        sides = [price_now(locale, each) for each in distinct(change.prices)]
        sides += [field_now(locale, each) for each in change.fields[:_MAX_FIELDS_NOW]]
        shown = locale.join(side for side in sides if side)
        return locale.text("state.value", what=shown) if shown else locale.text("state.same")
    return locale.text("state.removed" if change.kind == Kind.REMOVED else "state.offered")
