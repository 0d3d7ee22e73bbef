"""Saved answers in the lines of a file, each line one answer with its time."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline import canonical
from pipeline.errors import SavedError
from pipeline.saved.answers import Answers, LeftOut, Saved, field_time, is_no_file, none_found
from pipeline.values import moment


class _Line(NamedTuple):
    at: str
    number: int
    offset: int


def in_lines(file: Path, time_field: str | None = None) -> Answers:
    """Find the answers in the lines of a file, whatever their order; only their times are kept in memory.

    A line is `{"at": TIME, "body": ANSWER}`, or with `time_field` the answer itself.

    Raises:
        SavedError: the file cannot be read, or holds no answer.
    """
    if is_no_file(file):
        raise SavedError("is no regular file: it cannot be read twice", where=str(file))
    found: list[_Line] = []
    left_out: list[LeftOut] = []
    with _opened(file) as lines:
        for number, offset, line in _numbered(lines):
            at, why = _time(line, time_field)
            if at is None:
                left_out.append(LeftOut(_named(file, number), why))
            else:
                found.append(_Line(at, number, offset))
    if not found:
        raise none_found(file, left_out)
    return Answers(len(found), _read(file, sorted(found), time_field), tuple(left_out))


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        with file.open("rb") as lines:
            yield lines
    except OSError as error:
        raise SavedError(f"cannot be read: {error.strerror}", where=str(file)) from error


def _numbered(lines: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Give each line that is not blank, with its number and where it begins."""
    offset = len(BOM_UTF8) if lines.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    lines.seek(offset)
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, offset, line
        offset += len(line)


def _named(file: Path, number: int) -> str:
    return f"{file.name}:{number}"


def _time(line: bytes, time_field: str | None) -> tuple[str | None, str]:
    try:
        if time_field is not None:
            return field_time(line, time_field), f"no time at {time_field}"
        members = _members(line)
    except ValueError:
        return None, "no JSON in it" if time_field else "no JSON object in it"
    if not members.keys() >= {"at", "body"}:
        return None, "no `at` and `body`"
    return moment(canonical.decode(members["at"])), "no time in its `at`"


def _members(line: bytes) -> dict[str, bytes]:
    """Give the members of a line; what is more than JSON in them is put up with as in any answer.

    Raises:
        ValueError: this is no object.
    """
    try:
        return canonical.members(line)
    except ValueError:
        value = canonical.decode(line)
        if not isinstance(value, dict):
            raise
        return {name: canonical.encode(member).encode() for name, member in value.items()}


def _read(file: Path, found: Iterable[_Line], time_field: str | None) -> Iterator[Saved]:
    with _opened(file) as lines:
        for at, number, offset in found:
            lines.seek(offset)
            line = lines.readline()
            body = line.strip() if time_field is not None else _body(_members(line)["body"])
            yield Saved(at, body, _named(file, number))


def _body(raw: bytes) -> bytes:
    """Give the answer of a line: its bytes as they stand, or the text that a string holds."""
    if not raw.startswith(b'"'):
        return raw
    text: str = canonical.decode(raw)
    return text.encode()
