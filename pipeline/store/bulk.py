"""Which rows models, records and fields have: asked for in bulk, and remembered.

Insert rows in bulk, with ids given here: while the lock is held nobody else gives any.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from pipeline.core.types import Digest, Record
from pipeline.store.database import Store


class RowIds:
    """Knows the rows of models and records, each gateway's apart, and of fields."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: dict[int, dict[str, int]] = {}
        self._records: dict[int, dict[tuple[str, Digest], int]] = {}
        self._fields: dict[tuple[str, str], int] | None = None
        # Of a database that was empty at first, whatever is in it is remembered.
        self._knows_all = not store.rows("select 1 from models limit 1")

    def models(self, gateway: int, names: Collection[str]) -> dict[str, int]:
        """Give the rows of models by name; those that have none yet are not in it.

        What is added to it is remembered.
        """
        known = self._models.setdefault(gateway, {})
        unknown = [name for name in names if name not in known]
        if unknown and not self._knows_all:
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
        """Give the rows of records, in their order; None for those that have none yet."""
        known = self._records.setdefault(gateway, {})
        keys = [(record.model, record.digest) for record in records]
        found = list(map(known.get, keys))
        if self._knows_all or None not in found:
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
        """Remember the row that a record was given."""
        self._records[gateway][record.model, record.digest] = row

    def fields(self) -> dict[tuple[str, str], int]:
        """Give the rows of fields by path and class; what is added to it is remembered."""
        if self._fields is None:
            rows = self._store.rows("select id, name, class from fields")
            self._fields = {(row["name"], row["class"]): row["id"] for row in rows}
        return self._fields


class BulkWriter:
    """Writes into open transactions; whoever has one holds the database's lock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._last: dict[str, int] = {}

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that bring their ids with them; all have the same columns."""
        if not rows:
            return
        columns = tuple(rows[0])
        # One statement that stays prepared takes a third of the time that many rows in each take.
        self.store.connection.executemany(
            f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",  # noqa: S608 - our own names
            map(itemgetter(*columns), rows),
        )

    def link(self, table: str, columns: tuple[str, str], one: int, many: Iterable[int]) -> None:
        """Insert the pairs of one id with many."""
        self.store.connection.execute(
            f"insert into {table} ({', '.join(columns)}) select ?, value from json_each(?)",  # noqa: S608 - our own names
            (one, json.dumps(sorted(many))),
        )

    def one(self, table: str, row: Mapping[str, Any]) -> int:
        """Insert a row; gives its id."""
        (number,) = self.ids(table, 1)
        self.insert(table, [{"id": number, **row}])
        return number

    def next_id(self, table: str) -> int:
        """Give the first id of a table that is free."""
        ((last,),) = self.store.connection.execute(f"select coalesce(max(id), 0) from {table}").fetchall()  # noqa: S608 - our own names
        return int(last) + 1

    def ids(self, table: str, count: int) -> range:
        """Give so many ids of a table that are free, for rows that are inserted next."""
        if table not in self._last:
            self._last[table] = self.next_id(table) - 1
        first = self._last[table] + 1
        self._last[table] += count
        return range(first, first + count)
