"""Saved answers in a git repository: the versions of a file that a scraper commits repeatedly."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.core.values import parse_timestamp
from pipeline.errors import SavedError
from pipeline.sync.archives import Answers, SavedAnswer, none_found

_COMMIT = "commit "

_NO_MODE = "000000"
"""The mode of a file that a commit deletes."""

_SHORT = 12
"""The number of digits of a commit's id that messages show."""

# The options override settings of the repository or the user that change the output:
# https://git-scm.com/docs/git-log
_LOG = (
    *("--literal-pathspecs", "-c", "core.quotePath=false", "-c", "log.showSignature=false"),
    *("-c", "log.follow=false", "-c", "log.showRoot=true", "log"),
    # Along the main line, a merge commit lists the files that it changed.
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

    Commits without the file are left out. A renamed file has two histories: one by each name.

    Raises:
        SavedError: there is no git, no repository, no such file in it, or it is a directory.
    """
    found = list(_versions(repository, file))
    if not found:
        raise none_found(f"{repository}: {file}", ())
    return Answers(len(found), _read(repository, file, sorted(found)))


def _versions(repository: Path, file: str) -> Iterator[_Version]:
    # `git log` prints the newest commit first, and each before its files.
    lines = reversed(_output(repository, *_LOG, "--", file).split("\n"))
    files: list[str] = []
    for number, line in enumerate(filter(None, lines)):
        if not line.startswith(_COMMIT):
            files.append(line)
            continue
        if len(files) > 1 or any(_is_below(each, file) for each in files):
            raise SavedError("is a directory: name one file in it", where=f"{repository}: {file}")
        yield from _version(line, number, files)
        files.clear()


def _is_below(raw: str, file: str) -> bool:
    """Return whether a line is of a file below the requested path; quoted names are not checked."""
    name = raw.partition("\t")[2]
    return not name.startswith('"') and Path(name).name != Path(file).name


def _version(line: str, number: int, files: Sequence[str]) -> Iterator[_Version]:
    commit, seconds = line.removeprefix(_COMMIT).split()
    at = parse_timestamp(int(seconds))
    for raw in files:
        _, mode, _, blob, _ = raw.split(maxsplit=4)
        if at and mode != _NO_MODE:
            yield _Version(at, number, commit, blob)


def _output(repository: Path, *arguments: str) -> str:
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
        message = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SavedError(f"git: {message[0] if message else error}", where=str(repository)) from error
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
            source = f"{file}@{version.commit[:_SHORT]}"
            git.stdin.write(f"{version.blob}\n".encode())
            git.stdin.flush()
            yield SavedAnswer(version.at, _blob(git.stdout, where=f"{repository}: {source}"), source)


def _blob(stream: IO[bytes], *, where: str) -> bytes:
    match stream.readline().split():
        case [_, b"blob", size]:
            body = stream.read(int(size))
            stream.read(1)
            return body
        case _:
            raise SavedError("git does not have its content: fetch the whole history", where=where)
