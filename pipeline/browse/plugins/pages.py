"""The header of every page, and the forms of stored queries."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.database import Database, QueryInterrupted

Row = Mapping[str, Any]

OURS = frozenset({"catalog", "change_log", "health"})
"""Views that identify a database of modelwatch."""

PLACES = (
    ("offers", "Models", "offers", "The models that are offered now, with their prices"),
    ("changes", "Changes", "what_changed", "What changed, the newest first"),
    ("prices", "Prices", "cheapest", "The cheapest models for a need"),
    ("compare", "Compare", "compare", "The differences of two scopes, or of two days"),
    ("matrix", "Matrix", "matrix", "Models and the scopes they are offered to"),
    ("health", "Scopes", "health", "The state of each scope"),
    ("all", "More", "", "All questions, tables and views"),
)
"""The navigation: of each place a key, a label, the table or query (empty for all of them), and a title."""

COLUMNS = {
    "offers": "?"
    + urlencode(
        [
            ("_col", name)
            for name in (
                "model",
                "gateway",
                "scopes",
                "owned_by",
                "type",
                "context_length",
                "max_output",
                "input_usd_per_1m",
                "output_usd_per_1m",
                "input_modalities",
                "output_modalities",
                "features",
                "deprecated_at",
                "model_id",
            )
        ]
    ),
}
"""The columns that a place shows of a wide view; links need those of ids."""

WORDS = {
    "at": "time",
    "group_name": "group",
    "owned_by": "owner",
    "context_length": "context",
    "input_usd_per_1m": "input $/1M",
    "output_usd_per_1m": "output $/1M",
    "cache_read_usd_per_1m": "cache read $/1M",
    "cache_write_usd_per_1m": "cache write $/1M",
    "input_and_output_usd_per_1m": "input + output $/1M",
    "usd_per_call": "$ per call",
    "price_source": "price is",
    "input_modalities": "input",
    "output_modalities": "output",
    "deprecated_at": "shutdown",
    "scope_names": "which",
    "offered_to": "which",
    "of_scopes": "of",
    "since": "missing since",
    "first": "in the first list",
    "second": "in the second list",
    "lost_at": "missing from",
    "returned_at": "until",
    "away_days": "days",
    "percent_answered": "answered %",
}
"""The headings of columns that differ from their names."""

DATES = frozenset({"since", "until", "at", "other_at"})
MOST_OPTIONS = 60
"""Options above which a drop-down, which would be hard to use, is a text field that proposes them."""

MOST_PROPOSED = 1500
"""Names above which a text field proposes none."""

LABELS = {
    "since": "From",
    "until": "Before",
    "scope": "Scope",
    "other_scope": "Compared with",
    "at": "As of",
    "other_at": "As of",
    "class": "What changed",
    "model": "Model",
    "features": "Capability",
    "context_length": "Context, at least",
    "input_modality": "Input",
    "output_modality": "Output",
    "gateway": "Gateway",
    "not_seen_by": "But not to",
}
"""The labels of the parameters of stored queries."""

CLASSES = (
    ("price", "prices"),
    ("limits", "limits"),
    ("capabilities", "capabilities"),
    ("lifecycle", "shutdown dates and stages"),
    ("text", "texts"),
    ("counters", "counters"),
    ("other", "other fields"),
    ("shape", "fields that most models gained or lost"),
)

LENGTHS = (
    *((str(size * 1000), f"{size}k tokens") for size in (8, 32, 64, 128, 200, 400)),
    ("1000000", "1M tokens"),
)

_OFFERED = """
select distinct each.value as name from records, json_each(records.{column}) as each
where records.id in (select record from listing_records where listing in (
    select distinct listing from scopes where asked and not lists_groups))
and json_valid(records.{column}) and each.type = 'text' order by 1
"""

NAMES = {
    "scope": """
        select name || '/*' as name, 'all of ' || name as label, 0 as place from gateways
        where (select count(*) from scopes where gateway = gateways.id and not lists_groups) > 1
        union all select name, name, 1 from scopes where not lists_groups order by 3, 1""",
    "other_scope": "select name, name as label from scopes where not lists_groups order by 1",
    "gateway": "select name, name as label from gateways order by 1",
    "model": """
        select name, name as label from models where id in (select model from records where id in (
            select record from listing_records where listing in (
                select distinct listing from scopes where asked and not lists_groups))) order by 1""",
    "features": _OFFERED.format(column="features"),
    "input_modality": _OFFERED.format(column="input_modalities"),
    "output_modality": _OFFERED.format(column="output_modalities"),
}
"""The names of drop-downs, by parameter: the value and its label."""

SAME = {"not_seen_by": "scope"}
"""Parameters with the names of another."""

ONE_SCOPE = frozenset({"compare"})
"""Queries whose scope is one, not a pattern."""

OPEN = frozenset({"compare", "cheapest"})
"""Queries whose form is shown at first, since their answer without a choice is only an example."""

_kept: dict[tuple[str, str], tuple[Any, list[tuple[str, str]]]] = {}


class Field(NamedTuple):
    """A field of a form: its kind is date, select, proposed (a text with proposals) or text."""

    name: str
    label: str
    kind: str
    value: str
    options: Sequence[tuple[str, str]]
    empty: str = "any"


EMPTY = {
    ("compare", "scope"): "most shared list",
    ("compare", "other_scope"): "another list",
    ("what_changed", "class"): "all but fields of most models",
}
"""The labels of no choice, by query and parameter, where it is not any."""

DEFAULTS = {
    "what_changed": "the 7 days before the last run",
    "lost_and_returned": "the 90 days before the last run",
    "coverage_by_day": "the 30 days before the last run",
}
"""What a query shows where nothing is chosen, if it is not everything."""

UNCOUNTED = frozenset({"catalog", "change_log", "changed_fields", "price_changes", "price_history"})
"""Views whose rows are not counted on their pages: these are made of all scopes, or of all changes."""

_NAMED = ",\n-- The page reads the names of both lists"
"""Where the part of the comparison's SQL ends that names its two lists."""

Message = MutableMapping[str, Any]
App = Callable[[Message, Any, Any], Awaitable[None]]


@hookimpl
def asgi_wrapper() -> Callable[[App], App]:
    """Ask for the pages of some views without the number of rows."""

    def wrapped(app: App) -> App:
        async def serve(scope: Message, receive: Any, send: Any) -> None:
            query = scope.get("query_string", b"")
            is_page = scope["type"] == "http" and scope["path"].count("/") > 1
            if is_page and b"_nocount" not in query and scope["path"].rpartition("/")[2] in UNCOUNTED:
                scope = {**scope, "query_string": b"&".join(filter(None, (query, b"_nocount=1")))}
            await app(scope, receive, send)

        return serve

    return wrapped


@hookimpl
def extra_template_vars(
    template: str | None, database: str | None, table: str | None, request: Any, datasette: Any
) -> Any:
    """Add the navigation to every page, and the form of a stored query."""

    async def found() -> dict[str, Any]:
        values: dict[str, Any] = {"modelwatch_places": lambda name: _places(datasette, name)}
        if not database or not await _is_ours(datasette, database):
            return values
        db = datasette.get_database(database)

        async def form(name: str, given: Mapping[str, str]) -> list[Field]:
            fields = [await _field(db, name, each, value) for each, value in given.items()]
            return [each._replace(empty=EMPTY.get((name, each.name), "any")) for each in fields]

        async def compared(sql: str, given: Mapping[str, str]) -> tuple[str, str] | None:
            """Return the names of the two lists that are compared; None if they are not known in time."""
            names, mark, _ = sql.partition(_NAMED)
            try:
                row = (await db.execute(f"{names}\nselect first, second from names", given)).first()
            except (QueryInterrupted, sqlite3.Error):
                return None
            return (row["first"], row["second"]) if mark and row and row["first"] and row["second"] else None

        here = request.path.rstrip("/").rpartition("/")[2] if request else ""
        places = {target: key for key, _, target, _ in PLACES}
        return values | {
            "modelwatch_database": db.name,
            "modelwatch_place": places.get("" if template == "database.html" else table or here),
            "modelwatch_form": form,
            "modelwatch_compared": compared,
            "modelwatch_default": DEFAULTS,
            "modelwatch_open": OPEN,
            "modelwatch_words": WORDS,
        }

    return found


def _places(datasette: Any, name: str) -> list[tuple[str, str, str, str]]:
    """Return the navigation: of each place a key, a label, an address and a title."""
    return [
        (
            key,
            label,
            f"{datasette.urls.table(name, target)}{COLUMNS.get(target, '')}"
            if target
            else str(datasette.urls.database(name)),
            title,
        )
        for key, label, target, title in PLACES
    ]


async def _is_ours(datasette: Any, name: str) -> bool:
    return set(await datasette.get_database(name).view_names()) >= OURS


async def _field(db: Database, query: str, name: str, value: str) -> Field:
    label = LABELS.get(name, name.replace("_", " "))
    if name in DATES:
        is_date = not value or re.fullmatch(r"\d{4}-\d\d-\d\d", value)
        return Field(name, label, "date" if is_date else "text", value, ())
    if name in ("class", "context_length"):
        return Field(name, label, "select", value, _with(value, CLASSES if name == "class" else LENGTHS))
    source = "other_scope" if query in ONE_SCOPE and name == "scope" else SAME.get(name, name)
    options = await _options(db, source) if source in NAMES else []
    if not options or len(options) > MOST_OPTIONS:
        proposed = options if len(options) <= MOST_PROPOSED else []
        return Field(name, label, "proposed" if proposed else "text", value, proposed)
    return Field(name, label, "select", value, _with(value, options))


def _with(value: str, options: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return options with the present value, which an address may have and the list not."""
    return [*([(value, value)] if value and value not in dict(options) else []), *options]


async def _options(db: Database, source: str) -> list[tuple[str, str]]:
    """Return the options of a drop-down, made again once the database has changed; none if it takes long."""
    key, stamp = (str(db.path), source), _stamp(db.path)
    if stamp is not None and _kept.get(key, (None,))[0] == stamp:
        return _kept[key][1]
    try:
        rows = (await db.execute(NAMES[source])).rows
    except QueryInterrupted:
        return []
    found = [(row[0], row["label"] if "label" in row.keys() else row[0]) for row in rows]  # noqa: SIM118
    _kept[key] = (stamp, found)
    return found


def _stamp(path: str | None) -> Any:
    """Return what changes with each commit: time and size of the database and its log; None in memory."""
    if path is None:
        return None
    found: list[tuple[int, int] | None] = []
    for name in (path, f"{path}-wal"):
        try:
            state = os.stat(name)  # noqa: PTH116
        except OSError:
            found.append(None)
        else:
            found.append((state.st_mtime_ns, state.st_size))
    return tuple(found)
