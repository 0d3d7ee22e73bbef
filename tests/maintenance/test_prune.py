"""Prune: dropping old history changes no report of later time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.dated_histories import (
    KNOWN,
    Answers,
    Run,
    at,
    days_of,
    histories,
    problems,
    record_all,
    record_run,
)
from support.fakes import rows_of

from pipeline.core.types import Kind
from pipeline.history.changes import find_events
from pipeline.history.model import model_details
from pipeline.maintenance import prune
from pipeline.reports.report import build_report
from pipeline.store import Store, scope_states
from pipeline.store.coverage import coverage, recoveries
from pipeline.store.runs import find_run
from pipeline.store.windows import Window


def copied(store: Store) -> Store:
    other = Store.open(None)
    store.connection.backup(other.connection)
    return other


def reports_of(store: Store, windows: Sequence[Window]) -> list[Any]:
    return [
        (build_report(store, window), coverage(store, until=window.until), find_run(store, window.since))
        if window.since
        else build_report(store, window)
        for window in windows
    ]


@settings(max_examples=30)
@given(history=histories, bound=st.integers(0, 300), later=st.integers(0, 11), again=st.booleans())
def test_reports_of_kept_time_stay_the_same(
    *, history: Sequence[Run], bound: int, later: int, again: bool
) -> None:
    """So do the reports of runs that follow."""
    days = days_of(history)
    then = max(1, len(history) - later)
    bound = min(bound, days[then - 1])
    with Store.open(None) as whole:
        record_all(whole, history[:then], days[:then])
        with copied(whole) as pruned:
            if again:
                prune(pruned, KNOWN, bound=at(bound // 2))
            prune(pruned, KNOWN, bound=at(bound))
            assert problems(pruned) == []
            record_all(whole, history[then:], days[then:])
            record_all(pruned, history[then:], days[then:])
            first = next(number for number, day in enumerate(days, 1) if day >= bound)
            windows = [
                Window(since, until)
                for until in range(first, len(days) + 1)
                for since in range(first - 1, until)
            ]
            assert reports_of(pruned, windows) == reports_of(whole, windows)
            for window in windows:
                assert recoveries(pruned, window) == recoveries(whole, window)
            assert problems(pruned) == []
            assert _pointed(pruned) == _pointed(whole)
            prune(pruned, KNOWN, bound=at(days[-1] + 1))
            assert problems(pruned) == []
            find_events(pruned, Window(0, len(days)))


def _pointed(store: Store) -> Any:
    return {
        name: (
            state.held is None,
            state.outcome in ("held", "failed"),
            state.digest,
            state.error_class,
            state.fingerprint,
        )
        for name, state in scope_states(store).items()
    }


def test_a_model_removed_in_pruned_history_is_reported_as_returned(store: Store) -> None:
    both, one = {"lyra": {}, "vega": {}}, {"vega": {}}
    for day, offer in enumerate((both, one, one, {**one, "γ": {}}, one, one)):
        record_run(store, 100 * day, {"acme/one": offer})
    done = prune(store, KNOWN, bound=at(450))
    assert done.rows["sightings"] == 3
    (offer,) = model_details(store, "lyra")[0].scopes
    assert (offer.state, offer.since) == ("removed", at(100))
    record_run(store, 600, {"acme/one": both})
    (event,) = find_events(store, Window(6, 7))
    assert (event.kind, event.model, event.since) == (Kind.RETURNED, "lyra", at(100))
    assert store.rows("select name from departures") == [{"name": f"lyra left {at(100)}"}]


def test_the_confirmation_of_a_pruned_move_is_pruned(store: Store) -> None:
    """The same transition made again later is another move."""
    there: Answers = {"acme/one": {"lyra": {}}}
    gone: Answers = {"acme/one": {}}
    for day, answers in zip((0, 1, 2, 40, 41, 42), (there, gone, gone, there, gone, gone), strict=True):
        record_run(store, day, answers)
    prune(store, KNOWN, bound=at(60))
    assert problems(store) == []
    outcomes = store.rows("select outcome from sightings order by id")
    assert [row["outcome"] for row in outcomes] == ["baseline", "moved", "moved", "confirmed"]


def test_the_window_of_a_due_report_is_not_pruned(store: Store) -> None:
    for day in range(4):
        record_run(store, 100 * day, {"acme/one": {"lyra": {"form": day}}})
    store.connection.execute("insert into destinations values (1, 'reports', 2, ?, null)", [at(100)])
    store.connection.execute(
        "insert into deliveries (id, name, destination, recipient, until, state, attempts)"
        " values (1, 'x', 1, 'files', 2, 'waiting', 0)"
    )
    before = rows_of(store)
    assert prune(store, KNOWN, bound=at(1000)).bound == at(0)
    assert rows_of(store) == before
    store.connection.execute("update deliveries set state = 'sent'")
    assert prune(store, KNOWN, bound=at(1000)).bound == at(200)
    assert len(find_events(store, Window(2, 4))) == 2


def test_without_old_history_nothing_is_dropped(store: Store) -> None:
    record_run(store, 0, {"acme/one": {"lyra": {}}})
    record_run(store, 1, {"acme/one": {}})
    before = rows_of(store)
    assert prune(store, KNOWN, bound=at(0)).rows == {}
    assert rows_of(store) == before


def test_old_runs_without_sightings_are_dropped_but_for_the_last_of_each_scope(store: Store) -> None:
    for day in range(50):
        record_run(store, day, {"acme/one": {"lyra": {}}})
    assert prune(store, KNOWN, bound=at(40)).rows == {"snapshots": 38}
    assert coverage(store)[0].last_answered == at(49)


@example([(1, {"acme/one": {"lyra": {}}})])
@given(histories)
def test_pruning_everything_keeps_the_pointers(history: Sequence[Run]) -> None:
    with Store.open(None) as store:
        days = days_of(history)
        record_all(store, history, days)
        before = _pointed(store)
        prune(store, KNOWN, bound=at(days[-1] + 100))
        assert _pointed(store) == before
        assert problems(store) == []
