"""The command `schedule`: the files of a scheduler, with the paths of this installation."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import click

from pipeline.api import Home
from pipeline.cli.options import with_home
from pipeline.core.text import did_you_mean
from pipeline.errors import MissingPart, QuestionError

_FILES = {
    "crontab": ("crontab",),
    "systemd": ("modelwatch.service", "modelwatch.timer"),
    "kubernetes": ("kubernetes.yaml",),
    "github-actions": ("github-actions.yml",),
}

KINDS: tuple[str, ...] = tuple(_FILES)

Quote = Callable[[str], str]
"""Quotes a path for a scheduler's file."""

# systemd refuses these in the path of a program, quoted or not; crons differ in what a backslash means.
_REFUSED = {"crontab": "\\", "systemd": "\"'\\"}

_COMMAND = "/opt/modelwatch/cron/modelwatch"

_HOME = "/opt/modelwatch/data"

_PATHS = re.compile(f"{re.escape(_COMMAND)}|{re.escape(_HOME)}")


def _kinds(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the kinds that begin with a text, for completion in a shell."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


@click.command()
@with_home
@click.argument("kind", shell_complete=_kinds)
def schedule(home: Home, *, kind: str) -> None:
    """Print a schedule for cron, systemd, Kubernetes or GitHub Actions.

    KIND is crontab, systemd, kubernetes or github-actions. The paths are those of this installation.
    """
    print_schedule(home, kind)


def print_schedule(home: Home, kind: str) -> None:
    """Print the schedule of one kind."""
    click.echo(schedule_files(kind, command=_program(), home=str(home.directory.absolute())), nl=False)


def _program() -> str:
    """Return the program to start: the launcher of a source tree, or the installed command."""
    launcher = Path(__file__).resolve().parents[2] / "cron" / "modelwatch"
    installed = Path(sys.executable).with_name("modelwatch")
    for program in (launcher, installed):
        if program.is_file():
            return str(program)
    raise MissingPart("this installation has no command `modelwatch`: install it with pip")


def schedule_files(kind: str, *, command: str, home: str) -> str:
    """Return the schedule of one kind, ready to copy.

    Kubernetes and GitHub Actions start the program of their image: their schedules do not have `command`.

    Args:
        kind: one of `KINDS`.
        command: the absolute path of the program.
        home: the absolute path of the directory with config, database and reports.

    Raises:
        QuestionError: the kind is unknown, or this scheduler cannot use a path.
    """
    if kind not in _FILES:
        near = did_you_mean(kind, KINDS) or f"use one of {', '.join(KINDS)}"
        raise QuestionError(f"{kind!r} is not a kind of schedule: {near}")
    for path in (command, home):
        _check(kind, path)
    paths = {_COMMAND: command, _HOME: home}
    heading = "# /etc/systemd/system/{}\n" if kind == "systemd" else ""
    return "\n".join(
        heading.format(name) + _fill(_read(name), paths, _quoting(kind)) for name in _FILES[kind]
    )


def _check(kind: str, path: str) -> None:
    if not PurePosixPath(path).is_absolute():
        raise QuestionError(f"{path!r} is not absolute: a scheduler does not start in your directory")
    if not path.isprintable() or any(character in path for character in _REFUSED.get(kind, "")):
        raise QuestionError(
            f"{path!r} has characters that a {kind} schedule cannot have: use another directory"
        )


def _read(name: str) -> str:
    """Read a file from the installed package, or from `cron/` in a source tree."""
    here = Path(__file__).parents[1]
    packaged = here / "schedules" / name
    return (packaged if packaged.is_file() else here.parent / "cron" / name).read_text(encoding="utf-8")


def _fill(text: str, paths: dict[str, str], quote: Quote) -> str:
    """Insert the paths; in comments, which show commands to type, they are quoted for a shell."""

    def fill(line: str) -> str:
        word = shlex.quote if line.lstrip().startswith("#") else quote
        return _PATHS.sub(lambda found: word(paths[found[0]]), line)

    return "".join(fill(line) for line in text.splitlines(keepends=True))


def _quoting(kind: str) -> Quote:
    match kind:
        case "crontab":
            return _crontab
        case "systemd":
            return _systemd
        case _:
            return _yaml


def _crontab(path: str) -> str:
    """Quote a word for the shell; cron turns a bare `%` into a new line, see crontab(5)."""
    return shlex.quote(path).replace("%", r"\%")


def _systemd(path: str) -> str:
    """Escape inside the double quotes of the file; `%` begins a specifier, see systemd.unit(5)."""
    return path.replace("%", "%%")


def _yaml(path: str) -> str:
    """Escape inside the double quotes of the file; YAML has the escapes of JSON."""
    return json.dumps(path, ensure_ascii=False)[1:-1]
