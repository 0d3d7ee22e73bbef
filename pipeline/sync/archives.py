"""Saved answers: in the files of a directory, or in the lines of a file.

`git_archive.py` finds them in the history of a repository.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from msgspec import Struct

from pipeline.core import canonical, jsonpath
from pipeline.core.times import iso, minute
from pipeline.core.values import parse_timestamp
from pipeline.errors import SavedError
from pipeline.gateways.dialects import Answer

EARLIEST = "2020-01-01T00:00:00Z"
"""No answer is older: the first API that lists models was opened in June 2020, https://openai.com/index/openai-api."""

MAX_UNPACKED = 256 * 1024 * 1024
"""The size limit of an unpacked answer, in bytes; a list of models is far smaller."""

_ENDINGS = (".json", ".json.gz")

_GZIP_MAGIC = b"\x1f\x8b"

_MAGIC = (_GZIP_MAGIC, b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")
"""The first bytes of gzip, zip, zstd, xz and bzip2; no line of JSON begins like this."""

_MAGIC_BYTES = 6


class SavedAnswer(Struct, frozen=True):
    """One complete answer: its time (ISO 8601 UTC), its bytes, and its source for messages."""

    at: str
    body: bytes
    source: str

    @property
    def answer(self) -> Answer:
        """The answer, as if it had been requested at its time."""
        return Answer((self.body,), int(datetime.fromisoformat(self.at).timestamp()))


class LeftOut(Struct, frozen=True):
    """A file or line that is not imported, and the reason; `is_answer` if only its time cannot be."""

    source: str
    reason: str
    is_answer: bool = False


class Answers(Struct, frozen=True):
    """Saved answers: their number, and an iterator that reads one after the other.

    `doubt` is a message about times that contradict each other; None where they do not.
    """

    count: int
    oldest_first: Iterator[SavedAnswer]
    left_out: tuple[LeftOut, ...] = ()
    doubt: str | None = None


def left_out(source: str, at: str | None, reason: str, *, now: str) -> LeftOut | None:
    """Return why an answer is left out: without a time for a `reason`, or for a time that it cannot have.

    Args:
        source: where it was found.
        at: its time (ISO 8601 UTC); None without one.
        reason: why it has none.
        now: the present time; no answer is younger.
    """
    if at is None:
        return LeftOut(source, reason)
    if at < EARLIEST:
        return LeftOut(
            f"{source} ({minute(at)})",
            f"a time before {EARLIEST[:10]}, when there was no gateway",
            is_answer=True,
        )
    if at > now:
        return LeftOut(f"{source} ({minute(at)})", "a time in the future", is_answer=True)
    return None


def none_found(where: object, others: Sequence[LeftOut]) -> SavedError:
    """Return the error for a source without an answer; it names the first file or line that was left out."""
    reason = f": {others[0].source} has {others[0].reason}" if others else ""
    return SavedError(f"holds no saved answer{reason}", where=str(where))


def saved_answers(source: Path, time_field: str | None = None, *, now: str) -> Answers:
    """Return the saved answers of a directory, or of a file of lines.

    Args:
        source: a directory with a file for each answer, or a file with a line of JSON for each.
        time_field: the path in an answer to its time; None where file names or lines have the times.
        now: the present time (ISO 8601 UTC); an answer with a later one is left out.

    Raises:
        SavedError: there are none.
    """
    read = in_directory if source.is_dir() else in_lines
    return read(source, time_field, now=now)


def in_directory(
    directory: Path, time_field: str | None = None, *, now: str, max_unpacked: int = MAX_UNPACKED
) -> Answers:
    """Find the answers below a directory: `.json` and `.json.gz` files, but not hidden ones.

    Args:
        directory: where to look.
        time_field: the path of the time in an answer, which is then read twice; None for the file's name.
        now: the present time (ISO 8601 UTC); an answer with a later one is left out.
        max_unpacked: larger files stay packed, in bytes.

    Raises:
        SavedError: there is no such directory, it cannot be read, or it holds no answer.
    """
    files = _Directory(directory, time_field, max_unpacked)
    found: list[tuple[str, str]] = []
    others: list[LeftOut] = []
    for source in sorted(files.sources()):
        at, reason = files.time(source)
        other = left_out(source, at, reason, now=now)
        if other:
            others.append(other)
        elif at:
            found.append((at, source))
    if not found:
        raise none_found(directory, others)
    answers = (SavedAnswer(at, files.body(source), source) for at, source in sorted(found))
    return Answers(len(found), answers, tuple(others))


class _Directory(Struct, frozen=True):
    """The files of a directory, each by its path below it."""

    path: Path
    time_field: str | None
    max_unpacked: int

    def sources(self) -> Iterator[str]:
        """Yield every file that is not hidden."""

        def refuse(error: OSError) -> None:
            raise SavedError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error

        for where, directories, names in os.walk(self.path, onerror=refuse):
            directories[:] = [name for name in directories if not name.startswith(".")]
            below = os.path.relpath(where, self.path)
            for name in names:
                if not name.startswith("."):
                    yield name if below == os.curdir else f"{below}{os.sep}{name}"

    def time(self, source: str) -> tuple[str | None, str]:
        """Return the time of a file's answer, and the reason if there is none."""
        name = source.rpartition(os.sep)[2]
        if not name.casefold().endswith(_ENDINGS):
            return None, "a name that is not .json or .json.gz"
        if _is_special(os.path.join(self.path, source)):  # noqa: PTH118 - ten times faster than `Path`
            return None, "no regular file by that name"
        if self.time_field is None:
            return time_in_name(name), "no time in its name"
        try:
            return _field_time(self.body(source), self.time_field), f"no time at {self.time_field}"
        except ValueError:
            return None, "no JSON in it"

    def body(self, source: str) -> bytes:
        """Return the bytes of a file, unpacked unless they are damaged or too large.

        Packed bytes are not JSON, so the import then names the file as unreadable.
        """
        file = self.path / source
        try:
            body = file.read_bytes()
        except OSError as error:
            raise SavedError(f"cannot be read: {error.strerror}", where=str(file)) from error
        if not body.startswith(_GZIP_MAGIC):
            return body
        try:
            with gzip.open(BytesIO(body)) as packed:
                unpacked = packed.read(self.max_unpacked + 1)
        except (OSError, EOFError, zlib.error):
            return body
        return unpacked if len(unpacked) <= self.max_unpacked else body


def _is_special(path: str | Path) -> bool:
    """Return whether a path is a special file, such as a pipe, which may never end."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - see above
    except OSError:
        return False


def _field_time(body: bytes, path: str) -> str | None:
    """Return the time in a field of an answer; None without one.

    Raises:
        ValueError: this is not JSON.
    """
    return parse_timestamp(jsonpath.find(canonical.decode(body), jsonpath.parse(path)))


class _Line(NamedTuple):
    at: str
    number: int
    offset: int


def in_lines(file: Path, time_field: str | None = None, *, now: str) -> Answers:
    """Find the answers in the lines of a file, in any order; only their times are kept in memory.

    A line is `{"at": TIME, "body": ANSWER}`, or with `time_field` the answer itself. One with a time after
    `now` (ISO 8601 UTC) is left out.

    Raises:
        SavedError: the file cannot be read, is compressed, or holds no answer.
    """
    if _is_special(file):
        raise SavedError("is not a regular file: it cannot be read twice", where=str(file))
    found: list[_Line] = []
    others: list[LeftOut] = []
    with _opened(file) as lines:
        if lines.read(_MAGIC_BYTES).startswith(_MAGIC):
            raise SavedError("is compressed: unpack it first", where=str(file))
        lines.seek(0)
        for number, offset, line in _numbered(lines):
            at, reason = _line_time(line, time_field)
            other = left_out(_source(file, number), at, reason, now=now)
            if other:
                others.append(other)
            elif at:
                found.append(_Line(at, number, offset))
    if not found:
        raise none_found(file, others)
    return Answers(len(found), _read_lines(file, sorted(found), time_field), tuple(others))


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        with file.open("rb") as lines:
            yield lines
    except OSError as error:
        raise SavedError(f"cannot be read: {error.strerror}", where=str(file)) from error


def _numbered(lines: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield each line that is not blank, with its number and its offset in bytes."""
    offset = len(BOM_UTF8) if lines.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    lines.seek(offset)
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, offset, line
        offset += len(line)


def _source(file: Path, number: int) -> str:
    return f"{file.name}:{number}"


def _line_time(line: bytes, time_field: str | None) -> tuple[str | None, str]:
    """Return the time of a line, and the reason if there is none."""
    try:
        if time_field is not None:
            return _field_time(line, time_field), f"no time at {time_field}"
        members = _members(line)
    except ValueError:
        return None, "no JSON in it" if time_field else "no JSON object in it"
    if not members.keys() >= {"at", "body"}:
        return None, "no `at` and `body`"
    return parse_timestamp(canonical.decode(members["at"])), "no time in its `at`"


def _members(line: bytes) -> dict[str, bytes]:
    """Return the members of a line as their own bytes, or encoded again if it is not strict JSON.

    Raises:
        ValueError: this is not an object.
    """
    try:
        return canonical.members(line)
    except ValueError:
        value = canonical.decode(line)
        if not isinstance(value, dict):
            raise
        return {name: canonical.encode(member).encode() for name, member in value.items()}


def _read_lines(file: Path, found: Iterable[_Line], time_field: str | None) -> Iterator[SavedAnswer]:
    with _opened(file) as lines:
        for at, number, offset in found:
            lines.seek(offset)
            line = lines.readline()
            body = line.strip() if time_field is not None else _line_body(_members(line)["body"])
            yield SavedAnswer(at, body, _source(file, number))


def _line_body(raw: bytes) -> bytes:
    """Return the answer of a line: its own bytes, or the text in a string."""
    if not raw.startswith(b'"'):
        return raw
    text: str = canonical.decode(raw)
    return text.encode()


_DATE_AND_TIME = re.compile(
    r"""
    (?<!\d) (?P<year>(?:19|20)\d\d) (?P<gap>[-_.]?) (?P<month>0[1-9]|1[0-2]) (?P=gap)
    (?P<day>0[1-9]|[12]\d|3[01])
    (?: [T_\ .-]* (?P<hour>[01]\d|2[0-3]) [-_.:h]? (?P<minute>[0-5]\d)
        (?: [-_.:m]? (?P<second>[0-5]\d) (?:[.,]\d{1,9})? )?
        (?P<zone> Z | \+\d\d:?\d\d | -\d\d:\d\d )?
    )?
    (?! \d | T\d )
    """,
    re.VERBOSE | re.IGNORECASE,
)

_PARTS = ("year", "month", "day", "hour", "minute", "second")

_UNIX_DIGITS = 10
"""The digits of a time in seconds; the three after them are milliseconds."""

_UNIX_TIME = re.compile(r"(?<![0-9a-f])(?:\d{13}|\d{10})(?![0-9a-f])", re.IGNORECASE)


def time_in_name(name: str) -> str | None:
    """Return the time in a file's name (ISO 8601 UTC); None without one.

    The time is a date, with or without a time of day, in any of the usual formats, in UTC unless it has a
    zone; or ten or thirteen digits: seconds or milliseconds since 1970.
    """
    for found in _DATE_AND_TIME.finditer(name):
        at = _parsed(found)
        if at:
            return at
    unix = _UNIX_TIME.search(name)
    return unix_time(int(unix[0][:_UNIX_DIGITS])) if unix else None


def unix_time(seconds: int) -> str | None:
    """Return a time (ISO 8601 UTC); None if it is out of range."""
    try:
        return iso(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _parsed(found: re.Match[str]) -> str | None:
    year, month, day, hour, minutes, second = (int(found[part] or 0) for part in _PARTS)
    try:
        at = datetime(year, month, day, hour, minutes, second, tzinfo=_zone(found["zone"]))
        return iso(at.astimezone(UTC))
    except ValueError:  # such as 30 February
        return None


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
