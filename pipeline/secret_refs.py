"""References to secrets: a variable of the environment, a file, or the output of a command.

A reference may also give a list of keys by name; see `core/key_list.py`.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from pipeline import processes, user_files
from pipeline.core.masking import SHORTEST_IN_BODY
from pipeline.core.types import Resolve, Secret, list_and_name, reference_name
from pipeline.errors import Unresolved

if TYPE_CHECKING:  # only a config with a list of keys needs to parse one
    from pipeline.core.key_list import KeyTable

COMMAND_TIMEOUT = 30.0
"""Seconds that a command may take, unless a run must end earlier."""

LONGEST_SECRET = 64 * 1024
"""Bytes of a secret: no server takes a longer header, and texts of a gateway are searched for its parts."""


LARGEST_LIST = 256 * 1024 * 1024
"""Bytes of a list of keys: more than two million of them."""


_BAD_LIST_CURE = "the list of `keys` must be CSV under `name,key,group`, or JSON"
_BAD_ROW_CURE = "correct it where the list of `keys` is made"
_NO_LIST_CURES = {
    "command": "run the program of `keys` as the user of the job, to see what it says",
    "file": "the user of the job must be able to read the file of `keys`",
}
"""What to do where a program gives no list, or a file cannot be read."""


class Resolver:
    """The function that resolves references to secrets, with the lists of keys that it has read.

    Each list is read once, also if that fails, and stays in memory only. Threads may share it.
    """

    def __init__(self, directory: Path, timeout: float) -> None:
        self._directory = directory
        self._timeout = timeout
        self._lists: dict[str, KeyTable | Unresolved] = {}
        self._lock = Lock()

    def __call__(self, reference: str) -> Secret:
        """Return the secret of a reference.

        Raises:
            Unresolved: there is none.
        """
        listed = list_and_name(reference)
        if listed is not None:
            return self._listed(*listed)
        kind, _, rest = reference.partition(":")
        match kind:
            case "env":
                return _of_bounded_length(kind, rest, _variable(rest))
            case "file":
                return _file(rest, self._directory)
            case "command":
                return _of_bounded_length(kind, "", _output(rest, self._timeout))
            case _:
                raise Unresolved("a reference to a secret begins with env:, file: or command:")

    def keys(self, reference: str) -> KeyTable:
        """Return the list of keys that a reference gives.

        Raises:
            Unresolved: it gives none, or one with a fault.
        """
        with self._lock:
            if reference not in self._lists:
                self._lists[reference] = self._read_list(reference)
            found = self._lists[reference]
        if isinstance(found, Unresolved):
            raise Unresolved(found.problem, cure=found.cure, path=found.path)
        return found

    def _listed(self, reference: str, name: str) -> Secret:
        secret = self.keys(reference).secret(name)
        if secret is None:
            raise Unresolved(
                f"{reference_name(reference)} has no key of this name any more; nothing was sent",
                cure="if the list has lost so many for good, run once with `max_loss = 1` for the gateway",
            )
        return secret

    def _read_list(self, reference: str) -> KeyTable | Unresolved:
        from pipeline.core.key_list import KeyListError, KeyRowError, parse_keys

        kind, _, rest = reference.partition(":")
        path = secret_file(reference, self._directory) if kind == "file" else None
        try:
            data = _content(path, LARGEST_LIST) if path else _printed(rest, self._timeout, LARGEST_LIST)
            if len(data) <= LARGEST_LIST:
                return parse_keys(data)
            return Unresolved(
                f"{kind}: gives more than {LARGEST_LIST:,} bytes; nothing was sent", cure=_BAD_LIST_CURE
            )
        except KeyListError as error:
            cure = _BAD_ROW_CURE if isinstance(error, KeyRowError) else _BAD_LIST_CURE
            return Unresolved(f"{kind}: {error}; nothing was sent", cure=cure, path=path)
        except Unresolved as error:
            return Unresolved(error.problem, cure=_NO_LIST_CURES.get(kind), path=error.path)


def resolver(directory: Path, *, timeout: float = COMMAND_TIMEOUT) -> Resolver:
    """Return the function that resolves references to secrets.

    `env:NAME` is a variable, `file:PATH` the content of a file, `command:PROGRAM ARGUMENTS` the output of a
    program. A relative path is looked up in systemd's `$CREDENTIALS_DIRECTORY`, see
    https://systemd.io/CREDENTIALS/, and then in `directory`.
    """
    return Resolver(directory, timeout)


def noting(resolve: Resolve, found: dict[str, int]) -> Resolve:
    """Return a function that resolves references, and adds each to `found` with the letters of its secret.

    They are 0 where there is no secret. Of a list of keys, it adds that of the list with those of the longest
    key, and each of a key that is too short to be masked.
    """

    def resolve_and_note(reference: str) -> Secret:
        listed = list_and_name(reference)
        noted = listed[0] if listed else reference
        found.setdefault(noted, 0)
        secret = resolve(reference)
        letters = len(secret.reveal().strip())
        found[noted] = max(found[noted], letters)
        if listed and letters < SHORTEST_IN_BODY:
            found[reference] = letters
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
        text = _content(found, LONGEST_SECRET).decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise Unresolved("file: is no text in UTF-8; nothing was sent", cure="save it as UTF-8", path=found)
    if text and not text.strip():
        raise Unresolved("file: has only blanks; nothing was sent", cure="put the secret there", path=found)
    return Secret(text.strip())


def _content(path: Path, most: int) -> bytes:
    try:
        return user_files.read(path, most)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Unresolved(f"file: cannot be read; nothing was sent: {why}", path=path) from None


def _output(command: str, timeout: float) -> Secret:
    try:
        return Secret(_printed(command, timeout).decode("utf-8").strip())
    except UnicodeDecodeError:
        raise Unresolved("command: printed no text in UTF-8; nothing was sent") from None


def _printed(command: str, timeout: float, most: int = processes.MAX_OUTPUT) -> bytes:
    """Return the output of a command, of at most one byte more; messages show neither its words nor it."""
    try:
        done = processes.run(shlex.split(command), timeout=timeout, most=most + 1)
    except TimeoutError:
        raise Unresolved(f"command: did not end within {timeout:g} s; nothing was sent") from None
    except (OSError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or "check its quotes"
        raise Unresolved(f"command: cannot be run ({why}); nothing was sent") from None
    if done.status:
        raise Unresolved(f"command: exited with {done.status}; nothing was sent")
    return done.output
