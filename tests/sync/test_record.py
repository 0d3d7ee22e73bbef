"""The rows that a run writes: baselines, moves, holds and failures, each once."""

from __future__ import annotations

from support.fakes import Script, rows_of, scope

from pipeline.core.types import Thresholds
from pipeline.errors import Refused
from pipeline.history.changes import find_events
from pipeline.store import read_listing
from pipeline.store.windows import Window

CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2)


def test_the_first_answer_is_a_baseline_without_changes(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    assert script.outcomes("acme/prod") == ["baseline"]
    assert script.models("acme/prod") == {"lyra", "vega"}
    assert [script.store.rows(f"select * from {table}") for table in ("transitions", "changes")] == [[], []]
    assert find_events(script.store, Window(0, 1)) == ()


def test_a_new_scope_reports_no_models_as_added(script: Script) -> None:
    script.offers("acme/prod", "lyra").run()
    script.offers("acme/test", "lyra", "vega").run()
    assert script.outcomes("acme/test") == ["baseline"]
    assert find_events(script.store, Window(0, 2)) == ()


def test_a_failure_before_the_first_answer_is_recorded_before_the_baseline(script: Script) -> None:
    script.fails("acme/prod").run(times=2)
    script.offers("acme/prod", "lyra").run(times=2)
    assert script.outcomes("acme/prod") == ["failed", "baseline"]
    assert find_events(script.store, Window(0, 4)) == ()


def test_scopes_with_the_same_move_share_one_transition_and_its_events(script: Script) -> None:
    names = [f"acme/key-{number}" for number in range(20)]
    for name in names:
        script.offers(name, "lyra", "vega", orion=1)
    script.run()
    for name in names:
        script.drops(name, "vega").adds(name, "lynx", orion=2)
    script.run(times=2)
    sizes = {table: len(rows) for table, rows in rows_of(script.store).items()}
    assert sizes["transitions"] == 1
    assert (sizes["listings"], sizes["records"], sizes["changes"], sizes["field_changes"]) == (2, 5, 3, 1)
    events = find_events(script.store, Window(0, 3))
    assert [(str(event.kind), event.model) for event in events] == [
        ("changed", "orion"),
        ("added", "lynx"),
        ("removed", "vega"),
    ]
    assert all(event.scopes == tuple(sorted(names)) for event in events)


def test_models_of_the_same_id_at_two_gateways_are_two(script: Script) -> None:
    script.offers("acme/prod", "lyra").offers("zeta/prod", "lyra").run()
    script.adds("acme/prod", "vega").adds("zeta/prod", "vega").run()
    assert [(event.gateway, event.scopes) for event in find_events(script.store, Window(0, 2))] == [
        ("acme", ("acme/prod",)),
        ("zeta", ("zeta/prod",)),
    ]
    assert script.store.rows("select count(*) as models from models") == [{"models": 4}]


def test_a_failure_is_recorded_when_it_begins_changes_its_class_and_ends(script: Script) -> None:
    script.offers("acme/prod", "lyra").run()
    script.fails("acme/prod").run(times=5)
    script.fails("acme/prod", Refused("no such key", status=401)).run(times=5)
    script.recovers("acme/prod").run(times=5)
    assert script.outcomes("acme/prod") == ["baseline", "failed", "failed", "recovered"]
    assert script.state("acme/prod").outcome == "recovered"


def test_a_model_missing_from_every_second_answer_is_never_reported(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    script.flaps("acme/prod", "vega").run(times=9)
    assert script.outcomes("acme/prod") == ["baseline", *["moved"] * 9]
    script.run()
    assert script.store.rows("select * from missing") == []
    assert find_events(script.store, Window(0, 10)) == ()


def test_a_held_answer_is_stored_and_the_current_listing_stays(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod", "a").run()
    assert script.outcomes("acme/prod") == ["baseline", "held"]
    assert script.models("acme/prod") == set("abcdefgh")
    held = script.state("acme/prod").held
    assert held is not None
    assert set(read_listing(script.store, held).records) == {"a"}
    assert find_events(script.store, Window(0, 2)) == ()


def test_when_the_current_listing_comes_back_the_held_one_is_dropped(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod").run()
    script.offers("acme/prod", *"abcdefgh").run(times=2)
    assert script.outcomes("acme/prod") == ["baseline", "held", "recovered"]
    assert script.state("acme/prod").held is None
    assert find_events(script.store, Window(0, 4)) == ()


def test_a_failure_between_two_equal_answers_does_not_end_the_hold(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod").run()
    script.fails("acme/prod").run()
    script.offers("acme/prod").run()
    assert script.outcomes("acme/prod")[:4] == ["baseline", "held", "failed", "moved"]
    assert script.models("acme/prod") == set()
