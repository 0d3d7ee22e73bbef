"""What every source of saved answers gives: the answers oldest first, and what was left out.

Saved answers in the files of a directory, each file one answer.

Saved answers in the lines of a file, each line one answer with its time.

Find the time in a file's name, as people and programs write it there.

Saved answers in the history of a git repository: a file that a scraper committed again and again.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from pipeline.core import canonical, jsonpath
from pipeline.core.values import parse_timestamp
from pipeline.errors import SavedError


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """One complete answer: when it was given (ISO 8601 UTC), its bytes, and its name for messages."""

    at: str
    body: bytes
    source: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or line that is taken for no answer, and why."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Answers:
    """Saved answers: how many there are, and the answers themselves, each read when its turn comes."""

    count: int
    oldest_first: Iterator[SavedAnswer]
    left_out: tuple[LeftOut, ...] = ()


def field_time(body: bytes, path: str) -> str | None:
    """Give the time that stands in a field of an answer; None when none does.

    Raises:
        ValueError: this is no JSON.
    """
    return parse_timestamp(jsonpath.find(canonical.decode(body), jsonpath.parse(path)))


def is_no_file(path: Path) -> bool:
    """Say whether something else than a file stands at a path, such as a pipe: to read it may never end."""
    return path.exists() and not path.is_file()


def none_found(where: object, left_out: list[LeftOut]) -> SavedError:
    """Say that a source has no answer, and why the first of what it has is none."""
    why = f": {left_out[0].source} has {left_out[0].why}" if left_out else ""
    return SavedError(f"holds no saved answer{why}", where=str(where))


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
            at, why = _line_time(line, time_field)
            if at is None:
                left_out.append(LeftOut(_named(file, number), why))
            else:
                found.append(_Line(at, number, offset))
    if not found:
        raise none_found(file, left_out)
    return Answers(len(found), _read_lines(file, sorted(found), time_field), tuple(left_out))


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


def _line_time(line: bytes, time_field: str | None) -> tuple[str | None, str]:
    try:
        if time_field is not None:
            return field_time(line, time_field), f"no time at {time_field}"
        members = _members(line)
    except ValueError:
        return None, "no JSON in it" if time_field else "no JSON object in it"
    if not members.keys() >= {"at", "body"}:
        return None, "no `at` and `body`"
    return parse_timestamp(canonical.decode(members["at"])), "no time in its `at`"


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


def _read_lines(file: Path, found: Iterable[_Line], time_field: str | None) -> Iterator[SavedAnswer]:
    with _opened(file) as lines:
        for at, number, offset in found:
            lines.seek(offset)
            line = lines.readline()
            body = line.strip() if time_field is not None else _line_body(_members(line)["body"])
            yield SavedAnswer(at, body, _named(file, number))


def _line_body(raw: bytes) -> bytes:
    """Give the answer of a line: its bytes as they stand, or the text that a string holds."""
    if not raw.startswith(b'"'):
        return raw
    text: str = canonical.decode(raw)
    return text.encode()


_DATED = re.compile(
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


_UNIX = re.compile(r"(?<![0-9a-f])(?:\d{13}|\d{10})(?![0-9a-f])", re.IGNORECASE)


def time_in(name: str) -> str | None:
    """Give the time that a name tells (ISO 8601 UTC), None when it tells none.

    A date with or without a time of day, in any of the usual spellings, UTC unless it names its zone; or ten
    or thirteen digits, which are seconds or milliseconds since 1970.
    """
    for dated in _DATED.finditer(name):
        at = _moment(dated)
        if at:
            return at
    unix = _UNIX.search(name)
    return parse_timestamp(int(unix[0])) if unix else None


def _moment(dated: re.Match[str]) -> str | None:
    year, month, day, hour, minute, second = (int(dated[part] or 0) for part in _PARTS)
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=_zone(dated["zone"]))
        return parse_timestamp(at.isoformat())
    except ValueError:  # such as 30 February
        return None


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-ahead if text[0] == "-" else ahead)


_ENDINGS = (".json", ".json.gz")


_GZIP = b"\x1f\x8b"


_MOST_UNPACKED = 256 * 1024 * 1024


def in_directory(directory: Path, time_field: str | None = None) -> Answers:
    """Find the answers below a directory; none is kept in memory.

    The time is in the file's name; with `time_field` at that path of the answer, which is then read twice.

    Raises:
        SavedError: there is no such directory, it cannot be read, or it holds no answer.
    """
    found: list[tuple[str, str]] = []
    left_out: list[LeftOut] = []
    for source in sorted(_files(directory)):
        at, why = _file_time(directory, source, time_field)
        if at is None:
            left_out.append(LeftOut(source, why))
        else:
            found.append((at, source))
    if not found:
        raise none_found(directory, left_out)
    return Answers(len(found), _read_file(directory, sorted(found)), tuple(left_out))


def _files(directory: Path) -> Iterator[str]:
    """Give every file, by its path below the directory; hidden ones are not looked at."""

    def refuse(error: OSError) -> None:
        raise SavedError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error

    for where, below, names in os.walk(directory, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield str((Path(where) / name).relative_to(directory))


def _file_time(directory: Path, source: str, time_field: str | None) -> tuple[str | None, str]:
    name = Path(source).name
    if not name.casefold().endswith(_ENDINGS):
        return None, "a name that is not .json or .json.gz"
    if is_no_file(directory / source):
        return None, "no regular file by that name"
    if time_field is None:
        return time_in(name), "no time in its name"
    try:
        return field_time(_file_body(directory / source), time_field), f"no time at {time_field}"
    except ValueError:
        return None, "no JSON in it"


def _read_file(directory: Path, found: Iterable[tuple[str, str]]) -> Iterator[SavedAnswer]:
    for at, source in found:
        yield SavedAnswer(at, _file_body(directory / source), source)


def _file_body(file: Path) -> bytes:
    try:
        body = file.read_bytes()
    except OSError as error:
        raise SavedError(f"cannot be read: {error.strerror}", where=str(file)) from error
    if not body.startswith(_GZIP):
        return body
    try:
        with gzip.open(BytesIO(body)) as packed:
            unpacked = packed.read(_MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error):
        return body  # damaged: as it stands it is no JSON, and is told as an answer that cannot be read
    # What unpacks to more is no list of models, and would fill the memory: it is told in the same way.
    return unpacked if len(unpacked) <= _MOST_UNPACKED else body


_COMMIT = "commit "


_GONE = "000000"


_SHORT = 12


# What the repository's or the user's settings may have switched on would get between the lines.
_LOG = (
    *("--literal-pathspecs", "-c", "core.quotePath=false", "-c", "log.showSignature=false"),
    *("-c", "log.follow=false", "-c", "log.showRoot=true", "log"),
    # Along the main line: a merge says what it brought there, and when.
    *("--first-parent", "--diff-merges=first-parent", "--raw", "--no-abbrev", "--no-renames"),
    *("--no-relative", "--no-color", "--encoding=UTF-8", f"-O{os.devnull}"),
    f"--format={_COMMIT}%H %ct",
)


class _Version(NamedTuple):
    at: str
    number: int
    commit: str
    blob: str


def in_git(repository: Path, file: str) -> Answers:
    """Find the versions of a file on the current branch, by the time of their commits.

    Commits in which the file is gone are left out. A renamed file has two histories: one by each name.

    Raises:
        SavedError: there is no git, no repository, no such file in it, or it is a directory.
    """
    found = list(_versions(repository, file))
    if not found:
        raise none_found(f"{repository}: {file}", [])
    return Answers(len(found), _read(repository, file, sorted(found)))


def _versions(repository: Path, file: str) -> Iterator[_Version]:
    # git tells the newest first.
    lines = reversed(_told(repository, *_LOG, "--", file).split("\n"))
    blobs: list[str] = []
    for number, line in enumerate(filter(None, lines)):
        if not line.startswith(_COMMIT):
            blobs.append(line)
            continue
        if len(blobs) > 1 or any(_is_below(blob, file) for blob in blobs):
            raise SavedError("is a directory: name one file in it", where=f"{repository}: {file}")
        yield from _version(line, number, blobs)
        blobs.clear()


def _is_below(raw: str, file: str) -> bool:
    """Say whether a line tells of a file inside what was asked for; a quoted one is not looked into."""
    name = raw.partition("\t")[2]
    return not name.startswith('"') and Path(name).name != Path(file).name


def _version(line: str, number: int, blobs: Iterable[str]) -> Iterator[_Version]:
    commit, seconds = line.removeprefix(_COMMIT).split()
    at = parse_timestamp(int(seconds))
    for blob in blobs:
        _, mode, _, after, _ = blob.split(maxsplit=4)
        if at and mode != _GONE:
            yield _Version(at, number, commit, after)


def _told(repository: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - no shell reads it
            ["git", "-C", str(repository), *arguments],  # noqa: S607 - the user's own git
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise SavedError("cannot be read: there is no `git` on the path", where=str(repository)) from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SavedError(f"git says: {said[0] if said else error}", where=str(repository)) from error
    return os.fsdecode(done.stdout)


def _read(repository: Path, file: str, found: Iterable[_Version]) -> Iterator[SavedAnswer]:
    with subprocess.Popen(  # noqa: S603 - no shell reads it
        ["git", "-C", str(repository), "cat-file", "--batch"],  # noqa: S607 - the user's own git
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as git:
        assert git.stdin
        assert git.stdout
        for version in found:
            name = f"{file}@{version.commit[:_SHORT]}"
            git.stdin.write(f"{version.blob}\n".encode())
            git.stdin.flush()
            yield SavedAnswer(version.at, _blob(git.stdout, where=f"{repository}: {name}"), name)


def _blob(stream: IO[bytes], *, where: str) -> bytes:
    match stream.readline().split():
        case [_, b"blob", size]:
            body = stream.read(int(size))
            stream.read(1)
            return body
        case _:
            raise SavedError("git does not have its content: fetch the whole history", where=where)
