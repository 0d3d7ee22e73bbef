"""Look into a TOML file so that every complaint names the file, the line or key, and the cure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from pipeline.errors import ConfigError

Key = tuple[str, ...]
"""Where something stands: the names of the tables around it and its own."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a TOML file: its values, where it stands, and the file's own text."""

    path: Path
    source: str
    values: dict[str, Any]
    at: Key = ()

    @classmethod
    def parse(cls, source: str, path: Path) -> Self:
        """Read the text of a file.

        Raises:
            ConfigError: it is no valid TOML.
        """
        try:
            return cls(path, source, tomllib.loads(source))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"is no valid TOML: {error}", where=str(path)) from error

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def only(self, known: Iterable[str]) -> None:
        """Refuse keys that mean nothing here: a mistyped setting must not be silently without effect."""
        names = sorted(known)
        for key in self.values:
            if key not in names:
                self.fail(f"is not known here: use one of {', '.join(names)}", key)

    def text(self, key: str) -> str | None:
        """Give a text; None when it is not there."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            self.fail("must be a text in quotes", key)
        return value

    def number(self, key: str, default: float) -> float:
        """Give a number, the default when it is not there; a whole number where the default is one."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            self.fail(f"must be a number, such as {default:g}", key)
        if isinstance(default, int) and value != int(value):
            self.fail(f"must be a whole number, such as {default}", key)
        return int(value) if isinstance(default, int) else float(value)

    def texts(self, key: str, such_as: str) -> tuple[str, ...]:
        """Give a list of texts, none when it is not there; `such_as` is an example, in TOML."""
        value: Any = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            self.fail(f"must be a list of texts, such as {such_as}", key)
        return tuple(value)

    def flag(self, key: str) -> bool:
        """Give a switch; off when it is not there."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            self.fail("must be true or false", key)
        return value

    def table(self, key: str) -> Table:
        """Give the table below a key, an empty one when there is none."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            self.fail("must be a table, such as `{}`", key)
        return Table(self.path, self.source, value, (*self.at, key))

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Give the tables below this one, by name, in the file's order."""
        for key in self.values:
            yield key, self.table(key)

    def file(self, key: str, default: str) -> Path:
        """Give a file's absolute path; relative ones are relative to this file."""
        return self.path.absolute().parent / Path(self.text(key) or default).expanduser()

    def fail(self, message: str, *key: str) -> NoReturn:
        """Refuse this table, or what stands at a key in it.

        Raises:
            ConfigError: always; names the file, the line where it can be found, and the key.
        """
        at = (*self.at, *key)
        line = _line(self.source, at)
        where = ":".join(str(part) for part in (self.path, line) if part is not None)
        raise ConfigError(message, where=f"{where}: {'.'.join(at)}" if at else where)


def _line(source: str, at: Key) -> int | None:
    """Find the line of a key, or of the nearest table around it that has a line of its own."""
    best: tuple[int, int] | None = None
    section: Key = ()
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("["):
            section = found = _names(line)
        else:
            names = _names(line.partition("=")[0] + "= 0") if "=" in line else ()
            found = (*section, *names) if names else ()
        depth = len(found)
        if found and at[:depth] == found and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _names(line: str) -> Key:
    """Read the names in a table's heading or before an equals sign."""
    try:
        value: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    names: list[str] = []
    while isinstance(value, dict | list) and value:
        value = value[0] if isinstance(value, list) else value
        if isinstance(value, dict) and value:
            name, value = next(iter(value.items()))
            names.append(name)
    return tuple(names)
