"""The page of a row: the rows related to it, in sections."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datasette import hookimpl
from datasette.database import QueryInterrupted
from datasette.utils import tilde_decode

OURS = frozenset({"catalog", "change_log", "health"})
"""Views that identify a database of modelwatch."""

_FIRST = {"model": 0, "before": 1, "after": 2}
"""The places of the parents that stand before the others."""

SIDES = {"before", "after"}
"""Columns shown together or not at all; any other is shown unless it is empty in every row."""

KINDS = {"snapshots": "run", "sightings": "event of a scope"}
"""What a row of a table is, where that is not the name of the table without its s."""

_NAMES = {"sightings": "outcome"}
"""The column that names a row, where it is not `name`."""

_FACTS = (
    ("owner", "owned_by"),
    ("type", "type"),
    ("context", "context_length"),
    ("max output", "max_output"),
    ("input modalities", "input_modalities"),
    ("output modalities", "output_modalities"),
    ("features", "features"),
    ("endpoints", "endpoints"),
    ("stage", "lifecycle"),
    ("shutdown", "deprecated_at"),
    ("also named", "aliases"),
)
"""The facts of a model: of each the label, and the column of `records`."""

_LATEST = """
select records.* from records
left join listing_records on listing_records.record = records.id and listing_records.listing in (
    select distinct listing from scopes where asked and listing is not null)
where records.model = :id
order by listing_records.listing is null, records.id desc
"""
"""The records of a model: those that are offered now first, the newest of each before the others."""

_NUMBER = re.compile(r'"?-?\d+(\.\d+)?(e-?\d+)?"?')
_SPLIT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SCALE = re.compile(
    r"(?:^|[._])(?:currency|decimals|exponent|scale|units?)"
    r"(?:_(?!.*(?:price|cost|rate|amount|fee)s?$)[a-z0-9_]+)?$"
)
"""The name of a unit or currency; as in `start.py`."""

_LIMIT = re.compile(r"\nlimit (\d+)$")


class Section(NamedTuple):
    """A section of a page: its title, a note, a link to the full table (table?filter, or empty), and its SQL.

    A column `scopes#` has the id of a row in that table, and the next column its name.
    """

    title: str
    note: str
    link: str
    sql: str


_SHARED = {
    file.name: re.sub(r"^--.*\n", "", file.read_text("utf-8"), flags=re.MULTILINE).strip()
    for file in (Path(__file__).parent / "shared").glob("*.sql")
}
"""Parts of several statements, by file name."""


def whole(sql: str) -> str:
    """Return a statement with shared parts in place of `/* NAME.sql */`, or `/* NAME.sql: CONDITION */`."""
    while found := re.search(r"/\* (\w+\.sql)(?:: (.+?))? \*/", sql):
        part = _SHARED[found[1]].replace("/* condition */", found[2] or "")
        sql = sql.replace(found[0], part)
    return sql


def _sections(text: str) -> list[Section]:
    """Parse a file of sections; each begins with `-- ## title | note | link`, and `:id` is the row."""
    found = []
    for part in re.split(r"^-- ## ", whole(text), flags=re.MULTILINE)[1:]:
        heading, _, sql = part.partition("\n")
        title, note, link = (each.strip() for each in heading.split("|"))
        found.append(Section(title, note, link, sql.strip()))
    return found


_SECTIONS = {
    file.stem: _sections(file.read_text("utf-8")) for file in (Path(__file__).parent / "rows").glob("*.sql")
}


@hookimpl
def extra_template_vars(view_name: str, table: str | None, request: Any, datasette: Any) -> Any:
    """Add the name, the parents and the sections of a row in a database of modelwatch."""
    if view_name != "row" or table not in _SECTIONS:
        return {}

    async def found() -> dict[str, Any]:
        db = datasette.get_database(route=tilde_decode(request.url_vars["database"]))
        id_ = request.url_vars["pks"]
        if not id_.isdigit() or not set(await db.view_names()) >= OURS:
            return {}
        sections = [await _content(db, section, int(id_)) for section in _SECTIONS[table]]
        row = (await db.execute(f"select * from {table} where id = :id", {"id": int(id_)})).first()  # noqa: S608
        return {
            "modelwatch_database": db.name,
            "modelwatch_kind": KINDS.get(table, table.replace("_", " ").removesuffix("s")),
            "modelwatch_facts": await _facts(db, int(id_)) if table == "models" else [],
            "modelwatch_row": row["name"] if row and "name" in row.keys() else None,  # noqa: SIM118 - no mapping
            "modelwatch_parents": await _parents(db, table, row) if row else [],
            "modelwatch_sections": [each for each in sections if each["rows"] != []],
            "modelwatch_empty": [each["title"] for each in sections if each["rows"] == []],
        }

    return found


async def _facts(db: Any, model: int) -> list[tuple[str, str]]:
    """Return the facts of the newest record of a model that is offered now, else of its newest record."""
    try:
        row = (await db.execute(_LATEST, {"id": model})).first()
    except QueryInterrupted:
        return []
    return (
        []
        if row is None
        else [(label, _fact(row[name])) for label, name in _FACTS if row[name] not in (None, "[]")]
    )


def _fact(value: Any) -> str:
    """Return a fact as text: a number with thousands separators, a JSON array as words."""
    if isinstance(value, int):
        return f"{value:,}"
    try:
        listed = json.loads(value) if value.startswith("[") else None
    except ValueError:
        listed = None
    return ", ".join(map(str, listed)) if isinstance(listed, list) else str(value)


async def _parents(db: Any, table: str, row: Any) -> list[dict[str, Any]]:
    """Return the rows that a row refers to, with their names."""
    found = []
    for key in await db.foreign_keys_for_table(table):
        other, column = key["other_table"], key["column"]
        if row[column] is not None:
            name = _NAMES.get(other, "name")
            sql = f"select {name} as name from {other} where id = :id"  # noqa: S608 - our own names
            named = await db.execute(sql, {"id": row[column]})
            parent = {"column": column, "table": other, "id": row[column]}
            found += [{**parent, "name": each["name"]} for each in named.rows]
    return sorted(found, key=lambda each: _FIRST.get(each["column"], len(_FIRST)))


async def _content(db: Any, section: Section, id_: int) -> dict[str, Any]:
    """Return a section with its columns and rows; the rows are None after Datasette's time limit."""
    limit = _LIMIT.search(section.sql)
    content: dict[str, Any] = {
        "title": section.title,
        "note": section.note,
        "link": section.link.replace(":id", str(id_)),
        "most": int(limit[1]) if limit else None,
        "columns": [],
    }
    try:
        result = await db.execute(section.sql, {"id": id_})
    except QueryInterrupted:
        return {**content, "rows": None}
    columns = [column[0] for column in result.description]
    rows = [tuple(row) for row in result.rows]
    filled = {column for n, column in enumerate(columns) if any(row[n] is not None for row in rows)}
    if filled & SIDES:
        filled |= SIDES
    kept = [n for n, column in enumerate(columns) if column in filled or column.endswith("#")]
    numeric = {columns[n] for n in kept if _is_numeric([row[n] for row in rows if row[n] is not None])}
    scaled = _scaled(columns, rows) if filled & SIDES else set()
    return {
        **content,
        "columns": [*(columns[n] for n in kept), "scaled#"],
        "rows": [[*(row[n] for n in kept), place in scaled] for place, row in enumerate(rows)],
        "numeric": numeric,
    }


def _scaled(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> set[int]:
    """Return the places of rows of raw values in whose change a unit or currency changed too."""
    if not {"field", "currency#"} <= set(columns):
        return set()
    field, currency = columns.index("field"), columns.index("currency#")
    change = columns.index("changes#") if "changes#" in columns else None
    changes = [None if change is None else row[change] for row in rows]
    found = {
        which
        for which, row in zip(changes, rows, strict=True)
        if any(_SCALE.search(name) for name in _SPLIT.sub("_", row[field] or "").lower().split(","))
    }
    return {
        place
        for place, (which, row) in enumerate(zip(changes, rows, strict=True))
        if which in found and row[currency] is None
    }


def _is_numeric(values: list[Any]) -> bool:
    return bool(values) and all(_NUMBER.fullmatch(str(value)) for value in values)
