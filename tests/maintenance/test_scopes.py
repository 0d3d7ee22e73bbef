"""Forget and rename scopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.dated_histories import SCOPES, Run, days_of, histories, problems, record_all
from support.fakes import Script, rows_of

from pipeline.history.changes import find_events
from pipeline.maintenance import dialects_of, forget, rename_gateway, rename_scope
from pipeline.store import Store, scope_states
from pipeline.store.windows import Window


def only(store: Store, *names: str) -> dict[str, list[dict[str, Any]]]:
    script = Script(store)
    for name in names:
        script.offers(name, "lyra", **{name.replace("/", "_"): 1})
    script.run(times=2)
    for name in names:
        script.drops(name, "lyra")
    script.run()
    return rows_of(store)


def test_forgetting_scopes_drops_everything_that_only_they_needed(store: Store) -> None:
    with Store.open(None) as plain:
        wanted = only(plain, "acme/one", "zeta/one")
    only(store, "acme/one", "zeta/one", "acme/two", "beta/one")
    forget(store, ["acme/two", "beta/one"], dialects_of(()))
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
        forget(store, gone, dialects_of(()))
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
    assert store.rows("select distinct scopes.name from sightings join scopes on scopes.id = scope") == [
        {"name": "acme/new"},
        {"name": "acme/two"},
    ]


def test_renaming_a_gateway_renames_its_scopes(store: Store) -> None:
    script = (
        Script(store).offers("acme/one", "lyra").offers("acme/two", "lyra").offers("acmeother/one", "lyra")
    )
    script.run()
    assert rename_gateway(store, "acme", "hub") == [("acme/one", "hub/one"), ("acme/two", "hub/two")]
    assert sorted(scope_states(store)) == ["acmeother/one", "hub/one", "hub/two"]
    assert problems(store) == []
