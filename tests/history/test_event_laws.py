"""Property tests: the events of random histories equal those of a short model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
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
    """Take events apart, scope by scope."""
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
    """Write a history of one scope: `L`, `l` is lyra in one form and the other, `v` is vega."""
    said = {"L": {"lyra": 0}, "l": {"lyra": 1}, "v": {"vega": 0}}
    return [{"acme/one": {model: f for c in run for model, f in said[c].items()}} for run in runs]


@pytest.mark.parametrize("confirm", [1, 2, 3])
# Away twice for one run each, the second time by the very same move.
@example(one_scope("L", "", "L", "", "L"))
# Models that leave again and again, one_scope and with others whose misses_needed is another.
@example(one_scope("l", "v", "L", "", "L", "v"))
@example(one_scope("Lv", "L", "v", "", "Lv", "", "L", "v"))
@example(one_scope("Lv", "", "L", "", "Lv", "", "L"))
@example(one_scope("Lv", "", "l", "v", "Lv", ""))
@settings(max_examples=40)
@given(histories_of_one_scope | histories)
def test_people_are_told_what_happened(confirm: int, history: History) -> None:
    """Added, removed, returned and changed are told to each scope as the model has it, and nothing else."""
    with Store.open(None) as store:
        record_history(store, history, confirm)
        events = find_events(store, Window(0, len(history)))
    assert Counter(by_scope(events)) == Counter(expected_events(history, confirm))


@settings(max_examples=40)
@given(histories, st.integers(1, 3), st.sets(st.integers(1, 8)))
def test_reports_may_cut_a_history_anywhere(history: History, confirm: int, cuts: set[int]) -> None:
    """The parts tell what the whole tells, in the same order, once."""
    with Store.open(None) as store:
        record_history(store, history, confirm)
        whole = find_events(store, Window(0, len(history)))
        ends = sorted({0, *(cut for cut in cuts if cut < len(history)), len(history)})
        parts = [find_events(store, Window(since, until)) for since, until in pairwise(ends)]
    assert tuple(event for part in parts for event in part) == whole
    alike = {replace(event, scopes=(), groups=(), owned_by=None) for event in whole}
    assert len(alike) == len(whole), "one thing that happened to many scopes is one event"


def test_a_removal_is_told_once_it_is_confirmed(script: Script) -> None:
    """ScopeEvent when the second answer misses the model, with the run that first missed it."""
    script.offers("acme/prod", "lyra", "vega").run(times=2)
    script.drops("acme/prod", "vega").run()
    assert find_events(script.store, Window(0, 3)) == ()
    script.run()
    (gone,) = find_events(script.store, Window(0, 4))
    assert (gone.kind, gone.model, gone.at, gone.since) == ("removed", "vega", moment(4), moment(3))
    script.run(times=3)
    assert find_events(script.store, Window(4, 7)) == ()


def test_a_return_says_how_long_the_model_was_away(script: Script) -> None:
    """Away since the run that first missed it, and in which form it is back."""
    script.offers("acme/prod", "lyra", vega=1).run()
    script.drops("acme/prod", "vega").run(times=5)
    script.adds("acme/prod", vega=2).run()
    (back,) = find_events(script.store, Window(6, 7))
    assert (back.kind, back.since, back.away_seconds) == ("returned", moment(2), 5 * 3600)
    assert [(field.field, field.before, field.after) for field in back.fields] == [("form", "1", "2")]


def test_a_model_gone_twice_for_a_moment_was_never_removed(script: Script) -> None:
    """A failure between two misses is no miss, and an answer that has the model begins the count anew."""
    script.offers("acme/prod", "lyra", "vega").run()
    for _ in range(3):
        script.drops("acme/prod", "vega").run()
        script.fails("acme/prod").run()
        script.recovers("acme/prod").adds("acme/prod", "vega").run()
    assert find_events(script.store, Window(0, 10)) == ()


def test_an_answer_that_has_the_model_begins_the_count_anew(script: Script) -> None:
    """Three misses in a row are wanted, so the one before the model came back does not count."""
    script.has(scope("acme/prod", thresholds=Thresholds(max_loss=1.0, floor=100, confirm=3)))
    script.offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega").run()
    script.adds("acme/prod", "vega").run()
    script.drops("acme/prod", "vega").run(times=4)
    (gone,) = find_events(script.store, Window(0, 7))
    assert (gone.kind, gone.model, gone.at, gone.since) == ("removed", "vega", moment(6), moment(4))


def test_groups_are_told_beside_scopes(script: Script) -> None:
    """Each event names the groups of its scopes once, and leaves out scopes without one."""
    script.has(scope("acme/a", group="vip"), scope("acme/b", group="vip"), scope("acme/c"))
    for name in ("acme/a", "acme/b", "acme/c"):
        script.offers(name, "lyra")
    script.run()
    for name in ("acme/a", "acme/b", "acme/c"):
        script.adds(name, "vega")
    script.run()
    (added,) = find_events(script.store, Window(0, 2))
    assert (added.scopes, added.groups) == (("acme/a", "acme/b", "acme/c"), ("vip",))


HALF = Thresholds(max_loss=0.5, floor=1, confirm=2)


def test_an_answer_that_was_held_counts_once_it_is_agreed_with(script: Script) -> None:
    """Two answers in a row have missed the models: the first was held, the second is believed."""
    script.has(scope("acme/prod", thresholds=HALF)).offers("acme/prod", *"abcdef").run()
    script.offers("acme/prod", "a", "b").run(times=2)
    events = find_events(script.store, Window(0, 3))
    assert {(event.kind, event.model, event.at, event.since) for event in events} == {
        ("removed", model, moment(3), moment(2)) for model in "cdef"
    }


def test_an_answer_that_is_held_is_no_miss(script: Script) -> None:
    """A list that is not believed confirms no removal."""
    script.has(scope("acme/prod", thresholds=HALF)).offers("acme/prod", *"abcdef").run()
    script.drops("acme/prod", "f").run()
    script.offers("acme/prod").run()
    assert find_events(script.store, Window(0, 3)) == ()
    script.offers("acme/prod", *"abcde").run()
    (gone,) = find_events(script.store, Window(0, 4))
    assert (gone.model, gone.at, gone.since) == ("f", moment(4), moment(2))


def test_a_model_that_was_in_the_held_answer_has_been_missed_once(script: Script) -> None:
    """What the held answer still had is not removed by the one answer that misses it."""
    script.has(scope("acme/prod", thresholds=HALF)).offers("acme/prod", *"abcdef").run()
    script.offers("acme/prod", "a", "b").run()
    script.drops("acme/prod", "b").run()
    assert "b" not in {event.model for event in find_events(script.store, Window(0, 3))}
