"""The commands that compare scopes: matrix (models beside scopes) and same (scopes with equal lists)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import asdict

from pipeline.api import Home
from pipeline.cli import terminal
from pipeline.cli.options import Name, csv_option, names_option, with_home
from pipeline.cli.terminal import raw
from pipeline.core.canonical import pretty
from pipeline.core.text import count
from pipeline.core.text import printable as safe
from pipeline.core.types import without_gateway
from pipeline.history.availability import EqualScopes, Matrix, NearestList
from pipeline.reports.csv_json import named, write_csv


@click.command()
@with_home
@click.option("--gateway", type=Name("gateways"), help="Only this gateway.")
@names_option("scope", "globs", "Only scopes that match this glob")
@click.option(
    "--by",
    type=click.Choice(["scope", "group"]),
    default="scope",
    show_default=True,
    help="The columns: scopes or groups.",
)
@click.option("--all", "all_too", is_flag=True, help="Include the models that every scope is offered.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@csv_option("Print CSV, a column for each scope or group.")
def matrix(
    home: Home,
    *,
    gateway: str | None,
    globs: tuple[str, ...],
    by: str,
    all_too: bool,
    as_json: bool,
    as_csv: bool,
    bom: bool,
) -> None:
    """Show the models that some scopes are offered and others are not.

    Scopes that are offered the same models share a column. A table wider than
    the terminal is printed as lines.
    """
    found = home.matrix(*globs, gateway=gateway)
    grids = [grid(each, by=by, all_too=all_too) for each in found]
    if as_json:
        raw(pretty([matrix_value(each) for each in grids]))
    elif as_csv:
        raw(write_csv(*_matrix_table(grids), bom=bom))
    else:
        width = terminal.width()
        parts = ("\n".join(matrix_lines(each, width)) for each in grids)
        click.echo("\n\n".join(parts) or "no scope has answered yet")


_NO_GROUP = "(no group)"


class Column(Struct, frozen=True):
    """One scope, or all scopes of a group."""

    name: str
    scopes: frozenset[str]

    def cell(self, offered_to: frozenset[str]) -> str:
        """Return whether these scopes are offered a model: `yes`, `no` or `some`."""
        number = len(self.scopes & offered_to)
        return "no" if not number else "yes" if number == len(self.scopes) else "some"


class Grid(Struct, frozen=True):
    """The columns of a matrix, and the cells of each model shown, in the order of the columns."""

    matrix: Matrix
    columns: tuple[Column, ...]
    rows: dict[str, tuple[str, ...]]


def grid(matrix: Matrix, *, by: str, all_too: bool) -> Grid:
    """Lay out a matrix.

    Args:
        matrix: the models and scopes of a gateway.
        by: `scope` or `group`.
        all_too: include the models that all scopes are offered.
    """
    members: dict[str, set[str]] = {}
    for scope in matrix.scopes:
        name = scope.scope if by == "scope" else scope.group or _NO_GROUP
        members.setdefault(name, set()).add(scope.scope)
    columns = tuple(Column(name, frozenset(scopes)) for name, scopes in sorted(members.items()))
    shown = matrix.offered if all_too else matrix.differing()
    rows = {model: tuple(column.cell(to) for column in columns) for model, to in shown.items()}
    return Grid(matrix, columns, rows)


def matrix_value(grid: Grid) -> dict[str, Any]:
    """Return a grid as JSON values."""
    names = [column.name for column in grid.columns]
    return {
        "gateway": grid.matrix.gateway,
        "scopes": [scope.scope for scope in grid.matrix.scopes],
        "models": [
            {
                "model": model,
                "offered_to": sorted(grid.matrix.offered[model]),
                "columns": dict(zip(names, cells, strict=True)),
            }
            for model, cells in grid.rows.items()
        ],
    }


def _matrix_table(grids: Sequence[Grid]) -> tuple[list[str], list[list[str | None]]]:
    """Return the columns and rows of the CSV; cells in the columns of other gateways are None."""
    names = list(dict.fromkeys(column.name for grid in grids for column in grid.columns))
    rows: list[list[str | None]] = []
    for grid in grids:
        own = [column.name for column in grid.columns]
        for model, cells in grid.rows.items():
            by_name = dict(zip(own, cells, strict=True))
            rows.append([grid.matrix.gateway, model, *map(by_name.get, names)])
    return ["gateway", "model", *names], rows


class _SharedColumn(Struct, frozen=True):
    """Columns with equal cells: a short label, their names, and the cells."""

    label: str
    names: tuple[str, ...]
    cells: tuple[str, ...]


_GAP = "  "


_INDENT = " " * 4


def matrix_lines(grid: Grid, width: int) -> Iterator[str]:
    """Yield a grid as a table if `width` has room for it, else as a line for each model."""
    yield _summary(grid)
    if not grid.rows:
        return
    columns = _shared_columns(grid)
    for column in columns:
        if len(column.names) > 1:
            text = f"{column.label}: {_names(column.names)}"
            yield from _wrapped(text, width, 2)
    models = [safe(model) for model in grid.rows]
    widest = max(len(model) for model in [*models, "model"])
    if widest + sum(len(column.label) + len(_GAP) for column in columns) <= width:
        yield from _table_lines(models, columns, widest)
        return
    for row, model in enumerate(models):
        text = f"{model}  {_offered_to(columns, row)}"
        yield from wrap(
            text, width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
        )


def _summary(grid: Grid) -> str:
    gateway, scopes = safe(grid.matrix.gateway), count(len(grid.matrix.scopes), "scope")
    models, differing = count(len(grid.matrix.offered), "model"), len(grid.matrix.differing())
    if not differing:
        return f"{gateway}: {models}, each offered to all of {scopes}"
    return f"{gateway}: {differing} of {models} not offered to all of {scopes}"


def _shared_columns(grid: Grid) -> list[_SharedColumn]:
    by_cells: dict[tuple[str, ...], list[str]] = {}
    for number, column in enumerate(grid.columns):
        by_cells.setdefault(tuple(cells[number] for cells in grid.rows.values()), []).append(column.name)
    return [_SharedColumn(_label(names), tuple(names), cells) for cells, names in by_cells.items()]


def _label(names: Sequence[str]) -> str:
    first = safe(without_gateway(names[0]))
    return first if len(names) == 1 else f"{first} +{len(names) - 1}"


def _table_lines(models: Sequence[str], columns: Sequence[_SharedColumn], widest: int) -> Iterator[str]:
    yield _GAP.join(["model".ljust(widest), *(column.label for column in columns)])
    for row, model in enumerate(models):
        cells = (column.cells[row].replace("no", "-").center(len(column.label)) for column in columns)
        yield _GAP.join([model.ljust(widest), *cells]).rstrip()


def _offered_to(columns: Sequence[_SharedColumn], row: int) -> str:
    """Name the columns that are offered the model of a row, or those that are not if they are fewer."""
    labels: dict[str, list[str]] = {"yes": [], "some": [], "no": []}
    for column in columns:
        labels[column.cells[row]].append(column.label)
    to = [*labels["yes"], *(f"some of {label}" for label in labels["some"])]
    if labels["some"] or len(to) <= len(labels["no"]):
        return f"offered to {', '.join(to)}"
    return f"not offered to {', '.join(labels['no'])}" if labels["no"] else "offered to all"


@click.command()
@with_home
@click.option("--gateway", type=Name("gateways"), help="Only this gateway.")
@names_option("scope", "globs", "Only scopes that match this glob")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@csv_option("Print CSV, a row for each scope.")
def same(
    home: Home, *, gateway: str | None, globs: tuple[str, ...], as_json: bool, as_csv: bool, bom: bool
) -> None:
    """Show the scopes with exactly the same list, and the models in which the other lists differ."""
    found = home.same(*globs, gateway=gateway)
    if as_json:
        raw(pretty([asdict(each) for each in found]))
    elif as_csv:
        raw(write_csv(_SAME_COLUMNS, _same_rows(found), bom=bom))
    else:
        click.echo("\n".join(same_lines(found, terminal.width())) or "no scope has answered yet")


_SAME_COLUMNS = ("gateway", "scope", "list", "models", "nearest", "added", "removed", "changed")
"""The columns of the CSV; scopes with the same number in `list` have the same list."""


def _same_rows(found: Sequence[EqualScopes]) -> Iterator[Sequence[Any]]:
    for number, each in enumerate(found, 1):
        near = each.nearest
        difference: tuple[str | None, ...] = (None,) * 4
        if near:
            difference = (near.scope, *map(" ".join, (near.added, near.removed, near.changed)))
        for scope in each.scopes:
            yield (each.gateway, scope, number, each.models, *difference)


def same_lines(found: Sequence[EqualScopes], width: int) -> Iterator[str]:
    """Yield, for each gateway, its sets of scopes with the same list, and how the lists differ."""
    for gateway, members in groupby(found, key=lambda each: each.gateway):
        lists = list(members)
        scopes = sum(len(each.scopes) for each in lists)
        yield f"{safe(gateway)}: {count(len(lists), 'list')} for {count(scopes, 'scope')}"
        for each in lists:
            text = f"{count(each.models, 'model')}: {_names(each.scopes)}"
            yield from _wrapped(text, width, 2)
            if each.nearest:
                yield from _nearest_lines(each.nearest, width)


_NAMED_MODELS = 10


def _nearest_lines(near: NearestList, width: int) -> Iterator[str]:
    yield f"    compared with {safe(near.scope)}:"
    for sign, models in (("+", near.added), ("-", near.removed), ("~", near.changed)):
        if models:
            more = len(models) - _NAMED_MODELS
            also = f" and {more} more" if more > 0 else ""
            named = " ".join(map(safe, models[:_NAMED_MODELS]))
            yield from _wrapped(f"{sign} {len(models)}: {named}{also}", width, 6)


def _names(scopes: Sequence[str]) -> str:
    """Return the names of scopes as reports have them, and how many more there are."""
    first = named(scopes)
    more = len(scopes) - len(first)
    return " ".join(map(safe, first)) + (f" and {more} more (--csv has all)" if more else "")


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
