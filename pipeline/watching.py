"""How the models that somebody depends on stand: missing, held back, ending, dearer, or well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from pipeline import absences
from pipeline.endings import announced
from pipeline.history import coverage, snapshot
from pipeline.pricing import PriceChange
from pipeline.reports import Coverage
from pipeline.repricing import repriced
from pipeline.showing import closest
from pipeline.store import Store
from pipeline.watchlist import Watch, is_glob, means

WITHIN = 90
"""An end is urgent when it is so many days away, or fewer."""


class What(StrEnum):
    """What there is to say of a watched model in a scope that has offered it before.

    `missing`: told as removed. `unconfirmed`: not in the last answers, to be confirmed. `held`: offered as
    far as is believed, and not in the answer that is held. `ending`: announced to end. `repriced`: it costs
    something else. `unheard`: offered, but the scope fails to answer; this alone is never urgent.
    """

    MISSING = "missing"
    UNCONFIRMED = "unconfirmed"
    HELD = "held"
    ENDING = "ending"
    REPRICED = "repriced"
    UNHEARD = "unheard"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say of a watched model, for all the scopes of which it is true.

    Args:
        urgent: it needs somebody's attention.
        since: since when it is missing, held or unheard, in ISO 8601 UTC; None where that is not known.
        day: for an end, the day (ISO 8601); `days` until then, below 0 when it has passed.
        prices: what changed in its price.
    """

    what: What
    urgent: bool = True
    since: str | None = None
    day: str | None = None
    days: int | None = None
    prices: tuple[PriceChange, ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Watched:
    """A watched model: the scopes that it is offered to, and what there is to say of it."""

    model: str
    scopes: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def urgent(self) -> bool:
        """Whether it needs somebody's attention."""
        return any(finding.urgent for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """An id or a glob that means no model that is offered.

    Args:
        known: some scope has offered it once: one that is not asked any more, or is left out, or for a glob
            longer ago than is looked back.
        near: ids that are much like it, best first.
    """

    word: str
    known: bool
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How all that is watched stands, by the last run, which began at `at`; None when there was none."""

    at: str | None
    models: tuple[Watched, ...]
    unmatched: tuple[Unmatched, ...] = ()

    @property
    def urgent(self) -> bool:
        """Whether anything needs somebody's attention."""
        return bool(self.unmatched) or any(model.urgent for model in self.models)


def watch(store: Store, watching: Watch, *, since: str, today: date, days: int = WITHIN) -> Standing:
    """Say how the watched models stand in each scope that is asked, and matters, and has offered them before.

    Args:
        store: an open database.
        watching: the models, and the scopes that matter.
        since: the time (ISO 8601 UTC) from which on prices are compared. A model that only a glob means and
            that went before then is not looked for.
        today: the day from which the days until an end are counted.
        days: an end is urgent when it is so many days away, or fewer.
    """
    ground = _ground(store, watching)
    found = [
        *(each for each in _absent(store, ground) if _matters(each, watching, since)),
        *_held(store, ground),
        *_unheard(ground),
        *_ending(store, ground, today, days),
        *_repriced(store, ground, since),
    ]
    models = _told(ground, found)
    run = snapshot(store)
    return Standing(run.started_at if run else None, models, _unmatched(store, watching, models))


def doubtful(store: Store, watching: Watch) -> tuple[Watched, ...]:
    """Give the watched models that no report tells of yet: missing, not confirmed, or not in what is held."""
    if not watching.models:
        return ()
    ground = _ground(store, watching)
    absent = [each for each in _absent(store, ground) if each[2].what == What.UNCONFIRMED]
    return tuple(each for each in _told(ground, [*absent, *_held(store, ground)]) if each.findings)


_Found = tuple[str, str, Finding]
"""A scope, a model, and what there is to say of it there."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all questions need: the scopes that matter, the models that are meant, who has which."""

    watching: Watch
    scopes: dict[str, Coverage]
    ids: frozenset[int]
    offered: frozenset[tuple[str, str]]


def _ground(store: Store, watching: Watch) -> _Ground:
    asked = {
        scope.scope: scope
        for scope in coverage(store)
        if scope.state != "retired" and watching.covers(scope.scope)
    }
    rows = store.rows("select id, name from models")
    ids = frozenset(row["id"] for row in rows if watching.has(row["name"]))
    offered = absences.listed(store, ids)
    return _Ground(watching, asked, ids, frozenset(pair for pair in offered if pair[0] in asked))


def _absent(store: Store, ground: _Ground) -> Iterator[_Found]:
    """Find what scopes have offered before and do not now."""
    gaps = (pair for pair in absences.ever(store, ground.ids) - ground.offered if pair[0] in ground.scopes)
    for absence in absences.explained(store, gaps, ground.ids):
        what = What.MISSING if absence.confirmed else What.UNCONFIRMED
        yield absence.scope, absence.model, Finding(what, since=absence.since)


def _matters(found: _Found, watching: Watch, since: str) -> bool:
    """Say whether an absence is news: a glob means what there is, not all that there ever was."""
    _, model, finding = found
    return (
        finding.what == What.UNCONFIRMED
        or watching.named(model)
        or (finding.since is not None and finding.since >= since)
    )


def _held(store: Store, ground: _Ground) -> Iterator[_Found]:
    kept = absences.listed(store, ground.ids, held=True)
    for scope, model in sorted(ground.offered - kept):
        if ground.scopes[scope].state == "held":
            yield scope, model, Finding(What.HELD, since=ground.scopes[scope].state_since)


def _unheard(ground: _Ground) -> Iterator[_Found]:
    for scope, model in sorted(ground.offered):
        if ground.scopes[scope].state == "failed":
            finding = Finding(What.UNHEARD, urgent=False, since=ground.scopes[scope].state_since)
            yield scope, model, finding


def _ending(store: Store, ground: _Ground, today: date, within: int) -> Iterator[_Found]:
    for each in announced(store, today=today, until=date.max):
        finding = Finding(What.ENDING, urgent=each.days <= within, day=each.day, days=each.days)
        for scope in each.scopes:
            if (scope, each.model) in ground.offered:
                yield scope, each.model, finding


def _repriced(store: Store, ground: _Ground, since: str) -> Iterator[_Found]:
    found = repriced(store, since, ground.scopes.__contains__, ground.watching.has)
    for scope, model, prices in found:
        yield scope, model, Finding(What.REPRICED, prices=prices)


def _told(ground: _Ground, found: Iterable[_Found]) -> tuple[Watched, ...]:
    """Put together what is said of each model, each thing once for all its scopes."""
    offered: dict[str, list[str]] = {}
    for scope, model in sorted(ground.offered):
        offered.setdefault(model, []).append(scope)
    said: dict[str, dict[Finding, list[str]]] = {}
    for scope, model, finding in found:
        said.setdefault(model, {}).setdefault(finding, []).append(scope)
    return tuple(
        Watched(
            model,
            tuple(offered.get(model, ())),
            tuple(replace(finding, scopes=tuple(of)) for finding, of in said.get(model, {}).items()),
        )
        for model in sorted(offered.keys() | said.keys())
    )


def _unmatched(store: Store, watching: Watch, models: Iterable[Watched]) -> tuple[Unmatched, ...]:
    told = [each.model for each in models]
    words = [word for word in watching.models if not any(means(word, model) for model in told)]
    known = [row["name"] for row in store.rows("select distinct name from models")] if words else []
    return tuple(_unknown(store, word, known) for word in words)


def _unknown(store: Store, word: str, known: Iterable[str]) -> Unmatched:
    if any(means(word, model) for model in known):
        return Unmatched(word, known=True)
    plain = word.translate(dict.fromkeys(map(ord, "*?[]"))) if is_glob(word) else word
    return Unmatched(word, known=False, near=tuple(closest(store, plain)))
