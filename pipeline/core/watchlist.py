"""Globs of names, as the words of a question and the lines of a config give them.

Which models somebody depends on, and which changes are urgent to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


def matches(name: str, globs: Sequence[str]) -> bool:
    """Say whether a name matches one of some globs; any does where there is none."""
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def unmatched_glob(globs: Iterable[str], names: Iterable[str]) -> str | None:
    """Give the first glob that matches none of some names; None where each matches one."""
    known = list(names)
    return next((glob for glob in globs if not any(fnmatchcase(name, glob) for name in known)), None)


_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Watch:
    """Models that somebody depends on.

    Args:
        models: ids as gateways write them, and globs of ids.
        scopes: globs of the scopes in which they matter; none is all scopes.
    """

    models: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def covers(self, scope: str) -> bool:
        """Say whether it matters what a scope is offered."""
        return matches(scope, self.scopes)

    def has(self, model: str) -> bool:
        """Say whether a model is watched."""
        return any(matches_pattern(word, model) for word in self.models)

    def named(self, model: str) -> bool:
        """Say whether a model is watched by its own id, and not only because a glob matches it."""
        return model in self.models


NO_WATCH = Watch()


def is_glob(word: str) -> bool:
    """Say whether a word may mean several models."""
    return bool(_GLOB & set(word))


def matches_pattern(word: str, model: str) -> bool:
    """Say whether a word, an id or a glob of ids, means a model."""
    return word == model or fnmatchcase(model, word)
