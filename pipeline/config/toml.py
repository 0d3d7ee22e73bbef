"""A TOML file as typed tables; each error in it names the file, the line, the key, and what to write."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

from msgspec import ValidationError, convert
from msgspec.structs import fields

from pipeline import user_files
from pipeline.config.kinds import NoNumber, TimeOfDay, example, quoted, unfit, unknown_key
from pipeline.config.schema import Faults, Table, checks_of, malformed, misplaced
from pipeline.core.text import printable
from pipeline.errors import ConfigError

KeyPath = tuple[str, ...]
"""The path of a key in the file: the names of the tables around it, and its own."""

_Table = TypeVar("_Table", bound=Table)

_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){100}""")
"""A key of a hundred parts: the time and memory that `tomllib` takes for one grow with their square."""


_LARGEST = 64 * 1024 * 1024
"""Bytes of a file that the config refers to."""

_MOST = 100
"""The number of errors that are shown."""


class _Error(NamedTuple):
    """An error at a place: the key path in the file, or nothing for another file; sorted by file and line."""

    elsewhere: bool
    line: int
    where: str
    message: str
    at: KeyPath


class Document:
    """A TOML file, and the errors that are found in it.

    Attributes:
        path: the file.
        values: the keys and values of the file.
    """

    def __init__(self, source: str, path: Path) -> None:
        """Parse the text of a file.

        Raises:
            ConfigError: it is not valid TOML.
        """
        self.path = path
        self.values = _parse(source, path)
        self._source = source
        self._lines: dict[KeyPath, int] | None = None
        self._errors: list[_Error] = []

    def fail(self, at: KeyPath, message: str) -> None:
        """Note an error of the table or key at a path in the file."""
        line = self._line(at)
        where = f"{self.path}:{line}" if line else str(self.path)
        where = f"{where}: {printable('.'.join(at))}" if at else where
        self._errors.append(_Error(elsewhere=False, line=line, where=where, message=message, at=at))

    def fail_in(self, path: Path, line: int, message: str, at: KeyPath) -> None:
        """Note an error in a line of another file, to which the key at a path refers."""
        self._errors.append(_Error(elsewhere=True, line=line, where=f"{path}:{line}", message=message, at=at))

    def fail_lines(self, path: Path, faults: Iterable[tuple[int, str]], at: KeyPath) -> None:
        """Note errors in lines of another file; see `fail_in`."""
        for line, message in faults:
            self.fail_in(path, line, message, at)

    def text_of(self, name: str, at: KeyPath) -> tuple[Path, str | None]:
        """Return the path of a file that a key names, and its text; None if it cannot be read."""
        path = self.file(name)
        try:
            return path, read_text(path)
        except ConfigError as error:
            message = error.message.removeprefix(f"{error.where}: ")
            self._errors.append(_Error(elsewhere=True, line=0, where=error.where, message=message, at=at))
            return path, None

    def has_errors(self, at: KeyPath = ()) -> bool:
        """Return whether there is an error at a path, or below it."""
        return any(error.at[: len(at)] == at for error in self._errors)

    def raise_errors(self) -> None:
        """Raise all errors as one, with a line for each of the first hundred, sorted by line.

        Raises:
            ConfigError: there are errors.
        """
        if self._errors:
            first, *others = sorted(self._errors, key=lambda error: error[:2])
            lines = [f"{error.where}: {error.message}" for error in others[: _MOST - 1]]
            lines += [f"{self.path}: and {len(others) - len(lines):,} more errors"] * (len(others) >= _MOST)
            raise ConfigError("\n".join((first.message, *lines)), where=first.where)

    def file(self, text: str) -> Path:
        """Return an absolute path; a relative one in the file is relative to the file's directory."""
        return self.path.absolute().parent / Path(text).expanduser()

    def read(self, kind: type[_Table]) -> _Table:
        """Return the file as a table, without the keys and tables that have errors, which are noted."""
        try:
            return convert(self.values, kind, dec_hook=TimeOfDay.decode)
        except ValidationError:
            found: _Table = self._table((kind,), self.values, ())
            return found

    def _table(self, kinds: Sequence[type[Table]], values: Any, at: KeyPath) -> Any:
        """Return values as a table of one of some types; None if it has errors, which are noted."""
        tag = kinds[0].__struct_config__.tag_field
        tags = {str(each.__struct_config__.tag): each for each in kinds}
        if not isinstance(values, dict):
            self.fail(at, "must be a table, such as `{}`")
        elif not tag:
            return self._keys(kinds[0], values, at)
        elif tag not in values:
            self.fail(at, f"has no {tag}: write one of {quoted(tags)}")
        elif not isinstance(values[tag], str) or values[tag] not in tags:
            self.fail((*at, tag), f"{values[tag]!r} is not known: use one of {quoted(tags)}")
        else:
            return self._keys(tags[values[tag]], values, at)
        return None

    def _keys(self, kind: type[Table], values: dict[str, Any], at: KeyPath) -> Any:
        known = {each.encode_name: each for each in fields(kind)}
        tag = kind.__struct_config__.tag_field
        found: dict[str, Any] = {}
        wrong = False
        for key in [key for key, each in known.items() if each.required and key not in values]:
            self.fail(at, f"has no {key}: write e.g. `{key} = {example(known[key].type)}`")
            wrong = True
        for key, value in values.items():
            each = known.get(key)
            if each is None:
                wrong |= key != tag
                if key != tag:
                    names = [*known, tag] if tag else known
                    self.fail((*at, key), misplaced(kind, key, at) or unknown_key(key, names))
                continue
            errors = len(self._errors)
            found[each.name] = self._value(each.type, value, (*at, key))
            for message, *path in malformed(key, found[each.name], checks_of(each.type)):
                self.fail((*at, *path), message)
            if len(self._errors) > errors and not _tables(each.type):
                wrong = True
                del found[each.name]
        if wrong and at:
            return None
        try:
            return kind(**{name: value for name, value in found.items() if value is not None})
        except Faults as error:
            for message, *path in error.found:
                self.fail((*at, *path), message)
            return None

    def _value(self, kind: Any, value: Any, at: KeyPath) -> Any:
        """Return a value as a type, or the tables by name that have no errors; None if it has errors."""
        bare, tables = _bare(kind), _tables(kind)
        if get_origin(bare) is dict and isinstance(value, dict):
            of = get_args(bare)[1]
            inner = {name: self._value(of, each, (*at, name)) for name, each in value.items()}
            return {name: each for name, each in inner.items() if each is not None}
        if tables and get_origin(bare) is not dict:
            return self._table(tables, value, at)
        try:
            return convert(value, kind, dec_hook=TimeOfDay.decode)
        except ValidationError as error:
            self.fail(at, str(error.__cause__) if error.__cause__ else unfit(kind, value))
            return None

    def _line(self, at: KeyPath) -> int:
        """Return the first line of a key: its own, of what is in it, or of the nearest table around it.

        0 if there is none.
        """
        if self._lines is None:
            self._lines = {}
            inside: dict[KeyPath, int] = {}
            for number, names in _named_lines(self._source):
                self._lines.setdefault(names, number)
                for length in range(1, len(names)):
                    inside.setdefault(names[:length], number)
            self._lines = inside | self._lines
        return next((self._lines[at[:end]] for end in range(len(at), 0, -1) if at[:end] in self._lines), 0)


_AFTER_NO_QUOTES = ("Invalid value", "Expected newline or end of document after a statement")
"""The beginnings of what tomllib says of a text without quotes."""


def _parse(source: str, path: Path) -> dict[str, Any]:
    reason = "it is nested too deeply"
    if not _LONG_KEY.search(source):
        try:
            return tomllib.loads(source, parse_float=_finite)
        except tomllib.TOMLDecodeError as error:
            reason = str(error)
        except RecursionError:
            pass
        except ValueError:
            # https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
            reason = "a number has too many digits"
    at = re.search(r" \(at line (\d+), (column \d+)\)$", reason)
    if at:
        # Most often a text without quotes: `security = none`, `at = 7:30`.
        cure = "; a text needs quotes" if reason.startswith(_AFTER_NO_QUOTES) else ""
        raise ConfigError(
            f"is not valid TOML: {reason[: at.start()]} (at {at[2]}){cure}", where=f"{path}:{at[1]}"
        )
    raise ConfigError(f"is not valid TOML: {reason}", where=str(path))


def _finite(text: str) -> float | NoNumber:
    number = float(text)
    return number if isfinite(number) else NoNumber()


def _bare(kind: Any) -> Any:
    """Return a type without what annotates it, and without None."""
    if hasattr(kind, "__metadata__"):
        return _bare(kind.__origin__)
    others = [each for each in get_args(kind) if each is not type(None)]
    return _bare(others[0]) if type(None) in get_args(kind) and len(others) == 1 else kind


def _tables(kind: Any) -> tuple[type[Table], ...]:
    """Return the tables in a type: of the one at a key, or of those by name at it."""
    if isinstance(kind, type) and issubclass(kind, Table):
        return (kind,)
    return tuple(table for each in get_args(kind) for table in _tables(each))


def _named_lines(source: str) -> Iterator[tuple[int, KeyPath]]:
    """Yield the number of each line with a table's header or a key, and the path of the table or key."""
    section: KeyPath = ()
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith("["):
            section = names = _names(line)
        else:
            own = _names(line.partition("=")[0] + "= 0") if "=" in line else ()
            names = (*section, *own) if own else ()
        if names:
            yield number, names


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
        text = content.decode("utf-8-sig")
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8: save it as UTF-8", where=str(path)) from error
    except OSError as error:
        absent = if_absent if isinstance(error, FileNotFoundError) else None
        raise ConfigError(absent or f"cannot be read: {error.strerror}", where=str(path)) from error
