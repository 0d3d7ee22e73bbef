"""The timeline of a model: its events, by scope, with its prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given
from support.event_model import History, expected_events, histories, record_history
from support.fakes import Script, body, moment, record_run, result_of, row, scope

from pipeline.core.facts import PER_1M, FactPaths, Prices
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Thresholds
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.changes import find_events
from pipeline.history.timeline import StepKind, Timeline, TimelineStep, timelines
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.windows import time_window

EVENTS = {StepKind.ADDED, StepKind.REMOVED, StepKind.RETURNED, StepKind.CHANGED}
PRICED = Dialect(
    "priced",
    facts=FactPaths(prices=Prices(unit=PER_1M, input=("cost.in",), output=("cost.out",), per_call=("call",))),
)


Row = tuple[str, str, str, str | None, int | None]
"""Scope, kind, time, since, seconds away."""


def rows_of_steps(found: tuple[Timeline, ...]) -> Iterator[Row]:
    for timeline in found:
        for step in timeline.steps:
            if step.kind in EVENTS:
                for name in timeline.scopes:
                    yield (name, str(step.kind), step.at, step.since, step.away_seconds)


def rows_of_events(events: tuple[Event, ...], model: str) -> Iterator[Row]:
    for event in events:
        for name in event.scopes if event.model == model else ():
            yield (name, str(event.kind), event.at, event.since, event.away_seconds)


@given(histories)
def test_each_event_is_a_step_of_its_scopes_and_each_such_step_an_event(history: History) -> None:
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        events = find_events(store, time_window(store))
        for model in ("anchor", "lyra", "vega"):
            assert Counter(rows_of_steps(timelines(store, model))) == Counter(rows_of_events(events, model))


@given(histories)
def test_a_timeline_ends_with_the_current_state(history: History) -> None:
    """A model in the last answer is offered; others are missing until their removal is confirmed."""
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        last: dict[str, Any] = {name: of for run in history for name, of in run.items() if of is not None}
        removed = {
            each[1]: each.kind
            for each in sorted(expected_events(history, 2), key=attrgetter("run"))
            if each.model == "lyra"
        }
        for timeline in timelines(store, "lyra"):
            for name in timeline.scopes:
                assert timeline.offered == ("lyra" in last[name])
                missing = timeline.steps[-1].kind == StepKind.MISSING
                assert missing == ("lyra" not in last[name] and removed.get(name) != "removed")


def only_timeline(store: Store, model: str) -> Timeline:
    (timeline,) = timelines(store, model)
    return timeline


def kinds(timeline: Timeline) -> list[tuple[str, str]]:
    """Return the kind and time of each step."""
    return [(str(step.kind), step.at) for step in timeline.steps]


def test_a_model_that_is_back_before_its_removal_is_confirmed_has_no_step(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega").run()
    script.adds("acme/prod", "vega").run()
    assert kinds(only_timeline(script.store, "vega")) == [("first", moment(1))]


def test_a_model_is_missing_from_the_first_answer_without_it_on(script: Script) -> None:
    """Also when the scope fails afterwards."""
    script.offers("acme/prod", "lyra", "vega").run(times=2)
    script.drops("acme/prod", "vega").run()
    script.fails("acme/prod").run()
    timeline = only_timeline(script.store, "vega")
    assert kinds(timeline) == [("first", moment(1)), ("missing", moment(3))]
    assert (timeline.offered, timeline.state, timeline.state_since) == (False, "failed", moment(4))


def test_a_model_that_is_added_changed_removed_and_back_in_another_form(script: Script) -> None:
    script.offers("acme/prod", "lyra").run()
    script.adds("acme/prod", vega=1).run()
    script.adds("acme/prod", vega=2).run()
    script.drops("acme/prod", "vega").run(times=3)
    script.adds("acme/prod", vega=3).run()
    timeline = only_timeline(script.store, "vega")
    assert kinds(timeline) == [
        ("added", moment(2)),
        ("changed", moment(3)),
        ("removed", moment(5)),
        ("returned", moment(7)),
    ]
    gone, back = timeline.steps[2:]
    assert (gone.since, back.since, back.away_seconds) == (moment(4), moment(4), 3 * 3600)
    assert back.fields == (FieldChange("form", "2", "3", "other"),)
    assert timeline.offered


def test_scopes_with_equal_timelines_share_one_and_scopes_without_the_model_have_none(script: Script) -> None:
    script.has(scope("acme/a", group="vip"))
    for name in ("acme/a", "acme/b", "acme/c"):
        script.offers(name, "lyra", "vega")
    script.offers("acme/d", "lyra").run()
    script.drops("acme/c", "vega").run(times=2)
    found = timelines(script.store, "vega")
    assert [(timeline.scopes, timeline.groups) for timeline in found] == [
        (("acme/a", "acme/b"), ("vip",)),
        (("acme/c",), ()),
    ]
    (selected,) = timelines(script.store, "vega", lambda name: name == "acme/c")
    assert selected.scopes == ("acme/c",)
    assert timelines(script.store, "unknown") == ()


def test_the_timeline_of_a_retired_scope_has_the_time_it_was_last_asked(script: Script) -> None:
    script.offers("acme/old", "lyra").offers("acme/prod", "lyra").run()
    results = {"acme/prod": script.result("acme/prod")}
    record_run(script.store, [script.scopes["acme/prod"]], results, all_scopes=True)
    old, prod = timelines(script.store, "lyra")
    assert (old.scopes, old.state, old.last_asked) == (("acme/old",), "retired", moment(1))
    assert (prod.scopes, prod.state, prod.last_asked) == (("acme/prod",), "ok", None)


def record_answer(store: Store, *rows: dict[str, Any], rules: Dialect = PRICED) -> None:
    """Record an answer with prices."""
    answer = rules.read(Answer((body(row("anchor"), *rows),), 0))
    once = Thresholds(max_loss=1.0, floor=100, confirm=1, confirm_after=0.0)
    scopes = [scope("acme/prod", thresholds=once)]
    record_run(store, scopes, {"acme/prod": result_of(answer, rules)})


def test_a_price_change_has_both_values_unit_and_percent_and_replaces_its_field(store: Store) -> None:
    record_answer(store, row("lyra", cost={"in": 5, "out": 10}))
    record_answer(store, row("lyra", cost={"in": 2.5, "out": 10}))
    record_answer(store, row("lyra", cost={"in": 2.5, "out": 12}))
    first, cheaper, dearer = only_timeline(store, "lyra").steps
    assert [(price.name, price.before, price.after) for price in first.prices] == [
        ("input", None, Decimal(5)),
        ("output", None, Decimal(10)),
    ]
    assert cheaper.prices == (PriceChange("input", Decimal(5), Decimal("2.5"), "1M tokens", "exact"),)
    assert [price.percent for step in (cheaper, dearer) for price in step.prices] == [-50, 20]
    assert cheaper.fields == dearer.fields == ()


def test_a_price_of_unknown_unit_has_its_path_and_percent_and_text_stays_a_field(store: Store) -> None:
    record_answer(store, row("lyra", ratio=2, tier={"price": "low"}))
    record_answer(store, row("lyra", ratio=3, tier={"price": "high"}))
    (_, step) = only_timeline(store, "lyra").steps
    assert step.prices == (PriceChange("ratio", Decimal(2), Decimal(3)),)
    assert step.prices[0].percent == 50
    assert step.fields == (FieldChange("tier.price", "low", "high", "price"),)


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [(None, "1", None), ("1", None, None), ("0", "1", None), ("3", "1", "-66.7"), ("2", "0", "-100")],
)
def test_percents_are_exact_to_a_tenth_and_need_a_price_above_zero_before(
    before: str | None, after: str | None, percent: str | None
) -> None:
    sides = [None if side is None else Decimal(side) for side in (before, after)]
    found = PriceChange("input", *sides).percent
    assert found == (None if percent is None else Decimal(percent))


def test_the_price_of_a_returned_model_is_compared_with_its_last(store: Store) -> None:
    record_answer(store, row("lyra", call="0.02"))
    record_answer(store)
    record_answer(store, row("lyra", call="0.03"))
    back = only_timeline(store, "lyra").steps[-1]
    assert (back.kind, back.prices) == (
        StepKind.RETURNED,
        (PriceChange("a call", Decimal("0.02"), Decimal("0.03"), "call", "exact"),),
    )


def test_prices_that_new_rules_find_are_no_changes_but_later_changes_are(store: Store) -> None:
    silent = Dialect("silent")
    record_answer(store, row("lyra", cost={"in": 5}), rules=silent)
    record_answer(store, row("lyra", cost={"in": 5}))
    record_answer(store, row("lyra", cost={"in": 4}))
    first, cheaper = only_timeline(store, "lyra").steps
    assert (first.kind, first.prices) == (StepKind.FIRST, ())
    assert [(price.before, price.after) for price in cheaper.prices] == [(5, 4)]


def test_a_price_that_new_rules_find_is_no_change_beside_other_changes(store: Store) -> None:
    record_answer(store, row("lyra", cost={"in": 5}, form=1), rules=Dialect("silent"))
    record_answer(store, row("lyra", cost={"in": 5}, form=2))
    assert only_timeline(store, "lyra").steps[-1].prices == ()
    assert only_timeline(store, "lyra").steps[-1].fields == (FieldChange("form", "1", "2", "other"),)


def test_a_price_that_enters_or_leaves_the_record_is_a_change(store: Store) -> None:
    record_answer(store, row("lyra"))
    record_answer(store, row("lyra", cost={"in": 5}))
    record_answer(store, row("lyra"))
    _, came, went = only_timeline(store, "lyra").steps
    assert [(price.before, price.after) for price in (*came.prices, *went.prices)] == [(None, 5), (5, None)]


def test_a_model_that_new_rules_exclude_is_unlisted_and_not_removed(store: Store) -> None:
    strict = Dialect("strict", no_models=("lyra",))
    record_answer(store, row("lyra"))
    record_answer(store, row("lyra"), rules=strict)
    assert only_timeline(store, "lyra").steps == (
        TimelineStep(StepKind.FIRST, moment(1)),
        TimelineStep(StepKind.UNLISTED, moment(2)),
    )
    assert not only_timeline(store, "lyra").offered
