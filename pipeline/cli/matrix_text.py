"""Models beside scopes: as a table that fits the terminal, else in lines; as JSON, and as rows of CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from pipeline.offering import Matrix
from pipeline.reports.as_text import count
from pipeline.reports.display import shown as safe

_NO_GROUP = "(no group)"
_GAP = 2
_INDENT = 4


@dataclass(frozen=True, slots=True)
class Column:
    """Scopes that are shown as one: a single one, or all of a group."""

    name: str
    scopes: frozenset[str]

    def cell(self, offered_to: frozenset[str]) -> str:
        """Say whether a model is offered to these: yes, no, or some."""
        to = len(self.scopes & offered_to)
        return "no" if not to else "yes" if to == len(self.scopes) else "some"


@dataclass(frozen=True, slots=True)
class Grid:
    """The columns of a matrix, and the cells of the models that are shown, in the order of the columns."""

    matrix: Matrix
    columns: tuple[Column, ...]
    rows: dict[str, tuple[str, ...]]


def grid(matrix: Matrix, *, by: str, all_too: bool) -> Grid:
    """Lay out a matrix by scope or by group; only what differs, or all."""
    members: dict[str, set[str]] = {}
    for known in matrix.scopes:
        name = known.scope if by == "scope" else known.group or _NO_GROUP
        members.setdefault(name, set()).add(known.scope)
    columns = tuple(Column(name, frozenset(scopes)) for name, scopes in sorted(members.items()))
    shown = matrix.offered if all_too else matrix.differing()
    return Grid(matrix, columns, {model: tuple(c.cell(to) for c in columns) for model, to in shown.items()})


def value(grid: Grid) -> dict[str, Any]:
    """Give a grid as plain values."""
    return {
        "gateway": grid.matrix.gateway,
        "scopes": [known.scope for known in grid.matrix.scopes],
        "models": [
            {
                "model": model,
                "offered_to": sorted(grid.matrix.offered[model]),
                "columns": dict(zip((column.name for column in grid.columns), cells, strict=True)),
            }
            for model, cells in grid.rows.items()
        ],
    }


def table(grids: Sequence[Grid]) -> tuple[list[str], list[list[str | None]]]:
    """Give the columns and rows of the CSV; a cell is empty in the columns of other gateways."""
    names = list(dict.fromkeys(column.name for grid in grids for column in grid.columns))
    rows: list[list[str | None]] = []
    for grid in grids:
        own = [column.name for column in grid.columns]
        for model, cells in grid.rows.items():
            said = dict(zip(own, cells, strict=True))
            rows.append([grid.matrix.gateway, model, *(said.get(name) for name in names)])
    return ["gateway", "model", *names], rows


@dataclass(frozen=True, slots=True)
class _Fold:
    """Columns that say the same of every model that is shown: a short label, and their names."""

    label: str
    names: tuple[str, ...]
    cells: tuple[str, ...]


def lines(grid: Grid, width: int) -> Iterator[str]:
    """Give a grid in lines of at most this width where the names allow it."""
    yield _summary(grid)
    if not grid.rows:
        return
    folds = _folds(grid)
    for fold in folds:
        if len(fold.names) > 1:
            text = f"{fold.label}: {' '.join(map(safe, fold.names))}"
            yield from wrap(text, width, initial_indent="  ", subsequent_indent=" " * _INDENT)
    models = [safe(model) for model in grid.rows]
    widest = max(len(model) for model in [*models, "model"])
    if widest + sum(len(fold.label) + _GAP for fold in folds) <= width:
        yield from _table(models, folds, widest)
    else:
        for number, model in enumerate(models):
            text = f"{model}  {_whom(folds, number)}"
            yield from wrap(
                text, width, subsequent_indent=" " * _INDENT, break_long_words=False, break_on_hyphens=False
            )


def _summary(grid: Grid) -> str:
    gateway, scopes = safe(grid.matrix.gateway), count(len(grid.matrix.scopes), "scope")
    total, differing = len(grid.matrix.offered), len(grid.matrix.differing())
    if not differing:
        return f"{gateway}: {count(total, 'model')}, each offered to all of {scopes}"
    return f"{gateway}: {differing} of {count(total, 'model')} not offered to all of {scopes}"


def _folds(grid: Grid) -> list[_Fold]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for number, column in enumerate(grid.columns):
        alike.setdefault(tuple(cells[number] for cells in grid.rows.values()), []).append(column.name)
    return [_Fold(_label(names), tuple(names), cells) for cells, names in alike.items()]


def _label(names: Sequence[str]) -> str:
    first = safe(names[0].partition("/")[2] or names[0])
    return first if len(names) == 1 else f"{first} +{len(names) - 1}"


def _table(models: Sequence[str], folds: Sequence[_Fold], widest: int) -> Iterator[str]:
    gap = " " * _GAP
    yield gap.join(["model".ljust(widest), *(fold.label for fold in folds)])
    for number, model in enumerate(models):
        cells = (fold.cells[number].replace("no", "-").center(len(fold.label)) for fold in folds)
        yield gap.join([model.ljust(widest), *cells]).rstrip()


def _whom(folds: Sequence[_Fold], number: int) -> str:
    """Name those who are offered a model, or those who are not, whichever are fewer."""
    of: dict[str, list[str]] = {"yes": [], "some": [], "no": []}
    for fold in folds:
        of[fold.cells[number]].append(fold.label)
    to = [*of["yes"], *(f"some of {label}" for label in of["some"])]
    if of["some"] or len(to) <= len(of["no"]):
        return f"offered to {', '.join(to)}"
    return f"not offered to {', '.join(of['no'])}" if of["no"] else "offered to all"
