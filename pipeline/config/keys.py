"""Read many keys at once from a CSV file of references."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.toml import Table
from pipeline.errors import ConfigError
from pipeline.types import REFERENCES

HEADER = ["name", "key", "group"]

_NAME = re.compile(r"^\w[\w.@+-]*$")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One line of a keys file; `key` is a reference."""

    name: str
    key: str
    group: str | None


def read_keys(path: Path) -> list[KeyRow]:
    """Read a keys file: a header `name,key,group` (the last may be left out), then a line a key.

    Raises:
        ConfigError: names the file and the line, and what to write instead; never a key.
    """
    reader = csv.reader(_text(path).splitlines(), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        rows = [(f"{path}:{reader.line_num}", [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise ConfigError(
            "is no CSV that can be read: see the quotes on this line", where=f"{path}:{reader.line_num}"
        ) from error
    if header not in (HEADER, HEADER[:2]):
        raise ConfigError("must begin with the line `name,key,group`", where=f"{path}:1")
    return [_row(cells, len(header), where) for where, cells in rows if any(cells)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8: save it as UTF-8", where=str(path)) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _row(cells: list[str], columns: int, where: str) -> KeyRow:
    if len(cells) > columns:
        raise ConfigError(f"has {len(cells)} cells where the header has {columns}", where=where)
    name, key, group = (*cells, "", "", "")[:3]
    if not is_name(name):
        raise ConfigError(bad_name(), where=where)
    if not is_reference(key):
        raise ConfigError(no_reference("the key"), where=where)
    return KeyRow(name, key, group or None)


def is_name(text: str) -> bool:
    """Say whether a text can be the name of a gateway or a scope."""
    return bool(_NAME.match(text))


def is_reference(value: object) -> bool:
    """Say whether a value says where a secret is kept."""
    return isinstance(value, str) and value.startswith(REFERENCES) and value not in REFERENCES


def bad_name() -> str:
    """Say what a name must be."""
    return "the name must be of letters, digits and `. _ - @ +`, for it stands in `gateway/scope`"


def no_reference(what: str) -> str:
    """Say that a secret stands where its reference should, without showing it."""
    return (
        f"{what} must say where the secret is kept, never the secret itself: "
        'write "env:NAME", "file:PATH" or "command:PROGRAM ARGUMENTS"'
    )


def reference(table: Table, key: str) -> str:
    """Give what stands at a key, which must be a reference.

    Raises:
        ConfigError: it is none; never shows it.
    """
    value = table.values[key]
    if not is_reference(value):
        table.fail(no_reference(key), key)
    return str(value)
