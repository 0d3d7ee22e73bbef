"""The commands that ask what became of models: history, lifecycle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

import click

from pipeline.cli.common import Place, Time, now, placed
from pipeline.cli.running import database_of
from pipeline.globs import matches
from pipeline.times import iso

if TYPE_CHECKING:  # heavy, and `--help` needs none of it
    from pipeline.store import Store
    from pipeline.stories import Story

_MOST_MODELS = 20


@click.command()
@placed
@click.argument("model")
@click.option("--scope", "globs", multiple=True, help="Only in scopes that match this glob; may be repeated.")
@click.option(
    "--since", type=Time(), help="Only what happened from this time on: 2h, 1d, 3w (ago), or a date."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row for each scope, step and field.")
def history(
    place: Place, model: str, *, globs: tuple[str, ...], since: str | None, as_json: bool, as_csv: bool
) -> None:
    """Tell the story of a model: offered from, until, away, back, and what it cost when; for which scopes.

    MODEL is an id as the gateway writes it, or a glob that few ids match.
    """
    from pipeline.canonical import pretty
    from pipeline.cli import show
    from pipeline.cli import story_text as text
    from pipeline.store import Store

    with Store.read(database_of(place)) as store:
        found = _stories(store, model, globs)
    if as_json:
        show.raw(pretty([text.value(story, since) for story in found]))
    elif as_csv:
        show.raw(show.as_csv(text.COLUMNS, [row for story in found for row in text.rows(story, since)]))
    else:
        parts = [list(of_it) for _, of_it in groupby(found, key=lambda each: (each.model, each.gateway))]
        bars = show.can_draw()
        click.echo("\n\n".join("\n".join(text.lines(part, since, bars=bars)) for part in parts))


def _stories(store: Store, model: str, globs: tuple[str, ...]) -> list[Story]:
    """Find the stories that are asked for.

    Raises:
        UsageError: there is no such model, or no such scope, or too many match.
    """
    from pipeline.reports.display import shown as safe
    from pipeline.stories import stories
    from pipeline.words import named, unknown

    names = named(store, model)
    if not names:
        raise click.UsageError(unknown(store, model))
    if len(names) > _MOST_MODELS:
        raise click.UsageError(
            f"{safe(model)} matches {len(names)} models, {safe(names[0])} to {safe(names[-1])}: "
            f"narrow it to {_MOST_MODELS} at most"
        )
    found = [story for name in names for story in stories(store, name, lambda scope: matches(scope, globs))]
    if not found:
        raise click.UsageError(f"no scope that matches {' or '.join(globs)} was ever offered {safe(model)}")
    return found


@click.command()
@placed
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="So many days from now, and back.",
)
@click.option("--unannounced", is_flag=True, help="Show what went without notice in the last days instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with both.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def lifecycle(place: Place, *, days: int, unannounced: bool, as_json: bool, as_csv: bool) -> None:
    """Show which models are announced to end soon, or should have ended, and which went without notice."""
    from dataclasses import asdict

    from pipeline import endings
    from pipeline.canonical import pretty
    from pipeline.cli import ending_text as text
    from pipeline.cli import show
    from pipeline.store import Store

    at = datetime.fromisoformat(now()).astimezone(UTC)
    with Store.read(database_of(place)) as store:
        to_come = endings.announced(store, today=at.date(), until=at.date() + timedelta(days=days))
        gone = endings.vanished(store, since=iso(at - timedelta(days=days)))
    if as_json:
        told = {"announced": list(map(asdict, to_come)), "unannounced": list(map(asdict, gone))}
        show.raw(pretty(told))
    elif as_csv:
        columns, rows = text.gone_rows(gone) if unannounced else text.announced_rows(to_come)
        show.raw(show.as_csv(columns, rows))
    else:
        click.echo("\n".join(text.gone_lines(gone, days) if unannounced else text.lines(to_come, gone, days)))
