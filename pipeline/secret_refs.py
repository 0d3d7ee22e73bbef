"""References to secrets: a variable of the environment, a file, or the output of a command."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path

from pipeline import processes, user_files
from pipeline.core.types import Resolve, Secret
from pipeline.errors import Unresolved

COMMAND_TIMEOUT = 30.0
"""Seconds that a command may take, unless a run must end earlier."""

LONGEST_SECRET = 64 * 1024
"""Bytes of a secret: no server takes a longer header, and texts of a gateway are searched for its parts."""


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
                return _of_bounded_length(kind, rest, _variable(rest))
            case "file":
                return _file(rest, directory)
            case "command":
                return _of_bounded_length(kind, "", _output(rest, timeout))
            case _:
                raise Unresolved("a reference to a secret begins with env:, file: or command:")

    return resolve


def noting(resolve: Resolve, found: dict[str, int]) -> Resolve:
    """Return a function that resolves references, and adds each to `found` with the letters of its secret.

    They are 0 where there is no secret.
    """

    def resolve_and_note(reference: str) -> Secret:
        found.setdefault(reference, 0)
        secret = resolve(reference)
        found[reference] = len(secret.reveal().strip())
        return secret

    return resolve_and_note


def _of_bounded_length(kind: str, name: str, secret: Secret) -> Secret:
    if len(secret.reveal()) > LONGEST_SECRET:
        raise Unresolved(f"{kind}:{name} gives more than {LONGEST_SECRET:,} letters; nothing was sent")
    return secret


def _variable(name: str) -> Secret:
    value = os.environ.get(name)
    if value is None:
        cure = "set it in the environment of the job"
        raise Unresolved(f"env:{name} is not set; nothing was sent", cure=cure)
    return Secret(value)


def secret_file(reference: str, directory: Path) -> Path:
    """Return the path of the file that a reference `file:PATH` names; see `resolver`."""
    name = reference.partition(":")[2]
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(name.replace("$CREDENTIALS_DIRECTORY", credentials or "$CREDENTIALS_DIRECTORY"))
    with suppress(RuntimeError):  # there is no such user
        path = path.expanduser()
    places = [directory / path]
    if credentials:
        places.insert(0, Path(credentials) / path)
    # `Path.is_file` raises for a name that is too long.
    return next((place for place in places if os.path.isfile(place)), places[-1])  # noqa: PTH113


def _file(name: str, directory: Path) -> Secret:
    found = secret_file(f"file:{name}", directory)
    try:
        # Editors of Windows begin UTF-8 with a byte order mark.
        text = user_files.read(found, LONGEST_SECRET).decode("utf-8-sig")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Unresolved(f"file: cannot be read; nothing was sent: {why}", path=found) from None
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise Unresolved("file: is no text in UTF-8; nothing was sent", cure="save it as UTF-8", path=found)
    if text and not text.strip():
        raise Unresolved("file: has only blanks; nothing was sent", cure="put the secret there", path=found)
    return Secret(text.strip())


def _output(command: str, timeout: float) -> Secret:
    """Return the output of a command; messages show neither its words nor its output."""
    try:
        done = processes.run(shlex.split(command), timeout=timeout)
        if done.status:
            raise Unresolved(f"command: exited with {done.status}; nothing was sent")
        return Secret(done.output.decode("utf-8").strip())
    except TimeoutError:
        raise Unresolved(f"command: did not end within {timeout:g} s; nothing was sent") from None
    except UnicodeDecodeError:
        raise Unresolved("command: printed no text in UTF-8; nothing was sent") from None
    except (OSError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or "check its quotes"
        raise Unresolved(f"command: cannot be run ({why}); nothing was sent") from None
