"""The problems of one run that are due: new ones, those of another full day, and their ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.failures import is_reminder
from pipeline.core.types import PROBLEMS
from pipeline.core.watchlist import Watch
from pipeline.history.types import Coverage, Event, Recovery, Run, ScopeRows
from pipeline.history.watch import Finding, FindingKind, WatchedModel, not_removed, watched_pending
from pipeline.store import Store
from pipeline.store.coverage import coverage, exceptional_coverage, gateways_asked, models_missing_from_held
from pipeline.store.mutes import NO_MUTES, Mutes, mutes, mutes_ended
from pipeline.store.offers import ScopeModel
from pipeline.store.runs import last_run
from pipeline.store.scopes import left_out_rows
from pipeline.store.windows import Window


class RunProblems(Struct, frozen=True):
    """The problems of a run that are due, and those that ended with it.

    A problem is due in the run in which it begins or becomes urgent, and in the first run after each further
    day; that rows are left out is due once. The problem of an unsteady scope is due when the scope becomes
    unsteady by it, not when it begins again; its end is due when the scope has been well for a day.

    Args:
        scopes: the scopes that are failing or held.
        absences: the watched models that may be missing, though no report has them yet.
        recoveries: the failures and holds that ended.
        returned: the watched models that are back before their removal was confirmed, with the start of the
            run that first missed them (ISO 8601 UTC).
        left_out: the rows that the answers of scopes leave out, due or not.
        mutes: what is muted; none of `scopes` and `absences` is.
    """

    scopes: tuple[Coverage, ...] = ()
    absences: tuple[WatchedModel, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    returned: tuple[tuple[ScopeModel, str], ...] = ()
    left_out: tuple[ScopeRows, ...] = ()
    mutes: Mutes = NO_MUTES


def find_problems(
    store: Store,
    run: Run,
    scopes: Sequence[Coverage],
    absences: Sequence[WatchedModel],
    *,
    events: Collection[Event],
    recoveries: Sequence[Recovery],
    left_out_before: Collection[str],
    watch: Watch,
) -> RunProblems:
    """Return the problems of the newest run that are due, and those that ended with it.

    Args:
        store: an open database.
        run: the run.
        scopes: those that it asked and that are held or failing after it; others may be among them.
        absences: the watched models that may be missing, though no report has them yet.
        events: those of the run.
        recoveries: the failures and holds that ended with the run.
        left_out_before: the scopes whose last answer before the run left out rows.
        watch: the watched models.
    """
    muted, previous = mutes(store, run.started_at), last_run(store, run.snapshot - 1)
    ended = mutes_ended(store, previous.started_at, run.started_at) if previous else NO_MUTES
    absences = [model for model in absences if not muted.model(model.model)]
    failing = [scope for scope in scopes if scope.state in PROBLEMS]
    before = _states_before(store, run, failing, absences)
    due = tuple(
        scope
        for scope in failing
        if not muted.scope(scope.scope)
        and (ended.scope(scope.scope) or _is_due(scope, before.get(scope.scope), run))
    )
    pending = watched_pending(store, watch, run.snapshot)
    pending_before = watched_pending(store, watch, run.snapshot - 1)
    new = set(pending.items() - pending_before.items())
    begun = {key for key, _ in new}
    left_out = left_out_rows(store)
    asked = _asked(store, run) if absences or pending_before or left_out else {}
    if absences:
        begun |= _newly_missing_from_held(store, failing, run)
    found = (_due_absence(model, asked, before, due, begun, run.started_at) for model in absences)
    return RunProblems(
        scopes=due,
        absences=tuple(model for model in found if model.findings),
        recoveries=tuple(each for each in recoveries if each.is_news),
        returned=tuple(
            (key, each.since)
            for key, each in sorted(not_removed(pending_before, events).items())
            if each.asked in asked and key not in pending
        ),
        left_out=tuple(_left_out(left_out, asked, failing, left_out_before)),
        mutes=muted,
    )


def _asked(store: Store, run: Run) -> dict[str, str]:
    """Return the gateways of the scopes that a run asked, by scope."""
    return gateways_asked(store, Window(run.snapshot - 1, run.snapshot))


def _states_before(
    store: Store, run: Run, failing: Sequence[Coverage], absences: Iterable[WatchedModel]
) -> dict[str, Coverage]:
    """Return scopes as they were before a run, by name: those in trouble, and those of absences."""
    until = run.snapshot - 1
    found = {scope.scope: scope for scope in exceptional_coverage(store, until=until)} if failing else {}
    names: set[str] = set()
    for model in absences:
        for finding in model.findings:
            names.update(finding.scopes)
            if finding.group is not None:
                names.update(scope.rpartition(".")[0] for scope in finding.scopes)
    names -= found.keys()
    if names:
        found |= {scope.scope: scope for scope in coverage(store, until=until, only=names)}
    return found


def _left_out(
    rows: Mapping[str, str],
    asked: Mapping[str, str],
    failing: Iterable[Coverage],
    before: Collection[str],
) -> Iterator[ScopeRows]:
    """Yield the rows that scopes leave out; a scope that fails or is held has none of this run."""
    for scope in sorted((rows.keys() & asked.keys()) - {each.scope for each in failing}):
        yield ScopeRows(scope, asked[scope], rows[scope], scope not in before)


def _is_due(scope: Coverage, before: Coverage | None, run: Run) -> bool:
    """Return whether a problem is due; `before` is that of the scope before the run, if it had one."""
    if scope.begins_after(run.snapshot - 1) or scope.lasts_after(run.snapshot - 1):
        return True
    began, previous = scope.state_since or run.started_at, before.last_asked if before else None
    goes_on = before is not None and scope.is_same_problem(before)
    if scope.recurrence:
        began = scope.recurrence.since
        previous = previous if goes_on else scope.recurrence.ended
    became_urgent = goes_on and scope.urgent and before is not None and not before.urgent
    return became_urgent or is_reminder(began, previous, run.started_at)


def _due_absence(
    model: WatchedModel,
    asked: Collection[str],
    before: Mapping[str, Coverage],
    due: Sequence[Coverage],
    begun: Collection[ScopeModel],
    at: str,
) -> WatchedModel:
    """Return a watched model with the findings, and in each the scopes, that are due.

    `begun` has the pending removals of models that do not flap, and the absences from held answers, that
    began with the run.
    """
    due_scopes = {scope.scope for scope in due}

    def is_due(scope: str, finding: Finding) -> bool:
        if (scope, model.model) in begun:
            return True
        if finding.group is not None:
            scope = scope.rpartition(".")[0]  # the user's
        if scope not in asked:
            return False
        if finding.kind == FindingKind.HELD:
            return scope in due_scopes
        previous = before[scope].last_asked if scope in before else None
        began = finding.since
        # A flapping model that is missing again is no reminder of the last time.
        is_known = began is not None and (began > at or (previous or "") >= began)
        return began is None or (is_known and is_reminder(began, previous, at))

    chosen = (
        replace(finding, scopes=tuple(scope for scope in finding.scopes if is_due(scope, finding)))
        for finding in model.findings
    )
    return replace(model, findings=tuple(finding for finding in chosen if finding.scopes))


def _newly_missing_from_held(store: Store, failing: Sequence[Coverage], run: Run) -> set[ScopeModel]:
    """Return the models that the held answer of this run lacks, and no earlier one of the same hold.

    The holds of an unsteady scope that come and go are one.
    """
    holds = {
        (scope.scope, scope.state_since or ""): scope.recurrence.since
        if scope.recurrence
        else scope.state_since or ""
        for scope in failing
        if scope.state == "held"
    }
    if not holds:
        return set()
    now, earlier = (
        {
            (scope, model)
            for (scope, _), models in models_missing_from_held(store, holds, until=until).items()
            for model in models
        }
        for until in (run.snapshot, run.snapshot - 1)
    )
    return now - earlier
