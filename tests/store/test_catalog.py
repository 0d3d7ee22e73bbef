"""The catalog at a moment follows from the last sighting of each scope before it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.event_model import ANCHOR, History, histories, record_history
from support.fakes import NOTHING_HELD, Script, body, moment, record_run, result_of, row, scope

from pipeline.core.types import Thresholds
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.availability import catalog
from pipeline.store import Store, read_listing
from pipeline.store.catalog import NOW, Moment, ScopeListing, first_answer, history_start, scope_listings
from pipeline.sync.accept import accept

HALF = Thresholds(max_loss=0.5, floor=1, confirm=2, confirm_after=0.0)


def models(store: Store, at: Moment = NOW) -> dict[str, set[str]]:
    """Return the models of each scope that is asked at a moment."""
    return {
        each.scope: set(read_listing(store, each.listing).records)
        for each in scope_listings(store, at)
        if not each.retired
    }


def last_answers(history: History, number: int) -> Mapping[str, set[str]]:
    """Return each scope's last answer after so many runs."""
    found: dict[str, set[str]] = {}
    for run in history[:number]:
        found |= {name: {*ANCHOR, *offer} for name, offer in run.items() if offer is not None}
    return found


@given(histories, st.integers(1, 9))
def test_the_catalog_at_every_run_is_that_of_the_answers_until_then(history: History, number: int) -> None:
    number = min(number, len(history))
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        expected = last_answers(history, number)
        assert models(store, Moment(at=moment(number))) == expected
        assert models(store, Moment(run=number)) == expected
        assert models(store) == last_answers(history, len(history))


def test_a_scope_has_no_catalog_before_its_first_answer(script: Script) -> None:
    script.fails("acme/prod").offers("acme/late", "lyra").run("acme/prod")
    script.run()
    assert models(script.store, Moment(at=moment(1))) == {}
    assert models(script.store, Moment(at=moment(2))) == {"acme/late": {"lyra"}}
    assert history_start(script.store) == moment(1)
    assert first_answer(script.store, "acme/late") == moment(2)
    assert first_answer(script.store, "acme/prod") is None


def test_a_held_listing_is_current_only_once_it_is_accepted(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=HALF)).offers("acme/prod", *"abcdef").run()
    script.offers("acme/prod", "a").run()
    accept(script.store, ["acme/prod"], lambda _name, _reading: (), at="2026-09-20T07:30:00Z")
    assert models(script.store, Moment(at="2026-09-20T07:29:59Z")) == {"acme/prod": set("abcdef")}
    assert models(script.store, Moment(at="2026-09-20T07:30:00Z")) == {"acme/prod": {"a"}}
    assert models(script.store, Moment(run=2)) == {"acme/prod": set("abcdef")}
    assert models(script.store, Moment(run=3)) == models(script.store) == {"acme/prod": {"a"}}


def test_a_reparsed_listing_is_current_from_its_run_on(store: Store) -> None:
    for rules in (Dialect("plain"), Dialect("plain", noise=("load",))):
        answer = rules.read(Answer((body(row("lyra", load=1)),), 0))
        record_run(store, [scope("acme/prod")], {"acme/prod": result_of(answer, rules)})
    (before,), (after,) = scope_listings(store, Moment(run=1)), scope_listings(store, Moment(run=2))
    assert before.listing != after.listing
    assert '"load"' in before.reading + after.reading
    assert models(store, Moment(run=1)) == models(store, Moment(run=2)) == models(store)


def test_a_scope_is_retired_from_the_first_run_without_it_on(script: Script) -> None:
    script.offers("acme/old", "lyra").offers("acme/prod", "lyra", "vega").run()
    results = {"acme/prod": script.result("acme/prod")}
    record_run(script.store, [script.scopes["acme/prod"]], results, all_scopes=True)
    assert set(models(script.store, Moment(at=moment(1)))) == {"acme/old", "acme/prod"}
    for later in (Moment(at=moment(2)), Moment(run=2), Moment(at=moment(9)), NOW):
        assert set(models(script.store, later)) == {"acme/prod"}
        assert {each.scope: each.retired for each in scope_listings(script.store, later)}["acme/old"]
    assert {model["model"]: model["scopes"] for model in catalog(script.store)}["lyra"] == ["acme/prod"]


def test_the_newest_sighting_counts_when_the_clock_was_set_back(script: Script) -> None:
    script.offers("acme/prod", "first").run()
    script.offers("acme/prod", "second").run()
    script.offers("acme/prod", "third").run()
    set_time(script.store, 3, "2026-09-20T05:00:00Z")
    assert models(script.store, Moment(at="2026-09-20T05:30:00Z")) == {"acme/prod": {"third"}}
    assert models(script.store, Moment(run=2)) == {"acme/prod": {"second"}}
    assert models(script.store, Moment(run=3)) == models(script.store) == {"acme/prod": {"third"}}


def set_time(store: Store, snapshot: int, at: str) -> None:
    """Change the time of a run."""
    with store.transaction():
        store.connection.execute("update snapshots set started_at = ? where id = ?", [at, snapshot])


def test_an_imported_run_is_sorted_by_its_time(script: Script) -> None:
    """Its id is higher than that of younger runs."""
    script.offers("acme/prod", "lyra").offers("acme/past", "vega").run("acme/prod")
    script.run("acme/prod")
    script.run("acme/past")
    script.offers("acme/past", "later").run("acme/past")
    for number, at in ((3, "2026-09-20T05:00:00Z"), (4, "2026-09-20T06:30:00Z")):
        set_time(script.store, number, at)
        with script.store.transaction():
            script.store.connection.execute("update snapshots set status = 'imported' where id = ?", [number])
    assert models(script.store, Moment(at="2026-09-20T05:30:00Z")) == {"acme/past": {"vega"}}
    assert models(script.store, Moment(run=1)) == {"acme/past": {"vega"}, "acme/prod": {"lyra"}}
    assert models(script.store, Moment(run=3)) == {"acme/past": {"vega"}}
    for late in (Moment(run=2), NOW):
        assert models(script.store, late) == {"acme/past": {"later"}, "acme/prod": {"lyra"}}


def test_the_catalog_of_chosen_scopes_has_their_gateway_group_and_size(script: Script) -> None:
    script.has(scope("acme/vip", group="vip"), scope("acme/prod")).offers("acme/vip", "lyra")
    script.offers("acme/prod", "lyra", "vega").run()
    (only,) = scope_listings(script.store, Moment(at=moment(1)), lambda name: name == "acme/vip")
    assert isinstance(only, ScopeListing)
    assert (only.scope, only.gateway, only.group, only.size, only.retired) == (
        "acme/vip", "acme", "vip", 1, False
    )  # fmt: skip


@pytest.mark.parametrize("number", [1, 2])
def test_the_catalog_of_a_run_has_its_records(script: Script, number: int) -> None:
    script.has(scope("acme/prod", thresholds=NOTHING_HELD)).offers("acme/prod", lyra=1).run()
    script.offers("acme/prod", lyra=2).run()
    (found,) = catalog(script.store, moment=Moment(run=number))
    assert (found["model"], found["scopes"]) == ("lyra", ["acme/prod"])
    assert f'"form":{number}' in found["records"][0]
