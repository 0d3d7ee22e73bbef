"""The start page of Datasette: recent changes, price changes, failing scopes and the models of each scope."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from datasette import __version__, hookimpl
from datasette.database import Database, QueryInterrupted
from datasette.utils.asgi import Response

Row = Mapping[str, Any]
Ask = Callable[..., Awaitable[list[Row] | None]]

OURS = frozenset({"catalog", "change_log", "health"})
"""Views that identify a database of modelwatch."""

WINDOWS = (7, 30, 90, 365)
"""The windows in days; by default the shortest with a change."""

CATEGORIES = (
    ("removed", "removed", "kind=removed"),
    ("missing", "missing", "kind=missing"),
    ("price_increase", "price increase", "class=price"),
    ("shutdown", "shutdown date", "class=lifecycle"),
    ("lower_limits", "lower limits", "class=limits"),
    ("lost_capabilities", "lost capabilities", "class=capabilities"),
    ("price_decrease", "price decrease", "class=price"),
    ("returned", "returned", "kind=added"),
    ("added", "added", "kind=added"),
    ("higher_limits", "higher limits", "class=limits"),
    ("changed", "changed", "class=capabilities"),
    ("other", "other fields", "class__in=text,counters,other,shape"),
)
"""Categories of changes, the most severe first: in SQL, on the page, and as a filter of `change_log`."""

MOST_POINTS = 400
"""Points of the chart above which only the last of each day is drawn."""

MOST_KEPT = 8
"""The pages that are kept: each is made of queries over all changes of its window."""

_kept: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}

_FILES = {file.stem: file.read_text("utf-8") for file in (Path(__file__).parent / "start").glob("*.sql")}
_EVENTS = _FILES.pop("events").rstrip()

QUERIES = {name: text.replace("/* events.sql */", _EVENTS) for name, text in _FILES.items()}
"""The queries of the page, by the names of their files."""


@hookimpl
def prepare_connection(conn: Any) -> None:
    """Add the SQL functions `is_lost(before, after)` and `is_scale(field)`."""
    conn.create_function("is_lost", 2, is_lost, deterministic=True)
    conn.create_function("is_scale", 1, is_scale, deterministic=True)


_SCALE = re.compile(
    r"(?:^|[._])(?:currency|decimals|exponent|scale|units?)"
    r"(?:_(?!.*(?:price|cost|rate|amount|fee)s?$)[a-z0-9_]+)?$"
)


def is_scale(field: str) -> bool:
    """Return whether a field is the unit or currency of the amounts beside it; after `core/prices.py`."""
    return _SCALE.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field).lower()) is not None


def is_lost(before: str | None, after: str | None) -> bool:
    """Return whether a capability is lost; a copy of the rule in `core/impact.py`.

    Args:
        before: the value of a field: JSON, or a text.
        after: the value after a change; None where the field is absent, as before it.
    """
    old, new = _parse(before), _parse(after)
    is_list = not isinstance(old, str) or "," in old
    return is_list and not _capabilities(old) <= _capabilities(new)


def _parse(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text


def _capabilities(value: Any) -> set[str]:
    match value:
        case list() | dict():
            found = [each if isinstance(each, str) else json.dumps(each, sort_keys=True) for each in value]
        case str():
            found = [part.strip() for part in value.split(",")]
        case True:
            found = ["yes"]
        case _:
            found = []
    return {each for each in found if each and " " not in each}


@hookimpl
def extra_template_vars(view_name: str, request: Any, datasette: Any) -> dict[str, Any]:
    """Add the function `modelwatch(databases)`, which returns the content of the start page."""
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
            page |= await _kept_page(datasette.get_database(chosen), request.args.get("days"), watched)
        return page

    return {"modelwatch": modelwatch}


@hookimpl
def register_routes(datasette: Any) -> list[tuple[str, Callable[..., Any]]]:
    """Register the search; with Datasette 0.65 also the start page, whose own view counts every table."""
    start = [] if hasattr(datasette, "allowed") else [(r"^/$", _start)]
    return [*start, (r"^/-/modelwatch/find$", _find)]


async def _start(request: Any, datasette: Any) -> Response:
    await datasette.ensure_permissions(request.actor, ["view-instance"])
    visible = []
    for name in datasette.databases:
        permissions = [("view-database", name), "view-instance"]
        is_visible, _ = await datasette.check_visibility(request.actor, permissions=permissions)
        if is_visible and name != "_internal":
            visible.append({"name": name})
    context = {"databases": visible, "metadata": datasette.metadata(), "datasette_version": __version__}
    page = await datasette.render_template("index.html", context, request=request, view_name="index")
    return Response.html(page)


async def _find(request: Any, datasette: Any) -> Response:
    """Redirect to the models that match; unlike Datasette's search, it also finds beginnings of words."""
    words = str(request.args.get("q") or "").replace('"', " ").split()
    name = request.args.get("database")
    if name not in datasette.databases:
        return Response.text("There is no such database.", status=404)
    search = {"_search": " ".join(f'"{word}"*' for word in words), "_searchmode": "raw"} if words else {}
    address = str(datasette.urls.table(name, "models"))
    return Response.redirect(f"{address}?{urlencode(search)}" if search else address)


async def _kept_page(db: Database, days: str | None, watched: Sequence[str]) -> dict[str, Any]:
    """Return the content of the page, made again once the database has changed."""
    stamp = _stamp(db.path)
    key = str(db.path), days, tuple(watched)
    if stamp is not None and key in _kept and _kept[key][0] == stamp:
        return _kept[key][1]
    page = await _page(db, days, watched)
    if stamp is not None and None not in page.values():
        while len(_kept) >= MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = (stamp, page)
    return page


def _stamp(path: str | None) -> Any:
    """Return what changes with each commit: time and size of the database and its log; None in memory."""
    if path is None:
        return None
    found: list[tuple[int, int] | None] = []
    for name in (path, f"{path}-wal"):
        try:
            state = os.stat(name)  # noqa: PTH116 - a path of Datasette, which is a text
        except OSError:
            found.append(None)
        else:
            found.append((state.st_mtime_ns, state.st_size))
    return tuple(found)


async def _page(db: Database, days: str | None, watched: Sequence[str]) -> dict[str, Any]:
    ask = _asking(db)
    (summary,) = await ask("summary") or [{}]
    page: dict[str, Any] = {"summary": summary, "windows": WINDOWS}
    if not summary.get("started_at"):
        return page
    until = datetime.fromisoformat(summary["started_at"])
    last_change = (await ask("last_change") or [{"at": None}])[0]["at"]
    window = _window(days, until, last_change)
    since = _before(until, window)
    listings = await ask("listings") or []
    today = summary["started_at"][:10]
    return page | {
        "days": window,
        "since": since,
        "categories": _categories(await ask("changes", since=since, most=3, watched=_globs(watched))),
        "watched": await ask("watched", watched=_globs(watched), most=10) if watched else [],
        "prices": await ask("prices", since=since, most=8),
        "chart": await _chart(ask, listings, summary["started_at"]),
        "gateways": await _matrix(ask, listings),
        "problems": await ask("problems", most=6),
        "shutdowns": await ask("shutdowns", since=_before(until, 14)[:10], today=today, most=6),
    }


def _asking(db: Database) -> Ask:
    """Return a function that runs a query by its name; its result is None after Datasette's time limit."""

    async def ask(name: str, **values: Any) -> list[Row] | None:
        try:
            return [dict(row) for row in (await db.execute(QUERIES[name], values)).rows]
        except QueryInterrupted:
            return None

    return ask


def _window(asked: str | None, until: datetime, last_change: str | None) -> int:
    """Return the window in days: the one asked for, else the shortest with a change."""
    if asked and asked.isascii() and asked.isdigit() and 0 < int(asked) <= WINDOWS[-1]:
        return int(asked)
    if last_change is None:
        return WINDOWS[0]
    quiet = (until - datetime.fromisoformat(last_change)).days
    return next((days for days in WINDOWS if quiet < days), WINDOWS[-1])


def _before(until: datetime, days: int) -> str:
    return (until.astimezone(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _globs(watched: Sequence[str]) -> str:
    """Return the globs of the config in SQLite's syntax, as a JSON array."""
    return json.dumps([word.replace("[!", "[^") for word in watched])


def _categories(rows: Iterable[Row] | None) -> list[dict[str, Any]] | None:
    """Return the changes by category, the most severe first, those of watched models before all others."""
    if rows is None:
        return None
    found: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        key = row["category"], row["watched"]
        found.setdefault(key, []).append({**row, "fields": json.loads(row["fields"])})
    return [
        {
            "name": name,
            "label": f"urgent: {label}" if watched else label,
            "filter": where,
            "total": found[name, watched][0]["total"],
            "rows": found[name, watched],
        }
        for watched in (1, 0)
        for name, label, where in CATEGORIES
        if (name, watched) in found
    ]


async def _chart(ask: Ask, listings: Sequence[Row], until: str) -> list[dict[str, Any]] | None:
    """Return the sizes of listings over time, each line from its first listing to the last run."""
    scopes = json.dumps([line["scope"] for line in listings])
    sizes = await ask("sizes", scopes=scopes, precision=len("2026-05-01T08:00:00Z"))
    if sizes is not None and len(sizes) > MOST_POINTS:
        sizes = await ask("sizes", scopes=scopes, precision=len("2026-05-01"))
    if sizes is None:
        return None
    chart = []
    for line in listings:
        points = [(row["at"], row["models"]) for row in sizes if row["scope"] == line["scope"]]
        chart.append({**line, "label": _label(line), "points": [*points, (until, line["models"])]})
    return chart


async def _matrix(ask: Ask, listings: Sequence[Row]) -> list[dict[str, Any]] | None:
    """Return each gateway with several listings: these, and the models that only some of them have."""
    by_gateway: dict[str, list[Row]] = {}
    for line in listings:
        by_gateway.setdefault(line["gateway"], []).append({**line, "label": _label(line)})
    several = {gateway: columns for gateway, columns in by_gateway.items() if len(columns) > 1}
    columns = [
        {"listing": line["listing"], "gateway": gateway} for gateway in several for line in several[gateway]
    ]
    rows = await ask("matrix", listings=json.dumps(columns), most=10)
    if rows is None:
        return None
    return [
        {
            "name": gateway,
            "listings": several[gateway],
            "rows": [
                {**row, "listings": json.loads(row["listings"])} for row in rows if row["gateway"] == gateway
            ],
        }
        for gateway in several
    ]


def _label(line: Row) -> str:
    return str(line["name"]) + (f" +{line['scopes'] - 1:,}" if line["scopes"] > 1 else "")
