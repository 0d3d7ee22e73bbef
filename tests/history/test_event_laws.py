"""Property tests: the events of random histories equal those of a short model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.event_model import (
    History,
    ScopeEvent,
    expected_events,
    histories,
    histories_of_one_scope,
    record_history,
)
from support.fakes import Script, moment, scope

from pipeline.core.types import Kind, Thresholds
from pipeline.history.changes import find_events
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.windows import Window


def by_scope(events: Sequence[Event]) -> Iterator[ScopeEvent]:
    """Yield the events of each scope."""
    numbers = {moment(number): number for number in range(1, 50)}
    for event in events:
        since = None if event.since is None else numbers[event.since]
        assert event.at == moment(event.snapshot)
        if event.kind == Kind.RETURNED:
            assert since is not None
            assert event.away_seconds == (event.snapshot - since) * 3600
        forms = None
        if event.fields:
            (field,) = event.fields
            assert (field.field, field.category) == ("form", "other")
            forms = (int(field.before or ""), int(field.after or ""))
        for name in event.scopes:
            yield ScopeEvent(event.snapshot, name, event.kind, event.model, since, forms)


def one_scope(*runs: str) -> History:
    """Return a history of one scope: `L` and `l` are lyra with two records, `v` is vega."""
    offers = {"L": {"lyra": 0}, "l": {"lyra": 1}, "v": {"vega": 0}}
    return [{"acme/one": {model: f for c in run for model, f in offers[c].items()}} for run in runs]


@pytest.mark.parametrize("confirm", [1, 2, 3])
# Away twice for one run each, the second time by the same transition.
@example(one_scope("L", "", "L", "", "L"))
# Flapping models, alone and with others of another flap level.
@example(one_scope("l", "v", "L", "", "L", "v"))
@example(one_scope("Lv", "L", "v", "", "Lv", "", "L", "v"))
@example(one_scope("Lv", "", "L", "", "Lv", "", "L"))
@example(one_scope("Lv", "", "l", "v", "Lv", ""))
@settings(max_examples=40)
@given(histories_of_one_scope | histories)
def test_events_of_each_scope_are_those_of_the_model(confirm: int, history: History) -> None:
    with Store.open(None) as store:
        record_history(store, history, confirm)
        events = find_events(store, Window(0, len(history)))
    assert Counter(by_scope(events)) == Counter(expected_events(history, confirm))


@settings(max_examples=40)
@given(histories, st.integers(1, 3), st.sets(st.integers(1, 8)))
def test_consecutive_windows_have_each_event_once_and_in_order(
    history: History, confirm: int, cuts: set[int]
) -> None:
    with Store.open(None) as store:
        record_history(store, history, confirm)
        whole = find_events(store, Window(0, len(history)))
        ends = sorted({0, *(cut for cut in cuts if cut < len(history)), len(history)})
        parts = [find_events(store, Window(since, until)) for since, until in pairwise(ends)]
    assert tuple(event for part in parts for event in part) == whole
    shared = {replace(event, scopes=(), groups=(), owned_by=None) for event in whole}
    assert len(shared) == len(whole), "equal events of several scopes are one"


def test_a_removal_is_an_event_of_the_run_that_confirms_it_since_the_first_miss(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run(times=2)
    script.drops("acme/prod", "vega").run()
    assert find_events(script.store, Window(0, 3)) == ()
    script.run()
    (removal,) = find_events(script.store, Window(0, 4))
    assert (removal.kind, removal.model, removal.at, removal.since) == (
        "removed",
        "vega",
        moment(4),
        moment(3),
    )
    script.run(times=3)
    assert find_events(script.store, Window(4, 7)) == ()


def test_a_return_has_the_time_since_the_first_miss_and_the_changed_fields(script: Script) -> None:
    script.offers("acme/prod", "lyra", vega=1).run()
    script.drops("acme/prod", "vega").run(times=5)
    script.adds("acme/prod", vega=2).run()
    (returned,) = find_events(script.store, Window(6, 7))
    assert (returned.kind, returned.since, returned.away_seconds) == ("returned", moment(2), 5 * 3600)
    assert [(field.field, field.before, field.after) for field in returned.fields] == [("form", "1", "2")]


def test_a_failure_between_two_misses_does_not_count_as_a_miss(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    for _ in range(3):
        script.drops("acme/prod", "vega").run()
        script.fails("acme/prod").run()
        script.recovers("acme/prod").adds("acme/prod", "vega").run()
    assert find_events(script.store, Window(0, 10)) == ()


def test_an_answer_that_has_the_model_resets_the_count_of_misses(script: Script) -> None:
    thrice = Thresholds(max_loss=1.0, floor=100, confirm=3, confirm_after=0.0)
    script.has(scope("acme/prod", thresholds=thrice))
    script.offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega").run()
    script.adds("acme/prod", "vega").run()
    script.drops("acme/prod", "vega").run(times=4)
    (removal,) = find_events(script.store, Window(0, 7))
    assert (removal.kind, removal.model, removal.at, removal.since) == (
        "removed",
        "vega",
        moment(6),
        moment(4),
    )


def test_an_event_has_each_group_of_its_scopes_once(script: Script) -> None:
    script.has(scope("acme/a", group="vip"), scope("acme/b", group="vip"), scope("acme/c"))
    for name in ("acme/a", "acme/b", "acme/c"):
        script.offers(name, "lyra")
    script.run()
    for name in ("acme/a", "acme/b", "acme/c"):
        script.adds(name, "vega")
    script.run()
    (added,) = find_events(script.store, Window(0, 2))
    assert (added.scopes, added.groups) == (("acme/a", "acme/b", "acme/c"), ("vip",))


HALF = Thresholds(max_loss=0.5, floor=1, confirm=2, confirm_after=0.0)


def test_a_held_answer_counts_as_a_miss_once_the_next_answer_confirms_it(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=HALF)).offers("acme/prod", *"abcdef").run()
    script.offers("acme/prod", "a", "b").run(times=2)
    events = find_events(script.store, Window(0, 3))
    assert {(event.kind, event.model, event.at, event.since) for event in events} == {
        ("removed", model, moment(3), moment(2)) for model in "cdef"
    }


def test_a_held_answer_confirms_no_removal(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=HALF)).offers("acme/prod", *"abcdef").run()
    script.drops("acme/prod", "f").run()
    script.offers("acme/prod").run()
    assert find_events(script.store, Window(0, 3)) == ()
    script.offers("acme/prod", *"abcde").run()
    (removal,) = find_events(script.store, Window(0, 4))
    assert (removal.model, removal.at, removal.since) == ("f", moment(4), moment(2))


def test_a_model_that_the_held_answer_still_had_needs_a_second_miss(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=HALF)).offers("acme/prod", *"abcdef").run()
    script.offers("acme/prod", "a", "b").run()
    script.drops("acme/prod", "b").run()
    assert "b" not in {event.model for event in find_events(script.store, Window(0, 3))}
