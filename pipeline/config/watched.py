"""Read which models the user depends on: the table `[watch]`, and the file that it may name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.config.toml import Table
from pipeline.errors import ConfigError
from pipeline.types import Scope
from pipeline.watchlist import Watch

_WATCH = frozenset({"models", "file", "scopes"})
_SUCH_AS = '["gpt-4o", "claude-*"]'
_PASTED = frozenset("\"',")


def watched(table: Table, scopes: Sequence[Scope]) -> Watch:
    """Read the table `[watch]`; an empty one watches nothing.

    Raises:
        ConfigError: names the file, the line or key, and what to write.
    """
    table.only(_WATCH)
    models = list(table.texts("models", _SUCH_AS))
    if table.text("file") is not None:
        models += _lines(table.file("file", ""))
    globs = scope_globs(table, scopes)
    return Watch(tuple(dict.fromkeys(models)), globs)


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


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8: save it as UTF-8", where=str(path)) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    for number, line in enumerate(text.splitlines(), 1):
        word = _without_comment(line)
        if word:
            _check(word, f"{path}:{number}")
            yield word


def _without_comment(line: str) -> str:
    """Give what stands before a `#` that begins the line or a word."""
    before = line.strip()
    if before.startswith("#"):
        return ""
    return before.replace("\t#", " #").partition(" #")[0].strip()


def _check(word: str, where: str) -> None:
    if not word.isprintable():
        raise ConfigError(
            "holds a character that cannot be printed: write one id or glob a line", where=where
        )
    if len(word.split()) > 1:
        raise ConfigError(
            "holds more than one word: write one id or glob a line, `?` where an id has a space", where=where
        )
    if _PASTED & set(word):
        raise ConfigError("holds a quote or a comma: write the bare id or glob, one a line", where=where)
