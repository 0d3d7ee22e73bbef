"""Read many keys at once from a CSV file of references.

Read how a gateway nobody has heard of writes its list, as its table in the config says.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.config.toml import Table
from pipeline.core import jsonpath
from pipeline.core.facts import UNITS
from pipeline.core.types import REFERENCE_PREFIXES, Overrides, Pairs, Scope, is_valid_name
from pipeline.errors import ConfigError
from pipeline.gateways.dialects import FACT_NAMES

HEADER = ["name", "key", "group"]


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
    if not is_valid_name(name):
        raise ConfigError(bad_name(), where=where)
    if not is_reference(key):
        raise ConfigError(no_reference("the key"), where=where)
    return KeyRow(name, key, group or None)


def is_reference(value: object) -> bool:
    """Say whether a value says where a secret is kept."""
    return isinstance(value, str) and value.startswith(REFERENCE_PREFIXES) and value not in REFERENCE_PREFIXES


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


SPELLING = frozenset(item.name for item in fields(Overrides))


_SUCH_AS = '["benchmarks", "providers.*.latency"]'


_PAGING = ("param", "next", "more", "pages", "total", "size")


_PRICES = ("unit", "input", "output", "cache_read", "cache_write", "per_call")


def spelling(table: Table) -> Overrides:
    """Read a gateway's own spelling; an empty one where its table says nothing of it.

    Raises:
        ConfigError: names the line and what to write.
    """
    return Overrides(
        path=table.text("path"),
        list=_list(table),
        id=_path(table, "id"),
        key_header=table.text("key_header"),
        paging=_paging(table),
        prices=_prices(table),
        facts=_pairs(table.table("facts"), FACT_NAMES, _check_path),
        noise=_paths(table, "noise"),
        quiet=_paths(table, "quiet"),
        sets=_paths(table, "sets"),
        no_models=table.texts("no_models", _SUCH_AS),
    )


def _list(table: Table) -> str | None:
    return "" if table.values.get("list") == "" else _path(table, "list")


def _path(table: Table, key: str) -> str | None:
    value = table.text(key)
    if value is not None:
        _check_path(table, key, value)
    return value


def _check_path(table: Table, key: str, value: str) -> None:
    try:
        jsonpath.parse(value)
    except ValueError as error:
        table.fail(str(error), key)


def _paths(table: Table, key: str) -> tuple[str, ...]:
    found = table.texts(key, _SUCH_AS)
    for value in found:
        _check_path(table, key, value)
    return found


def _paging(table: Table) -> Pairs:
    own = _pairs(table.table("paging"), _PAGING, lambda *_: None)
    if own and "param" not in dict(own):
        table.fail("needs `param`: the query parameter that says which page", "paging")
    if own and not {"next", "pages"} & dict(own).keys():
        table.fail(
            "needs `next` (where the next cursor is) or `pages` (where the number of pages is)", "paging"
        )
    return own


def _prices(table: Table) -> Pairs:
    own = _pairs(table.table("prices"), _PRICES, lambda *_: None)
    unit = dict(own).get("unit")
    if unit is not None and unit not in UNITS:
        table.table("prices").fail(f"{unit!r} is no unit: use one of {', '.join(UNITS)}", "unit")
    return own


def _pairs(table: Table, known: Iterable[str], check: Callable[[Table, str, str], None]) -> Pairs:
    table.only(known)
    found = []
    for key in table.values:
        value = table.text(key)
        assert value is not None
        check(table, key, value)
        found.append((key, value))
    return tuple(found)


def scope_globs(table: Table, scopes: Sequence[Scope]) -> tuple[str, ...]:
    """Read the globs of scopes that stand at `scopes`; each must match one.

    Raises:
        ConfigError: one does not.
    """
    globs = table.texts("scopes", '["aihubmix/*"]')
    for glob in globs:
        if not _may_match(glob, scopes):
            table.fail(f"{glob!r} matches no scope: there are {_names(scopes)}", "scopes")
    return globs


def _may_match(glob: str, scopes: Sequence[Scope]) -> bool:
    # The scopes of a user's groups are not known before they are asked for.
    return any(scope.all_groups or fnmatchcase(scope.name, glob) for scope in scopes)


def _names(scopes: Sequence[Scope]) -> str:
    return ", ".join(scope.name for scope in scopes)
