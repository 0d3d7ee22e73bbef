"""The command that compares: two times, two snapshots, two scopes."""

from __future__ import annotations

import click

from pipeline.cli.common import Place, placed
from pipeline.cli.running import database_of
from pipeline.errors import CHANGES_EXIT


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
    from pipeline.canonical import pretty
    from pipeline.cli import diff_text as text
    from pipeline.cli import show
    from pipeline.cli.sides import side
    from pipeline.sides import contrast
    from pipeline.store import Store

    with Store.read(database_of(place)) as store:
        sides = side(store, before), side(store, after)
        try:
            found = contrast(store, *sides)
        except LookupError as error:
            raise click.UsageError(str(error.args[0])) from error
    if as_json:
        show.raw(pretty(text.value(sides, found)))
    elif as_csv:
        show.raw(show.as_csv(text.COLUMNS, text.rows(found)))
    else:
        click.echo("\n".join(text.lines(sides, found, quiet_too=quiet_too, each=each)))
    return CHANGES_EXIT if exit_code and found.differs else 0
