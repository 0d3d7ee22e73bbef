"""Prune, forget and rename: dropped history changes no report of the time since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.fakes import NOTHING_HELD, Script, offered, result_of, rows_of, scope

from pipeline.core.types import Kind, Thresholds
from pipeline.errors import Refused, Unreachable
from pipeline.gateways.types import ScopeResult
from pipeline.history.changes import find_events
from pipeline.history.runs import coverage, find_run, recoveries
from pipeline.history.timeline import model_details
from pipeline.maintenance import dialects_of, forget, prune, rename_gateway, rename_scope, verify
from pipeline.reports.report import build_report
from pipeline.store import Store, scope_states
from pipeline.store.changes import Window
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

KNOWN = dialects_of(())
CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2)
SCOPES = {
    name: scope(name, thresholds=thresholds)
    for name, thresholds in (
        ("acme/one", NOTHING_HELD),
        ("acme/two", CAUTIOUS),
        ("zeta/one", NOTHING_HELD),
    )
}
BEGIN = datetime(2026, 1, 1, 8, tzinfo=UTC)

Answers = Mapping[str, Any]
Run = tuple[int, Answers]
"""The days since the run before, and the answer of each scope."""


def at(days: int) -> str:
    return (BEGIN + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def record_run(store: Store, days: int, answers: Answers) -> None:
    results = {
        name: ScopeResult(answer)
        if isinstance(answer, Exception)
        else result_of(offered({"anchor": {}, **answer}))
        for name, answer in answers.items()
    }
    with store.transaction():
        decide_and_record(
            results,
            [SCOPES[name] for name in answers],
            RunCache(store),
            started_at=at(days),
            finished_at=at(days),
        )


def days_of(history: Sequence[Run]) -> list[int]:
    days, found = 0, []
    for gap, _ in history:
        days += gap
        found.append(days)
    return found


def record_all(store: Store, history: Sequence[Run], days: Sequence[int]) -> None:
    for (_, answers), day in zip(history, days, strict=True):
        record_run(store, day, answers)


def copied(store: Store) -> Store:
    other = Store.open(None)
    store.connection.backup(other.connection)
    return other


def problems(store: Store) -> list[Any]:
    return [problem for check in verify(store, KNOWN) for problem in check.problems]


def reports_of(store: Store, windows: Sequence[Window]) -> list[Any]:
    return [
        (build_report(store, window), coverage(store, until=window.until), find_run(store, window.since))
        if window.since
        else build_report(store, window)
        for window in windows
    ]


offers = st.dictionaries(st.sampled_from(["lyra", "vega", "γ"]), st.sampled_from([{}, {"form": 1}]))
failures = st.sampled_from([Unreachable("reset"), Refused("no such key", status=401)])
answers = st.one_of(offers, offers, offers, failures)
runs = st.tuples(
    st.sampled_from([1, 1, 9, 20, 40]), st.dictionaries(st.sampled_from(sorted(SCOPES)), answers, min_size=1)
)
histories = st.lists(runs, min_size=2, max_size=12)


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
    (standing,) = model_details(store, "lyra")[0].standings
    assert (standing.says, standing.since) == ("removed", at(100))
    record_run(store, 600, {"acme/one": both})
    (event,) = find_events(store, Window(6, 7))
    assert (event.kind, event.model, event.since) == (Kind.RETURNED, "lyra", at(100))
    assert store.rows("select name from departures") == [{"name": f"lyra left {at(100)}"}]


def test_a_confirmation_goes_with_its_move(store: Store) -> None:
    """The same transition made again later is another move."""
    there: Answers = {"acme/one": {"lyra": {}}}
    gone: Answers = {"acme/one": {}}
    for day, answers in zip((0, 1, 2, 40, 41, 42), (there, gone, gone, there, gone, gone), strict=True):
        record_run(store, day, answers)
    prune(store, KNOWN, bound=at(60))
    assert problems(store) == []
    names = store.rows("select name from sightings order by id")
    assert [row["name"].split()[1] for row in names] == ["baseline", "moved", "moved", "confirmed"]


def test_the_window_of_a_due_report_is_not_pruned(store: Store) -> None:
    for day in range(4):
        record_run(store, 100 * day, {"acme/one": {"lyra": {"form": day}}})
    store.connection.execute("insert into destinations values (1, 'reports', 2, ?, null)", [at(100)])
    store.connection.execute(
        "insert into deliveries values (1, 'x', 1, 'files', null, 2, null, 'waiting', 0, null, null, null)"
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


def only(store: Store, *names: str) -> dict[str, list[dict[str, Any]]]:
    script = Script(store)
    for name in names:
        script.offers(name, "lyra", **{name.replace("/", "_"): 1})
    script.run(times=2)
    for name in names:
        script.drops(name, "lyra")
    script.run()
    return rows_of(store)


def test_a_forgotten_scope_goes_with_all_that_only_it_needed(store: Store) -> None:
    with Store.open(None) as plain:
        wanted = only(plain, "acme/one", "zeta/one")
    only(store, "acme/one", "zeta/one", "acme/two", "beta/one")
    forget(store, ["acme/two", "beta/one"])
    assert problems(store) == []
    left = rows_of(store)
    assert {table: len(rows) for table, rows in left.items()} == {
        table: len(rows) for table, rows in wanted.items()
    }
    assert [row["name"] for row in left["gateways"]] == ["acme", "zeta"]
    assert [row["digest"] for row in left["coverages"]] == [row["digest"] for row in wanted["coverages"]]


@settings(max_examples=30)
@given(histories, st.sets(st.sampled_from(sorted(SCOPES)), min_size=1))
def test_forgetting_keeps_the_history_of_other_scopes(history: Sequence[Run], names: set[str]) -> None:
    with Store.open(None) as store:
        record_all(store, history, days_of(history))
        gone = sorted(names & scope_states(store).keys())
        window = Window(0, len(history))
        before = {
            (event.snapshot, event.kind, event.model, name)
            for event in find_events(store, window)
            for name in event.scopes
        }
        forget(store, gone)
        assert problems(store) == []
        after = {
            (event.snapshot, event.kind, event.model, name)
            for event in find_events(store, window)
            for name in event.scopes
        }
        assert after == {event for event in before if event[3] not in gone}


def test_a_renamed_scope_keeps_its_history(store: Store) -> None:
    script = Script(store).offers("acme/one", "lyra", "vega").offers("acme/two", "lyra")
    script.run()
    assert rename_scope(store, "acme/one", "acme/new") == [("acme/one", "acme/new")]
    script.scopes.pop("acme/one")
    script.offers("acme/new", "lyra", "vega", "γ").run()
    (event,) = find_events(store, Window(0, 2))
    assert (event.model, event.scopes) == ("γ", ("acme/new",))
    assert problems(store) == []
    assert store.rows("select name from sightings where scope = 1 order by id")[0] == {
        "name": "acme/new baseline"
    }


def test_renaming_a_gateway_renames_its_scopes(store: Store) -> None:
    script = (
        Script(store).offers("acme/one", "lyra").offers("acme/two", "lyra").offers("acmeother/one", "lyra")
    )
    script.run()
    assert rename_gateway(store, "acme", "hub") == [("acme/one", "hub/one"), ("acme/two", "hub/two")]
    assert sorted(scope_states(store)) == ["acmeother/one", "hub/one", "hub/two"]
    assert problems(store) == []


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
