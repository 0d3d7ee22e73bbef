"""Which models somebody depends on, and which changes are urgent to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pipeline.globs import matches
from pipeline.reports import Event, Report
from pipeline.types import Kind

_URGENT = frozenset({"price", "lifecycle"})
"""A changed field of these classes is urgent."""

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
        return any(means(word, model) for word in self.models)

    def named(self, model: str) -> bool:
        """Say whether a model is watched by its own id, and not only because a glob matches it."""
        return model in self.models


NOTHING = Watch()


def is_glob(word: str) -> bool:
    """Say whether a word may mean several models."""
    return bool(_GLOB & set(word))


def means(word: str, model: str) -> bool:
    """Say whether a word, an id or a glob of ids, means a model."""
    return word == model or fnmatchcase(model, word)


def is_urgent(event: Event, watch: Watch) -> bool:
    """Say whether a watched model went, has another price, or another end."""
    if not (watch.has(event.model) and any(map(watch.covers, event.scopes))):
        return False
    return event.kind == Kind.REMOVED or any(field.category in _URGENT for field in event.fields)


def marked(events: Iterable[Event], watch: Watch) -> tuple[Event, ...]:
    """Give the events, in their order; those that are urgent say so."""
    return tuple(replace(event, urgent=True) if is_urgent(event, watch) else event for event in events)


def mark(report: Report, watch: Watch) -> Report:
    """Give a report in which what is urgent is marked."""
    return replace(report, events=marked(report.events, watch))
