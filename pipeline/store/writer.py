"""Insert rows in bulk, with ids given here: inside one transaction nobody else gives any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.store.database import Store


class Writer:
    """Writes into an open transaction."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that bring their ids with them."""
        if rows:
            self.store.db.table(table).insert_all(map(dict, rows))

    def one(self, table: str, row: Mapping[str, Any]) -> int:
        """Insert a row; gives its id."""
        number = self.next_id(table)
        self.insert(table, [{"id": number, **row}])
        return number

    def next_id(self, table: str) -> int:
        """Give the first id that is free."""
        ((last,),) = self.store.db.execute(f"select coalesce(max(id), 0) from {table}").fetchall()  # noqa: S608 - our own names
        return int(last) + 1

    def found(self, sql: str, parameters: Mapping[str, Any]) -> int | None:
        """Give the id that a query finds, None when it finds none."""
        rows = self.store.rows(sql, parameters)
        return int(rows[0]["id"]) if rows else None
