"""The tables of a database, and the columns that their indexes begin with."""

from __future__ import annotations

from pipeline.store import Store

TABLES = """
    select name from pragma_table_list
    where schema = 'main' and type = 'table' and substr(name, 1, 1) <> '_' and name not like 'sqlite%'
    order by name
"""


def tables(store: Store) -> list[str]:
    """Return the names of our tables."""
    return [row["name"] for row in store.rows(TABLES)]


def first_columns(store: Store, table: str) -> set[str]:
    """Return the columns that an index of a table begins with."""
    return {
        row["name"]
        for row in store.rows(
            "select info.name from pragma_index_list(:table) as list, pragma_index_info(list.name) as info "
            "where info.seqno = 0",
            {"table": table},
        )
    }
