"""Bulk inserts with ids that are counted here, and a cache of ids.

No other process writes while this one holds the lock, so the ids need no query for each row.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from pipeline.core.types import Digest, Record
from pipeline.store.database import Store

FieldKey = tuple[str, str, str | None]
"""A path, its category and, for a shape, the category by its meaning."""


class RowIds:
    """A cache of the ids of models and records, by gateway, and of fields."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: dict[int, dict[str, int]] = {}
        self._records: dict[int, dict[tuple[str, Digest], int]] = {}
        self._fields: dict[FieldKey, int] | None = None
        # In a database that was empty at first, everything written since is cached.
        self._complete = not store.rows("select 1 from models limit 1")

    def models(self, gateway: int, names: Collection[str]) -> dict[str, int]:
        """Return the ids of a gateway's models by name, without new ones; the caller adds those."""
        known = self._models.setdefault(gateway, {})
        unknown = [name for name in names if name not in known]
        if unknown and not self._complete:
            rows = self._store.rows(
                """
                select models.id, models.name from json_each(:names) as wanted
                cross join models on models.gateway = :gateway and models.name = wanted.value
                """,
                {"names": json.dumps(unknown), "gateway": gateway},
            )
            known.update((row["name"], row["id"]) for row in rows)
        return known

    def records(self, gateway: int, records: Collection[Record]) -> list[int | None]:
        """Return the ids of records, in their order; None for new ones."""
        known = self._records.setdefault(gateway, {})
        keys = [(record.model, record.digest) for record in records]
        found = list(map(known.get, keys))
        if self._complete or None not in found:
            return found
        unknown = [key for key, row in zip(keys, found, strict=True) if row is None]
        rows = self._store.rows(
            """
            select records.id, records.digest, models.name from json_each(:keys) as wanted
            cross join models on models.gateway = :gateway
                and models.name = json_extract(wanted.value, '$[0]')
            cross join records on records.model = models.id
                and records.digest = json_extract(wanted.value, '$[1]')
            """,
            {"keys": json.dumps(unknown), "gateway": gateway},
        )
        known.update(((row["name"], row["digest"]), row["id"]) for row in rows)
        return list(map(known.get, keys)) if rows else found

    def add_record(self, gateway: int, record: Record, row: int) -> None:
        """Cache the id of a record that is written now."""
        self._records[gateway][record.model, record.digest] = row

    def fields(self) -> dict[FieldKey, int]:
        """Return the ids of fields by key, without new ones; the caller adds those."""
        if self._fields is None:
            rows = self._store.rows("select id, name, class, shape_of from fields")
            self._fields = {(row["name"], row["class"], row["shape_of"]): row["id"] for row in rows}
        return self._fields


class BulkWriter:
    """A writer of many rows, for the open transaction of a process that holds the lock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._last: dict[str, int] = {}

    def new_ids(self, table: str, count: int) -> range:
        """Return free ids of a table, for the rows that are inserted next."""
        if table not in self._last:
            ((last,),) = self.store.connection.execute(f"select coalesce(max(id), 0) from {table}").fetchall()  # noqa: S608 - our own names
            self._last[table] = last
        first = self._last[table] + 1
        self._last[table] += count
        return range(first, first + count)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows with their keys; all have the same columns."""
        if not rows:
            return
        columns = tuple(rows[0])
        # One prepared statement takes a third of the time of statements with many rows each.
        self.store.connection.executemany(
            f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",  # noqa: S608 - our own names
            map(itemgetter(*columns), rows),
        )

    def insert_new(self, table: str, rows: Sequence[Mapping[str, Any]]) -> range:
        """Insert rows under new ids, and return these."""
        columns = tuple(rows[0]) if rows else ()
        return self.insert_values(
            table, columns, len(rows), ([row[name] for name in columns] for row in rows)
        )

    def insert_values(
        self, table: str, columns: Sequence[str], count: int, rows: Iterable[Iterable[Any]]
    ) -> range:
        """Insert `count` rows, as values of columns, under new ids, and return these."""
        ids = self.new_ids(table, count)
        if count:
            self.store.connection.executemany(
                f"insert into {table} (id, {', '.join(columns)}) values (?{', ?' * len(columns)})",  # noqa: S608 - our own names
                ((number, *row) for number, row in zip(ids, rows, strict=True)),
            )
        return ids

    def insert_one(self, table: str, row: Mapping[str, Any]) -> int:
        """Insert a row under a new id, and return this."""
        return self.insert_new(table, [row])[0]

    def link(self, table: str, columns: tuple[str, str], one: int, many: Iterable[int]) -> None:
        """Insert the pairs of one id with many."""
        self.store.connection.execute(
            f"insert into {table} ({', '.join(columns)}) select ?, value from json_each(?)",  # noqa: S608 - our own names
            (one, json.dumps(sorted(many))),
        )


def ids_after(store: Store, table: str, last: int, count: int) -> range:
    """Return `count` ids of a table right after `last`, or after all others if one of these is taken."""
    wanted = range(last + 1, last + 1 + count)
    taken = store.rows(
        f"select 1 from {table} where id between :first and :last limit 1",  # noqa: S608 - our own names
        {"first": wanted.start, "last": wanted.stop - 1},
    )
    if not taken:
        return wanted
    (row,) = store.rows(f"select max(id) as last from {table}")  # noqa: S608 - our own names
    return range(row["last"] + 1, row["last"] + 1 + count)
