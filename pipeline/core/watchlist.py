"""Globs of names, and the watched models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct, field

from pipeline.core.text import choices, quoted
from pipeline.core.types import Scope, Thresholds
from pipeline.errors import QuestionError

_GLOB_CHARACTERS = frozenset("*?[")


def matches(name: str, globs: Sequence[str]) -> bool:
    """Return whether a name matches one of the globs; without globs, every name does."""
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def unmatched_glob(globs: Iterable[str], names: Iterable[str]) -> str | None:
    """Return the first glob that matches no name; None if each matches one."""
    candidates = list(names)
    return next((glob for glob in globs if not any(fnmatchcase(name, glob) for name in candidates)), None)


def matching_scopes(scopes: Sequence[Scope], globs: Sequence[str]) -> tuple[Scope, ...]:
    """Return the scopes that match one of the globs, in their order; all without globs.

    Raises:
        QuestionError: a glob matches no scope.
    """
    names = [scope.name for scope in scopes]
    glob = unmatched_glob(globs, names)
    if glob is not None:
        raise QuestionError(f"no scope matches {quoted(glob)}: {choices(glob, names, none='there is none')}")
    return tuple(scope for scope in scopes if matches(scope.name, globs))


def is_glob(pattern: str) -> bool:
    """Return whether a pattern may match several models."""
    return bool(_GLOB_CHARACTERS & set(pattern))


def matches_pattern(pattern: str, model: str) -> bool:
    """Return whether a pattern, a model's id or a glob of ids, matches a model.

    An id is compared first: some ids contain `[` or `*`.
    """
    return pattern == model or (is_glob(pattern) and fnmatchcase(model, pattern))


class Watch(Struct, frozen=True):
    """The watched models: those that the user depends on.

    Args:
        models: ids as gateways write them, and globs of ids.
        scopes: globs of the scopes in which they are watched; empty for all.
        thresholds: those of the scopes of the config, by name; without them it is unknown when a pending
            removal is confirmed.
    """

    models: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)

    def covers(self, scope: str) -> bool:
        """Return whether models are watched in a scope."""
        return matches(scope, self.scopes)

    def has(self, model: str) -> bool:
        """Return whether a model is watched."""
        return any(matches_pattern(pattern, model) for pattern in self.models)

    def named(self, model: str) -> bool:
        """Return whether a model is watched by its own id, not by a glob."""
        return model in self.models


NO_WATCH = Watch()
