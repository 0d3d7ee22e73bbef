"""Write what differs between two listings, once for all the scopes that make that move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeline.store.ids import Ids
from pipeline.store.writer import Writer
from pipeline.types import Change, FieldChange

FieldsOf = Callable[[Change], Iterable[FieldChange]]
"""Gives the fields in which a changed record differs."""

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def write_transition(
    writer: Writer, ids: Ids, moved: tuple[int, int], changes: Sequence[Change], fields_of: FieldsOf
) -> int:
    """Give the id of a move from one listing to another, written with its changes unless it is known."""
    sides = dict(zip(("before", "after"), moved, strict=True))
    found = writer.store.rows("select id from transitions where before = :before and after = :after", sides)
    if found:
        return int(found[0]["id"])
    counts = {
        kind: sum(change.kind == kind for change in changes) for kind in ("added", "removed", "changed")
    }
    name = f"+{counts['added']} -{counts['removed']} ~{counts['changed']}"
    transition = writer.one("transitions", {"name": name, **sides, **counts})
    numbers = writer.ids("changes", len(changes))
    _changes(writer, ids, transition, sides, list(zip(numbers, changes, strict=True)))
    _field_changes(writer, ids, zip(numbers, changes, strict=True), fields_of)
    return transition


def _changes(
    writer: Writer, ids: Ids, transition: int, sides: dict[str, int], changes: list[tuple[int, Change]]
) -> None:
    (row,) = writer.store.rows("select gateway from listings where id = :after", sides)
    models = ids.models(row["gateway"], [change.model for _, change in changes])
    sides_of = [side for _, change in changes for side in (change.before, change.after) if side]
    records = iter(ids.records(row["gateway"], sides_of))
    writer.insert(
        "changes",
        [
            {
                "id": number,
                "name": f"{_SIGNS[change.kind]} {change.model}",
                "transition": transition,
                "model": models[change.model],
                "kind": str(change.kind),
                "before": next(records) if change.before else None,
                "after": next(records) if change.after else None,
            }
            for number, change in changes
        ],
    )


def _field_changes(
    writer: Writer, ids: Ids, changes: Iterable[tuple[int, Change]], fields_of: FieldsOf
) -> None:
    found = [
        (number, field)
        for number, change in changes
        if change.before and change.after
        for field in fields_of(change)
    ]
    fields = field_ids(writer, ids, ((field.field, field.category) for _, field in found))
    writer.insert(
        "field_changes",
        [
            {
                "id": row_id,
                "change": number,
                "field": fields[field.field, field.category],
                "before": field.before,
                "after": field.after,
            }
            for row_id, (number, field) in zip(writer.ids("field_changes", len(found)), found, strict=True)
        ],
    )


def field_ids(writer: Writer, ids: Ids, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Give the rows of fields by path and class, written unless they are known."""
    known = ids.fields()
    fresh = sorted(set(keys) - known.keys())
    pairs = list(zip(writer.ids("fields", len(fresh)), fresh, strict=True))
    writer.insert("fields", [{"id": number, "name": name, "class": of} for number, (name, of) in pairs])
    known.update((key, number) for number, key in pairs)
    return known
