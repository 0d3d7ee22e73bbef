"""Follow references to secrets: the environment, files, and the output of commands."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from pipeline.core.types import Resolve, Secret
from pipeline.errors import Unresolved

_PATIENCE = 30


def resolver(directory: Path) -> Resolve:
    """Give the function that follows references; relative files are looked for in `directory`.

    `env:NAME` is a variable, `command:PROGRAM ARGUMENTS` what a program prints, `file:PATH` a file's content.
    A relative file is first looked for in systemd's `$CREDENTIALS_DIRECTORY`.
    """

    def resolve(reference: str) -> Secret:
        kind, _, rest = reference.partition(":")
        match kind:
            case "env":
                return _variable(rest)
            case "file":
                return _file(rest, directory)
            case "command":
                return _output(rest)
            case _:
                raise Unresolved("a secret's reference begins with env:, file: or command:")

    return resolve


def _variable(name: str) -> Secret:
    value = os.environ.get(name)
    if value is None:
        raise Unresolved(f"env:{name} is not set, so nothing was sent: set it where the job runs")
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
        why = getattr(error, "strerror", None) or "it is no text"
        raise Unresolved(f"file:{name} cannot be read, so nothing was sent: {found}: {why}") from error


def _output(command: str) -> Secret:
    """Run a command and take what it prints; neither its words nor its output are ever shown."""
    try:
        words = shlex.split(command)
        done = subprocess.run(words, capture_output=True, timeout=_PATIENCE, check=True)  # noqa: S603 - the user's own
        return Secret(done.stdout.decode("utf-8").strip())
    except subprocess.TimeoutExpired:
        raise Unresolved(
            f"a command: for a key gave nothing within {_PATIENCE} s: nothing was sent"
        ) from None
    except subprocess.CalledProcessError as error:
        raise Unresolved(
            f"a command: for a key failed with exit {error.returncode}: nothing was sent"
        ) from None
    except (OSError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or "see its quotes"
        raise Unresolved(f"a command: for a key cannot be run ({why}): nothing was sent") from None
