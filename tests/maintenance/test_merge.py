"""Merge: the history of another site joins, and each scope has the history that it has there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support import amount
from support.dated_histories import KNOWN, SCOPES, Answers, answers, problems
from support.fakes import Script, moment, offered, record_run, result_of, rows_of, scope

from pipeline.core.times import shifted
from pipeline.core.types import Gateway, Thresholds, split_site
from pipeline.errors import QuestionError, Refused, StoreError, Unreachable
from pipeline.gateways.types import ScopeResult
from pipeline.history.changes import find_events
from pipeline.history.compare import ComparedSide, compare
from pipeline.history.timeline import find_timelines
from pipeline.maintenance import (
    MergeResult,
    OtherDatabase,
    forget,
    merge,
    prune,
    rebuild,
    rename,
    require_site_name,
)
from pipeline.store import Store, read_listing, scope_states
from pipeline.store.catalog import Moment, scope_listings
from pipeline.store.coverage import coverage, has_news, recoveries, scopes_asked
from pipeline.store.offers import pending_removals
from pipeline.store.outbox import newest_run
from pipeline.store.recurrences import unsteady_scopes
from pipeline.store.sites import site_states
from pipeline.store.windows import FOREVER, Window, time_window
from pipeline.sync.accept import held_scopes
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

BEGIN = "2026-01-01T08:00:00Z"
OWN = ""
SITES = (OWN, "tokyo", "berlin")

Step = tuple[str, int, Answers | None]
"""A site, the hours since the step before, and the answers of a run there; None merges what it has."""

steps = st.tuples(
    st.sampled_from(SITES),
    st.sampled_from([1, 1, 2, 7, 30, 400]),
    st.none() | st.dictionaries(st.sampled_from(sorted(SCOPES)), answers, min_size=1),
)
plays = st.lists(steps, min_size=12, max_size=24)


def record(store: Store, at: str, by_scope: Answers) -> None:
    """Record a run at a time."""
    results = {
        name: ScopeResult(answer)
        if isinstance(answer, Exception)
        else result_of(offered({"anchor": {}, **answer}))
        for name, answer in by_scope.items()
    }
    with store.transaction():
        decide_and_record(
            results, [SCOPES[name] for name in by_scope], RunCache(store), started_at=at, finished_at=at
        )


def merged(store: Store, other: Store, site: str, *, report: bool = False) -> MergeResult:
    """Merge an open database, which may be in memory, as a site."""
    with TemporaryDirectory() as directory:
        path = Path(directory, f"{site}.db")
        with closing(sqlite3.connect(path)) as copy:
            other.connection.backup(copy)
            # A file in memory has no log, and one that is copied may not need any.
            copy.execute("pragma journal_mode = delete")
        return merge(store, OtherDatabase(path, path), site, KNOWN, at=BEGIN, report=report)


def history_of(store: Store, site: str, times: Sequence[str]) -> dict[str, Any]:
    """Return the answers about the past of a site's scopes, without its name and without ids."""
    own = {name: split_site(name)[1] for name in _names(store) if split_site(name)[0] == site}
    windows = [(since, until) for since in (None, *times) for until in (*times, None)]
    spans = [(since, until) for since, until in windows if since is None or until is None or since < until]
    found: dict[str, Any] = {}
    for since, until in spans:
        window = time_window(store, since=since, until=until)
        found[f"events {since} {until}"] = sorted(
            (own[name], str(replace(event, snapshot=0, scopes=(), groups=())))
            for event in find_events(store, window)
            for name in event.scopes
            if name in own
        )
        found[f"recoveries {since} {until}"] = sorted(
            str(replace(each, scope=own[each.scope], recurrence=_times(each.recurrence)))
            for each in recoveries(store, window)
            if each.scope in own
        )
    for at in times:
        found[f"listings {at}"] = sorted(
            (own[each.scope], read_listing(store, each.listing).digest, each.size, each.retired)
            for each in scope_listings(store, Moment(at=at))
            if each.scope in own
        )
    found["coverage"] = [
        str(replace(each, scope=own[each.scope], began=None, recurrence=_times(each.recurrence)))
        for each in coverage(store)
        if each.scope in own
    ]
    models = {row["id"] for row in store.rows("select id from models")}
    found["pending"] = sorted(
        (own[name], model, tuple(each))
        for (name, model), each in pending_removals(store, models).items()
        if name in own
    )
    if times:
        found["unsteady"] = [own[each.name] for each in unsteady_scopes(store, times[-1]) if each.name in own]
    found["timelines"] = sorted(
        (own[name], model, str(replace(timeline, scopes=())))
        for model in ("lyra", "vega", "γ")
        for timeline in (find_timelines(store, model) if _has_model(store, model) else ())
        for name in timeline.scopes
        if name in own
    )
    found["flaps"] = sorted(
        (own[row["scope"]], *(row[name] for name in row if name != "scope"))
        for row in store.rows(_FLAPS)
        if row["scope"] in own
    )
    return found


def _names(store: Store) -> list[str]:
    return [row["name"] for row in store.rows("select name from scopes")]


def _has_model(store: Store, model: str) -> bool:
    return bool(store.rows("select 1 from models where name = :model", {"model": model}))


def _times(recurrence: Any) -> Any:
    return recurrence and (recurrence.times, recurrence.since, recurrence.ended)


_FLAPS = """
    select scopes.name as scope, models.name as model, field, before, after, began_at, flaps.changes,
           changed_at, answers, counted_at, repeated, json_array_length(flaps.news) as news,
           run.started_at as announced, over.started_at as ended
    from flaps join scopes on scopes.id = flaps.scope join models on models.id = flaps.model
    left join sightings on sightings.id = flaps.announced
    left join snapshots as run on run.id = sightings.snapshot
    left join sightings as last on last.id = flaps.ended
    left join snapshots as over on over.id = last.snapshot
"""


def content(store: Store) -> dict[str, Any]:
    """Return all rows but those of the search index and of migrations."""
    return {
        table: rows for table, rows in rows_of(store).items() if not table.startswith(("models_fts", "_"))
    }


@settings(max_examples=amount(6, 300))
@given(play=plays)
def test_each_scope_has_the_history_that_it_has_at_its_site(play: Sequence[Step]) -> None:
    """However runs and merges follow each other; verify finds nothing, and rebuild corrects nothing."""
    center = Store.open(None)
    stores = {site: Store.open(None) for site in SITES}
    at, times = BEGIN, []
    for site, hours, by_scope in play:
        at = shifted(at, hours * 3600)
        if by_scope is not None:
            record(stores[site], at, by_scope)
            times.append(at)
            if site == OWN:
                record(center, at, by_scope)
        elif site != OWN:
            merged(center, stores[site], site)
            assert problems(center) == []
    reverse = Store.open(None)
    for site in SITES[1:]:
        merged(center, stores[site], site)
        before = content(center)
        assert merged(center, stores[site], site).runs == 0
        assert content(center) == before
    for site in reversed(SITES[1:]):
        merged(reverse, stores[site], site)
    assert problems(center) == []
    moments = times[:: max(1, len(times) // 3)]
    for site in SITES:
        own = history_of(stores[site], OWN, moments)
        assert history_of(center, site, moments) == own
        if site:
            assert history_of(reverse, site, moments) == own
    before = content(center)
    rebuild(center, KNOWN)
    assert content(center) == before


@settings(max_examples=amount(4, 200))
@given(play=plays)
def test_merging_after_each_run_is_merging_once(play: Sequence[Step]) -> None:
    """Row for row."""
    often, once, site = Store.open(None), Store.open(None), Store.open(None)
    at = BEGIN
    for _, hours, by_scope in play:
        at = shifted(at, hours * 3600)
        record(site, at, by_scope or {"acme/one": {}})
        merged(often, site, "tokyo")
    merged(once, site, "tokyo")
    assert content(often) == content(once)


def test_what_a_site_drops_of_long_problems_is_dropped_here(store: Store) -> None:
    """Failures whose cause changes at each run, and held lists that are large."""
    often, site = Store.open(None), Store.open(None)
    script = Script(site).has(scope("acme/one", thresholds=Thresholds(max_loss=0.5, floor=1)))
    script.offers("acme/one", *(f"m{number}" for number in range(9))).offers("acme/two", "lyra").run()
    for run in range(64):
        script.fails(
            "acme/two", Unreachable(f"reset {run % 3}") if run % 2 else Refused(f"no {run}", status=401)
        )
        if run < 7:
            script.offers("acme/one", *(f"list {run}, model {number}" for number in range(300)))
        script.run()
        if run % 20 == 0:
            merged(often, site, "tokyo")
            assert problems(often) == []
    merged(often, site, "tokyo")
    merged(store, site, "tokyo")
    assert store.rows("select 1 from sightings where shortened_from is not null")
    assert max(row["source"] for row in store.rows("select source from sightings")) > len(
        store.rows("select 1 from sightings")
    )
    assert history_of(often, "tokyo", []) == history_of(store, "tokyo", [])
    for table in ("sightings", "reasons", "listings", "records"):
        assert len(content(often)[table]) == len(content(store)[table]), table
    assert problems(often) == problems(store) == []


# Beside the own scopes.


def site_script(store: Store, url: str | None = None) -> Script:
    """Return a script of a site with one scope, which has had two runs."""
    script = Script(store).offers("acme/one", "lyra", "vega")
    if url:
        own = script.scopes["acme/one"]
        script.has(replace(own, gateway=Gateway("acme", url, own.gateway.dialect)))
    script.run(times=2)
    return script


@pytest.fixture
def tokyo() -> Script:
    return site_script(Store.open(None))


def listed(store: Store, view: str) -> list[dict[str, Any]]:
    return store.rows(f"select * from {view}")


def test_scopes_of_two_sites_with_the_same_list_share_it(store: Store, tokyo: Script) -> None:
    site_script(store)
    merged(store, tokyo.store, "tokyo")
    (row,) = listed(store, "same_catalog")
    assert (row["gateway"], row["scope_names"]) == ("acme", "acme/one tokyo:acme/one")
    assert {row["of_scopes"] for row in listed(store, "matrix")} == {2}
    assert len(store.rows("select * from listings")) == 1
    tokyo.drops("acme/one", "vega").run()
    merged(store, tokyo.store, "tokyo")
    sides = (
        ComparedSide("own", scopes=frozenset({"acme/one"})),
        ComparedSide("t", scopes=frozenset({"tokyo:acme/one"})),
    )
    (part,) = compare(store, *sides).parts
    assert [(each.kind, each.model) for each in part.differences] == [("removed", "vega")]


def test_a_gateway_of_the_same_name_with_another_url_is_another(store: Store) -> None:
    """Also where the own one comes later, or another site has the same one."""
    for site in ("tokyo", "berlin"):
        merged(store, site_script(Store.open(None), "https://eu.example/v1").store, site)
    assert [row["name"] for row in listed(store, "gateways")] == ["acme"]
    site_script(store)
    assert [(row["name"], row["url"]) for row in listed(store, "gateways")] == [
        ("tokyo:acme", "https://eu.example/v1"),
        ("acme", "https://acme.example/v1"),
    ]
    merged(store, site_script(Store.open(None)).store, "lima")
    found = store.rows(
        "select scopes.name, gateways.name as at from scopes join gateways on gateways.id = gateway"
    )
    assert {row["name"]: row["at"] for row in found} == {
        "tokyo:acme/one": "tokyo:acme",
        "berlin:acme/one": "tokyo:acme",
        "acme/one": "acme",
        "lima:acme/one": "acme",
    }
    assert problems(store) == []


def test_an_own_run_leaves_the_scopes_of_other_sites_as_they_are(store: Store, tokyo: Script) -> None:
    tokyo.drops("acme/one", "vega").run()
    tokyo.fails("acme/one").run()
    merged(store, tokyo.store, "tokyo")
    before = store.rows("select * from scopes"), store.rows("select * from missing")
    own = scope("acme/one")
    record_run(store, [own], {own.name: result_of(offered({"lyra": {}}))}, all_scopes=True)
    rows = store.rows("select * from scopes where site is not null"), store.rows("select * from missing")
    assert rows == before
    assert [each.outcome for each in scope_states(store).values()] == ["failed", "baseline"]


def test_a_scope_is_retired_by_the_next_run_of_its_own_site(store: Store, tokyo: Script) -> None:
    own = Script(store).offers("acme/one", "lyra").offers("acme/two", "lyra")
    own.run_at(datetime(2026, 9, 20, 5, tzinfo=UTC))
    kept = own.scopes["acme/two"]
    at = "2026-09-20T09:00:00Z"
    record_run(store, [kept], {kept.name: own.result(kept.name)}, all_scopes=True, at=at)
    merged(store, tokyo.store, "tokyo")
    for hour, retired in (("06:30", False), ("09:30", True)):
        found = scope_listings(store, Moment(at=f"2026-09-20T{hour}:00Z"))
        assert [each.retired for each in found] == [retired, False, False]


def test_what_is_held_at_a_site_is_accepted_there(store: Store) -> None:
    thresholds = Thresholds(max_loss=0.1, floor=1)
    script = Script(Store.open(None)).has(scope("acme/one", thresholds=thresholds))
    script.offers("acme/one", "a", "b", "c", "d").run()
    script.drops("acme/one", "a", "b", "c").run()
    merged(store, script.store, "tokyo")
    assert scope_states(store)["tokyo:acme/one"].held
    with pytest.raises(QuestionError, match="held at another site: accept it there"):
        held_scopes(store, ["tokyo:*"])


# What does not continue.


def test_another_history_under_the_name_of_a_site_is_refused(store: Store, tokyo: Script) -> None:
    merged(store, tokyo.store, "tokyo")
    before = content(store)
    others = Script(Store.open(None)).offers("acme/two", "lyra")
    others.run(times=3)
    later = Script(Store.open(None)).offers("acme/one", "lyra")
    later.runs = 7
    for hour in range(3):
        later.run_at(datetime(2027, 1, 1, hour, tzinfo=UTC))
    for other, message in (
        (others, "it has none of its scopes"),
        (later, "it has a run of 2027-01-01 00:00"),
    ):
        with pytest.raises(StoreError, match=message) as refused:
            merged(store, other.store, "tokyo")
        assert "merge it as another site, or drop what was merged" in str(refused.value)
        assert content(store) == before
    merged(store, later.store, "tokyo2")
    assert problems(store) == []


def test_an_older_backup_of_a_site_changes_nothing(store: Store, tokyo: Script) -> None:
    older = Store.open(None)
    tokyo.store.connection.backup(older.connection)
    tokyo.drops("acme/one", "vega").run()
    merged(store, tokyo.store, "tokyo")
    before = content(store)
    assert merged(store, older, "tokyo").runs == 0
    assert content(store) == before


def test_a_scope_that_begins_anew_at_its_site_is_forgotten_first(store: Store, tokyo: Script) -> None:
    tokyo.offers("acme/two", "lyra").run()
    merged(store, tokyo.store, "tokyo")
    forget(tokyo.store, ["acme/two"], KNOWN)
    tokyo.run()
    with pytest.raises(StoreError, match="the history of tokyo:acme/two begins anew at the site") as refused:
        merged(store, tokyo.store, "tokyo")
    assert "`modelwatch forget tokyo:acme/two`, and merge again" in str(refused.value)
    forget(store, ["tokyo:acme/two"], KNOWN)
    assert merged(store, tokyo.store, "tokyo").new_scopes == 1
    assert problems(store) == []


def test_a_scope_that_was_renamed_at_its_site_is_renamed_here(store: Store, tokyo: Script) -> None:
    tokyo.offers("acme/two", "lyra").run()
    merged(store, tokyo.store, "tokyo")
    rename(tokyo.store, "acme/one", "acme/main")
    tokyo.offers("acme/main", "lyra")
    del tokyo.scopes["acme/one"]
    tokyo.run()
    with pytest.raises(StoreError, match="`modelwatch rename tokyo:OLD tokyo:acme/main` here"):
        merged(store, tokyo.store, "tokyo")
    with pytest.raises(QuestionError, match="a scope stays with its site"):
        rename(store, "tokyo:acme/one", "acme/main")
    rename(store, "tokyo:acme/one", "tokyo:acme/main")
    assert merged(store, tokyo.store, "tokyo").new_scopes == 0
    assert problems(store) == []


def test_what_was_forgotten_here_does_not_come_back(store: Store, tokyo: Script) -> None:
    """Unless all of the site was forgotten."""
    tokyo.offers("acme/two", "lyra").run()
    merged(store, tokyo.store, "tokyo")
    forget(store, ["tokyo:acme/two"], KNOWN)
    tokyo.adds("acme/two", "vega").run()
    assert merged(store, tokyo.store, "tokyo").forgotten == ("acme/two",)
    assert list(scope_states(store)) == ["tokyo:acme/one"]
    assert problems(store) == []
    forget(store, ["tokyo:acme/one"], KNOWN)
    assert site_states(store) == ()
    assert merged(store, tokyo.store, "tokyo").new_scopes == 2
    assert problems(store) == []


def test_pruning_on_either_side_leaves_a_history_to_continue(store: Store, tokyo: Script) -> None:
    tokyo.drops("acme/one", "vega").run(times=3)
    merged(store, tokyo.store, "tokyo")
    later = shifted(moment(5), 100 * 24 * 3600)
    tokyo.adds("acme/one", "vega")
    for day in range(3):
        tokyo.record({"acme/one": tokyo.result("acme/one")}, at=shifted(later, day * 24 * 3600))
    merged(store, tokyo.store, "tokyo")
    prune(store, KNOWN, bound=later)
    prune(tokyo.store, KNOWN, bound=later)
    assert problems(store) == []
    tokyo.record({"acme/one": tokyo.result("acme/one")}, at=shifted(later, 10 * 24 * 3600))
    assert merged(store, tokyo.store, "tokyo").runs == 1
    assert problems(store) == []
    anew = Store.open(None)
    merged(anew, tokyo.store, "tokyo")
    assert problems(anew) == []
    (event,) = find_events(anew, time_window(anew, since=later))
    assert (event.kind, event.model) == ("returned", "vega")


def test_the_sites_of_the_other_database_are_left_out(store: Store, tokyo: Script) -> None:
    other = Store.open(None)
    site_script(other)
    merged(other, tokyo.store, "tokyo")
    found = merged(store, other, "asia")
    assert (found.scopes, found.other_sites) == (1, ("tokyo",))
    assert list(scope_states(store)) == ["asia:acme/one"]
    assert problems(store) == []


# News.


def test_what_joins_is_news_only_if_it_is_to_be_reported(store: Store, tokyo: Script) -> None:
    site_script(store)
    merged(store, tokyo.store, "tokyo")
    own = newest_run(store)
    tokyo.drops("acme/one", "vega").run(times=3)
    merged(store, tokyo.store, "tokyo")
    window = Window(own, newest_run(store, before=None) + 100, start=FOREVER)
    assert find_events(store, window) == ()
    tokyo.adds("acme/one", "vega").run()
    merged(store, tokyo.store, "tokyo", report=True)
    window = Window(own, newest_run(store), start=FOREVER)
    (event,) = find_events(store, window)
    assert (event.kind, event.model, event.scopes) == ("returned", "vega", ("tokyo:acme/one",))
    assert has_news(store, window)
    assert scopes_asked(store, window) >= {"tokyo:acme/one"}


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "-a", "a b", "*"])
def test_the_name_of_a_site_has_the_letters_of_other_names(name: str) -> None:
    require_site_name("tokyo-1.b")
    with pytest.raises(QuestionError, match="not a valid name of a site"):
        require_site_name(name)
