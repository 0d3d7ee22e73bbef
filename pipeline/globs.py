"""Globs of names, as the words of a question and the lines of a config give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def matches(name: str, globs: Sequence[str]) -> bool:
    """Say whether a name matches one of some globs; any does where there is none."""
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def idle(globs: Iterable[str], names: Iterable[str]) -> str | None:
    """Give the first glob that matches none of some names; None where each matches one."""
    known = list(names)
    return next((glob for glob in globs if not any(fnmatchcase(name, glob) for name in known)), None)
