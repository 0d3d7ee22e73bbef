"""Write the changes of a transition as they should be; what is right already stays, with its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.care.deriving import Derived, StoredChange, may_be
from pipeline.store import Store
from pipeline.store.ids import Ids
from pipeline.store.transitions import field_ids
from pipeline.store.writer import Writer

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


_BELOW = {
    "changes": "select coalesce(max(id), 0) from changes where transition < :owner",
    "field_changes": "select coalesce(max(id), 0) from field_changes where change < :owner",
}
_ABOVE = {
    "changes": "select min(id) from changes where transition > :owner",
    "field_changes": "select min(id) from field_changes where change > :owner",
}


class Changes:
    """Corrects rows inside an open transaction, and counts those that it wrote or dropped."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer = Writer(store)
        self._ids = Ids(store)
        self.changes = 0
        self.field_changes = 0

    def count(self, transition: int, counts: Mapping[str, int]) -> None:
        """Write the counts of a transition, and the name that shows them."""
        name = f"+{counts['added']} -{counts['removed']} ~{counts['changed']}"
        self._store.db.table("transitions").update(transition, {"name": name, **counts})

    def replace(self, transition: int, rows: Sequence[StoredChange], fresh: Sequence[Derived]) -> None:
        """Give a transition these changes and no others."""
        first: dict[int, StoredChange] = {}
        for row in rows:
            first.setdefault(row.model, row)
        wanted = {change.model for change in fresh}
        self._drop([row.id for row in rows if first[row.model] is not row or row.model not in wanted])
        known = [first[change.model].id if change.model in first else None for change in fresh]
        ids = self._placed("changes", transition, known)
        for number, change in zip(ids, fresh, strict=True):
            known_row = first.get(change.model)
            if known_row is None or known_row.sides != change.sides:
                self._write(number, transition, change, is_there=known_row is not None)
            self._fields(number, change, known_row)

    def _drop(self, changes: Sequence[int]) -> None:
        for number in changes:
            gone = self._store.connection.execute("delete from field_changes where change = ?", [number])
            self.field_changes += gone.rowcount
            self._store.connection.execute("delete from changes where id = ?", [number])
        self.changes += len(changes)

    def _write(self, number: int, transition: int, change: Derived, *, is_there: bool) -> None:
        row = {
            "name": f"{_SIGNS[change.kind]} {change.model_name}",
            "transition": transition,
            "model": change.model,
            "kind": change.kind,
            "before": change.before,
            "after": change.after,
        }
        if is_there:
            self._store.db.table("changes").update(number, row)
        else:
            self._writer.insert("changes", [{"id": number, **row}])
        self.changes += 1

    def _fields(self, number: int, change: Derived, row: StoredChange | None) -> None:
        """Write the fields of a change in their order, each under its id where it has one."""
        now = {field.field: field for field in row.fields} if row else {}
        wanted = []
        for field in change.fields:
            known = now.get(field.field)
            category = known.category if known and may_be(known.category, field.category) else field.category
            wanted.append((field.field, field.before, field.after, category))
        told = [(f.field, f.before, f.after, f.category) for f in row.fields] if row else []
        if told == wanted:
            return
        ids = self._placed(
            "field_changes",
            number,
            [now[field].id if field in now else None for field, *_ in wanted],
        )
        if ids != sorted(ids):
            first = self._writer.next_id("field_changes")
            ids = list(range(first, first + len(wanted)))
        self.field_changes += len(set(told) ^ set(wanted)) or len(wanted)
        self._store.connection.execute("delete from field_changes where change = ?", [number])
        fields = field_ids(self._writer, self._ids, ((field, of) for field, _, _, of in wanted))
        self._writer.insert(
            "field_changes",
            [
                {
                    "id": row_id,
                    "change": number,
                    "field": fields[field, category],
                    "before": before,
                    "after": after,
                }
                for row_id, (field, before, after, category) in zip(ids, wanted, strict=True)
            ],
        )

    def _placed(self, table: str, owner: int, known: Sequence[int | None]) -> list[int]:
        """Give ids to rows that have none: in the gap where they belong, or else after all others."""
        parameters = {"owner": owner}
        ((below,),) = self._store.stream(_BELOW[table], parameters)
        ((above,),) = self._store.stream(_ABOVE[table], parameters)
        return placed(known, below=below, above=above, free=self._writer.next_id(table))

    def drop_orphans(self) -> None:
        """Drop rows whose transition or change is not there."""
        lost = self._store.connection.execute(
            "delete from changes where transition not in (select id from transitions)"
        )
        self.changes += lost.rowcount
        lost = self._store.connection.execute(
            "delete from field_changes where change not in (select id from changes)"
        )
        self.field_changes += lost.rowcount


def placed(known: Sequence[int | None], *, below: int, above: int | None, free: int) -> list[int]:
    """Give each row an id: its own, one in the gap between its neighbours', or one that is free at the end.

    Args:
        known: the ids of rows in their order, None for those that have none.
        below: the highest id of the rows that come before them.
        above: the lowest id of the rows that come after them; None where there are none.
        free: from here on no id is taken.
    """
    taken = {number for number in known if number is not None}
    ids: list[int] = []
    last = below
    for index, number in enumerate(known):
        if number is None:
            later = (each for each in known[index + 1 :] if each is not None)
            limit = next(later, above)
            fits = last + 1 not in taken and (limit is None or last + 1 < limit)
            number = last + 1 if fits else free  # noqa: PLW2901 - the id that it gets
            free = max(free, number + 1)
        ids.append(number)
        last = max(last, number)
    return ids
