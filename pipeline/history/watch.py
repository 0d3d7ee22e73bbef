"""Which scope is offered which of some models, was once, and since when it is not any more.

What models cost at a time and cost now, scope by scope.

How the models that somebody depends on stand: missing, held back, ending, dearer, or well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from pipeline.core.impact import is_significant
from pipeline.core.prices import PriceChange, split_prices
from pipeline.core.types import FieldChange, Kind
from pipeline.core.watchlist import Watch, is_glob, matches_pattern
from pipeline.history.changes import find_events
from pipeline.history.deprecations import announced
from pipeline.history.runs import coverage, find_run
from pipeline.history.timeline import closest
from pipeline.history.types import Coverage, Event
from pipeline.store import Store
from pipeline.store.changes import window
from pipeline.store.outcomes import SETS_LISTING

Pair = tuple[str, str]
"""The name of a scope, and the id of a model."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A model that a scope was offered and is not: since when (ISO 8601 UTC, None where it is not known).

    `confirmed` is told as removed; otherwise the next answers will show.
    """

    scope: str
    model: str
    since: str | None
    confirmed: bool


def listed(store: Store, ids: Iterable[int], *, held: bool = False) -> set[Pair]:
    """Give which scopes are offered which of some models now; with `held` by the answers that are held."""
    rows = store.rows(
        f"""
        select scopes.name as scope, models.name as model from json_each(:models) as wanted
        join models on models.id = wanted.value
        join records on records.model = models.id
        join listing_records on listing_records.record = records.id
        join scopes on scopes.{"held" if held else "listing"} = listing_records.listing
        """,  # noqa: S608 - our own words
        {"models": json.dumps(sorted(ids))},
    )
    return {(row["scope"], row["model"]) for row in rows}


def ever(store: Store, ids: Iterable[int]) -> set[Pair]:
    """Give which scopes were ever offered which of some models (ids of the database)."""
    rows = store.rows(
        f"""
        with wanted as (select value as model from json_each(:models))
        select distinct scopes.name as scope, models.name as model from wanted
        join models on models.id = wanted.model
        join records on records.model = wanted.model
        join listing_records on listing_records.record = records.id
        join sightings on sightings.listing = listing_records.listing
            and sightings.outcome in {SETS_LISTING}
        join scopes on scopes.id = sightings.scope
        union
        select scopes.name, models.name from wanted
        join departures on departures.model = wanted.model
        join models on models.id = wanted.model
        join scopes on scopes.id = departures.scope
        """,  # noqa: S608 - our own words
        {"models": json.dumps(sorted(ids))},
    )
    return {(row["scope"], row["model"]) for row in rows}


def explained(store: Store, gaps: Iterable[Pair], ids: Collection[int]) -> Iterator[Absence]:
    """Say of each gap since when it is there; `ids` are the models in them."""
    gaps = sorted(gaps)
    if not gaps:
        return
    last = {
        (scope, event.model): event
        for event in find_events(store, window(store), ids)
        if event.kind != Kind.CHANGED
        for scope in event.scopes
    }
    missing, left = _missing(store, ids), _departed(store, ids)
    for pair in gaps:
        event = last.get(pair)
        if event and event.kind == Kind.REMOVED:
            yield Absence(*pair, since=event.since or event.at, confirmed=True)
        elif pair in missing:
            yield Absence(*pair, since=missing[pair], confirmed=False)
        else:
            # It went before what is kept of the history, or other rules of reading leave it out.
            yield Absence(*pair, since=left.get(pair), confirmed=True)


def _missing(store: Store, ids: Iterable[int]) -> dict[Pair, str]:
    """Give since when scopes miss models whose removal is not effective yet."""
    rows = store.rows(
        """
        select scopes.name as scope, models.name as model, min(snapshots.started_at) as at
        from json_each(:models) as wanted
        join changes on changes.model = wanted.value and changes.kind = 'removed'
        join missing on missing.transition = changes.transition
        join snapshots on snapshots.id = missing.since
        join scopes on scopes.id = missing.scope
        join models on models.id = changes.model
        group by scopes.name, models.name
        """,
        {"models": json.dumps(sorted(ids))},
    )
    return {(row["scope"], row["model"]): row["at"] for row in rows}


def _departed(store: Store, ids: Iterable[int]) -> dict[Pair, str]:
    """Give when models had left scopes, where that is so old that it was pruned."""
    rows = store.rows(
        """
        select scopes.name as scope, models.name as model, departures.left_at as at
        from json_each(:models) as wanted
        join departures on departures.model = wanted.value and departures.left_at is not null
        join scopes on scopes.id = departures.scope
        join models on models.id = departures.model
        """,
        {"models": json.dumps(sorted(ids))},
    )
    return {(row["scope"], row["model"]): row["at"] for row in rows}


def net_sides(steps: Sequence[Event]) -> tuple[list[PriceChange], list[FieldChange]]:
    """Give all prices and fields that moved, from their first state to their last."""
    fields: dict[str, FieldChange] = {}
    prices: dict[str, PriceChange] = {}
    for event in steps:
        for field in event.fields:
            fields[field.field] = replace(field, before=fields.get(field.field, field).before)
        for price in event.prices:
            prices[price.name] = replace(price, before=prices.get(price.name, price).before)
    return list(prices.values()), list(fields.values())


def net_changes(steps: Sequence[Event]) -> tuple[tuple[PriceChange, ...], tuple[FieldChange, ...]]:
    """Give the prices and the other fields that are not what they were."""
    prices, fields = net_sides(steps)
    differing = [field for field in fields if field.before != field.after]
    loud, others = split_prices(differing, [price for price in prices if price.before != price.after])
    told = tuple(field for field in others if is_significant(field))
    # Whose price or limit is another one, of that nobody asks how it is described.
    return loud, told or (() if loud else tuple(differing))


def repriced(
    store: Store, since: str, only: Callable[[str], bool], has: Callable[[str], bool]
) -> Iterator[tuple[str, str, tuple[PriceChange, ...]]]:
    """Give scope, model and prices of what costs something else than it did at a time (ISO 8601 UTC).

    A model that came later is compared with what it cost when it came. Only scopes for whose names `only`
    holds are looked at, and models for whose ids `has` holds.
    """
    wanted = [row["id"] for row in store.rows("select id, name from models") if has(row["name"])]
    steps: dict[tuple[str, str], list[Event]] = {}
    # What the run of that very time has found was so then.
    for event in (each for each in find_events(store, window(store, since=since), wanted) if each.at > since):
        for scope in filter(only, event.scopes):
            steps.setdefault((scope, event.model), []).append(event)
    for (scope, model), of_it in sorted(steps.items()):
        prices, _ = net_changes(of_it)
        if prices:
            yield scope, model, prices


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
class WatchedModel:
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
class WatchReport:
    """How all that is watched stands, by the last run, which began at `at`; None when there was none."""

    at: str | None
    models: tuple[WatchedModel, ...]
    unmatched: tuple[Unmatched, ...] = ()

    @property
    def urgent(self) -> bool:
        """Whether anything needs somebody's attention."""
        return bool(self.unmatched) or any(model.urgent for model in self.models)


def watch(store: Store, watching: Watch, *, since: str, today: date, days: int = WITHIN) -> WatchReport:
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
    run = find_run(store)
    return WatchReport(run.started_at if run else None, models, _unmatched(store, watching, models))


def doubtful(store: Store, watching: Watch) -> tuple[WatchedModel, ...]:
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
    offered = listed(store, ids)
    return _Ground(watching, asked, ids, frozenset(pair for pair in offered if pair[0] in asked))


def _absent(store: Store, ground: _Ground) -> Iterator[_Found]:
    """Find what scopes have offered before and do not now."""
    gaps = (pair for pair in ever(store, ground.ids) - ground.offered if pair[0] in ground.scopes)
    for absence in explained(store, gaps, ground.ids):
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
    kept = listed(store, ground.ids, held=True)
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


def _told(ground: _Ground, found: Iterable[_Found]) -> tuple[WatchedModel, ...]:
    """Put together what is said of each model, each thing once for all its scopes."""
    offered: dict[str, list[str]] = {}
    for scope, model in sorted(ground.offered):
        offered.setdefault(model, []).append(scope)
    said: dict[str, dict[Finding, list[str]]] = {}
    for scope, model, finding in found:
        said.setdefault(model, {}).setdefault(finding, []).append(scope)
    return tuple(
        WatchedModel(
            model,
            tuple(offered.get(model, ())),
            tuple(replace(finding, scopes=tuple(of)) for finding, of in said.get(model, {}).items()),
        )
        for model in sorted(offered.keys() | said.keys())
    )


def _unmatched(store: Store, watching: Watch, models: Iterable[WatchedModel]) -> tuple[Unmatched, ...]:
    told = [each.model for each in models]
    words = [word for word in watching.models if not any(matches_pattern(word, model) for model in told)]
    known = [row["name"] for row in store.rows("select distinct name from models")] if words else []
    return tuple(_unknown(store, word, known) for word in words)


def _unknown(store: Store, word: str, known: Iterable[str]) -> Unmatched:
    if any(matches_pattern(word, model) for model in known):
        return Unmatched(word, known=True)
    plain = word.translate(dict.fromkeys(map(ord, "*?[]"))) if is_glob(word) else word
    return Unmatched(word, known=False, near=tuple(closest(store, plain)))
