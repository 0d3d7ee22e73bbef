"""The commands that set up: init, schedule."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.cli.common import Place, placed
from pipeline.errors import ConfigError

_CONFIG = """\
# modelwatch: which gateways to ask, and as whom. See what it does: `modelwatch check`.
#
# Files named here are relative to this file. Uncomment what you want to change.

# database = "modelwatch.db"      # the SQLite file: the whole history
# reports = "reports"             # where the CSV and JSON reports go
# deadline = 600                  # seconds that one run may take

[gateways.{name}]
url = "{url}"

# keys = "keys.csv"               # many keys at once: a CSV file `name,key,group`, with references in it
# dialect = "auto"                # how the gateway writes its list
# concurrency = 8                 # requests at a time
# timeout = 30                    # seconds to wait for an answer
# attempts = 4                    # tries, when it is not reached or asks to slow down
# max_loss = 0.25                 # hold an answer that lacks more than this share of the models…
# floor = 3                       # …and more than this many
# confirm = 2                     # complete answers in a row that must miss a model before it is removed

# Each scope is one place to ask from. A secret never stands here, only where it is kept:
# "env:NAME" (a variable), "file:PATH" (a file, or a systemd credential), "command:PROGRAM ARGUMENTS".
[gateways.{name}.scopes]
public = {{}}                       # nobody: the gateway's default group
# prod = {{ key = "env:PROD_KEY", group = "vip" }}
# mine = {{ access_token = "file:token", user_id = 17 }}
# browser = {{ cookie = "env:SESSION" }}
# login = {{ username = "me", password = "command:pass show gateway" }}

# What you depend on, by id or glob: `modelwatch watch` says how it stands, and reports mark what is urgent.
# [watch]
# models = ["some-model", "vendor/*"]

# Know that it runs: a check at healthchecks.io or a server like it, and a file for node_exporter.
# [ping]
# url = "env:PING_URL"
# [metrics]
# file = "modelwatch.prom"
"""


@click.command()
@placed
@click.option("--url", default="https://aihubmix.com", show_default=True, help="The gateway's address.")
@click.option("--name", default="aihubmix", show_default=True, help="What to call the gateway.")
@click.option("--force", is_flag=True, help="Write over a config that is there.")
def init(place: Place, *, url: str, name: str, force: bool) -> None:
    """Write a commented config whose default works without any key."""
    from pipeline import config

    path = place.config
    if path.exists() and not force:
        raise ConfigError("is there already: edit it, or write it anew with --force", where=str(path))
    text = _CONFIG.format(name=name, url=url)
    config.parse(text, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(path)) from error
    click.echo(f"wrote {path}\nnext: `modelwatch check`, then `modelwatch run`")


@click.command()
@placed
@click.argument("kind")
def schedule(place: Place, *, kind: str) -> None:
    """Print a schedule, with the paths of this installation: crontab, systemd, kubernetes, github-actions."""
    from pipeline.schedule import schedule as text

    try:
        click.echo(text(kind, command=_command(), home=str(place.home.absolute())), nl=False)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _command() -> str:
    """Find the program to name: the launcher of a source tree, or the installed command."""
    launcher = Path(__file__).resolve().parents[2] / "cron" / "modelwatch"
    installed = Path(sys.executable).with_name("modelwatch")
    for program in (launcher, installed):
        if program.is_file():
            return str(program)
    raise click.ClickException("this modelwatch has no command to name: install it with pip")
