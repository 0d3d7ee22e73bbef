"""Give what changed as an Atom feed: `.atom` beside Datasette's own `.csv` and `.json`.

Datasette loads this file by itself, also where nothing else of modelwatch is installed. All that comes from
a gateway is text here, and stays it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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


_NEEDS = {"at", "model"}


_SAME = ("at", "gateway", "model", "kind", "field", "change_id")


class _Refused(Response):  # type: ignore[misc]  # Datasette has no types
    """A refusal that stays one: 0.65 gives what is made of a stored query the status 200, whatever it was."""

    @property
    def status(self) -> int:
        """Give the status of a request that asks for what cannot be."""
        return 400

    @status.setter
    def status(self, _: int) -> None:
        pass


@hookimpl
def register_output_renderer() -> dict[str, Any]:
    """Offer `.atom` for whatever has a time and a model in each row."""
    return {"extension": "atom", "render": render, "can_render": can_render}


def can_render(columns: Sequence[str]) -> bool:
    """Say whether a feed can be made of rows with these columns."""
    return set(columns) >= _NEEDS


def render(
    datasette: Any,
    columns: Sequence[str],
    rows: Sequence[Any],
    query_name: str | None,
    database: str,
    table: str | None,
    request: Any,
) -> Response:
    """Make the feed: an entry for each row, in their order; rows that tell no change are refused."""
    if not can_render(columns):
        return _Refused("a feed needs the columns at and model", content_type="text/plain; charset=utf-8")
    values = [dict(zip(columns, row, strict=True)) for row in rows]
    # A removal is told when it is confirmed: many a model that is missing is soon back.
    values = [row for row in values if row.get("kind") != "missing"]
    here = datasette.absolute_url(request, request.full_path)
    feed = ET.Element("feed", xmlns=_ATOM)
    _text(feed, "title", f"modelwatch: {(table or query_name or 'query').replace('_', ' ')}")
    _text(feed, "id", here)
    _text(feed, "updated", max(map(_at, values), default=_NEVER))
    ET.SubElement(feed, "link", rel="self", href=here)
    _text(ET.SubElement(feed, "author"), "name", "modelwatch")
    for row in values:
        path = _path(datasette, database, row)
        _entry(feed, row, datasette.absolute_url(request, path) if path else here)
    body = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return Response(body, content_type="application/atom+xml; charset=utf-8")


def _path(datasette: Any, database: str, row: Mapping[str, Any]) -> str | None:
    """Find the page of what a row tells of: its change, else its model."""
    for column, table in (("change_id", "changes"), ("model_id", "models")):
        if isinstance(row.get(column), int):
            return str(datasette.urls.row(database, table, str(row[column])))
    return None


def _entry(feed: ET.Element, row: Mapping[str, Any], link: str) -> None:
    entry = ET.SubElement(feed, "entry")
    same = json.dumps([row.get(column) for column in _SAME], default=str)
    _text(entry, "id", f"urn:uuid:{uuid5(NAMESPACE_URL, same)}")
    _text(entry, "title", _title(row))
    _text(entry, "updated", _at(row))
    ET.SubElement(entry, "link", rel="alternate", href=link)
    told = [f"{name}: {value}" for name, value in row.items() if value is not None]
    _text(entry, "content", "\n".join(map(_plain, told)))


def _title(row: Mapping[str, Any]) -> str:
    what = [str(row[name]) for name in ("kind", "model", "field") if row.get(name) is not None]
    sides = [row.get("before"), row.get("after")]
    if sides != [None, None]:
        what.append(" → ".join("nothing" if side is None else str(side) for side in sides))
    title = " ".join(what)
    return title if len(title) <= _LONGEST else f"{title[:_LONGEST]}…"


def _at(row: Mapping[str, Any]) -> str:
    at = str(row["at"])
    return at if _TIME.fullmatch(at) else _NEVER


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = "\n".join(map(_plain, text.split("\n")))


def _plain(text: str) -> str:
    """Spell out what is not seen: controls, which XML forbids, and marks that turn the writing round."""
    return "".join(
        letter if letter.isprintable() or category(letter) == "Zs" else f"\\u{{{ord(letter):x}}}"
        for letter in text.replace("\n", " ")
    )
