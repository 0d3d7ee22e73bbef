"""What a model's price did: a line for each price of each list, broken where there was none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from datasette import hookimpl
from datasette.database import QueryInterrupted
from datasette.utils import tilde_decode

OURS = frozenset({"catalog", "change_log", "health"})
"""Views by which a database is known to be one of modelwatch."""


PRICE = re.compile(r"pric|cost|ratio(?!n)|fee|billing|quota_type|per_1[km]", re.IGNORECASE)
"""Fields that are about prices, as changes are classed."""


LINES = 8
"""As many can be told apart."""


STEPS = 60
"""Rows of the table."""


_QUESTION = (Path(__file__).parent / "prices" / "of_model.sql").read_text("utf-8")


Row = Mapping[str, Any]


Prices = Mapping[str, float]


Points = tuple[tuple[str, float | None], ...]


@hookimpl
def prepare_connection(conn: Any) -> None:
    """Add the SQL function `is_price(name)`, for the fields whose class is `shape`."""
    conn.create_function("is_price", 1, lambda name: bool(PRICE.search(name or "")), deterministic=True)


@hookimpl
def extra_template_vars(view_name: str, table: str | None, request: Any, datasette: Any) -> Any:
    """Give the page of a model its prices over time."""
    if view_name != "row" or table != "models":
        return {}

    async def found() -> dict[str, Any]:
        db = datasette.get_database(route=tilde_decode(request.url_vars["database"]))
        id_ = request.url_vars["pks"]
        if not id_.isdigit() or not set(await db.view_names()) >= OURS:
            return {}
        try:
            rows = [dict(row) for row in (await db.execute(_QUESTION, {"id": int(id_)})).rows]
        except QueryInterrupted:
            return {}
        return {"modelwatch_prices": over_time(rows)}

    return found


def over_time(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Give what is drawn and what is told of a model's prices; None where they never moved.

    Args:
        rows: a row for each step of each scope, by scope and time; without a record it was gone.
    """
    said = {row["record"]: _usd(row) for row in rows if row["record"] is not None}
    in_usd = any(said.values())
    if not in_usd:
        said = {row["record"]: dict(_raw(row["body"])) for row in rows if row["record"] is not None}
    lines = _lines(rows, said)
    moved = {labels: points for labels, points in lines.items() if len({value for _, value in points}) > 1}
    if not moved:
        return None
    drawn = dict([*moved.items(), *(each for each in lines.items() if each[0] not in moved)][:LINES])
    return {
        "in_usd": in_usd,
        "points": [(label, *point) for label, line in drawn.items() for point in _drawn(line)],
        **_told(rows, said),
    }


def _usd(row: Row) -> Prices:
    return {
        column.removesuffix("_usd").replace("_", " "): value
        for column, value in row.items()
        if column.endswith("_usd") and value is not None
    }


def _raw(body: str) -> Iterator[tuple[str, float]]:
    """Find the prices of a record whose prices in money are unknown: numbers in fields named like prices."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, float]]:
        if isinstance(value, dict):
            for name, each in value.items():
                yield from walk(each, f"{path}.{name}" if path else name)
        elif PRICE.search(path) and (number := _number(value)) is not None:
            yield path, number

    yield from walk(json.loads(body), "")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def _lines(rows: Sequence[Row], said: Mapping[int, Prices]) -> dict[str, Points]:
    """Give each line under its label; fields and scopes that say the same are one line."""
    fields = list(dict.fromkeys(field for prices in said.values() for field in prices))
    found: dict[Points, list[tuple[str, str]]] = {}
    scopes = {row["scope_name"] for row in rows}
    for name, part in groupby(rows, key=lambda row: row["scope_name"]):
        steps = list(part)
        for field in fields:
            values = [(step["at"], said.get(step["record"], {}).get(field)) for step in steps]
            last = values[-1][1]
            end = [(max(steps[-1]["until"] or "", values[-1][0]), last)] if last is not None else []
            found.setdefault((*_steps(values), *end), []).append((field, name))
    return {
        _label(whose, len(scopes)): points
        for points, whose in found.items()
        if any(value is not None for _, value in points)
    }


def _label(whose: Sequence[tuple[str, str]], scopes: int) -> str:
    fields = list(dict.fromkeys(field for field, _ in whose))
    names = list(dict.fromkeys(name for _, name in whose))
    return " = ".join(fields) + (f" ({', '.join(names)})" if len(names) < scopes else "")


def _steps(values: Sequence[tuple[str, float | None]]) -> Iterator[tuple[str, float | None]]:
    """Leave out what repeats the value before it."""
    before = None
    for at, value in values:
        if value != before:
            yield at, value
        before = value


def _drawn(points: Points) -> Iterator[tuple[str, float | None]]:
    """Let a line go on to where it breaks."""
    before = None
    for at, value in points:
        if value is None:
            yield at, before
        yield at, value
        before = value


def _told(rows: Sequence[Row], said: Mapping[int, Prices]) -> dict[str, Any]:
    """Give the steps as rows, the latest first: when, to which scopes, each price, and by which record."""
    fields = list(dict.fromkeys(field for prices in said.values() for field in prices))
    alike: dict[tuple[Any, ...], list[str]] = {}
    for field in fields:
        alike.setdefault(tuple(prices.get(field) for prices in said.values()), []).append(field)
    steps: dict[tuple[str, Any], dict[str, Any]] = {}
    for name, part in groupby(rows, key=lambda row: row["scope_name"]):
        before: Prices = {}
        for row in part:
            prices = said.get(row["record"], {})
            if prices != before:
                step = steps.setdefault((row["at"], row["record"]), {**row, "prices": prices, "scopes": []})
                step["scopes"].append(name)
            before = prices
    latest = sorted(steps.values(), key=lambda step: step["at"], reverse=True)
    return {"fields": list(alike.values())[:LINES], "steps": latest[:STEPS], "many": len(latest)}
