"""Give the text to hand to a scheduler, with this installation's paths in it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path, PurePosixPath

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


def schedule(kind: str, *, command: str, home: str) -> str:
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
    here = Path(__file__).parent
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
