"""The commands that say who is offered what: matrix, same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from pipeline.cli.common import Place, placed
from pipeline.cli.running import database_of
from pipeline.globs import matches

if TYPE_CHECKING:  # heavy, and `--help` needs none of it
    from pipeline.moments import Known
    from pipeline.store import Store


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
    from pipeline.canonical import pretty
    from pipeline.cli import matrix_text as text
    from pipeline.cli import show
    from pipeline.offering import matrices
    from pipeline.store import Store

    with Store.read(database_of(place)) as store:
        found = matrices(store, _chosen(store, gateway, globs))
    grids = [text.grid(each, by=by, all_too=all_too) for each in found]
    if as_json:
        show.raw(pretty([text.value(grid) for grid in grids]))
    elif as_csv:
        show.raw(show.as_csv(*text.table(grids)))
    else:
        width = show.width()
        parts = ("\n".join(text.lines(grid, width)) for grid in grids)
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

    from pipeline.canonical import pretty
    from pipeline.cli import same_text as text
    from pipeline.cli import show
    from pipeline.offering import alike
    from pipeline.store import Store

    with Store.read(database_of(place)) as store:
        found = alike(store, _chosen(store, gateway, globs))
    if as_json:
        show.raw(pretty([asdict(each) for each in found]))
    elif as_csv:
        show.raw(show.as_csv(text.COLUMNS, text.rows(found)))
    else:
        click.echo("\n".join(text.lines(found, show.width())) or "no scope has answered yet")


def _chosen(store: Store, gateway: str | None, globs: tuple[str, ...]) -> Callable[[Known], bool]:
    """Give the choice of scopes.

    Raises:
        UsageError: there is no such gateway, or no scope that matches.
    """
    from pipeline.reports.display import shown as safe

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
