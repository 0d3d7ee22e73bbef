"""What differs between two sides: in lines for people, as JSON, and as rows of CSV.

The command that compares: two times, two snapshots, two scopes.

Models beside scopes: as a table that fits the terminal, else in lines; as JSON, and as rows of CSV.

The commands that say who is offered what: matrix, same.

Which scopes are offered the same: in lines for people, and as rows of CSV.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import Place, placed
from pipeline.cli.run import database_of
from pipeline.core.text import count
from pipeline.core.text import printable as safe
from pipeline.core.times import minute
from pipeline.core.watchlist import matches
from pipeline.errors import CHANGES_EXIT
from pipeline.history.availability import Alike, Matrix, Nearest
from pipeline.history.compare import Compared, Contrast, Difference, Side
from pipeline.history.types import Event
from pipeline.reports.console import member_lines, who
from pipeline.reports.csv_json import field_value
from pipeline.store.catalog import NOW, Known, Moment

if TYPE_CHECKING:
    from pipeline.store import Store


DIFF_COLUMNS = ("before_scope", "after_scope", "kind", "model", "field", "before", "after", "class")
"""The columns of the CSV: a row for each pair of scopes, model and field."""


def diff_value(sides: tuple[Side, Side], found: Contrast) -> dict[str, Any]:
    """Give what differs as plain values."""
    return {
        "before": _side_value(sides[0]),
        "after": _side_value(sides[1]),
        "differs": found.differs,
        "compared": [
            {
                "pairs": [{"before": old.scope, "after": new.scope} for old, new in part.pairs],
                "models": {"before": part.before[0].size, "after": part.after[0].size},
                "changes": [
                    {
                        "kind": str(each.kind),
                        "model": each.model,
                        "fields": [field_value(field) for field in each.fields],
                        "quiet": each.quiet,
                    }
                    for each in part.differences
                ],
            }
            for part in found.parts
        ],
        "only_before": [_known_value(each) for each in found.went],
        "only_after": [_known_value(each) for each in found.came],
    }


def _side_value(side: Side) -> dict[str, Any]:
    return {"asked": side.word, "at": side.moment.at, "snapshot": side.moment.run}


def _known_value(known: Known) -> dict[str, Any]:
    return {"gateway": known.gateway, "scope": known.scope, "models": known.size}


def diff_rows(found: Contrast) -> Iterator[Sequence[Any]]:
    """Give what differs as rows of CSV; scopes of one side alone are of the kind `new` or `gone`."""
    for part in found.parts:
        for old, new in part.pairs:
            for each in part.differences:
                head = (old.scope, new.scope, str(each.kind), each.model)
                if not each.fields:
                    yield (*head, None, None, None, None)
                for field in each.fields:
                    yield (*head, field.field, field.before, field.after, field.category)
    for known in found.went:
        yield (known.scope, None, "gone", None, None, None, None, None)
    for known in found.came:
        yield (None, known.scope, "new", None, None, None, None, None)


def diff_lines(
    sides: tuple[Side, Side], found: Contrast, *, quiet_too: bool = False, each: bool = False
) -> Iterator[str]:
    """Say what differs, scopes that differ in the same way under one heading."""
    same: list[Compared] = []
    hidden = 0
    for part in found.parts:
        told = [_event(part, other) for other in part.differences if quiet_too or not other.quiet]
        hidden += len(part.differences) - len(told)
        if told:
            yield _heading(sides, part)
            yield from member_lines(told, each=each, gone="")
        elif not part.differences:
            same.append(part)
    for known, what in ((found.went, "no longer known or asked"), (found.came, "new")):
        yield from (f"{safe(one.scope)}: {what}, {count(one.size, 'model')}" for one in known)
    yield from (f"no difference: {names}" for names in _same(same))
    if not found.parts and not found.came and not found.went:
        yield "no scope is known on both sides"
    if hidden:
        yield f"({hidden} quiet: --all shows them)"


def _heading(sides: tuple[Side, Side], part: Compared) -> str:
    (old, new) = part.pairs[0]
    first, second = (_when(side.moment) for side in sides)
    if part.in_time:
        return f"{_who(part.after)}  {first} → {second}  {old.size} → {count(new.size, 'model')}"
    if sides[0].moment == sides[1].moment == NOW:
        first = second = ""
    one, two = (
        f"{_who(known)} {when}".rstrip() for known, when in ((part.before, first), (part.after, second))
    )
    return f"{one} → {two}  {old.size} → {count(new.size, 'model')}"


def _who(known: Sequence[Known]) -> str:
    groups = sorted({each.group for each in known if each.group})
    return who(known[0].gateway, tuple(each.scope for each in known), tuple(groups))


def _when(moment: Moment) -> str:
    if moment.at:
        return minute(moment.at)
    return "now" if moment.run is None else f"#{moment.run}"


def _same(parts: Sequence[Compared]) -> Iterator[str]:
    """Name those that do not differ: scopes of a gateway together, pairs of scopes each."""
    of_gateway: dict[str, list[Known]] = {}
    for part in parts:
        if part.in_time:
            of_gateway.setdefault(part.after[0].gateway, []).extend(part.after)
        else:
            yield f"{_who(part.before)} and {_who(part.after)}"
    yield from map(_who, of_gateway.values())


def _event(part: Compared, difference: Difference) -> Event:
    """Give a difference in the form in which changes are told in lines."""
    return Event(
        at="",
        snapshot=0,
        kind=difference.kind,
        gateway=part.after[0].gateway,
        model=difference.model,
        scopes=(),
        groups=(),
        fields=difference.fields,
    )


@click.command()
@placed
@click.argument("before")
@click.argument("after", default="now")
@click.option("--all", "quiet_too", is_flag=True, help="Show quiet differences too: names, descriptions.")
@click.option("--each", is_flag=True, help="Tell each difference, also of what comes or goes in bulk.")
@click.option("--exit-code", is_flag=True, help="Leave with 1 when they differ.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; quiet differences are in it, and marked.")
@click.option(
    "--csv", "as_csv", is_flag=True, help="Print CSV; quiet differences are in it, with their class."
)
def diff(
    place: Place,
    before: str,
    after: str,
    *,
    quiet_too: bool,
    each: bool,
    exit_code: bool,
    as_json: bool,
    as_csv: bool,
) -> int:
    """Compare what was offered: at two moments, or to two scopes. AFTER is now unless it is given.

    BEFORE and AFTER are each a time (2026-05-01, 2d ago, now), a snapshot ('#123'), a scope (aihubmix/prod),
    a gateway or a glob of scopes, or a scope at a moment (aihubmix/prod@2026-05-01, aihubmix/prod@#123).
    A moment alone is that of all scopes, or of the scopes that the other side names.
    """
    from pipeline.cli import terminal
    from pipeline.cli.options import side
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.history.compare import contrast
    from pipeline.store import Store

    with Store.read(database_of(place)) as store:
        sides = side(store, before), side(store, after)
        try:
            found = contrast(store, *sides)
        except LookupError as error:
            raise click.UsageError(str(error.args[0])) from error
    if as_json:
        raw(pretty(diff_value(sides, found)))
    elif as_csv:
        raw(terminal.as_csv(DIFF_COLUMNS, diff_rows(found)))
    else:
        click.echo("\n".join(diff_lines(sides, found, quiet_too=quiet_too, each=each)))
    return CHANGES_EXIT if exit_code and found.differs else 0


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


def matrix_value(grid: Grid) -> dict[str, Any]:
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


def matrix_table(grids: Sequence[Grid]) -> tuple[list[str], list[list[str | None]]]:
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


def matrix_lines(grid: Grid, width: int) -> Iterator[str]:
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


@click.command()
@placed
@click.option("--gateway", help="Only this gateway.")
@click.option("--scope", "globs", multiple=True, help="Only scopes that match this glob; may be repeated.")
@click.option(
    "--by",
    type=click.Choice(["scope", "group"]),
    default="scope",
    show_default=True,
    help="What a column is.",
)
@click.option("--all", "all_too", is_flag=True, help="Show the models too that are offered to all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a column for each scope or group.")
def matrix(
    place: Place,
    *,
    gateway: str | None,
    globs: tuple[str, ...],
    by: str,
    all_too: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show which models are offered to some scopes and not to others.

    Scopes that are offered the same share a column; what is too wide for the terminal is told in lines.
    """
    from pipeline.cli import terminal
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.history.availability import matrices
    from pipeline.store import Store

    with Store.read(database_of(place)) as store:
        found = matrices(store, _chosen(store, gateway, globs))
    grids = [grid(each, by=by, all_too=all_too) for each in found]
    if as_json:
        raw(pretty([matrix_value(grid) for grid in grids]))
    elif as_csv:
        raw(terminal.as_csv(*matrix_table(grids)))
    else:
        width = terminal.width()
        parts = ("\n".join(matrix_lines(grid, width)) for grid in grids)
        click.echo("\n\n".join(parts) or "no scope has answered yet")


@click.command()
@placed
@click.option("--gateway", help="Only this gateway.")
@click.option("--scope", "globs", multiple=True, help="Only scopes that match this glob; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row for each scope.")
def same(place: Place, *, gateway: str | None, globs: tuple[str, ...], as_json: bool, as_csv: bool) -> None:
    """Show which scopes are offered exactly the same list, and in which models the others differ."""
    from dataclasses import asdict

    from pipeline.cli import terminal
    from pipeline.cli.terminal import raw, width
    from pipeline.core.canonical import pretty
    from pipeline.history.availability import alike
    from pipeline.store import Store

    with Store.read(database_of(place)) as store:
        found = alike(store, _chosen(store, gateway, globs))
    if as_json:
        raw(pretty([asdict(each) for each in found]))
    elif as_csv:
        raw(terminal.as_csv(SAME_COLUMNS, same_rows(found)))
    else:
        click.echo("\n".join(same_lines(found, width())) or "no scope has answered yet")


def _chosen(store: Store, gateway: str | None, globs: tuple[str, ...]) -> Callable[[Known], bool]:
    """Give the choice of scopes.

    Raises:
        UsageError: there is no such gateway, or no scope that matches.
    """
    from pipeline.core.text import printable as safe

    scopes = store.rows("""
        select scopes.name as scope, gateways.name as gateway from scopes
        join gateways on gateways.id = scopes.gateway order by gateways.name, scopes.name
    """)
    gateways = dict.fromkeys(safe(row["gateway"]) for row in scopes)
    if gateway is not None and gateway not in {row["gateway"] for row in scopes}:
        raise click.UsageError(f"no gateway is named {safe(gateway)}: there are {', '.join(gateways)}")
    if not any(matches(row["scope"], globs) for row in scopes) and globs:
        raise click.UsageError(f"no scope matches {' or '.join(map(safe, globs))}: see `modelwatch scopes`")
    return lambda known: gateway in (None, known.gateway) and matches(known.scope, globs)


SAME_COLUMNS = ("gateway", "scope", "list", "models", "nearest", "added", "removed", "changed")
"""The columns of the CSV: scopes of the same number in `list` are offered the same."""


_NAMED = 10


def same_rows(found: Sequence[Alike]) -> Iterator[Sequence[Any]]:
    """Give a row for each scope."""
    for number, each in enumerate(found, 1):
        near = each.nearest
        how = (
            (near.scope, *(" ".join(part) for part in (near.added, near.removed, near.changed)))
            if near
            else ()
        )
        for scope in each.scopes:
            yield (each.gateway, scope, number, each.models, *(how or (None,) * 4))


def same_lines(found: Sequence[Alike], width: int) -> Iterator[str]:
    """Say which scopes are offered the same, and how the others differ."""
    for gateway, of_it in groupby(found, key=lambda each: each.gateway):
        sets = list(of_it)
        scopes = sum(len(each.scopes) for each in sets)
        yield f"{safe(gateway)}: {count(len(sets), 'list')} for {count(scopes, 'scope')}"
        for each in sets:
            text = f"{count(each.models, 'model')}: {' '.join(map(safe, each.scopes))}"
            yield from _wrapped(text, width, 2)
            if each.nearest:
                yield from _near(each.nearest, width)


def _near(near: Nearest, width: int) -> Iterator[str]:
    parts = (("+", near.added), ("-", near.removed), ("~", near.changed))
    yield f"    beside {safe(near.scope)}:"
    for sign, models in parts:
        if models:
            more = len(models) - _NAMED
            also = f" and {more} more" if more > 0 else ""
            named = " ".join(map(safe, models[:_NAMED]))
            yield from _wrapped(f"{sign} {len(models)}: {named}{also}", width, 6)


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
