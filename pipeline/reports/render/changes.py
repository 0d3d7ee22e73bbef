"""Net changes as text, grouped by type of change and by scopes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import cache, partial
from itertools import groupby

from pipeline.core.impact import direction, is_reduction
from pipeline.core.prices import PriceChange
from pipeline.core.types import GROUP_PREFIX, FieldChange, FlapStep, Kind
from pipeline.reports.render.fields import distinct, field, field_now, price, price_now, varying_fields
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
    CHANGED = "changed"
    FLAPPING = "flapping"
    SETTLED = "settled"


TONES = {
    ChangeType.REMOVED: "worse",
    ChangeType.PRICE_INCREASE: "worse",
    ChangeType.LIMIT_REDUCTION: "worse",
    ChangeType.CAPABILITY_LOSS: "worse",
    ChangeType.FIELD_LOSS: "worse",
    ChangeType.RETURNED: "better",
    ChangeType.ADDED: "better",
    ChangeType.PRICE_DECREASE: "better",
}
"""The tones of the types that are for the worse or for the better."""

_OF_CATEGORY = {
    "lifecycle": ChangeType.DEPRECATION,
    "limits": ChangeType.LIMIT_CHANGE,
    "capabilities": ChangeType.CAPABILITY_CHANGE,
}
"""By category of a field, the type of a change that is not for the worse; the first match applies."""


def change_type(change: NetChange) -> ChangeType:
    """Return the type of a change; if several apply, the worst, which also decides its severity.

    What else changed decides before a value that keeps changing, and before one that has settled.
    """
    if change.kind == Kind.SHAPE:
        return ChangeType.FIELD_LOSS if change.fields[0].after is None else ChangeType.FIELD_GAIN
    if change.reverted:
        return ChangeType.FLAPPING
    if change.kind in (Kind.REMOVED, Kind.ADDED):
        return ChangeType(str(change.kind))
    once = replace(
        change,
        prices=tuple(each for each in change.prices if not each.flapping),
        fields=tuple(each for each in change.fields if not each.flapping),
    )
    if once == change or once.prices or once.fields or change.kind != Kind.CHANGED:
        return _once_type(once)
    steps = {each.flap_step for each in change.fields} | {each.flap_step for each in change.prices}
    return ChangeType.SETTLED if steps == {FlapStep.SETTLED} else ChangeType.FLAPPING


def _once_type(change: NetChange) -> ChangeType:
    if worse := _worse_type(change):
        return worse
    if change.kind == Kind.RETURNED:
        return ChangeType.RETURNED
    if change.prices:
        return _price_type(change)
    found = {field.category for field in change.fields}
    return next((each for category, each in _OF_CATEGORY.items() if category in found), ChangeType.CHANGED)


def _worse_type(change: NetChange) -> ChangeType | None:
    directions = set(map(direction, change.prices))
    if 1 in directions:
        return ChangeType.PRICE_CHANGE if -1 in directions else ChangeType.PRICE_INCREASE
    reduced = {field.category for field in change.fields if is_reduction(field)}
    if not reduced:
        return None
    return ChangeType.LIMIT_REDUCTION if "limits" in reduced else ChangeType.CAPABILITY_LOSS


def _price_type(change: NetChange) -> ChangeType:
    if all(price.before is None for price in change.prices):
        return ChangeType.PRICED
    return ChangeType.PRICE_DECREASE if -1 in map(direction, change.prices) else ChangeType.PRICE_CHANGE


def blocks(locale: Locale, summary: Summary, changes: Iterable[NetChange]) -> Iterator[LazyBlock]:
    """Yield a block for each type of change in each set of scopes."""
    order = list(ChangeType)
    groups: dict[tuple[ChangeType, str, tuple[str, ...], str | None, int | None], list[NetChange]] = {}
    for change in changes:
        kind = change_type(change)
        since = change.since if kind == ChangeType.REMOVED and change.since != change.at else None
        away = change.away_seconds if kind == ChangeType.RETURNED else None
        groups.setdefault((kind, change.gateway, change.scopes, since, away), []).append(change)
    for (kind, _, _, since, away), members in sorted(
        groups.items(), key=lambda group: (order.index(group[0][0]), _time(group[0][0], group[1]))
    ):
        content = cache(partial(_block, locale, summary, kind, members, since, away))
        yield LazyBlock(len(members), content)


def _time(kind: ChangeType, changes: Sequence[NetChange]) -> str:
    """Return the time by which blocks of removals and returns are sorted; empty for any other."""
    if kind == ChangeType.REMOVED:
        return min(change.since or change.at for change in changes)
    return min(change.at for change in changes) if kind == ChangeType.RETURNED else ""


def _block(
    locale: Locale,
    summary: Summary,
    kind: ChangeType,
    changes: Sequence[NetChange],
    since: str | None,
    away: int | None,
) -> BlockContent:
    first = changes[0]
    scopes = scopes_text(locale, summary, first.scopes, first.gateway, first.groups)
    title = locale.text(f"block.{kind}", scopes=scopes)
    if since:
        title = locale.text("block.missing_since", what=title, when=locale.minute(since))
    if away:
        title = locale.text("block.returned_after", what=title, duration=locale.duration(away))
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
    head = _models(locale, change)
    if change.watched:
        head = locale.text("watched", what=head)
    if change.reverted:
        return Item(head, (locale.text("flapped", n=change.steps, state=_state(locale, change)),))
    details = [price(locale, each) for each in distinct(change.prices) if each.name not in change.varying]
    details += [field(locale, each) for each in change.fields if each.field not in change.varying]
    varying: list[FieldChange | PriceChange] = [
        each for each in distinct(change.prices) if each.name in change.varying
    ]
    varying += [each for each in change.fields if each.field in change.varying]
    for _, alike in groupby(varying[:_MAX_MODELS], key=lambda each: each.flap_step):
        details.append(varying_fields(locale, list(alike)))
    return Item(head, tuple(details[:_MAX_FIELDS]), tuple(_notes(locale, change, len(details) - _MAX_FIELDS)))


def _shape_item(locale: Locale, change: NetChange) -> Item:
    """Return the entry of a change of shape: its fields, and the models that gained or lost them."""
    lost = change.fields[0].after is None
    fields = locale.join_some((untrusted(each.field) for each in change.fields), _MAX_FIELDS)
    numbers = {"n": len(change.models), "listed": change.listed or len(change.models)}
    head = locale.text("shape.lost" if lost else "shape.gained", fields=fields, **numbers)
    return Item(head, (), (locale.join_some(map(untrusted, change.models), _MAX_MODELS),))


def _notes(locale: Locale, change: NetChange, left_out: int) -> Iterator[Text]:
    if left_out > 0:
        yield locale.text("more_fields", n=left_out, rest=locale.rest)
    if change.kind == Kind.RETURNED and change.away_seconds and change_type(change) != ChangeType.RETURNED:
        yield locale.text("returned_after", duration=locale.duration(change.away_seconds))
    if change.case_variant:
        yield locale.text("case_variant", model=untrusted(change.case_variant))
    if change.successor and change.kind == Kind.REMOVED:
        yield locale.text("successor", model=untrusted(change.successor))
    if change.steps > 1 and change_type(change) not in (ChangeType.FLAPPING, ChangeType.SETTLED):
        yield locale.text("net_of", n=change.steps)


def models_count(locale: Locale, change: NetChange) -> Text:
    """Return the number of models of a change, with their label: `29 *:batch models`."""
    if not change.label:
        return locale.text("count.models", n=len(change.models))
    owner = change.label.removeprefix("of ")
    key = "models.owner" if owner != change.label else "models.label"
    return locale.text(key, n=len(change.models), label=untrusted(owner))


def _models(locale: Locale, change: NetChange) -> Text:
    """Return the ids of a change's models; if they are many or have a label, also their number."""
    if change.listed is not None and change.kind == Kind.REMOVED:
        group = untrusted(change.models[0].removeprefix(GROUP_PREFIX))
        return locale.text("group_gone", group=group, n=change.listed)
    named = locale.join_some(map(untrusted, change.models), _MAX_MODELS)
    if not change.label and len(change.models) <= _MAX_MODELS:
        return named
    return locale.text("models.named", what=models_count(locale, change), models=named)


def _state(locale: Locale, change: NetChange) -> Text:
    """Return the state of a model that flapped."""
    if change.prices or change.fields:
        sides = [price_now(locale, each) for each in distinct(change.prices)]
        sides += [field_now(locale, each) for each in change.fields[:_MAX_FIELDS_NOW]]
        shown = locale.join(side for side in sides if side)
        return locale.text("state.value", what=shown) if shown else locale.text("state.same")
    return locale.text("state.removed" if change.kind == Kind.REMOVED else "state.offered")
