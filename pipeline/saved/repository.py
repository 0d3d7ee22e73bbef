"""Saved answers in the history of a git repository: a file that a scraper committed again and again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.errors import SavedError
from pipeline.saved.answers import Answers, Saved, none_found
from pipeline.values import moment

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
    at = moment(int(seconds))
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


def _read(repository: Path, file: str, found: Iterable[_Version]) -> Iterator[Saved]:
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
            yield Saved(version.at, _blob(git.stdout, where=f"{repository}: {name}"), name)


def _blob(stream: IO[bytes], *, where: str) -> bytes:
    match stream.readline().split():
        case [_, b"blob", size]:
            body = stream.read(int(size))
            stream.read(1)
            return body
        case _:
            raise SavedError("git does not have its content: fetch the whole history", where=where)
