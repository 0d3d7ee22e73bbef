"""Old history goes, and what is told of the time since stays the same, now and later."""

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

Said = Mapping[str, Any]
Run = tuple[int, Said]
"""How many days after the one before a run was, and what each scope said in it."""


def at(days: int) -> str:
    return (BEGIN + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def hear(store: Store, days: int, said: Said) -> None:
    heard = {
        name: ScopeResult(answer)
        if isinstance(answer, Exception)
        else result_of(offered({"anchor": {}, **answer}))
        for name, answer in said.items()
    }
    with store.transaction():
        decide_and_record(
            heard, [SCOPES[name] for name in said], RunCache(store), started_at=at(days), finished_at=at(days)
        )


def days_of(history: Sequence[Run]) -> list[int]:
    days, found = 0, []
    for gap, _ in history:
        days += gap
        found.append(days)
    return found


def live(store: Store, history: Sequence[Run], days: Sequence[int]) -> None:
    for (_, said), day in zip(history, days, strict=True):
        hear(store, day, said)


def copied(store: Store) -> Store:
    other = Store.open(None)
    store.connection.backup(other.connection)
    return other


def problems(store: Store) -> list[Any]:
    return [problem for check in verify(store, KNOWN) for problem in check.problems]


def told_of(store: Store, windows: Sequence[Window]) -> list[Any]:
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
def test_what_is_told_of_kept_time_stays_the_same(
    *, history: Sequence[Run], bound: int, later: int, again: bool
) -> None:
    """Reports of all windows since the bound are as they were, and so are those of the runs that follow."""
    days = days_of(history)
    then = max(1, len(history) - later)
    bound = min(bound, days[then - 1])
    with Store.open(None) as whole:
        live(whole, history[:then], days[:then])
        with copied(whole) as pruned:
            if again:
                prune(pruned, KNOWN, bound=at(bound // 2))
            prune(pruned, KNOWN, bound=at(bound))
            assert problems(pruned) == []
            live(whole, history[then:], days[then:])
            live(pruned, history[then:], days[then:])
            first = next(number for number, day in enumerate(days, 1) if day >= bound)
            windows = [
                Window(since, until)
                for until in range(first, len(days) + 1)
                for since in range(first - 1, until)
            ]
            assert told_of(pruned, windows) == told_of(whole, windows)
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
            ref.held is None,
            ref.outcome in ("held", "failed"),
            ref.digest,
            ref.error_class,
            ref.fingerprint,
        )
        for name, ref in scope_states(store).items()
    }


def test_a_model_that_left_long_ago_is_told_as_returned(store: Store) -> None:
    """That it had been there, when it left and as what, outlives its history."""
    both, one = {"lyra": {}, "vega": {}}, {"vega": {}}
    for day, offer in enumerate((both, one, one, {**one, "γ": {}}, one, one)):
        hear(store, 100 * day, {"acme/one": offer})
    done = prune(store, KNOWN, bound=at(450))
    assert done.rows["sightings"] == 3
    (standing,) = model_details(store, "lyra")[0].standings
    assert (standing.says, standing.since) == ("removed", at(100))
    hear(store, 600, {"acme/one": both})
    (event,) = find_events(store, Window(6, 7))
    assert (event.kind, event.model, event.since) == (Kind.RETURNED, "lyra", at(100))
    assert store.rows("select name from departures") == [{"name": f"lyra left {at(100)}"}]


def test_a_confirmation_goes_with_its_move(store: Store) -> None:
    """The same move made again later is not the one that an old confirmation is of."""
    there: Said = {"acme/one": {"lyra": {}}}
    gone: Said = {"acme/one": {}}
    for day, said in zip((0, 1, 2, 40, 41, 42), (there, gone, gone, there, gone, gone), strict=True):
        hear(store, day, said)
    prune(store, KNOWN, bound=at(60))
    assert problems(store) == []
    names = store.rows("select name from sightings order by id")
    assert [row["name"].split()[1] for row in names] == ["baseline", "moved", "moved", "confirmed"]


def test_what_is_not_told_yet_is_not_dropped(store: Store) -> None:
    """A report that waits in the outbox, or that is still to be made, keeps its whole window."""
    for day in range(4):
        hear(store, 100 * day, {"acme/one": {"lyra": {"form": day}}})
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


def test_nothing_old_is_nothing_dropped(store: Store) -> None:
    """Where all is young, not a row changes."""
    hear(store, 0, {"acme/one": {"lyra": {}}})
    hear(store, 1, {"acme/one": {}})
    before = rows_of(store)
    assert prune(store, KNOWN, bound=at(0)).rows == {}
    assert rows_of(store) == before


def test_runs_in_which_nothing_happened_are_dropped(store: Store) -> None:
    """Their rows are most of what a quiet year leaves; when a scope was last asked stays known."""
    for day in range(50):
        hear(store, day, {"acme/one": {"lyra": {}}})
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


def test_what_is_forgotten_leaves_nothing_behind(store: Store) -> None:
    """A scope goes with its listings, records, models and gateway; what others need stays."""
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
def test_forgetting_leaves_the_others_as_they_were(history: Sequence[Run], names: set[str]) -> None:
    """Whatever is forgotten, the rest is well, and its history is told as before."""
    with Store.open(None) as store:
        live(store, history, days_of(history))
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
        assert after == {told for told in before if told[3] not in gone}


def test_a_renamed_scope_goes_on(store: Store) -> None:
    """Under its new name it has the history of the old one, and its next answer is compared with that."""
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


def test_a_renamed_gateway_takes_its_scopes_along(store: Store) -> None:
    """Its models stay its own."""
    script = (
        Script(store).offers("acme/one", "lyra").offers("acme/two", "lyra").offers("acmeother/one", "lyra")
    )
    script.run()
    assert rename_gateway(store, "acme", "hub") == [("acme/one", "hub/one"), ("acme/two", "hub/two")]
    assert sorted(scope_states(store)) == ["acmeother/one", "hub/one", "hub/two"]
    assert problems(store) == []


@example([(1, {"acme/one": {"lyra": {}}})])
@given(histories)
def test_pruning_everything_leaves_what_is_offered_now(history: Sequence[Run]) -> None:
    """With nothing kept, each scope still points at what it pointed at."""
    with Store.open(None) as store:
        days = days_of(history)
        live(store, history, days)
        before = _pointed(store)
        prune(store, KNOWN, bound=at(days[-1] + 100))
        assert _pointed(store) == before
        assert problems(store) == []
