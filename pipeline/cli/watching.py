"""The command that says how the models stand that somebody depends on: watch."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from pipeline.cli.common import Place, Time, now, placed
from pipeline.cli.reading import known_scopes
from pipeline.cli.running import database_of, watch_of
from pipeline.errors import CHANGES_EXIT

if TYPE_CHECKING:  # heavy, and `--help` needs none of it
    from pipeline.watchlist import Watch


@click.command()
@placed
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--scope", "scopes", multiple=True, help="Only in scopes that match this glob; may be repeated."
)
@click.option(
    "--since", type=Time(), default="7d", show_default=True, help="Compare prices with this time's."
)
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="An end needs attention when it is so many days away, or fewer.",
)
@click.option("--exit-code", is_flag=True, help="Leave with 1 when something needs attention.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row for each model, scope and finding.")
def watch(
    place: Place,
    models: tuple[str, ...],
    *,
    scopes: tuple[str, ...],
    since: str,
    days: int,
    exit_code: bool,
    as_json: bool,
    as_csv: bool,
) -> int:
    """Say of each model that you depend on whether it is missing, ends, costs something else, or is well.

    MODEL is an id or a glob of ids; without any, those under [watch] in the config. A model is missing in
    the scopes that have offered it before and do not any more. Nobody is asked: the last run has heard it.
    """
    from pipeline import watching
    from pipeline.canonical import pretty
    from pipeline.cli import show
    from pipeline.cli import watch_text as text
    from pipeline.store import Store

    wanted = _wanted(place, models, scopes)
    with Store.read(database_of(place)) as store:
        known_scopes(store, scopes)
        today = datetime.fromisoformat(now()).date()
        standing = watching.watch(store, wanted, since=since, today=today, days=days)
    if as_json:
        show.raw(pretty(text.value(standing)))
    elif as_csv:
        show.raw(show.as_csv(text.COLUMNS, text.rows(standing)))
    else:
        click.echo("\n".join(text.lines(standing, since)))
    return CHANGES_EXIT if exit_code and standing.urgent else 0


def _wanted(place: Place, models: tuple[str, ...], scopes: tuple[str, ...]) -> Watch:
    """Give the config's watch, as far as the words given do not say otherwise."""
    watch = watch_of(place)
    wanted = replace(watch, models=models or watch.models, scopes=scopes or watch.scopes)
    if not wanted.models:
        raise click.UsageError(
            f"nothing is watched: name models, or write `[watch]` and `models = [...]` into {place.config}"
        )
    return wanted
