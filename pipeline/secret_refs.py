"""References to secrets: a variable of the environment, a file, or the output of a command."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from pipeline import processes
from pipeline.core.types import Resolve, Secret
from pipeline.errors import Unresolved

COMMAND_TIMEOUT = 30.0
"""Seconds that a command may take, unless a run must end earlier."""


def resolver(directory: Path, *, timeout: float = COMMAND_TIMEOUT) -> Resolve:
    """Return the function that resolves references to secrets.

    `env:NAME` is a variable, `file:PATH` the content of a file, `command:PROGRAM ARGUMENTS` the output of a
    program. A relative path is looked up in systemd's `$CREDENTIALS_DIRECTORY`, see
    https://systemd.io/CREDENTIALS/, and then in `directory`. The function raises `Unresolved`.
    """

    def resolve(reference: str) -> Secret:
        kind, _, rest = reference.partition(":")
        match kind:
            case "env":
                return _variable(rest)
            case "file":
                return _file(rest, directory)
            case "command":
                return _output(rest, timeout)
            case _:
                raise Unresolved("a reference to a secret begins with env:, file: or command:")

    return resolve


def _variable(name: str) -> Secret:
    value = os.environ.get(name)
    if value is None:
        cure = "set it in the environment of the job"
        raise Unresolved(f"env:{name} is not set; nothing was sent", cure=cure)
    return Secret(value)


def _file(name: str, directory: Path) -> Secret:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(name.replace("$CREDENTIALS_DIRECTORY", credentials or "$CREDENTIALS_DIRECTORY")).expanduser()
    places = [directory / path]
    if credentials:
        places.insert(0, Path(credentials) / path)
    found = next((place for place in places if place.is_file()), places[-1])
    try:
        return Secret(found.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Unresolved(f"file:{name} cannot be read; nothing was sent: {found}: {why}") from error


def _output(command: str, timeout: float) -> Secret:
    """Return the output of a command; messages show neither its words nor its output."""
    try:
        done = processes.run(shlex.split(command), timeout=timeout)
        if done.status:
            raise Unresolved(f"a command: for a key exited with {done.status}; nothing was sent")
        return Secret(done.output.decode("utf-8").strip())
    except TimeoutError:
        raise Unresolved(f"a command: for a key did not end within {timeout:g} s; nothing was sent") from None
    except (OSError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or "check its quotes"
        raise Unresolved(f"a command: for a key cannot be run ({why}); nothing was sent") from None
