"""Rows of an attached database, `theirs`, that join this one: those that are here, and ids for the others."""

from __future__ import annotations

from typing import Any

from pipeline.store import Store


class JoinedRows:
    """A writer of the rows of `theirs` that are new here, for an open transaction.

    The table `temp.joined_NAME` has the rows of `theirs.NAME` that are needed here: `source` is the id there,
    `id` the one here, and `is_new` whether it is written now.

    Args:
        store: an open database, to which `theirs` is attached.
        parameters: those of all statements.
    """

    def __init__(self, store: Store, **parameters: Any) -> None:
        self._store = store
        self.parameters = parameters

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return self._store.rows(sql, self.parameters | parameters)

    def value(self, sql: str, **parameters: Any) -> Any:
        """Return the single value of a query."""
        ((value,),) = (row.values() for row in self.rows(sql, **parameters))
        return value

    def run(self, sql: str, **parameters: Any) -> None:
        """Execute a statement."""
        self._store.connection.execute(sql, self.parameters | parameters)

    def create(self, name: str, query: str) -> None:
        """Create a temporary table with the rows of a query."""
        # Parameters are not allowed in `create table … as`.
        none = self._store.connection.execute(f"select * from ({query}) limit 0", self.parameters)  # noqa: S608 - our own words
        columns = [
            f"{column[0]} integer primary key" if column[0] == "id" else column[0]
            for column in none.description
        ]
        self.run(f"create temp table {name} ({', '.join(columns)})")
        self.run(f"insert into temp.{name} {query}")

    def join(self, table: str, needed: str, known: str) -> None:
        """Create `temp.joined_TABLE`, with new ids for what is not here.

        Args:
            table: the name of the table.
            needed: a query for the ids in `theirs`.
            known: a query for the id here of the row `theirs`; null where it is new.
        """
        self.run(f"create temp table joined_{table} (source integer primary key, id integer, is_new integer)")
        self.run(
            f"""
            insert into temp.joined_{table} (source, is_new, id)
            select source, known is null as is_new, coalesce(
                       known, :last + row_number() over (partition by known is null order by source))
            from (select theirs.id as source, ({known}) as known from theirs.{table} as theirs
                  where theirs.id in ({needed}))
            """,  # noqa: S608 - our own words
            last=self._last(table),
        )

    def _last(self, table: str) -> int:
        return int(self.value(f"select coalesce(max(id), 0) from main.{table}"))  # noqa: S608 - our own names

    def insert(self, table: str, **values: str) -> None:
        """Insert the new rows of a table, in their order; see `_values`."""
        columns, found = self._values(table, {"id": "joined.id"} | values)
        self.run(
            f"""
            insert into main.{table} ({columns}) select {found} from temp.joined_{table} as joined
            cross join theirs.{table} as theirs on theirs.id = joined.source
            where joined.is_new order by joined.source
            """  # noqa: S608 - our own words
        )

    def insert_children(self, table: str, condition: str, **values: str) -> None:
        """Insert the rows of a table that meet a condition, none of which is here; see `_values`."""
        has_id = "id" in self._columns(table)
        own = {"id": ":last + row_number() over (order by theirs.id)"} if has_id else {}
        columns, found = self._values(table, own | values)
        self.run(
            f"""
            insert into main.{table} ({columns}) select {found} from theirs.{table} as theirs
            where {condition} {"order by theirs.id" if has_id else ""}
            """,  # noqa: S608 - our own words
            last=self._last(table) if has_id else 0,
        )

    def _values(self, table: str, values: dict[str, str]) -> tuple[str, str]:
        """Return the columns of a table, and an expression for each.

        That is its own in `values`; else the id here for what refers to a row, or the value there.
        """
        links = {row["from"]: row["table"] for row in self.rows(f"pragma main.foreign_key_list({table})")}
        found = {
            column: values.get(column)
            or (own(links[column], column) if column in links else f"theirs.{column}")
            for column in self._columns(table)
        }
        return ", ".join(found), ", ".join(found.values())

    def _columns(self, table: str) -> list[str]:
        return [row["name"] for row in self.rows(f"pragma main.table_info({table})")]


def own(table: str, column: str) -> str:
    """Return SQL: the id here of what a column of `theirs` refers to."""
    return f"(select id from temp.joined_{table} where source = theirs.{column})"  # noqa: S608 - our own words


def new(table: str) -> str:
    """Return SQL: the ids in `theirs` of the rows of a table that are new here."""
    return f"select source from temp.joined_{table} where is_new"  # noqa: S608 - our own words


def own_sighting(number: str) -> str:
    """Return SQL: the id here of a sighting of the scope of `theirs`; null where it is pruned."""
    return f"""(
        select ours.id from main.sightings as ours
        where ours.scope = {own("scopes", "scope")} and ours.source = {number})"""  # noqa: S608 - our own words
