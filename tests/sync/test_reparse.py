"""A change of our reading is no change of the world, and hides none."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakes import ASKED_AT, Script, body, record_run, result_of, row, scope

from pipeline.core.types import Kind
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.gateways.types import ScopeResult
from pipeline.history.changes import find_events
from pipeline.store import Store, read_listing, scope_states
from pipeline.store.changes import Window

PLAIN = Dialect("plain")
QUIETER = Dialect("plain", noise=("load",))


def said(dialect: Dialect, *rows: dict[str, Any]) -> ScopeResult:
    return result_of(dialect.read(Answer((body(*rows),), ASKED_AT)), dialect)


def known(store: Store) -> dict[str, str]:
    ref = scope_states(store)["acme/prod"]
    assert ref.listing
    return {model: record.body for model, record in read_listing(store, ref.listing).records.items()}


def run(store: Store, *answers: ScopeResult) -> None:
    for answer in answers:
        record_run(store, [scope("acme/prod")], {"acme/prod": answer})


def test_noise_that_is_added_or_lifted_tells_nothing(store: Store) -> None:
    """The known records lose the field, or take it as it comes."""
    run(store, *(said(dialect, row("lyra", load=n)) for n, dialect in enumerate((PLAIN, QUIETER, PLAIN))))
    assert find_events(store, Window(0, 3)) == ()
    assert '"load":2' in known(store)["lyra"]


def test_a_regained_value_is_not_that_of_the_known_bytes(store: Store) -> None:
    """After a re-reading the next answer is read in full: its change is told."""
    run(store, said(QUIETER, row("lyra", load=1)), said(PLAIN, row("lyra", load=2)))
    ref = scope_states(store)["acme/prod"]
    assert (ref.fingerprint, ref.etag, ref.last_modified) == (None, None, None)
    run(store, said(PLAIN, row("lyra", load=1)))
    (change,) = find_events(store, Window(0, 3))
    assert [(field.before, field.after) for field in change.fields] == [("2", "1")]


def test_a_held_answer_changes_not_even_the_reading(store: Store) -> None:
    """Nothing of an answer that is held gets into what is known."""
    run(store, said(QUIETER, *(row(model, load=1) for model in "abcdefgh")))
    before = known(store)
    run(store, said(PLAIN))
    assert known(store) == before
    run(store, said(PLAIN, *(row(model, load=1) for model in "abcdefgh")))
    assert find_events(store, Window(0, 3)) == ()


def test_another_id_makes_other_models(store: Store) -> None:
    """When the id is read elsewhere, the known models take their new names and none is told."""
    rows = [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]
    named = Dialect("plain", id_at="name")
    run(store, said(PLAIN, *rows), said(named, *rows))
    assert set(known(store)) == {"A", "B"}
    run(store, said(named, *rows, {"id": "c", "name": "C"}))
    assert [(event.kind, event.model) for event in find_events(store, Window(0, 3))] == [(Kind.ADDED, "C")]
    assert set(known(store)) == {"A", "B", "C"}


def test_models_with_one_record_are_still_two(store: Store) -> None:
    """Where noise takes the id out of the records, a model that leaves is missed all the same."""
    blind = Dialect("plain", noise=("id",))
    run(store, said(blind, row("a"), row("b")), *(said(blind, row("a")) for _ in range(2)))
    assert [(event.kind, event.model) for event in find_events(store, Window(0, 3))] == [(Kind.REMOVED, "b")]


@pytest.mark.parametrize("path", ["tags[]", "pricing.*"])
def test_a_whole_member_that_is_regained_tells_nothing(store: Store, path: str) -> None:
    """Everything below a field comes back as it is."""
    rows = row("lyra", tags=["z", "b"], pricing={"in": 1})
    noisy = Dialect("plain", noise=(path,), sets=())
    run(store, said(noisy, rows), said(Dialect("plain", sets=()), rows))
    assert find_events(store, Window(0, 2)) == ()


def test_a_clock_set_far_back_undoes_no_removal(script: Script) -> None:
    """How often a model has left is counted over the runs before, whatever their clocks said."""
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
