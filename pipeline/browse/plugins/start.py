"""The start page of Datasette: what changed lately, who is offered what, what needs somebody's attention."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.database import Database, QueryInterrupted
from datasette.utils.asgi import Response

Row = Mapping[str, Any]


OURS = frozenset({"catalog", "change_log", "health"})
"""Views by which a database is known to be one of modelwatch."""


WINDOWS = (7, 30, 90, 365)
"""Days that the page may look back; the first in which something changed, unless the reader says."""


KINDS = (
    ("removed", "removed", "kind=removed"),
    ("missing", "missing", "kind=missing"),
    ("dearer", "dearer", "class=price"),
    ("ends", "end announced", "class=lifecycle"),
    ("smaller", "limits lowered", "class=limits"),
    ("cheaper", "cheaper", "class=price"),
    ("returned", "returned", "kind=added"),
    ("added", "added", "kind=added"),
    ("larger", "limits raised", "class=limits"),
    ("changed", "changed", "class=capabilities"),
    ("edited", "other fields", "class__in=text,other,shape"),
)
"""Kinds of change, the weightiest first: as asked for, as told, and where all of them are in `change_log`."""


FINE = 400
"""Steps of a line in the chart above which each day keeps its last alone."""


_QUESTIONS = {file.stem: file.read_text("utf-8") for file in (Path(__file__).parent / "start").glob("*.sql")}


@hookimpl
def extra_template_vars(view_name: str, request: Any, datasette: Any) -> dict[str, Any]:
    """Give the start page a function that answers all its questions about the databases to be seen."""
    if view_name != "index" or request is None:
        return {}

    async def modelwatch(visible: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        names = [each["name"] for each in visible]
        ours = [name for name in names if set(await datasette.get_database(name).view_names()) >= OURS]
        wanted = request.args.get("database")
        chosen = wanted if wanted in ours else next(iter(ours), None)
        page: dict[str, Any] = {"ours": ours, "others": [n for n in names if n not in ours], "name": chosen}
        if chosen is not None:
            watched = (datasette.plugin_config("modelwatch") or {}).get("watch", [])
            page |= await _answers(datasette.get_database(chosen), request.args.get("days"), watched)
        return page

    return {"modelwatch": modelwatch}


@hookimpl
def register_routes() -> list[tuple[str, Callable[..., Any]]]:
    """Lead from the box on the start page to the models that it finds."""
    return [(r"^/-/modelwatch/find$", _find)]


async def _find(request: Any, datasette: Any) -> Response:
    """Search ids, owners and names of models for beginnings of words: Datasette's own finds whole ones."""
    words = str(request.args.get("q") or "").replace('"', " ").split()
    name = request.args.get("database")
    if name not in datasette.databases:
        return Response.text("There is no such database.", status=404)
    search = {"_search": " ".join(f'"{word}"*' for word in words), "_searchmode": "raw"} if words else {}
    address = str(datasette.urls.table(name, "models"))
    return Response.redirect(f"{address}?{urlencode(search)}" if search else address)


Ask = Callable[..., Awaitable[list[Row] | None]]


def _asking(db: Database, slow: list[str]) -> Ask:
    """Give what asks one question; one that takes longer than Datasette allows is named in `slow`."""

    async def ask(question: str, **values: Any) -> list[Row] | None:
        try:
            return [dict(row) for row in (await db.execute(_QUESTIONS[question], values)).rows]
        except QueryInterrupted:
            slow.append(question)
            return None

    return ask


async def _answers(db: Database, days: str | None, watched: Sequence[str]) -> dict[str, Any]:
    slow: list[str] = []
    ask = _asking(db, slow)
    (about,) = await ask("about") or [{}]
    page: dict[str, Any] = {"about": about, "slow": slow, "windows": WINDOWS}
    if not about.get("started_at"):
        return page
    until = datetime.fromisoformat(about["started_at"])
    latest = (await ask("latest") or [{"at": None}])[0]["at"]
    window = _window(days, until, latest)
    since = _before(until, window)
    lines = await ask("lines") or []
    return page | {
        "days": window,
        "since": since,
        "kinds": _kinds(await ask("lately", since=since, most=3, watched=_globs(watched))),
        "prices": await ask("prices", since=since, most=8),
        "chart": await _chart(ask, lines, about["started_at"]),
        "gateways": await _matrix(ask, lines),
        "troubles": await ask("troubles", most=6),
        "ends": await ask("ends", since=_before(until, 14)[:10], today=about["started_at"][:10], most=6),
    }


def _window(asked: str | None, until: datetime, latest: str | None) -> int:
    """Give the days to look back."""
    if asked and asked.isascii() and asked.isdigit() and 0 < int(asked) <= WINDOWS[-1]:
        return int(asked)
    if latest is None:
        return WINDOWS[0]
    quiet = (until - datetime.fromisoformat(latest)).days
    return next((days for days in WINDOWS if quiet < days), WINDOWS[-1])


def _before(until: datetime, days: int) -> str:
    return (until.astimezone(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _globs(watched: Sequence[str]) -> str:
    """Write the globs of the config as SQLite knows them."""
    return json.dumps([word.replace("[!", "[^") for word in watched])


def _kinds(rows: Iterable[Row] | None) -> list[dict[str, Any]] | None:
    """Give the rows by kind, the weightiest first; those of watched models before all others."""
    if rows is None:
        return None
    found: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        key = row["word"], row["watched"]
        found.setdefault(key, []).append({**row, "fields": json.loads(row["fields"])})
    return [
        {
            "kind": kind,
            "word": f"urgent: {word}" if watched else word,
            "filter": where,
            "many": found[kind, watched][0]["alike"],
            "rows": found[kind, watched],
        }
        for watched in (1, 0)
        for kind, word, where in KINDS
        if (kind, watched) in found
    ]


async def _chart(ask: Ask, lines: Sequence[Row], until: str) -> list[dict[str, Any]] | None:
    """Give the lengths of lists over time, each line from its first day to the last run."""
    scopes = json.dumps([line["scope"] for line in lines])
    sizes = await ask("sizes", scopes=scopes, precision=20)
    if sizes is not None and len(sizes) > FINE:
        sizes = await ask("sizes", scopes=scopes, precision=10)
    if sizes is None:
        return None
    chart = []
    for line in lines:
        points = [(row["at"], row["models"]) for row in sizes if row["scope"] == line["scope"]]
        chart.append({**line, "label": _label(line), "points": [*points, (until, line["models"])]})
    return chart


def _label(line: Row) -> str:
    return str(line["name"]) + (f" +{line['scopes'] - 1:,}" if line["scopes"] > 1 else "")


async def _matrix(ask: Ask, lines: Sequence[Row]) -> list[dict[str, Any]] | None:
    """Give each gateway with several lists: these, and the models that only some of them have."""
    by_gateway: dict[str, list[Row]] = {}
    for line in lines:
        by_gateway.setdefault(line["gateway"], []).append({**line, "label": _label(line)})
    several = {gateway: lists for gateway, lists in by_gateway.items() if len(lists) > 1}
    asked = [
        {"listing": line["listing"], "gateway": gateway} for gateway in several for line in several[gateway]
    ]
    rows = await ask("seen", lists=json.dumps(asked), most=10)
    if rows is None:
        return None
    return [
        {
            "name": gateway,
            "lists": lists,
            "rows": [
                {**row, "listings": json.loads(row["listings"])} for row in rows if row["gateway"] == gateway
            ],
        }
        for gateway, lists in several.items()
    ]
