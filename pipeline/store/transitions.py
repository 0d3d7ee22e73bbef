"""Write what differs between two listings, once for all the scopes that make that move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeline.store.writer import Writer
from pipeline.types import Change, FieldChange

FieldsOf = Callable[[Change], Iterable[FieldChange]]
"""Gives the fields in which a changed record differs."""

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def write_transition(
    writer: Writer, moved: tuple[int, int], changes: Sequence[Change], fields_of: FieldsOf
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
    first = _changes(writer, transition, sides, changes)
    _field_changes(writer, enumerate(changes, first), fields_of)
    return transition


def _changes(writer: Writer, transition: int, sides: dict[str, int], changes: Sequence[Change]) -> int:
    rows = writer.store.rows(
        """
        select records.id, records.digest, records.model, models.name from listing_records
        join records on records.id = listing_records.record
        join models on models.id = records.model
        where listing_records.listing in (:before, :after)
        """,
        sides,
    )
    models = {row["name"]: row["model"] for row in rows}
    records = {(row["name"], row["digest"]): row["id"] for row in rows}
    first = writer.next_id("changes")
    writer.insert(
        "changes",
        [
            {
                "id": number,
                "name": f"{_SIGNS[change.kind]} {change.model}",
                "transition": transition,
                "model": models[change.model],
                "kind": str(change.kind),
                "before": change.before and records[change.model, change.before.digest],
                "after": change.after and records[change.model, change.after.digest],
            }
            for number, change in enumerate(changes, first)
        ],
    )
    return first


def _field_changes(writer: Writer, changes: Iterable[tuple[int, Change]], fields_of: FieldsOf) -> None:
    found = [
        (number, change, field)
        for number, change in changes
        if change.before and change.after
        for field in fields_of(change)
    ]
    writer.insert(
        "field_changes",
        [
            {
                "id": row_id,
                "name": f"{change.model} {field.field}",
                "change": number,
                "field": field.field,
                "before": field.before,
                "after": field.after,
                "class": field.category,
            }
            for row_id, (number, change, field) in enumerate(found, writer.next_id("field_changes"))
        ],
    )
