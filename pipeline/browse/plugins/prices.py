"""The prices of a model over time: a line for each price of each listing, with gaps where it had none."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from datasette import hookimpl
from datasette.database import QueryInterrupted
from datasette.utils import tilde_decode

Row = Mapping[str, Any]
Prices = Mapping[str, float]
Points = tuple[tuple[str, float | None], ...]

OURS = frozenset({"catalog", "change_log", "health"})
"""Views that identify a database of modelwatch."""

MOST_LINES = 8
MOST_ROWS = 60

_NAMES = "select distinct name from fields where 'price' in (class, shape_of)"
"""The fields that have changed at some time, and are prices."""

_QUERY = (Path(__file__).parent / "prices" / "of_model.sql").read_text("utf-8")


@hookimpl
def extra_template_vars(view_name: str, table: str | None, request: Any, datasette: Any) -> Any:
    """Add the prices of a model to its page."""
    if view_name != "row" or table != "models":
        return {}

    async def found() -> dict[str, Any]:
        db = datasette.get_database(route=tilde_decode(request.url_vars["database"]))
        id_ = request.url_vars["pks"]
        if not id_.isdigit() or not set(await db.view_names()) >= OURS:
            return {}
        try:
            rows = [dict(row) for row in (await db.execute(_QUERY, {"id": int(id_)})).rows]
            names = {row["name"] for row in (await db.execute(_NAMES)).rows}
        except QueryInterrupted:
            return {}
        return {"modelwatch_prices": over_time(rows, names)}

    return found


def over_time(rows: Sequence[Row], names: Collection[str]) -> dict[str, Any] | None:
    """Return the points of the chart and the rows of the table; None if no price ever changed.

    Args:
        rows: a row for each record of each scope, by scope and time; without a record the model was missing.
        names: the paths of price fields, drawn where no record has a price of known unit.
    """
    records = {row["record"]: row for row in rows if row["record"] is not None}
    read = {record: json.loads(row["prices"]) for record, row in records.items()}
    currency = _currency(read.values())
    prices: dict[int, Prices] = {
        record: {name: amount for its, name, amount in each if its == currency}
        for record, each in read.items()
    }
    if currency is None:
        prices = {record: dict(_raw(row["body"], names)) for record, row in records.items()}
    lines = _lines(rows, prices)
    changed = {label: points for label, points in lines.items() if len({value for _, value in points}) > 1}
    if not changed:
        return None
    drawn = dict([*changed.items(), *(each for each in lines.items() if each[0] not in changed)][:MOST_LINES])
    return {
        "currency": currency,
        "points": [(label, *point) for label, line in drawn.items() for point in _closed(line)],
        **_table(rows, prices),
    }


def _currency(records: Iterable[Sequence[tuple[str, str, float]]]) -> str | None:
    """Return the currency to draw: USD if any price is in it, else the first; None without prices."""
    found = dict.fromkeys(currency for prices in records for currency, _, _ in prices)
    return "USD" if "USD" in found else next(iter(found), None)


def _raw(body: str, names: Collection[str]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a record at some paths."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, float]]:
        if isinstance(value, dict):
            for name, each in value.items():
                yield from walk(each, f"{path}.{name}" if path else name)
        elif path in names and (number := _number(value)) is not None:
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


def _lines(rows: Sequence[Row], prices: Mapping[int, Prices]) -> dict[str, Points]:
    """Return the lines by label; fields and scopes with equal prices share a line."""
    fields = _fields(prices)
    found: dict[Points, list[tuple[str, str]]] = {}
    scopes = {row["scope_name"] for row in rows}
    for name, part in groupby(rows, key=lambda row: row["scope_name"]):
        steps = list(part)
        for field in fields:
            values = [(step["at"], prices.get(step["record"], {}).get(field)) for step in steps]
            last = values[-1][1]
            end = [(max(steps[-1]["until"] or "", values[-1][0]), last)] if last is not None else []
            found.setdefault((*_without_repeats(values), *end), []).append((field, name))
    return {
        _label(sources, len(scopes)): points
        for points, sources in found.items()
        if any(value is not None for _, value in points)
    }


def _fields(prices: Mapping[int, Prices]) -> list[str]:
    return list(dict.fromkeys(field for each in prices.values() for field in each))


def _label(sources: Sequence[tuple[str, str]], scopes: int) -> str:
    """Return the label of a line: its fields, and its scopes unless these are all."""
    fields = list(dict.fromkeys(field for field, _ in sources))
    names = list(dict.fromkeys(name for _, name in sources))
    return " = ".join(fields) + (f" ({', '.join(names)})" if len(names) < scopes else "")


def _without_repeats(values: Sequence[tuple[str, float | None]]) -> Iterator[tuple[str, float | None]]:
    before = None
    for at, value in values:
        if value != before:
            yield at, value
        before = value


def _closed(points: Points) -> Iterator[tuple[str, float | None]]:
    """Yield the points of a line, with one more at each gap, so that it is drawn up to the gap."""
    before = None
    for at, value in points:
        if value is None:
            yield at, before
        yield at, value
        before = value


def _table(rows: Sequence[Row], prices: Mapping[int, Prices]) -> dict[str, Any]:
    """Return the table: its columns as lists of fields with equal prices, and its rows, the newest first."""
    columns: dict[tuple[Any, ...], list[str]] = {}
    for field in _fields(prices):
        columns.setdefault(tuple(each.get(field) for each in prices.values()), []).append(field)
    steps: dict[tuple[str, Any], dict[str, Any]] = {}
    for name, part in groupby(rows, key=lambda row: row["scope_name"]):
        before: Prices = {}
        for row in part:
            current = prices.get(row["record"], {})
            if current != before:
                key = row["at"], row["record"]
                steps.setdefault(key, {**row, "prices": current, "scopes": []})["scopes"].append(name)
            before = current
    newest = sorted(steps.values(), key=lambda step: step["at"], reverse=True)
    return {"columns": list(columns.values())[:MOST_LINES], "rows": newest[:MOST_ROWS], "total": len(newest)}
