"""The command that mutes known problems."""

from __future__ import annotations

import sys
from datetime import datetime

import click
from msgspec.structs import asdict

from pipeline.api import Home
from pipeline.cli.catalog import mute_lines
from pipeline.cli.options import clock, names_option, with_home
from pipeline.cli.terminal import raw
from pipeline.core.canonical import pretty
from pipeline.core.times import parse_end

_DAYS = "7d"
"""How long a mute lasts unless `--until` says otherwise."""


@click.command()
@with_home
@names_option("scope", "scopes", "A scope, or a glob of scopes")
@names_option("model", "models", "A model, or a glob of models")
@click.option(
    "--until", metavar="TIME", help="When it ends: 14d, 12h, 2026-12-24 or 2026-12-24T08:00Z. Default: 7d."
)
@click.option("--end", is_flag=True, help="End the mutes of these scopes and models now.")
@click.option("--json", "as_json", is_flag=True, help="Print the mutes as JSON.")
def mute(
    home: Home,
    *,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    until: str | None,
    end: bool,
    as_json: bool,
) -> None:
    """Keep a known problem or a model out of alarms for a time; without options, list what is muted.

    Failures and held answers of a muted scope are not urgent, not in subjects and not on stderr; mails list
    them under "Muted". Changes of a muted model are quiet. CSV, JSON, `status`, `changes` and exit statuses
    stay as they are. The confirmed removal of a watched model is reported in any case. A mute ends by itself;
    what still stands is then reported as new.
    """
    if (end or until) and not (scopes or models):
        raise click.UsageError("name what to mute with --scope or --model, as `modelwatch mute` lists it")
    if end and until:
        raise click.UsageError("--end ends a mute now: remove --until")
    if end:
        ended = home.unmute(scopes=scopes, models=models)
        click.echo(f"ended: {' '.join(each.pattern for each in ended)}")
        return
    if scopes or models:
        try:
            at = parse_end(until or _DAYS, datetime.fromisoformat(clock()()))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--until") from None
        found = home.mute(scopes=scopes, models=models, until=at)
    else:
        found = home.mutes()
    if as_json:
        raw(pretty(list(map(asdict, found))))
        return
    for line in mute_lines(found):
        click.echo(line)
    if not found:
        click.echo("nothing is muted: see `modelwatch mute --help`", err=not sys.stdout.isatty())
