"""A list of keys, as a program prints it or a file has it: names, keys and groups in CSV or JSON."""

from __future__ import annotations

import csv
import json
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec
from msgspec import Struct

from pipeline.core.text import header_problem, lines_of
from pipeline.core.types import Secret, is_reference, is_valid_name

HEADER = ("name", "key", "group")
"""The first line of a CSV; the group may be left out."""

LONGEST_KEY = 64 * 1024
"""Letters of a key: no server takes a longer header."""


class KeyListError(ValueError):
    """A list that cannot be used; the message names a line, and quotes nothing of it."""


class KeyRowError(KeyListError):
    """A row has a fault; the form of the list is right."""


class Row(NamedTuple):
    """A row of a list of keys, and its place: `line 3`."""

    place: str
    name: str
    key: str
    group: str


class KeyTable:
    """The keys of a list by name, and their groups; some 150 bytes for each beside its name."""

    __slots__ = ("_groups", "_keys", "_places")

    def __init__(self, rows: Iterable[Row]) -> None:
        """Read the rows.

        Raises:
            KeyListError: one has a fault, or there is none.
        """
        groups: dict[str, int] = {}
        keys, numbers = bytearray(), array("I")
        # The keys are in one text, each on its line: as objects of their own they would take twice as much.
        self._places: dict[str, int] = {}
        for row in rows:
            problem = _problem(row)
            if row.name in self._places:
                problem = "has the name of an earlier one"
            if problem:
                raise KeyRowError(f"{row.place} of the list {problem}")
            self._places[row.name] = len(keys)
            keys += row.key.encode() + b"\n"
            numbers.append(groups.setdefault(row.group, len(groups)))
        if not self._places:
            raise KeyListError("the list has no key")
        self._keys = bytes(keys)
        self._groups = (tuple(groups), numbers)

    def __repr__(self) -> str:
        return f"KeyTable({len(self)} keys)"

    def __reduce__(self) -> str:
        raise TypeError("a list of keys cannot be pickled")

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        """Yield each name with its group, in the order of the list."""
        groups, numbers = self._groups
        return ((name, groups[number] or None) for name, number in zip(self._places, numbers, strict=True))

    def secret(self, name: str) -> Secret | None:
        """Return the key of a name; None if the list has none."""
        start = self._places.get(name)
        if start is None:
            return None
        return Secret(self._keys[start : self._keys.index(b"\n", start)].decode())


def parse_keys(data: bytes) -> KeyTable:
    """Parse a list of keys in UTF-8.

    It is one of these: CSV whose first line is `name,key,group`, or `name,key`; lines that are JSON objects
    with `name`, `key` (or `secret`) and perhaps `group`; an array of such objects; or an object with a key,
    or such an object, by each name.

    Raises:
        KeyListError: it is none of these, or a row has a fault.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise KeyListError("the list is not UTF-8") from None
    del data
    if "\0" in text:
        raise KeyListError("the list is no text")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    first = text.lstrip()[:1]
    if first not in ("{", "["):
        return KeyTable(_csv_rows(text))
    return KeyTable(_array_rows(text) if first == "[" else _object_rows(text))


def _problem(row: Row) -> str | None:
    """Return what is wrong with a row, without a word of it."""
    key = row.key
    if not is_valid_name(row.name):
        return "has a name with other characters than letters, digits and `. _ - @ +`"
    if not key:
        return "has no key"
    if is_reference(key):
        return "has a reference: a list has the keys themselves"
    if len(key) > LONGEST_KEY:
        return f"has a key of more than {LONGEST_KEY:,} letters"
    if not (key.isascii() and key.isprintable()):
        return f"has a key that {header_problem(key)}"
    return None


def _csv_rows(text: str) -> Iterator[Row]:
    reader = csv.reader(lines_of(text), strict=True)
    columns = 0
    try:
        for cells in reader:
            bare = [cell.strip() for cell in cells]
            if not columns:
                columns = len(bare)
                if tuple(bare) not in (HEADER, HEADER[:2]):
                    raise KeyListError("line 1 of the list must be `name,key,group`, or the list be JSON")
            elif len(bare) > columns:
                raise KeyListError(f"line {reader.line_num} of the list has more cells than the first one")
            elif any(bare):
                name, key, group = bare if len(bare) == len(HEADER) else (*bare, "", "")[:3]
                yield Row(f"line {reader.line_num}", name, key, group)
    except csv.Error:
        raise KeyListError(f"line {reader.line_num} of the list is not valid CSV: check its quotes") from None
    if not columns:
        raise KeyListError("the list is empty")


class _Object(Struct):
    """A row as a JSON object."""

    name: str = ""
    key: str | None = None
    secret: str | None = None
    group: str | None = None

    def row(self, place: str, name: str) -> Row:
        key = (self.key if self.key is not None else self.secret) or ""
        return Row(place, name.strip(), key.strip(), (self.group or "").strip())


_INVALID = (msgspec.MsgspecError, RecursionError)
"""Raised for JSON of another form, and for one that is nested deeply."""

_decode_object = msgspec.json.Decoder(_Object).decode
_decode_value = msgspec.json.Decoder(_Object | str).decode


def _object(text: str | msgspec.Raw, place: str) -> _Object:
    try:
        return _decode_object(text)
    except _INVALID:
        raise KeyListError(f"{place} of the list is no JSON object with texts as `name` and `key`") from None


def _array_rows(text: str) -> Iterator[Row]:
    try:
        values = msgspec.json.decode(text, type=list[msgspec.Raw])
    except _INVALID:
        raise KeyListError("the list is not valid JSON") from None
    for number, value in enumerate(values, 1):
        found = _object(value, f"item {number}")
        yield found.row(f"item {number}", found.name)


def _check_names(members: list[tuple[str, object]]) -> None:
    """Raise KeyListError if two members of an object have the same name; decoders keep the last one."""
    if len({name for name, _ in members}) < len(members):
        raise KeyListError("the list has two members of the same name")


def _object_rows(text: str) -> Iterator[Row]:
    """Yield the rows of lines that are objects, or of one object that has the keys by name."""
    try:
        values: dict[str, msgspec.Raw] | None = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except _INVALID:
        values = None
    if values is not None and not ("name" in values and {"key", "secret"} & values.keys()):
        with suppress(RecursionError):
            json.loads(text, object_pairs_hook=_check_names, parse_int=str, parse_float=str)
        for number, (name, value) in enumerate(values.items(), 1):
            place = f"member {number}"
            try:
                found = _decode_value(value)
            except _INVALID:
                raise KeyListError(f"{place} of the list is neither a key nor an object with one") from None
            yield (_Object(key=found) if isinstance(found, str) else found).row(place, name)
        return
    for number, line in enumerate(lines_of(text), 1):
        if line.strip():
            found = _object(line, f"line {number}")
            yield found.row(f"line {number}", found.name)
