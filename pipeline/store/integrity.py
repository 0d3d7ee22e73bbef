"""What the database is made of: its schema, its texts, and the pages of its search index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

from pipeline.errors import StoreError
from pipeline.store.database import Store, store_errors
from pipeline.store.search import SEARCH

SEARCH_TABLE = "models_fts"

_CREATE = next(each for each in SEARCH if each.startswith("create virtual table"))

_SHADOWS = tuple(f"{SEARCH_TABLE}_{part}" for part in ("config", "content", "data", "docsize", "idx"))
"""The tables that hold the index: https://www.sqlite.org/fts5.html#fts5_data_structures"""

_SPACE = re.compile(r"\s+")


class SchemaPart(NamedTuple):
    """An index, view or trigger; `sql` creates it."""

    kind: str
    name: str
    sql: str


def changed_tables(store: Store) -> dict[str, str]:
    """Return what is wrong with the columns of tables, by table."""
    with Store.open(None) as new:
        wanted, found = _columns(new), _columns(store)
    problems = {}
    for table, columns in wanted.items():
        if table not in found:
            problems[table] = "it is missing"
        elif found[table] != columns:
            names = sorted({str(column[0]) for column in set(columns) ^ set(found[table])})
            problems[table] = f"its columns differ from those of this release: {', '.join(names)}"
    return problems


def _columns(store: Store) -> dict[str, list[tuple[object, ...]]]:
    rows = store.stream(
        """
        select tables.name, columns.name, columns.type, columns."notnull", columns.pk
        from sqlite_master as tables, pragma_table_xinfo(tables.name) as columns
        where tables.type = 'table' and tables.name not like 'sqlite!_%' escape '!'
        and tables.name not like 'models!_fts%' escape '!'
        order by tables.name, columns.cid
        """
    )
    found: dict[str, list[tuple[object, ...]]] = {}
    for table, *column in rows:
        found.setdefault(table, []).append(tuple(column))
    return found


def changed_parts(store: Store) -> Iterator[tuple[SchemaPart, SchemaPart | None]]:
    """Yield indexes, views and triggers that are missing or differ: as they should be, and as they are.

    Indexes and views of others are left alone. Other triggers are included, without SQL that creates them:
    they change what is written.
    """
    with Store.open(None) as new:
        wanted, found = _parts(new), _parts(store)
    for name, part in wanted.items():
        own = found.get(name)
        if own is None or (own.kind, _SPACE.sub(" ", own.sql)) != (part.kind, _SPACE.sub(" ", part.sql)):
            yield part, own
    for name, own in found.items():
        if own.kind == "trigger" and name not in wanted:
            yield own._replace(sql=""), own


def _parts(store: Store) -> dict[str, SchemaPart]:
    rows = store.stream(
        "select type, name, sql from sqlite_master where type in ('index', 'view', 'trigger')"
        " and sql is not null and name not like '!_%' escape '!' order by type desc, name"
    )
    return {name: SchemaPart(kind, name, sql) for kind, name, sql in rows}


def undecodable_rows(store: Store) -> Iterator[tuple[str, int | None]]:
    """Yield each row with a text that is not UTF-8, or a schema that is none: table and id, where it has one.

    Bodies of records are left out: their digests are checked.
    """
    for table, columns in _text_columns(store).items():
        try:
            for _ in store.stream(f"select {', '.join(columns)} from {table}"):  # noqa: S608 - our own names
                pass
        except StoreError:
            yield from _undecodable_rows(store, table, columns)


def _text_columns(store: Store) -> dict[str, list[str]]:
    rows = store.stream(
        """
        select tables.name, columns.name
        from sqlite_master as tables, pragma_table_info(tables.name) as columns
        where tables.type = 'table' and columns.type = 'TEXT'
        and tables.name not like 'models!_fts%' escape '!'
        and not (tables.name = 'records' and columns.name = 'body')
        """
    )
    found: dict[str, list[str]] = {}
    for table, column in rows:
        found.setdefault(table, []).append(column)
    return found


def _undecodable_rows(store: Store, table: str, columns: list[str]) -> Iterator[tuple[str, int | None]]:
    has_id = any(name == "id" for (name,) in store.stream(f"select name from pragma_table_info('{table}')"))  # noqa: S608 - our own names
    blobs = ", ".join(f"cast({column} as blob)" for column in columns)
    for number, *values in store.stream(f"select {'id' if has_id else 'null'}, {blobs} from {table}"):  # noqa: S608 - our own names
        if any(value is not None and not _is_utf8(value) for value in values):
            yield table, number


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def index_fault(store: Store) -> str | None:
    """Return what is wrong with the pages of the search index; None if nothing is.

    SQLite checks an index by a statement that needs to write, so a copy of the index in memory is checked:
    https://www.sqlite.org/fts5.html#the_integrity_check_command
    """
    with closing(sqlite3.connect(":memory:")) as copy, closing(sqlite3.connect(":memory:")) as checked:
        copy.execute(_CREATE)
        try:
            with store_errors(store.path):
                for table in _SHADOWS:
                    _replace_rows(copy, table, store.stream(f"select * from {table}"))  # noqa: S608 - our own names
                copy.commit()
                # A connection that has read the index keeps its structure, so another one checks it.
                copy.backup(checked)
                checked.execute(f"insert into {SEARCH_TABLE} ({SEARCH_TABLE}) values ('integrity-check')")  # noqa: S608 - our own names
        except StoreError as error:
            return str(error.__cause__)
    return None


def empty_index(store: Store) -> None:
    """Empty the search index, whatever its pages hold; must run inside a transaction.

    SQLite cannot drop an index whose pages it cannot read, so those of an empty one are written into it.
    """
    if not store.rows(f"select 1 from sqlite_master where name = '{SEARCH_TABLE}'"):  # noqa: S608 - our own names
        store.connection.execute(_CREATE)
        return
    with Store.open(None) as new:
        for table in _SHADOWS:
            ((create,),) = new.stream("select sql from sqlite_master where name = :name", {"name": table})
            if not store.rows("select 1 from sqlite_master where name = :name", {"name": table}):
                store.connection.execute(create)
            _replace_rows(store.connection, table, new.stream(f"select * from {table}"))  # noqa: S608 - our own names


def _replace_rows(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    connection.execute(f"delete from {table}")  # noqa: S608 - our own names
    for row in rows:
        connection.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)  # noqa: S608 - our own names
