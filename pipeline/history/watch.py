"""The watched models: missing, retiring, repriced or OK in each scope that has offered them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.impact import URGENT_CATEGORIES, is_group_gone, is_pressing, shutdown_dates
from pipeline.core.prices import PriceChange, split_prices
from pipeline.core.times import TOLERANCE, counted_runs, has_lasted, seconds_between, shifted
from pipeline.core.types import FieldChange, FlapStep, Kind, Thresholds
from pipeline.core.watchlist import Watch, is_glob, matches_pattern
from pipeline.history.changes import find_events
from pipeline.history.deprecations import announced_shutdowns
from pipeline.history.model import similar_models
from pipeline.history.types import Event
from pipeline.store import Store, answers_needed
from pipeline.store.catalog import history_start
from pipeline.store.coverage import Coverage, coverage, may_lack_models
from pipeline.store.departures import pruned_departures
from pipeline.store.flaps import RETURN_DAYS
from pipeline.store.groups import LostGroup, groups_pending_at, lost_groups
from pipeline.store.models import ListedModels, model_names, model_rows
from pipeline.store.offers import (
    PendingMisses,
    ScopeModel,
    flapping_absences,
    offers,
    offers_ever,
    pending_at,
    pending_removals,
)
from pipeline.store.runs import find_run
from pipeline.store.windows import time_window

SHUTDOWN_DAYS = 90
"""A shutdown is urgent when it is at most so many days away."""


class FindingKind(StrEnum):
    """The kinds of findings about a watched model in a scope that has offered it before.

    `missing`: removed. `unconfirmed`: a pending removal. `held`: in the current listing, but not in the held
    answer. `shutdown`: it has a shutdown date. `stage`: the stage of its lifecycle changed. `repriced`: its
    price changed. `failing`: the scope fails, so it is unknown whether it still offers the model; never
    urgent.
    """

    MISSING = "missing"
    UNCONFIRMED = "unconfirmed"
    HELD = "held"
    SHUTDOWN = "shutdown"
    STAGE = "stage"
    REPRICED = "repriced"
    FAILING = "failing"


class Finding(Struct, frozen=True):
    """A finding about a watched model, with all the scopes that share it.

    Args:
        urgent: it needs attention.
        since: when the model was first missing, the hold or failure began, or the values changed last
            (ISO 8601 UTC); None if unknown.
        answers: for a pending removal, the complete answers so far without the model; `needed`, how many
            confirm it; `earliest`, the time (ISO 8601 UTC) before which it is not confirmed; None if unknown,
            or if that has passed.
        flapping: for a pending removal, the model comes and goes, and so needs more answers.
        last_answered: for a failure, the last complete answer of the scope (ISO 8601 UTC); None without one.
        day: the shutdown date (ISO 8601).
        days: the number of days until then, negative when it has passed.
        prices: the prices that changed.
        fields: the prices that are no amounts, or the stages, that changed.
        group: the group that is gone, may be gone, or that the held list lacks, with all of its models.
    """

    kind: FindingKind
    urgent: bool = True
    since: str | None = None
    day: str | None = None
    days: int | None = None
    prices: tuple[PriceChange, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    scopes: tuple[str, ...] = ()
    answers: int | None = None
    needed: int | None = None
    earliest: str | None = None
    last_answered: str | None = None
    group: str | None = None
    flapping: bool = False

    @property
    def answers_left(self) -> int | None:
        """For a pending removal, how many more answers without the model confirm it; None if unknown.

        It is 0 where the answers suffice, and only the time is missing.
        """
        if self.needed is None:
            return None
        return max(0 if self.earliest else 1, self.needed - (self.answers or 0))


class WatchedModel(Struct, frozen=True):
    """A watched model, the scopes that offer it now, and the findings about it; none if it is OK."""

    model: str
    scopes: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def urgent(self) -> bool:
        """Whether any finding needs attention."""
        return any(finding.urgent for finding in self.findings)


class UnmatchedPattern(Struct, frozen=True):
    """A pattern, an id or a glob of ids, without a model to check.

    Args:
        offered_before: a model that matches was offered: by a scope that is not asked or not watched now, or,
            for a glob, removed before the time from which on removals are reported.
        similar: the most similar ids, best first.
    """

    pattern: str
    offered_before: bool
    similar: tuple[str, ...] = ()


class WatchReport(Struct, frozen=True):
    """The state of the watched models after the newest run.

    Args:
        at: the start of that run (ISO 8601 UTC); None without a run.
        since: the time from which on removals and changes of prices and stages are reported, no earlier than
            the history begins; None without a run.
    """

    at: str | None
    models: tuple[WatchedModel, ...]
    unmatched: tuple[UnmatchedPattern, ...] = ()
    since: str | None = None

    @property
    def urgent(self) -> bool:
        """Whether any model or pattern needs attention."""
        return bool(self.unmatched) or any(model.urgent for model in self.models)


def check_watched(
    store: Store,
    watch: Watch,
    *,
    since: str,
    today: date,
    days: int = SHUTDOWN_DAYS,
) -> WatchReport:
    """Return the state of the watched models in the watched scopes that are asked and have offered them.

    Args:
        store: an open database.
        watch: the models and the scopes.
        since: the time (ISO 8601 UTC) after which changes of prices and stages are reported. A model that
            only a glob matches is left out if it was missing before then.
        today: the day from which the days until a shutdown are counted.
        days: a shutdown is urgent when it is at most so many days away.
    """
    watched = _read_watched(store, watch)
    findings = [
        *(absence for absence in _absences(store, watched, watch) if _is_recent(absence, watch, since)),
        *_missing_from_held(store, watched),
        *_failing(watched),
        *_shutdowns(store, watched, today, days),
        *_changed(store, watched, since),
    ]
    models = _by_model(watched, findings)
    run = find_run(store)
    start = history_start(store)
    return WatchReport(
        at=run.started_at if run else None,
        models=models,
        unmatched=_unmatched(store, watch, models),
        since=max(since, start) if start else None,
    )


def unreported_absences(store: Store, watch: Watch) -> tuple[WatchedModel, ...]:
    """Return the watched models that may be missing, though no report has them yet.

    They have a pending removal, or are missing from a held answer.
    """
    if not watch.models or not (may_lack_models(store) or lost_groups(store)):
        return ()
    watched = _read_watched(store, watch)
    pending = [each for each in _absences(store, watched, watch) if each[2].kind == FindingKind.UNCONFIRMED]
    models = _by_model(watched, [*pending, *_missing_from_held(store, watched)])
    return tuple(model for model in models if model.findings)


class Pending(NamedTuple):
    """A watched model in a scope whose removal is pending.

    Args:
        since: the start of the first run without it (ISO 8601 UTC).
        asked: the scope whose answer lacks it, or its group.
        group: the group that may be gone with all of its models.
    """

    since: str
    asked: str
    group: str | None = None


def watched_pending(store: Store, watch: Watch, until: int) -> dict[ScopeModel, Pending]:
    """Return the pending removals of watched models after a run that are reported.

    The models of a group whose loss is pending are among them. The removal of a model that flaps is among
    them from when it would be confirmed if the model did not flap.

    Args:
        store: an open database.
        watch: the models and the scopes, with their thresholds.
        until: the snapshot of the run.
    """
    if not watch.models:
        return {}
    listed = ListedModels(store)
    found = {
        (each.scope, model): Pending(each.since, each.user, each.group)
        for each in groups_pending_at(store, until)
        for model in listed.names(each.listing).values()
        if watch.has(model)
    }
    models = [model.id for model in model_rows(store) if watch.has(model.name)]
    found |= {key: Pending(since, key[0]) for key, since in pending_at(store, models, until).items()}
    for key, answers in flapping_absences(store, models, until).items():
        if answers and _is_long(answers, watch.thresholds_of(key[0])):
            found[key] = Pending(answers[0], key[0])
    return {key: each for key, each in found.items() if watch.covers(key[0])}


def not_removed(pending: Mapping[ScopeModel, Pending], events: Iterable[Event]) -> dict[ScopeModel, Pending]:
    """Return the pending removals that none of some events confirms."""
    removed = set()
    for event in events:
        if event.kind == Kind.REMOVED:
            removed |= {(scope, event.model) for scope in event.scopes}
        elif is_group_gone(event.kind, event.fields):
            removed |= {(scope, group) for scope in event.scopes for group in event.groups}
    return {
        (scope, model): each
        for (scope, model), each in pending.items()
        if (each.asked, model if each.group is None else each.group) not in removed
    }


def _is_long(answers: Sequence[str], thresholds: Thresholds | None) -> bool:
    """Return whether answers confirm a removal of a model that does not flap; they are starts of runs."""
    if thresholds is None:
        return False
    counted = counted_runs(answers)
    return len(counted) >= thresholds.confirm and has_lasted(
        counted[0], counted[-1], thresholds.confirm_after
    )


class _Watched(Struct, frozen=True):
    """The watched scopes that are asked, the watched models by row, and which scopes offer which models.

    `lost` has the scopes of groups that are gone, or may be, which offer nothing, or that a held list lacks.
    """

    scopes: dict[str, Coverage]
    models: frozenset[int]
    offers: frozenset[ScopeModel]
    lost: Mapping[str, LostGroup]


_ScopeFinding = tuple[str, str, Finding]
"""A scope, a model, and a finding about the model in this scope; the finding itself lists no scopes yet."""


def _read_watched(store: Store, watch: Watch) -> _Watched:
    lost = lost_groups(store)
    scopes = {
        scope.scope: scope
        for scope in coverage(store)
        if (scope.state != "retired" or scope.scope in lost) and watch.covers(scope.scope)
    }
    models = frozenset(model.id for model in model_rows(store) if watch.has(model.name))
    absent = {scope for scope, each in lost.items() if not each.held}
    offered = (each for each in offers(store, models) if each[0] in scopes and each[0] not in absent)
    return _Watched(scopes, models, frozenset(offered), lost)


def pending_findings(
    store: Store, watch: Watch, pending: Collection[ScopeModel]
) -> dict[ScopeModel, Finding]:
    """Return how far some pending removals are confirmed now, as far as they are still pending."""
    names = {model for _, model in pending}
    models = [model.id for model in model_rows(store) if model.name in names] if names else []
    lost = lost_groups(store) if names else {}
    found = {
        (scope, model): _lost_finding(lost[scope], watch)
        for scope, model in offers(store, models, scopes=lost)
        if lost[scope].pending
    }
    found |= {
        key: _pending_finding(misses, watch.thresholds_of(key[0]))
        for key, misses in pending_removals(store, models).items()
    }
    return {key: finding for key, finding in found.items() if key in pending}


def _pending_finding(misses: PendingMisses, thresholds: Thresholds | None) -> Finding:
    is_flapping = misses.flap_level > 0
    finding = Finding(
        FindingKind.UNCONFIRMED, since=misses.since, answers=misses.answers, flapping=is_flapping
    )
    if thresholds is None:
        return finding
    earliest = shifted(misses.began_at, TOLERANCE * thresholds.confirm_after)
    return replace(
        finding,
        needed=answers_needed(thresholds.confirm, misses.flap_level),
        earliest=earliest if earliest > misses.at else None,
    )


def _lost_finding(lost: LostGroup, watch: Watch) -> Finding:
    if lost.held:
        return Finding(FindingKind.HELD, since=lost.since, group=lost.group)
    if lost.pending is None:
        return Finding(FindingKind.MISSING, since=lost.since, group=lost.group)
    return replace(_pending_finding(lost.pending, watch.thresholds_of(lost.scope)), group=lost.group)


def pending_groups(store: Store, watch: Watch) -> dict[str, Finding]:
    """Return the groups that may be gone, and how far that is confirmed, by the scopes of their models.

    Those that a held list lacks are among them.
    """
    return {
        each.scope: _lost_finding(each, watch) for each in lost_groups(store).values() if not each.is_gone
    }


def _absences(store: Store, watched: _Watched, watch: Watch) -> Iterator[_ScopeFinding]:
    """Yield the models that scopes have offered before and do not now."""
    absent = sorted(
        each for each in offers_ever(store, watched.models) - watched.offers if each[0] in watched.scopes
    )
    if not absent:
        return
    last = {
        (scope, event.model): event
        for event in find_events(store, time_window(store), watched.models)
        if event.kind != Kind.CHANGED
        for scope in event.scopes
    }
    pending = pending_removals(store, watched.models)
    pruned = pruned_departures(store, watched.models)
    in_lost = offers(store, watched.models, scopes=watched.lost) if watched.lost else set()
    for scope, model in absent:
        event = last.get((scope, model))
        if (scope, model) in in_lost and not watched.lost[scope].held:
            finding = _lost_finding(watched.lost[scope], watch)
        elif event and event.kind == Kind.REMOVED:
            finding = Finding(FindingKind.MISSING, since=event.since or event.at)
        elif (scope, model) in pending:
            finding = _pending_finding(pending[scope, model], watch.thresholds_of(scope))
        else:
            # Its removal was pruned, or new parsing rules leave the model out.
            finding = Finding(FindingKind.MISSING, since=pruned.get((scope, model)))
        yield scope, model, finding


def _is_recent(absence: _ScopeFinding, watch: Watch, since: str) -> bool:
    """Return whether an absence is reported: a glob does not bring back models that went long ago."""
    _, model, finding = absence
    return (
        finding.kind == FindingKind.UNCONFIRMED
        or watch.named(model)
        or (finding.since is not None and finding.since >= since)
    )


def _missing_from_held(store: Store, watched: _Watched) -> Iterator[_ScopeFinding]:
    held = offers(store, watched.models, held=True)
    for scope, model in sorted(watched.offers):
        lost = watched.lost.get(scope)
        if lost and lost.held:
            yield scope, model, Finding(FindingKind.HELD, since=lost.since, group=lost.group)
    for scope, model in sorted(watched.offers - held):
        if watched.scopes[scope].state == "held":
            yield scope, model, Finding(FindingKind.HELD, since=watched.scopes[scope].state_since)


def _failing(watched: _Watched) -> Iterator[_ScopeFinding]:
    for scope, model in sorted(watched.offers):
        if watched.scopes[scope].state == "failed":
            since, last = watched.scopes[scope].state_since, watched.scopes[scope].last_answered
            yield scope, model, Finding(FindingKind.FAILING, urgent=False, since=since, last_answered=last)


def _shutdowns(store: Store, watched: _Watched, today: date, days: int) -> Iterator[_ScopeFinding]:
    for each in announced_shutdowns(store, today=today, until=date.max):
        finding = Finding(FindingKind.SHUTDOWN, urgent=each.days <= days, day=each.day, days=each.days)
        for scope in each.scopes:
            if (scope, each.model) in watched.offers:
                yield scope, each.model, finding


_Pressing = PriceChange | FieldChange
"""A change that a run reports as urgent for a watched model."""


def _changed(store: Store, watched: _Watched, since: str) -> Iterator[_ScopeFinding]:
    """Yield the models with prices or stages that changed after a time, and are not as they were before.

    Earlier changes count too, as long as each was at most `RETURN_DAYS` before the next: a price that is back
    is as it was, wherever the time falls.
    """
    recent = find_events(store, time_window(store, since=since), watched.models)
    models = model_rows(store, {event.model for event in recent if event.at > since and event.fields})
    if not models:
        return
    steps: dict[tuple[str, str, str], list[tuple[str, _Pressing]]] = {}
    for event in find_events(store, time_window(store), {model.id for model in models}):
        for name, change in _pressing(event):
            for scope in watched.scopes.keys() & event.scopes:
                steps.setdefault((scope, event.model, name), []).append((event.at, change))
    found: dict[tuple[str, str, str, FindingKind], list[_Pressing]] = {}
    for (scope, model, _), of_value in sorted(steps.items()):
        at, last = of_value[-1]
        net = _net(_first_of_chain(of_value, since), last)
        if at > since and _differs(net):
            is_stage = isinstance(net, FieldChange) and net.category == "lifecycle"
            kind = FindingKind.STAGE if is_stage else FindingKind.REPRICED
            found.setdefault((scope, model, at, kind), []).append(net)
    for (scope, model, at, kind), changes in found.items():
        prices = tuple(each for each in changes if isinstance(each, PriceChange))
        fields = tuple(each for each in changes if isinstance(each, FieldChange))
        yield scope, model, Finding(kind, since=at, prices=prices, fields=fields)


def _pressing(event: Event) -> list[tuple[str, _Pressing]]:
    """Return the prices and stages of an event, as a run reports them; dates are findings of their own."""
    prices, others = split_prices(event.fields, event.prices)
    found: list[tuple[str, _Pressing]] = [(price.name, price) for price in prices]
    found += [
        (field.field, field)
        for field in others
        if field.category in URGENT_CATEGORIES and shutdown_dates(field) is None
    ]
    return [each for each in found if each[1].flap_step != FlapStep.SETTLED]


def _net(first: _Pressing, last: _Pressing) -> _Pressing:
    """Return one change from the first of some of a value to the last, which may be of the other type."""
    if isinstance(first, PriceChange) and isinstance(last, PriceChange):
        texts = (first.texts[0], last.texts[1])
        return replace(last, before=first.before, texts=texts, flapping=None)
    if isinstance(first, FieldChange) and isinstance(last, FieldChange):
        return replace(last, before=first.before, flapping=None)
    return replace(last, flapping=None)


def _differs(change: _Pressing) -> bool:
    return is_pressing(change) if isinstance(change, FieldChange) else change.before != change.after


def _first_of_chain(steps: Sequence[tuple[str, _Pressing]], since: str) -> _Pressing:
    """Return the first change of a value that is later than a time, or that later ones followed soon."""
    ((later, first), *earlier) = reversed(steps)
    for at, change in earlier:
        if at <= since and seconds_between(at, later) > RETURN_DAYS * 24 * 3600:
            break
        later, first = at, change
    return first


def _by_model(watched: _Watched, findings: Iterable[_ScopeFinding]) -> tuple[WatchedModel, ...]:
    """Return the findings by model; equal findings in several scopes become one."""
    scopes_of: dict[str, list[str]] = {}
    for scope, model in sorted(watched.offers):
        scopes_of.setdefault(model, []).append(scope)
    by_model: dict[str, dict[Finding, list[str]]] = {}
    for scope, model, finding in findings:
        by_model.setdefault(model, {}).setdefault(finding, []).append(scope)
    return tuple(
        WatchedModel(
            model,
            tuple(scopes_of.get(model, ())),
            tuple(
                replace(finding, scopes=tuple(scopes)) for finding, scopes in by_model.get(model, {}).items()
            ),
        )
        for model in sorted(scopes_of.keys() | by_model.keys())
    )


def _unmatched(store: Store, watch: Watch, models: Iterable[WatchedModel]) -> tuple[UnmatchedPattern, ...]:
    """Return the patterns that match none of some models."""
    checked = [each.model for each in models]
    patterns = [
        pattern for pattern in watch.models if not any(matches_pattern(pattern, model) for model in checked)
    ]
    ever_offered = model_names(store) if patterns else []
    found = []
    for pattern in patterns:
        if any(matches_pattern(pattern, model) for model in ever_offered):
            found.append(UnmatchedPattern(pattern, offered_before=True))
        else:
            text = pattern.translate(_WILDCARDS) if is_glob(pattern) else pattern
            found.append(
                UnmatchedPattern(pattern, offered_before=False, similar=tuple(similar_models(store, text)))
            )
    return tuple(found)


_WILDCARDS = dict.fromkeys(map(ord, "*?[]"))
"""Deletes the wildcards of a glob, for `str.translate`."""
