"""Tables of a TOML file; each error in them names the file, the line, the key, and what to write."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

from pipeline import user_files
from pipeline.core.times import parse_duration
from pipeline.core.types import REFERENCE_PREFIXES, is_reference
from pipeline.errors import ConfigError

KeyPath = tuple[str, ...]
"""The path of a key in the file: the names of the tables around it, and its own."""

INVALID_NAME = "the name may have letters, digits and `. _ - @ +` only, as it becomes part of `gateway/scope`"

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""The name of a header: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2"""

SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|password", re.IGNORECASE)
"""A part of the name of a header whose value is a secret."""

_KINDS = f"{', '.join(REFERENCE_PREFIXES[:-1])} or {REFERENCE_PREFIXES[-1]}"

_LARGEST = 64 * 1024 * 1024
"""Bytes of a file that the config refers to."""

_Choice = TypeVar("_Choice", bound=str)


_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){100}""")
"""A key of a hundred parts: the time and memory that `tomllib` takes for one grow with their square."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a file.

    Args:
        path: the file.
        source: the whole text of the file, in which lines are found.
        values: the keys of the table and their values.
        at: the path of the table in the file; empty for the top table.
    """

    path: Path
    source: str
    values: dict[str, Any]
    at: KeyPath = ()

    @classmethod
    def parse(cls, source: str, path: Path) -> Self:
        """Parse the text of a file; return its top table.

        Raises:
            ConfigError: it is not valid TOML.
        """
        if _LONG_KEY.search(source):
            raise ConfigError("is not valid TOML: it is nested too deeply", where=str(path))
        try:
            return cls(path, source, tomllib.loads(source))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"is not valid TOML: {error}", where=str(path)) from error
        except RecursionError as error:
            raise ConfigError("is not valid TOML: it is nested too deeply", where=str(path)) from error
        except ValueError as error:
            # https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
            text = "is not valid TOML: a number has too many digits"
            raise ConfigError(text, where=str(path)) from error

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def check_keys(self, known: Iterable[str]) -> None:
        """Reject unknown keys, so that a misspelt setting is not ignored."""
        names = sorted(known)
        for key in self.values:
            if key not in names:
                near = get_close_matches(key, names, n=1)
                hint = f"did you mean {near[0]}? The known keys are" if near else "use one of"
                self.fail(f"is not a known key here: {hint} {', '.join(names)}", key)

    def text(self, key: str) -> str | None:
        """Return a text; None if the key is absent."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            self.fail("must be a text in quotes", key)
        if value is not None and not value.strip():
            self.fail("is empty: write a value, or remove the line", key)
        return value

    def required(self, key: str, example: str) -> str:
        """Return a text that must not be absent."""
        value = self.text(key)
        if value is None:
            self.fail(f'has no {key}: write e.g. `{key} = "{example}"`')
        return value

    def choice(self, key: str, choices: Sequence[_Choice], default: _Choice | None = None) -> _Choice:
        """Return one of some texts; without a default the key must not be absent."""
        value = self.text(key)
        if value is None and default is not None:
            return default
        found = next((choice for choice in choices if choice == value), None)
        if found is None:
            quoted = ", ".join(f'"{choice}"' for choice in choices)
            if value is None:
                self.fail(f"has no {key}: write one of {quoted}")
            self.fail(f"{value!r} is not known: use one of {quoted}", key)
        return found

    def reference(self, key: str) -> str:
        """Return a reference to a secret, such as `env:NAME`; anything else is rejected and not shown."""
        value = self.values[key]
        if not is_reference(value):
            self.fail(reference_required(value), key)
        return str(value)

    def number(self, key: str, default: float) -> float:
        """Return a number, or the default if the key is absent; an integer where the default is one."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            self.fail(f"must be a number, such as {default:g}", key)
        if isinstance(default, int) and value != int(value):
            self.fail(f"must be a whole number, such as {default}", key)
        return int(value) if isinstance(default, int) else float(value)

    def duration(self, key: str, default: float) -> float:
        """Return seconds, or the default if the key is absent: a number, or a text such as `30m` or `2h`."""
        value = self.values.get(key)
        if not isinstance(value, str):
            return self.number(key, default)
        try:
            return parse_duration(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no duration: write 30m, 2h or 1d, or a number of seconds", key)

    def positive(self, key: str, default: float) -> float:
        """Return a number above 0, or the default if the key is absent."""
        value = self.number(key, default)
        if value <= 0:
            self.fail("must be more than 0", key)
        return value

    def texts(self, key: str, example: str) -> tuple[str, ...]:
        """Return a list of texts, empty if the key is absent; the example is TOML."""
        value: Any = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(f"must be a list of texts, such as {example}", key)
        if not all(item.strip() for item in value):
            self.fail("has an empty text: write a value, or remove it", key)
        return tuple(value)

    def flag(self, key: str) -> bool:
        """Return a boolean; False if the key is absent."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            self.fail("must be true or false", key)
        return value

    def table(self, key: str) -> Table:
        """Return the table at a key; an empty one if the key is absent."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            self.fail("must be a table, such as `{}`", key)
        return Table(self.path, self.source, value, (*self.at, key))

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Yield the tables in this one, with their names, in the file's order."""
        for key in self.values:
            yield key, self.table(key)

    def file(self, key: str, default: str = "") -> Path:
        """Return an absolute path; a relative one in the file is relative to the file's directory."""
        text = self.text(key) or default
        try:
            path = self.path.absolute().parent / Path(text).expanduser()
        except RuntimeError:
            self.fail(f"there is no home of the user in {text!r}", key)
        if "\0" in text:
            self.fail("has a NUL, which no path can have", key)
        return path

    def required_file(self, key: str, example: str) -> Path:
        """Return a path, as `file` does, that must not be absent."""
        self.required(key, example)
        return self.file(key)

    def fail(self, message: str, *key: str) -> NoReturn:
        """Reject this table, or the value at a key in it.

        Raises:
            ConfigError: always; names the file, the line if it is found, and the key.
        """
        at = (*self.at, *key)
        line = _line(self.source, at)
        where = ":".join(str(part) for part in (self.path, line) if part is not None)
        raise ConfigError(message, where=f"{where}: {'.'.join(at)}" if at else where)


def reference_required(value: object) -> str:
    """Return the message for a value that must be a reference; it shows no more than a misspelt prefix."""
    kind, colon, _ = value.partition(":") if isinstance(value, str) else ("", "", "")
    prefix = kind + colon
    if colon and prefix not in REFERENCE_PREFIXES and get_close_matches(prefix.lower(), REFERENCE_PREFIXES):
        return f"{prefix!r} is not a reference: use {_KINDS}"
    return (
        "must be a reference to the secret, never the secret itself: "
        'write "env:NAME", "file:PATH" or "command:PROGRAM ARGUMENTS"'
    )


def read_text(path: Path, *, if_absent: str | None = None) -> str:
    """Read the config, or a file that it refers to.

    Args:
        path: the file; the config may be a pipe, such as `<(sops -d file)` in a shell.
        if_absent: the message if it does not exist, for the config.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        content = user_files.read(path, _LARGEST) if if_absent is None else path.read_bytes()
        return StringIO(content.decode("utf-8-sig"), newline=None).read()
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8: save it as UTF-8", where=str(path)) from error
    except OSError as error:
        absent = if_absent if isinstance(error, FileNotFoundError) else None
        raise ConfigError(absent or f"cannot be read: {error.strerror}", where=str(path)) from error


def _line(source: str, at: KeyPath) -> int | None:
    """Return the first line of a key: its own, else of what is in it, else of the nearest table around it."""
    best: tuple[int, bool] = (0, False)
    best_line: int | None = None
    section: KeyPath = ()
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("["):
            section = found = _names(line)
        else:
            names = _names(line.partition("=")[0] + "= 0") if "=" in line else ()
            found = (*section, *names) if names else ()
        depth = min(len(found), len(at))
        rank = (depth, len(found) <= len(at))
        if found[:depth] == at[:depth] and rank > best and depth:
            best, best_line = rank, number
    return best_line


def _names(line: str) -> KeyPath:
    """Return the names in a table's header, or before an equals sign."""
    try:
        value: Any = tomllib.loads(line)
    except (ValueError, RecursionError):
        return ()
    names: list[str] = []
    while isinstance(value, dict | list) and value:
        value = value[0] if isinstance(value, list) else value
        if isinstance(value, dict) and value:
            name, value = next(iter(value.items()))
            names.append(name)
    return tuple(names)
