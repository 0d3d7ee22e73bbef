"""Globs of names, and the watched models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase, translate

from msgspec import Struct, field

from pipeline.core.text import choices, quoted
from pipeline.core.types import Scope, Thresholds
from pipeline.errors import QuestionError

_GLOB_CHARACTERS = frozenset("*?[")


class NameTest:
    """The names that some globs match; without globs, every name. A name among many is tested at once."""

    def __init__(self, globs: Iterable[str] = ()) -> None:
        self.globs = tuple(globs)
        self._exact = frozenset(each for each in self.globs if not is_glob(each))
        self._patterns = [re.compile(translate(each)).match for each in self.globs if is_glob(each)]

    def __contains__(self, name: str) -> bool:
        return not self.globs or name in self._exact or any(matched(name) for matched in self._patterns)

    def names_of(self, gateway: str) -> frozenset[str] | None:
        """Return the only scopes of a gateway that may be among them, without its name; None for any."""
        if not self.globs:
            return None
        parts = [each.partition("/") for each in self.globs]
        # A wildcard before the slash, or in place of it, may match across it.
        if any(is_glob(before) for before, _, _ in parts):
            return None
        own = [after for before, slash, after in parts if slash and before == gateway]
        return None if any(map(is_glob, own)) else frozenset(own)


def matches(name: str, globs: Sequence[str]) -> bool:
    """Return whether a name matches one of the globs; without globs, every name does."""
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def unmatched_glob(globs: Iterable[str], names: Iterable[str]) -> str | None:
    """Return the first glob that matches no name; None if each matches one."""
    candidates = names if isinstance(names, list | tuple | frozenset) else list(names)
    exact: frozenset[str] | None = None
    for glob in globs:
        if is_glob(glob):
            matched = re.compile(translate(glob)).match
            if not any(matched(name) for name in candidates):
                return glob
        else:
            exact = exact or frozenset(candidates)
            if glob not in exact:
                return glob
    return None


def matching_scopes(scopes: Sequence[Scope], globs: Sequence[str]) -> tuple[Scope, ...]:
    """Return the scopes that match one of the globs, in their order; all without globs.

    Raises:
        QuestionError: a glob matches no scope.
    """
    names = [scope.name for scope in scopes] if globs else []
    glob = unmatched_glob(globs, names)
    if glob is not None:
        raise QuestionError(f"no scope matches {quoted(glob)}: {choices(glob, names, none='there is none')}")
    wanted = NameTest(globs)
    return tuple(scope for scope in scopes if scope.name in wanted)


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
        thresholds: those of the gateways of the config, by name, and of the scopes that have others; without
            them it is unknown when a pending removal is confirmed.
    """

    models: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)

    def thresholds_of(self, scope: str) -> Thresholds | None:
        """Return the thresholds of a scope, for a group those of its user; None if they are unknown."""
        found = self.thresholds
        return found.get(scope) or found.get(scope.rpartition(".")[0]) or found.get(scope.partition("/")[0])

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
