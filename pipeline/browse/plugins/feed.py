"""Atom feeds of changes: `.atom` beside Datasette's own `.csv` and `.json`.

Datasette loads this file by its path, also where modelwatch is not installed. Text from a gateway stays text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from unicodedata import category
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as ET

from datasette import hookimpl
from datasette.utils.asgi import Response

_ATOM = "http://www.w3.org/2005/Atom"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NEVER = "1970-01-01T00:00:00Z"
_LONGEST = 200
_NUMBER = re.compile(r'("?)-?\d+(\.\d+)?([eE][+-]?\d{1,9})?\1', re.ASCII)
_DIGITS = 30

_REQUIRED = {"at", "model"}
_IDENTITY = ("at", "gateway", "model", "kind", "field", "change_id")


class _BadRequest(Response):  # type: ignore[misc]  # Datasette has no types
    """A response whose status stays 400, though Datasette 0.65 sets 200 for every stored query."""

    @property
    def status(self) -> int:
        """The status 400."""
        return 400

    @status.setter
    def status(self, _: int) -> None:
        pass


@hookimpl
def register_output_renderer() -> dict[str, Any]:
    """Register `.atom` for tables, views and queries with a time and a model in each row."""
    return {"extension": "atom", "render": render, "can_render": can_render}


def can_render(columns: Sequence[str]) -> bool:
    """Return whether rows with these columns can be a feed."""
    return set(columns) >= _REQUIRED


def render(
    datasette: Any,
    columns: Sequence[str],
    rows: Sequence[Any],
    query_name: str | None,
    database: str,
    table: str | None,
    request: Any,
) -> Response:
    """Return a feed with an entry for each row, in their order, or 400 for rows that are no changes."""
    if not can_render(columns):
        return _BadRequest("a feed needs the columns at and model", content_type="text/plain; charset=utf-8")
    values = [dict(zip(columns, row, strict=True)) for row in rows]
    # Removals have an entry once they are confirmed; many missing models return soon.
    values = [row for row in values if row.get("kind") != "missing"]
    here = datasette.absolute_url(request, request.full_path)
    feed = ET.Element("feed", xmlns=_ATOM)
    _add_text(feed, "title", f"modelwatch: {(table or query_name or 'query').replace('_', ' ')}")
    _add_text(feed, "id", here)
    _add_text(feed, "updated", max(map(_at, values), default=_NEVER))
    ET.SubElement(feed, "link", rel="self", href=here)
    _add_text(ET.SubElement(feed, "author"), "name", "modelwatch")
    for row in values:
        path = _path(datasette, database, row)
        _add_entry(feed, row, datasette.absolute_url(request, path) if path else here)
    body = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return Response(body, content_type="application/atom+xml; charset=utf-8")


def _path(datasette: Any, database: str, row: Mapping[str, Any]) -> str | None:
    """Return the path of the row's change, else of its model."""
    for column, table in (("change_id", "changes"), ("model_id", "models")):
        if isinstance(row.get(column), int):
            return str(datasette.urls.row(database, table, str(row[column])))
    return None


def _add_entry(feed: ET.Element, row: Mapping[str, Any], link: str) -> None:
    entry = ET.SubElement(feed, "entry")
    identity = json.dumps([row.get(column) for column in _IDENTITY], default=str)
    _add_text(entry, "id", f"urn:uuid:{uuid5(NAMESPACE_URL, identity)}")
    _add_text(entry, "title", title_of(row))
    _add_text(entry, "updated", _at(row))
    ET.SubElement(entry, "link", rel="alternate", href=link)
    lines = [f"{name}: {value}" for name, value in row.items() if value is not None]
    _add_text(entry, "content", "\n".join(map(_escaped, lines)))


def title_of(row: Mapping[str, Any]) -> str:
    """Return the title of the entry for a row."""
    parts = [str(row[name]) for name in ("kind", "model", "field") if row.get(name) is not None]
    sides = [row.get("before"), row.get("after")]
    if sides != [None, None]:
        plain = [_side(side) for side in sides]
        shown = plain if plain[0] != plain[1] else map(str, sides)
        parts.append(" → ".join(shown))
    title = " ".join(parts)
    return title if len(title) <= _LONGEST else f"{title[:_LONGEST]}…"


def _side(value: Any) -> str:
    """Return one side of a change; a number, also one in quotes, without quotes and exponent."""
    if value is None:
        return "nothing"
    text = str(value)
    if not _NUMBER.fullmatch(text):
        return text
    number = Decimal(text.strip('"'))
    return f"{number:f}" if abs(number.adjusted()) < _DIGITS else text


def _at(row: Mapping[str, Any]) -> str:
    at = str(row["at"])
    return at if _TIME.fullmatch(at) else _NEVER


def _add_text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = "\n".join(map(_escaped, text.split("\n")))


def _escaped(text: str) -> str:
    """Return a line with control characters, which XML forbids, and invisible characters as escapes."""
    return "".join(
        letter if letter.isprintable() or category(letter) == "Zs" else f"\\u{{{ord(letter):x}}}"
        for letter in text.replace("\n", " ")
    )
