"""The commands that set up: init, schedule.

Give the text to hand to a scheduler, with this installation's paths in it.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import click

from pipeline.cli.options import Place, placed
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
    try:
        click.echo(schedule_files(kind, command=_command(), home=str(place.home.absolute())), nl=False)
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


_FILES = {
    "crontab": ("crontab",),
    "systemd": ("modelwatch.service", "modelwatch.timer"),
    "kubernetes": ("kubernetes.yaml",),
    "github-actions": ("github-actions.yml",),
}


KINDS: tuple[str, ...] = tuple(_FILES)


Quote = Callable[[str], str]
"""Writes a path so that the scheduler reads the same path again."""


# systemd refuses a program with these in its path, however written; crons differ in what a backslash means.
_REFUSED = {"crontab": "\\", "systemd": "\"'\\"}


_COMMAND = "/opt/modelwatch/cron/modelwatch"


_HOME = "/opt/modelwatch/data"


_EITHER = re.compile(f"{re.escape(_COMMAND)}|{re.escape(_HOME)}")


def schedule_files(kind: str, *, command: str, home: str) -> str:
    """Give the schedule of one kind, ready to copy.

    A pod and a hosted runner have a program of their own to start: their schedules do not name `command`.

    Args:
        kind: one of `KINDS`.
        command: the absolute path of the program.
        home: the absolute path of the directory with config, database and reports.

    Raises:
        ValueError: the kind is unknown, or a path is one that this scheduler cannot take.
    """
    if kind not in _FILES:
        raise ValueError(f"{kind!r} is no schedule: use one of {', '.join(KINDS)}")
    for path in (command, home):
        _check(kind, path)
    paths = {_COMMAND: command, _HOME: home}
    heading = "# /etc/systemd/system/{}\n" if kind == "systemd" else ""
    return "\n".join(
        heading.format(name) + _fill(_read(name), paths, _quoting(kind)) for name in _FILES[kind]
    )


def _check(kind: str, path: str) -> None:
    if not PurePosixPath(path).is_absolute():
        raise ValueError(f"{path!r} is not absolute: a scheduler does not start in your directory")
    if not path.isprintable() or any(character in path for character in _REFUSED.get(kind, "")):
        raise ValueError(f"{path!r} has characters that a {kind} schedule cannot take: use another directory")


def _read(name: str) -> str:
    """Read a file from the installed package, or from `cron/` in a source tree."""
    here = Path(__file__).parents[1]
    packaged = here / "schedules" / name
    return (packaged if packaged.is_file() else here.parent / "cron" / name).read_text(encoding="utf-8")


def _fill(text: str, paths: dict[str, str], quote: Quote) -> str:
    """Put the paths in; comments show commands to type, so there they are quoted for a shell."""

    def filled(line: str) -> str:
        word = shlex.quote if line.lstrip().startswith("#") else quote
        return _EITHER.sub(lambda found: word(paths[found[0]]), line)

    return "".join(filled(line) for line in text.splitlines(keepends=True))


def _quoting(kind: str) -> Quote:
    match kind:
        case "crontab":
            return _crontab
        case "systemd":
            return _systemd
        case _:
            return _yaml


def _crontab(path: str) -> str:
    """Quote a word for the shell; cron makes a bare `%` a new line before any shell sees it."""
    return shlex.quote(path).replace("%", r"\%")


def _systemd(path: str) -> str:
    """Escape inside the double quotes that stand in the file; `%` begins a specifier there."""
    return path.replace("%", "%%")


def _yaml(path: str) -> str:
    """Escape inside the double quotes that stand in the file, as JSON does, which YAML reads alike."""
    return json.dumps(path, ensure_ascii=False)[1:-1]
