"""A change of the rules of parsing is not reported as a change, and hides no change."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakes import ASKED_AT, Script, body, record_run, result_of, row, scope

from pipeline.core.types import Kind
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.gateways.types import ScopeResult
from pipeline.history.changes import find_events
from pipeline.store import Store, read_listing, scope_states
from pipeline.store.windows import Window

PLAIN = Dialect("plain")
QUIETER = Dialect("plain", noise=("load",))


def answer(dialect: Dialect, *rows: dict[str, Any]) -> ScopeResult:
    return result_of(dialect.read(Answer((body(*rows),), ASKED_AT)), dialect)


def bodies(store: Store) -> dict[str, str]:
    state = scope_states(store)["acme/prod"]
    assert state.listing
    return {model: record.body for model, record in read_listing(store, state.listing).records.items()}


def run(store: Store, *answers: ScopeResult) -> None:
    for answer in answers:
        record_run(store, [scope("acme/prod")], {"acme/prod": answer})


def test_noise_that_is_added_or_removed_is_no_change(store: Store) -> None:
    run(store, *(answer(dialect, row("lyra", load=n)) for n, dialect in enumerate((PLAIN, QUIETER, PLAIN))))
    assert find_events(store, Window(0, 3)) == ()
    assert '"load":2' in bodies(store)["lyra"]


def test_after_reparsing_the_next_answer_is_read_in_full(store: Store) -> None:
    run(store, answer(QUIETER, row("lyra", load=1)), answer(PLAIN, row("lyra", load=2)))
    state = scope_states(store)["acme/prod"]
    assert (state.fingerprint, state.etag, state.last_modified) == (None, None, None)
    run(store, answer(PLAIN, row("lyra", load=1)))
    (change,) = find_events(store, Window(0, 3))
    assert [(field.before, field.after) for field in change.fields] == [("2", "1")]


def test_a_held_answer_does_not_reparse_the_current_listing(store: Store) -> None:
    run(store, answer(QUIETER, *(row(model, load=1) for model in "abcdefgh")))
    before = bodies(store)
    run(store, answer(PLAIN))
    assert bodies(store) == before
    run(store, answer(PLAIN, *(row(model, load=1) for model in "abcdefgh")))
    assert find_events(store, Window(0, 3)) == ()


def test_another_path_of_the_id_renames_models_without_a_report(store: Store) -> None:
    rows = [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]
    named = Dialect("plain", id_at="name")
    run(store, answer(PLAIN, *rows), answer(named, *rows))
    assert set(bodies(store)) == {"A", "B"}
    run(store, answer(named, *rows, {"id": "c", "name": "C"}))
    assert [(event.kind, event.model) for event in find_events(store, Window(0, 3))] == [(Kind.ADDED, "C")]
    assert set(bodies(store)) == {"A", "B", "C"}


def test_models_that_are_not_selected_any_more_by_new_rules_are_no_removals(store: Store) -> None:
    few = Dialect("plain", select=lambda _envelope, rows: rows[:1])
    run(store, answer(PLAIN, row("a"), row("b")), *(answer(few, row("a"), row("b")) for _ in range(3)))
    assert find_events(store, Window(0, 4)) == ()
    assert set(bodies(store)) == {"a"}


@pytest.mark.parametrize(
    ("globs", "then", "models", "added"),
    [
        (("b*",), (), "a b ba", ""),
        (("b*", "x"), ("x",), "a b ba x", ""),
        (("b",), (), "a b ba", ""),
        (("b*",), (), "a b c", "c"),
        (("b",), ("a",), "a b", ""),
    ],
)
def test_ids_that_were_no_models_by_old_rules_are_not_added_by_new_ones(
    store: Store, globs: tuple[str, ...], then: tuple[str, ...], models: str, added: str
) -> None:
    before, after = Dialect("plain", no_models=globs), Dialect("plain", no_models=then)
    rows = [row(model) for model in models.split()]
    run(store, answer(before, *(each for each in rows if each["id"] not in added)))
    run(store, answer(after, *rows), answer(after, *rows))
    events = find_events(store, Window(0, 3))
    assert [(event.kind, event.model) for event in events] == [(Kind.ADDED, model) for model in added]
    assert set(bodies(store)) == set(models.split()) - set(then)


def test_two_models_with_equal_records_are_two(store: Store) -> None:
    """Noise may remove the id from the records."""
    blind = Dialect("plain", noise=("id",))
    run(store, answer(blind, row("a"), row("b")), *(answer(blind, row("a")) for _ in range(2)))
    assert [(event.kind, event.model) for event in find_events(store, Window(0, 3))] == [(Kind.REMOVED, "b")]


@pytest.mark.parametrize("path", ["tags[]", "pricing.*"])
def test_a_whole_object_or_array_that_is_regained_is_no_change(store: Store, path: str) -> None:
    rows = row("lyra", tags=["z", "b"], pricing={"in": 1})
    noisy = Dialect("plain", noise=(path,), sets=())
    run(store, answer(noisy, rows), answer(Dialect("plain", sets=()), rows))
    assert find_events(store, Window(0, 2)) == ()


def test_a_clock_set_far_back_undoes_no_removal(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    for _ in range(2):
        script.drops("acme/prod", "vega").run(times=2)
        script.adds("acme/prod", "vega").run()
    script.drops("acme/prod", "vega").run(times=8)
    before = find_events(script.store, Window(0, 100))
    assert [event.kind for event in before].count(Kind.REMOVED) == 3
    with script.store.transaction():
        script.store.connection.execute(
            "update snapshots set started_at = '1970-01-01T00:00:00Z' where id = 15"
        )
    assert [event.kind for event in find_events(script.store, Window(0, 100))] == [
        event.kind for event in before
    ]
