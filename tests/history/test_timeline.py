"""The story of a model: the same that `changes` tells, scope by scope, with what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from support.event_model import History, ScopeEvent, expected_events, histories, record_history
from support.fakes import Script, body, moment, record_run, result_of, row, scope

from pipeline.core.facts import PER_1M, FactPaths, Prices
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Thresholds
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.changes import find_events
from pipeline.history.timeline import Timeline, TimelineStep, What, timelines
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.changes import window
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

TOLD = {What.ADDED, What.REMOVED, What.RETURNED, What.CHANGED}
PRICED = Dialect(
    "priced",
    facts=FactPaths(prices=Prices(unit=PER_1M, input=("cost.in",), output=("cost.out",), per_call=("call",))),
)


def steps_of(found: tuple[Timeline, ...]) -> Iterator[tuple[str, str, str, str | None, int | None]]:
    """Take stories apart: scope, what, when, since, how long away."""
    for story in found:
        for step in story.steps:
            if step.what in TOLD:
                for name in story.scopes:
                    yield (name, str(step.what), step.at, step.since, step.away_seconds)


def steps_told(
    events: tuple[Event, ...], model: str
) -> Iterator[tuple[str, str, str, str | None, int | None]]:
    """Take the events of a model apart in the same way."""
    for event in events:
        for name in event.scopes if event.model == model else ():
            yield (name, str(event.kind), event.at, event.since, event.away_seconds)


@given(histories)
def test_stories_and_changes_tell_the_same(history: History) -> None:
    """Whatever happened: each event is a step of its scopes' stories, and each such step is an event."""
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        events = find_events(store, window(store))
        for model in ("anchor", "lyra", "vega"):
            assert Counter(steps_of(timelines(store, model))) == Counter(steps_told(events, model))


@given(histories)
def test_a_story_ends_as_the_scope_stands(history: History) -> None:
    """What is in the last answer is offered; what is not, and not told as removed, is missing."""
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        last: dict[str, Any] = {name: of for run in history for name, of in run.items() if of is not None}
        removed = {
            each[1]: each.kind
            for each in sorted(expected_events(history, 2), key=by_run)
            if each.model == "lyra"
        }
        for story in timelines(store, "lyra"):
            for name in story.scopes:
                assert story.offered == ("lyra" in last[name])
                missing = story.steps[-1].what == What.MISSING
                assert missing == ("lyra" not in last[name] and removed.get(name) != "removed")


def by_run(each: ScopeEvent) -> int:
    """Order what is told by its run."""
    return each.run


def only(store: Store, model: str) -> Timeline:
    """Give the one story there is."""
    (story,) = timelines(store, model)
    return story


def whats(story: Timeline) -> list[tuple[str, str]]:
    """Give what happened in a story, and when."""
    return [(str(step.what), step.at) for step in story.steps]


def test_a_short_miss_is_not_told(script: Script) -> None:
    """A model that is back before its removal was effective was never away."""
    script.offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega").run()
    script.adds("acme/prod", "vega").run()
    assert whats(only(script.store, "vega")) == [("first", moment(1))]


def test_a_model_that_is_missing_now_is_said_to_be(script: Script) -> None:
    """It is missing since the answer that first lacked it, also when the scope fails since."""
    script.offers("acme/prod", "lyra", "vega").run(times=2)
    script.drops("acme/prod", "vega").run()
    script.fails("acme/prod").run()
    story = only(script.store, "vega")
    assert whats(story) == [("first", moment(1)), ("missing", moment(3))]
    assert (story.offered, story.state, story.state_since) == (False, "failed", moment(4))


def test_a_whole_story(script: Script) -> None:
    """Added, changed, removed, and back in another form after so long."""
    script.offers("acme/prod", "lyra").run()
    script.adds("acme/prod", vega=1).run()
    script.adds("acme/prod", vega=2).run()
    script.drops("acme/prod", "vega").run(times=3)
    script.adds("acme/prod", vega=3).run()
    story = only(script.store, "vega")
    assert whats(story) == [
        ("added", moment(2)),
        ("changed", moment(3)),
        ("removed", moment(5)),
        ("returned", moment(7)),
    ]
    gone, back = story.steps[2:]
    assert (gone.since, back.since, back.away_seconds) == (moment(4), moment(4), 3 * 3600)
    assert back.fields == (FieldChange("form", "2", "3", "other"),)
    assert story.offered


def test_scopes_with_the_same_story_are_told_as_one(script: Script) -> None:
    """Another start or another end is another story; a scope that was never offered it has none."""
    script.has(scope("acme/a", group="vip"))
    for name in ("acme/a", "acme/b", "acme/c"):
        script.offers(name, "lyra", "vega")
    script.offers("acme/d", "lyra").run()
    script.drops("acme/c", "vega").run(times=2)
    found = timelines(script.store, "vega")
    assert [(story.scopes, story.groups) for story in found] == [
        (("acme/a", "acme/b"), ("vip",)),
        (("acme/c",), ()),
    ]
    assert [s.scopes for s in timelines(script.store, "vega", lambda name: name == "acme/c")] == [("acme/c",)]
    assert timelines(script.store, "nobody") == ()


def test_a_retired_scope_keeps_its_story(script: Script) -> None:
    """It says when it was last asked."""
    script.offers("acme/old", "lyra").offers("acme/prod", "lyra").run()
    with script.store.transaction():
        times = {"started_at": moment(2), "finished_at": moment(2)}
        scopes = [script.scopes["acme/prod"]]
        decide_and_record(
            {"acme/prod": script.result("acme/prod")},
            scopes,
            RunCache(script.store),
            **times,
            all_scopes=True,
        )
    old, prod = timelines(script.store, "lyra")
    assert (old.scopes, old.state, old.last_asked) == (("acme/old",), "retired", moment(1))
    assert (prod.scopes, prod.state, prod.last_asked) == (("acme/prod",), "ok", None)


def says(store: Store, *rows: dict[str, Any], rules: Dialect = PRICED) -> None:
    """Record an answer with prices."""
    answer = rules.read(Answer((body(row("anchor"), *rows),), 0))
    scopes = [scope("acme/prod", thresholds=Thresholds(max_loss=1.0, floor=100, confirm=1))]
    record_run(store, scopes, {"acme/prod": result_of(answer, rules)})


def test_prices_are_told_in_one_unit(store: Store) -> None:
    """From what to what, and by how many percent; the field that they are read from is not repeated."""
    says(store, row("lyra", cost={"in": 5, "out": 10}))
    says(store, row("lyra", cost={"in": 2.5, "out": 10}))
    says(store, row("lyra", cost={"in": 2.5, "out": 12}))
    first, cheaper, dearer = only(store, "lyra").steps
    assert [(price.name, price.before, price.after) for price in first.prices] == [
        ("input", None, Decimal(5)),
        ("output", None, Decimal(10)),
    ]
    assert cheaper.prices == (PriceChange("input", Decimal(5), Decimal("2.5"), "1M tokens", "exact"),)
    assert [price.percent for step in (cheaper, dearer) for price in step.prices] == [-50, 20]
    assert cheaper.fields == dearer.fields == ()


def test_a_price_of_unknown_unit_is_told_as_it_is_written(store: Store) -> None:
    """With percents, and without a unit; what is no number stays a field."""
    says(store, row("lyra", ratio=2, tier={"price": "low"}))
    says(store, row("lyra", ratio=3, tier={"price": "high"}))
    (_, step) = only(store, "lyra").steps
    assert step.prices == (PriceChange("ratio", Decimal(2), Decimal(3)),)
    assert step.prices[0].percent == 50
    assert step.fields == (FieldChange("tier.price", "low", "high", "price"),)


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [(None, "1", None), ("1", None, None), ("0", "1", None), ("3", "1", "-66.7"), ("2", "0", "-100")],
)
def test_percents_need_something_to_compare_with(
    before: str | None, after: str | None, percent: str | None
) -> None:
    """There are none from nothing or from free; they are told to a tenth."""
    sides = [None if side is None else Decimal(side) for side in (before, after)]
    found = PriceChange("input", *sides).percent
    assert found == (None if percent is None else Decimal(percent))


def test_a_model_that_returns_at_another_price(store: Store) -> None:
    """The price is compared with the last one before it left."""
    says(store, row("lyra", call="0.02"))
    says(store)
    says(store, row("lyra", call="0.03"))
    back = only(store, "lyra").steps[-1]
    assert (back.what, back.prices) == (
        What.RETURNED,
        (PriceChange("a call", Decimal("0.02"), Decimal("0.03"), "call", "exact"),),
    )


def test_a_change_of_reading_moves_no_price(store: Store) -> None:
    """Prices that are known only since a new release are no news; what changes from then on is."""
    silent = Dialect("silent")
    says(store, row("lyra", cost={"in": 5}), rules=silent)
    says(store, row("lyra", cost={"in": 5}))
    says(store, row("lyra", cost={"in": 4}))
    first, cheaper = only(store, "lyra").steps
    assert (first.what, first.prices) == (What.FIRST, ())
    assert [(price.before, price.after) for price in cheaper.prices] == [(5, 4)]


def test_a_price_that_only_a_new_release_reads_did_not_come(store: Store) -> None:
    """What changed beside it is told, and nothing of a price."""
    says(store, row("lyra", cost={"in": 5}, form=1), rules=Dialect("silent"))
    says(store, row("lyra", cost={"in": 5}, form=2))
    assert only(store, "lyra").steps[-1].prices == ()
    assert only(store, "lyra").steps[-1].fields == (FieldChange("form", "1", "2", "other"),)


def test_a_price_that_is_new_in_the_record_came(store: Store) -> None:
    """And one that is taken out is gone."""
    says(store, row("lyra"))
    says(store, row("lyra", cost={"in": 5}))
    says(store, row("lyra"))
    _, came, went = only(store, "lyra").steps
    assert [(price.before, price.after) for price in (*came.prices, *went.prices)] == [(None, 5), (5, None)]


def test_a_model_that_a_new_reading_leaves_out_was_not_removed(store: Store) -> None:
    """It is told as a matter of reading, and so is its coming back."""
    strict = Dialect("strict", no_models=("lyra",))
    says(store, row("lyra"))
    says(store, row("lyra"), rules=strict)
    assert only(store, "lyra").steps == (
        TimelineStep(What.FIRST, moment(1)),
        TimelineStep(What.UNREAD, moment(2)),
    )
    assert not only(store, "lyra").offered
