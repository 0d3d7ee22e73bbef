"""Saved answers in a git repository: the versions of a file that a scraper commits repeatedly."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

from msgspec import Struct

from pipeline.core.text import count
from pipeline.core.times import minute
from pipeline.errors import SavedError
from pipeline.sync.archives import Answers, LeftOut, SavedAnswer, left_out, none_found, unix_time

_COMMIT = "commit "

_NO_MODE = "000000"
"""The mode of a file that a commit deletes."""

_OTHER_MODES = {"120000": "a symbolic link instead of the file", "160000": "a submodule instead of the file"}
"""The modes that are not of files, see https://git-scm.com/docs/git-fast-import#_filemodify."""

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

_KEPT_VARIABLES = frozenset(
    {
        "GIT_CEILING_DIRECTORIES",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM",
        "GIT_EXEC_PATH",
    }
)
"""Variables of git's installation, its users' settings, and its search upwards for a repository.

Others name a repository, and a hook has them: https://git-scm.com/docs/githooks#_description.
"""

_OWN_VARIABLES = {
    "LC_ALL": "C",  # The messages of git are compared.
    "GIT_GRAFT_FILE": os.devnull,  # Grafts would hide the parents of a commit.
    "GIT_NO_LAZY_FETCH": "1",  # An import uses no network; before git 2.45, `protocol.allow` ensures that.
    "GIT_TERMINAL_PROMPT": "0",
}

_PARTIAL = "git does not have its content: clone the repository again, in full and without `--filter`"


class _Version(NamedTuple):
    at: str
    number: int
    commit: str
    blob: str


def in_git(repository: Path, file: str, *, now: str, environment: Mapping[str, str]) -> Answers:
    """Find the versions of a file on the current branch, by the time of their commits.

    Commits without the file are left out. A renamed file has two histories: one by each name. Replacements
    and grafts of the repository are ignored.

    Args:
        repository: a directory in it.
        file: the path of the file from there.
        now: the present time (ISO 8601 UTC); a version with a later one is left out.
        environment: variables for git; those that name another repository are ignored.

    Raises:
        SavedError: there is no git, no repository, no such file in it, or it is a directory; or the clone is
            shallow, or has not all content.
    """
    git = _Git(repository, _environment(environment))
    if git.output("rev-parse", "--is-shallow-repository").strip() == "true":
        # The oldest commits of a shallow clone seem to add every file, whenever that was.
        raise SavedError(
            "is a shallow clone, whose oldest commits have no parents: run"
            f" `git -C {repository} fetch --unshallow` first",
            where=str(repository),
        )
    versions: list[_Version] = []
    others: list[LeftOut] = []
    for found in _versions(git, file, now):
        if isinstance(found, LeftOut):
            others.append(found)
        else:
            versions.append(found)
    if not (versions or others):
        raise SavedError(
            "no commit of the current branch has this file: check --path, which begins at that directory",
            where=f"{repository}: {file}",
        )
    if not versions:
        raise none_found(f"{repository}: {file}", others)
    ordered = sorted(versions)
    _require_contents(git, file, ordered)
    return Answers(len(ordered), _read(git, file, ordered), tuple(others), _doubt(file, versions))


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in variables.items()
        if not name.startswith("GIT_") or name in _KEPT_VARIABLES
    }
    return kept | _OWN_VARIABLES


def _versions(git: _Git, file: str, now: str) -> Iterator[_Version | LeftOut]:
    """Yield the versions of a file in the order of the main line, and those that are left out."""
    # `git log` prints the newest commit first, and each before its files.
    lines = reversed(git.output(*_LOG, "--", file).split("\n"))
    files: list[str] = []
    for number, line in enumerate(filter(None, lines)):
        if not line.startswith(_COMMIT):
            files.append(line)
            continue
        if len(files) > 1 or any(_is_below(each, file) for each in files):
            raise SavedError("is a directory: name one file in it", where=f"{git.repository}: {file}")
        yield from (_version(line, number, raw, file, now) for raw in files if raw.split()[1] != _NO_MODE)
        files.clear()


def _is_below(raw: str, file: str) -> bool:
    """Return whether a line is of a file below the requested path; quoted names are not checked."""
    name = raw.partition("\t")[2]
    return not name.startswith('"') and Path(name).name != Path(file).name


def _version(line: str, number: int, raw: str, file: str, now: str) -> _Version | LeftOut:
    commit, _, seconds = line.removeprefix(_COMMIT).partition(" ")
    _, mode, _, blob, _ = raw.split(maxsplit=4)
    at = unix_time(int(seconds)) if seconds.isdecimal() else None
    source = _source(file, commit)
    if mode in _OTHER_MODES:
        return LeftOut(source, _OTHER_MODES[mode])
    other = left_out(source, at, "no valid date", now=now)
    return other or _Version(at or "", number, commit, blob)


def _source(file: str, commit: str) -> str:
    return f"{file}@{commit[:_SHORT]}"


def _doubt(file: str, versions: Sequence[_Version]) -> str | None:
    """Return a message if commits are older than the version before them; None if none is."""
    early = [after for before, after in pairwise(versions) if after.at < before.at]
    if not early:
        return None
    first = f"{_source(file, early[0].commit)} ({minute(early[0].at)})"
    are = "is" if len(early) == 1 else "are"
    return (
        f"{count(len(early), 'commit')} {are} dated before the version that came before, such as {first}:"
        " the versions are taken in the order of their dates"
    )


class _Git(Struct, frozen=True):
    """The user's git in a repository, with an environment."""

    repository: Path
    environment: Mapping[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of git.

        Raises:
            SavedError: there is no git.
        """
        command = ["git", "--no-replace-objects", "-C", str(self.repository), "-c", "protocol.allow=never"]
        try:
            return subprocess.Popen(  # noqa: S603 - no shell reads it
                [*command, *arguments],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError as error:
            reason = "cannot be read: there is no `git` on the path"
            raise SavedError(reason, where=str(self.repository)) from error

    def output(self, *arguments: str) -> str:
        """Return the output of a command.

        Raises:
            SavedError: there is no git, or it failed.
        """
        with self.start(*arguments) as git:
            output, errors = git.communicate()
        if git.returncode:
            message = errors.decode("utf-8", "replace").strip() or f"exit status {git.returncode}"
            raise SavedError(_failure(message.splitlines()), where=str(self.repository))
        return os.fsdecode(output)


def _failure(message: Sequence[str]) -> str:
    """Return git's error with what to do about it."""
    if any("promisor" in line or "lazy fetching" in line for line in message):
        return _PARTIAL
    # Git refuses the repository of another user: https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory
    trust = message[-1].strip() if "safe.directory" in message[-1] else ""
    return f"git: {message[0]}{f'; import as its owner, or trust it: `{trust}`' if trust else ''}"


def _require_contents(git: _Git, file: str, versions: Sequence[_Version]) -> None:
    """Raise if git lacks the content of a version, before any is read."""
    with git.start("cat-file", "--batch-check") as check:
        output, _ = check.communicate("".join(f"{each.blob}\n" for each in versions).encode())
    # It ends at the first object that it would have to fetch.
    lines = output.decode().split("\n")
    for version, line in zip(versions, lines, strict=False):
        if line.split()[1:2] != ["blob"]:
            where = f"{git.repository}: {_source(file, version.commit)}"
            raise SavedError(_PARTIAL, where=where)


def _read(git: _Git, file: str, found: Iterable[_Version]) -> Iterator[SavedAnswer]:
    with git.start("cat-file", "--batch") as contents:
        assert contents.stdin
        assert contents.stdout
        for version in found:
            source = _source(file, version.commit)
            contents.stdin.write(f"{version.blob}\n".encode())
            contents.stdin.flush()
            yield SavedAnswer(version.at, _blob(contents.stdout, where=f"{git.repository}: {source}"), source)


def _blob(stream: IO[bytes], *, where: str) -> bytes:
    match stream.readline().split():
        case [_, b"blob", size]:
            body = stream.read(int(size))
            stream.read(1)
            return body
        case _:
            raise SavedError(_PARTIAL, where=where)
