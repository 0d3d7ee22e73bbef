"""What stands on the page of one row: its neighbours, each in words and with a link."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from datasette import hookimpl
from datasette.database import QueryInterrupted

OURS = frozenset({"catalog", "change_log", "health"})
"""Views by which a database is known to be one of modelwatch."""


class Section(NamedTuple):
    """A question about one row: what it is called, what it says, where all of it is, and its SQL."""

    title: str
    why: str
    link: str
    sql: str


def _sections(text: str) -> list[Section]:
    """Read a file of questions: each begins with `-- ## title | why | table?filter`, and `:id` is the row."""
    found = []
    for part in re.split(r"^-- ## ", text, flags=re.MULTILINE)[1:]:
        heading, _, sql = part.partition("\n")
        title, why, link = (each.strip() for each in heading.split("|"))
        found.append(Section(title, why, link, sql.strip()))
    return found


_SECTIONS = {
    file.stem: _sections(file.read_text("utf-8")) for file in (Path(__file__).parent / "rows").glob("*.sql")
}


@hookimpl
def extra_template_vars(view_name: str, table: str | None, request: Any, datasette: Any) -> Any:
    """Give the page of a row of ours its neighbours: for each question the columns and rows of its answer."""
    if view_name != "row" or table not in _SECTIONS:
        return {}

    async def found() -> dict[str, Any]:
        db = datasette.get_database(route=_decoded(request.url_vars["database"]))
        id_ = request.url_vars["pks"]
        if not id_.isdigit() or not set(await db.view_names()) >= OURS:
            return {}
        sections = [await _answer(db, section, int(id_)) for section in _SECTIONS[table]]
        return {"modelwatch_name": db.name, "modelwatch_sections": sections}

    return found


def _decoded(route: str) -> str:
    from datasette.utils import tilde_decode

    return str(tilde_decode(route))


async def _answer(db: Any, section: Section, id_: int) -> dict[str, Any]:
    link = section.link.replace(":id", str(id_))
    answer: dict[str, Any] = {"title": section.title, "why": section.why, "link": link, "columns": []}
    try:
        result = await db.execute(section.sql, {"id": id_})
    except QueryInterrupted:
        return {**answer, "rows": None}
    columns = [column[0] for column in result.description]
    rows = [tuple(row) for row in result.rows]
    kept = [
        n for n, column in enumerate(columns) if column.endswith("#") or any(row[n] is not None for row in rows)
    ]
    return {
        **answer,
        "columns": [columns[n] for n in kept],
        "rows": [[row[n] for n in kept] for row in rows],
    }
