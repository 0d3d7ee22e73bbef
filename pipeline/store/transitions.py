"""Transitions and their changes: written once for all scopes that move from one listing to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from pipeline.core.types import Change, FieldChange, Kind
from pipeline.store.bulk import BulkWriter, FieldKey, RowIds

FieldsOf = Callable[[Change], Iterable[FieldChange]]
"""Returns the fields in which a changed record differs."""

NewIds = Callable[[str, int], Sequence[int]]
"""Returns free ids of a table: as many as requested."""

_MARKS = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.CHANGED: "~"}
"""The mark before a model or a count in names: `+ gpt-4o`, `+3 -0 ~12`."""


def write_transition(
    writer: BulkWriter, ids: RowIds, sides: tuple[int, int], changes: Sequence[Change], fields_of: FieldsOf
) -> int:
    """Return the id of the transition from one listing to another; write it and its changes if it is new."""
    before, after = sides
    row = {"before": before, "after": after}
    found = writer.store.rows("select id from transitions where before = :before and after = :after", row)
    if found:
        return int(found[0]["id"])
    transition = writer.insert_one("transitions", {"before": before, "after": after} | summary(changes))
    write_changes(writer, ids, transition, after, changes, fields_of, writer.new_ids)
    return transition


def summary(changes: Iterable[Change]) -> dict[str, int | str]:
    """Return the counts of a transition's changes by kind, and its name, which shows them."""
    found = Counter(change.kind for change in changes)
    counts: dict[str, int | str] = {str(kind): found[kind] for kind in _MARKS}
    return counts | {"name": " ".join(f"{mark}{found[kind]}" for kind, mark in _MARKS.items())}


def write_changes(
    writer: BulkWriter,
    ids: RowIds,
    transition: int,
    listing: int,
    changes: Sequence[Change],
    fields_of: FieldsOf,
    new_ids: NewIds,
) -> None:
    """Write the changes of a transition and the fields that differ.

    Args:
        writer: inserts the rows.
        ids: finds the rows of models and records, which must exist.
        transition: the row in `transitions`.
        listing: either of its listings; both are of one gateway.
        changes: sorted by model.
        fields_of: returns the fields in which a changed record differs.
        new_ids: returns ids for the rows.
    """
    (row,) = writer.store.rows("select gateway from listings where id = :listing", {"listing": listing})
    models = ids.models(row["gateway"], [change.model for change in changes])
    records = [side for change in changes for side in (change.before, change.after) if side]
    record_ids = iter(ids.records(row["gateway"], records))
    numbers = new_ids("changes", len(changes))
    writer.insert(
        "changes",
        [
            {
                "id": number,
                "name": f"{_MARKS[change.kind]} {change.model}",
                "transition": transition,
                "model": models[change.model],
                "kind": str(change.kind),
                "before": next(record_ids) if change.before else None,
                "after": next(record_ids) if change.after else None,
            }
            for number, change in zip(numbers, changes, strict=True)
        ],
    )
    _write_fields(writer, ids, zip(numbers, changes, strict=True), fields_of, new_ids)


def _write_fields(
    writer: BulkWriter,
    ids: RowIds,
    changes: Iterable[tuple[int, Change]],
    fields_of: FieldsOf,
    new_ids: NewIds,
) -> None:
    found = [
        (number, field)
        for number, change in changes
        if change.before and change.after
        for field in fields_of(change)
    ]
    fields = _field_ids(writer, ids, (_field_key(field) for _, field in found))
    writer.insert(
        "field_changes",
        [
            {
                "id": row_id,
                "change": number,
                "field": fields[_field_key(field)],
                "before": field.before,
                "after": field.after,
            }
            for row_id, (number, field) in zip(new_ids("field_changes", len(found)), found, strict=True)
        ],
    )


def _field_key(field: FieldChange) -> FieldKey:
    return field.field, field.category, field.shape_of


def _field_ids(writer: BulkWriter, ids: RowIds, keys: Iterable[FieldKey]) -> dict[FieldKey, int]:
    """Return the ids of fields by key; write those that are new."""
    known = ids.fields()
    new = sorted(set(keys) - known.keys(), key=lambda key: (*key[:2], key[2] or ""))
    rows = [{"name": name, "class": category, "shape_of": shape_of} for name, category, shape_of in new]
    written = writer.insert_new("fields", rows)
    known.update(zip(new, written, strict=True))
    return known
