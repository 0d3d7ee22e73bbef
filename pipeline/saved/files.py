"""Saved answers in the files of a directory, each file one answer."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

from pipeline.errors import SavedError
from pipeline.saved.answers import Answers, LeftOut, Saved, field_time, is_no_file, none_found
from pipeline.saved.names import time_in

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
        at, why = _time(directory, source, time_field)
        if at is None:
            left_out.append(LeftOut(source, why))
        else:
            found.append((at, source))
    if not found:
        raise none_found(directory, left_out)
    return Answers(len(found), _read(directory, sorted(found)), tuple(left_out))


def _files(directory: Path) -> Iterator[str]:
    """Give every file, by its path below the directory; hidden ones are not looked at."""

    def refuse(error: OSError) -> None:
        raise SavedError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error

    for where, below, names in os.walk(directory, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield str((Path(where) / name).relative_to(directory))


def _time(directory: Path, source: str, time_field: str | None) -> tuple[str | None, str]:
    name = Path(source).name
    if not name.casefold().endswith(_ENDINGS):
        return None, "a name that is not .json or .json.gz"
    if is_no_file(directory / source):
        return None, "no regular file by that name"
    if time_field is None:
        return time_in(name), "no time in its name"
    try:
        return field_time(_body(directory / source), time_field), f"no time at {time_field}"
    except ValueError:
        return None, "no JSON in it"


def _read(directory: Path, found: Iterable[tuple[str, str]]) -> Iterator[Saved]:
    for at, source in found:
        yield Saved(at, _body(directory / source), source)


def _body(file: Path) -> bytes:
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
