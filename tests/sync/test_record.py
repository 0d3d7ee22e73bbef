"""What a run writes: baselines, moves, holds and troubles, each once, and nothing where nothing happened."""

from __future__ import annotations

from support.fakes import Script, rows_of, scope

from pipeline.core.types import Thresholds
from pipeline.errors import Refused
from pipeline.history.changes import find_events
from pipeline.store import read_listing
from pipeline.store.changes import Window

CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2)


def test_the_first_answer_is_a_baseline(script: Script) -> None:
    """What a scope is offered at first sight is no change."""
    script.offers("acme/prod", "lyra", "vega").run()
    assert script.outcomes("acme/prod") == ["baseline"]
    assert script.models("acme/prod") == {"lyra", "vega"}
    assert [script.store.rows(f"select * from {table}") for table in ("transitions", "changes")] == [[], []]
    assert find_events(script.store, Window(0, 1)) == ()


def test_a_scope_that_comes_later_begins_with_a_baseline(script: Script) -> None:
    """A new key brings no news of models that others were offered before."""
    script.offers("acme/prod", "lyra").run()
    script.offers("acme/test", "lyra", "vega").run()
    assert script.outcomes("acme/test") == ["baseline"]
    assert find_events(script.store, Window(0, 2)) == ()


def test_a_scope_that_fails_at_first_begins_when_it_answers(script: Script) -> None:
    """A failure before the first answer is noted, and the first answer is still the baseline."""
    script.fails("acme/prod").run(times=2)
    script.offers("acme/prod", "lyra").run(times=2)
    assert script.outcomes("acme/prod") == ["failed", "baseline"]
    assert find_events(script.store, Window(0, 4)) == ()


def test_many_scopes_that_make_the_same_move_make_one_transition(script: Script) -> None:
    """A thousand keys cost what their distinct lists cost, and people are told once."""
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


def test_the_same_models_of_two_gateways_are_kept_apart(script: Script) -> None:
    """A model belongs to its gateway, whatever its id and its record."""
    script.offers("acme/prod", "lyra").offers("zeta/prod", "lyra").run()
    script.adds("acme/prod", "vega").adds("zeta/prod", "vega").run()
    assert [(event.gateway, event.scopes) for event in find_events(script.store, Window(0, 2))] == [
        ("acme", ("acme/prod",)),
        ("zeta", ("zeta/prod",)),
    ]
    assert script.store.rows("select count(*) as models from models") == [{"models": 4}]


def test_trouble_is_noted_when_it_begins_and_when_it_ends(script: Script) -> None:
    """An outage of many runs is two rows; another kind of failure is one more."""
    script.offers("acme/prod", "lyra").run()
    script.fails("acme/prod").run(times=5)
    script.fails("acme/prod", Refused("no such key", status=401)).run(times=5)
    script.recovers("acme/prod").run(times=5)
    assert script.outcomes("acme/prod") == ["baseline", "failed", "failed", "recovered"]
    assert script.state("acme/prod").outcome == "recovered"


def test_a_model_that_flaps_is_never_told(script: Script) -> None:
    """A model that is missing from every second answer was never removed."""
    script.offers("acme/prod", "lyra", "vega").run()
    script.flaps("acme/prod", "vega").run(times=9)
    assert script.outcomes("acme/prod") == ["baseline", *["moved"] * 9]
    script.run()
    assert script.store.rows("select * from missing") == []
    assert find_events(script.store, Window(0, 10)) == ()


def test_a_held_answer_moves_nothing(script: Script) -> None:
    """A list that lost too much is stored and shown, and what was known stays known."""
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod", "a").run()
    assert script.outcomes("acme/prod") == ["baseline", "held"]
    assert script.models("acme/prod") == set("abcdefgh")
    held = script.state("acme/prod").held
    assert held is not None
    assert set(read_listing(script.store, held).records) == {"a"}
    assert find_events(script.store, Window(0, 2)) == ()


def test_a_held_answer_that_was_a_mistake_is_forgotten(script: Script) -> None:
    """When the known list comes back, nothing is held any more, and nothing has happened."""
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod").run()
    script.offers("acme/prod", *"abcdefgh").run(times=2)
    assert script.outcomes("acme/prod") == ["baseline", "held", "recovered"]
    assert script.state("acme/prod").held is None
    assert find_events(script.store, Window(0, 4)) == ()


def test_a_hold_outlives_a_failure(script: Script) -> None:
    """A failure between two equal answers neither confirms nor forgets the first."""
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod").run()
    script.fails("acme/prod").run()
    script.offers("acme/prod").run()
    assert script.outcomes("acme/prod")[:4] == ["baseline", "held", "failed", "moved"]
    assert script.models("acme/prod") == set()
