"""What became of models in a window is net, folded, and in the order of what matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import moment

from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.history.types import Event
from pipeline.reports.folding import lines
from pipeline.reports.types import Line

GROUPS = {"acme/one": "vip", "acme/two": "vip", "acme/three": "free"}


def event(kind: str, model: str = "lyra", at: int = 1, **more: Any) -> Event:
    """Give a step of a model in one scope, unless told otherwise."""
    scopes = more.pop("scopes", ("acme/one",))
    return Event(
        at=moment(at),
        snapshot=at,
        kind=Kind(kind),
        gateway="acme",
        model=model,
        scopes=scopes,
        groups=tuple(sorted({GROUPS[scope] for scope in scopes})),
        **more,
    )


def field(path: str, before: str | None, after: str | None, category: str) -> FieldChange:
    """Give the change of a field."""
    return FieldChange(path, before, after, category)


def dollars(before: str | None, after: str | None, name: str = "input") -> PriceChange:
    """Give the change of a price per million tokens."""
    sides = (None if side is None else Decimal(side) for side in (before, after))
    return PriceChange(name, *sides, per="1M tokens", source="exact")


def net(*events: Event) -> tuple[Line, ...]:
    """Give the lines of some steps."""
    return lines(events, GROUPS)


def test_a_model_that_left_and_is_back_is_one_line() -> None:
    """It says how often, and for how long it was away; nobody has to do anything."""
    (line,) = net(
        event("removed", at=2, since=moment(1)),
        event("returned", at=5, since=moment(1), away_seconds=14400),
    )
    told = (line.kind, line.back, line.severity, line.times, line.away_seconds, line.at)
    assert told == (Kind.RETURNED, True, Severity.NOTABLE, 2, 14400, moment(5))


def test_a_model_that_came_and_went_is_one_line() -> None:
    """Who sleeps over it has missed nothing."""
    (line,) = net(event("added", at=1), event("removed", at=3, since=moment(2)))
    assert (line.kind, line.back, line.severity) == (Kind.REMOVED, True, Severity.NOTABLE)


def test_a_price_that_went_back_and_forth_is_told_where_it_is_now() -> None:
    """Twelve changes are one line, with the price that they ended at."""
    ways = ("2.4", "2.5"), ("2.5", "2.4")
    (line,) = net(*(event("changed", at=at, prices=(dollars(*ways[at % 2]),)) for at in range(12)))
    assert (line.times, line.back, line.prices) == (12, True, (dollars("2.4", "2.4"),))
    assert line.severity == Severity.NOTABLE


def test_a_price_is_told_from_the_first_to_the_last() -> None:
    """The steps between are in the attachment; fields that are as they were are not told."""
    (line,) = net(
        event("changed", at=1, prices=(dollars("1", "2"),), fields=(field("ctx", "8", "9", "limits"),)),
        event("changed", at=2, prices=(dollars("2", "3"),), fields=(field("ctx", "9", "8", "limits"),)),
    )
    assert (line.prices, line.fields, line.times, line.back) == ((dollars("1", "3"),), (), 2, False)


def test_a_raw_price_that_says_the_same_is_not_told_beside_it() -> None:
    """The price with its unit is enough."""
    raw = field("pricing.prompt", "0.000002", "0.000003", "price")
    (line,) = net(event("changed", prices=(dollars("2", "3"),), fields=(raw,)))
    assert (line.prices, line.fields) == ((dollars("2", "3"),), ())


CHANGED = [
    (field("context_length", "8000", "4000", "limits"), Severity.BREAKING),
    (field("context_length", "8000", "16000", "limits"), Severity.NOTABLE),
    (field("max_output", "8k", "16k", "limits"), Severity.NOTABLE),
    (field("max_output", "8k", "0", "limits"), Severity.NOTABLE),
    (field("max_output", "0", None, "limits"), Severity.QUIET),
    (field("features", '["tools","vision"]', '["vision"]', "capabilities"), Severity.BREAKING),
    (field("features", '["vision"]', '["tools","vision"]', "capabilities"), Severity.NOTABLE),
    (field("input_modalities", "text,image", "text", "capabilities"), Severity.BREAKING),
    (field("supports_tools", "true", "false", "capabilities"), Severity.BREAKING),
    (field("supports_tools", "false", "true", "capabilities"), Severity.NOTABLE),
    (field("endpoints", '["chat"]', None, "capabilities"), Severity.BREAKING),
    (field("reasoning.effort", "medium", "high", "capabilities"), Severity.NOTABLE),
    (field("notes", '["Needs a budget."]', '["Needs no budget."]', "capabilities"), Severity.NOTABLE),
    (field("deprecation_date", None, "2026-12-01", "lifecycle"), Severity.NOTABLE),
    (field("model_ratio", "1", "2", "price"), Severity.BREAKING),
    (field("model_ratio", "2", "1", "price"), Severity.NOTABLE),
    (field("description", "fast", "faster", "text"), Severity.QUIET),
    (field("brand_new", None, "1", "shape"), Severity.QUIET),
]


@pytest.mark.parametrize(("changed", "severity"), CHANGED)
def test_a_change_for_the_worse_may_break_something(changed: FieldChange, severity: Severity) -> None:
    """A limit cut, a capability lost, a price raised; text is quiet, and the rest is good to know."""
    (line,) = net(event("changed", fields=(changed,)))
    assert line.severity == severity


def test_what_is_worse_is_told_first() -> None:
    """Of many fields the one that breaks something is not among those that are only counted."""
    better = [field(f"a{n}", "1", "2", "limits") for n in range(9)]
    cut = field("z", "2", "1", "limits")
    (line,) = net(event("changed", fields=(*better, cut)))
    assert line.fields == (cut, *better)


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("removed", Severity.BREAKING), ("added", Severity.NOTABLE), ("returned", Severity.NOTABLE)],
)
def test_what_comes_is_good_to_know_and_what_goes_may_break(kind: str, severity: Severity) -> None:
    """A removal is the worst that a gateway can do."""
    (line,) = net(event(kind))
    assert line.severity == severity


def test_what_somebody_depends_on_is_urgent() -> None:
    """A watched model that left or has another price needs somebody; one that is back does not."""
    cheaper = event("changed", "vega", prices=(dollars("2", "1"),), urgent=True)
    gone = event("removed", "lyra", urgent=True)
    assert [line.severity for line in net(cheaper, gone)] == [Severity.URGENT] * 2
    (back,) = net(gone, event("returned", "lyra", at=2, away_seconds=1))
    assert (back.severity, back.watched) == (Severity.NOTABLE, True)


def test_what_matters_most_comes_first() -> None:
    """Urgent, breaking, notable, quiet."""
    text = (field("description", "a", "b", "text"),)
    told = net(
        event("changed", "d", fields=text),
        event("added", "c"),
        event("removed", "b"),
        event("removed", "a", urgent=True),
    )
    assert [line.severity for line in told] == list(Severity)


def test_scopes_to_which_the_same_became_of_a_model_are_told_together() -> None:
    """However it came to that here and there; their groups are named, and the steps of the way counted."""
    both = event("removed", scopes=("acme/one", "acme/three"), at=3)
    before = event("changed", scopes=("acme/one",), at=1, fields=(field("ctx", "1", "2", "limits"),))
    (line,) = net(before, both)
    assert (line.scopes, line.groups, line.times) == (("acme/one", "acme/three"), ("free", "vip"), 1)


def test_many_of_one_mark_are_one_line() -> None:
    """Twenty-nine that left together are told by what they share, the thirtieth for itself."""
    batch = [event("removed", f"m{n}:batch", at=n % 3) for n in range(29)]
    folded, single = sorted(net(*batch, event("removed", "lyra")), key=lambda line: -len(line.models))
    assert (folded.mark, len(folded.models), single.models) == ("*:batch", 29, ("lyra",))


def test_what_is_watched_is_never_lost_in_a_crowd() -> None:
    """It keeps its own line."""
    batch = [event("removed", f"m{n}:batch") for n in range(10)]
    told = net(*batch, event("removed", "mine:batch", urgent=True))
    assert (told[0].models, told[0].severity) == (("mine:batch",), Severity.URGENT)
    assert [len(line.models) for line in told] == [1, 10]


def test_the_same_change_of_several_models_is_one_line() -> None:
    """From three on: a vendor has raised its prices."""
    dearer = [event("changed", model, prices=(dollars("1", "2"),)) for model in "abc"]
    (line,) = net(*dearer)
    assert line.models == ("a", "b", "c")
    assert [each.models for each in net(*dearer[:2])] == [("a",), ("b",)]


def test_what_changed_in_each_of_many_is_one_line() -> None:
    """Seventy models with a billing text each are told by what they share, and by what they do not."""
    shared = field("tier", "1", "2", "other")
    events = [
        event("changed", f"m{n:02}", fields=(field("billing", f"{n}", f"{n}x", "other"), shared))
        for n in range(70)
    ]
    (line,) = net(*events)
    assert (len(line.models), line.own) == (70, ("billing",))
    assert shared in line.fields
    assert len(net(*events[:11])) == 11


def test_what_many_share_is_not_lost_among_others() -> None:
    """Fifty that changed in the same way keep their line beside those that did not."""
    same = [event("changed", f"s{n:02}", fields=(field("hints", "a", "b", "other"),)) for n in range(50)]
    other = [event("changed", f"o{n:02}", fields=(field("hints", "a", f"{n}", "other"),)) for n in range(20)]
    assert [(len(line.models), line.own) for line in net(*same, *other)] == [(20, ("hints",)), (50, ())]


def test_a_description_does_not_part_what_changed_alike() -> None:
    """Who has another limit and another description has another limit."""
    limit = field("context_length", "8", "16", "limits")
    (line,) = net(
        *(event("changed", model, fields=(limit, field("description", "", model, "text"))) for model in "abc")
    )
    assert (line.models, line.fields) == (("a", "b", "c"), (limit,))


states = st.lists(st.sampled_from([None, 1, 2]), min_size=2, max_size=8)
"""Whether a model is there, and in which form, at each run of a window and before the first."""


def steps(states: Sequence[int | None], scope: str = "acme/one") -> list[Event]:
    """Tell the steps from each state to the next."""
    found = []
    was_there = states[0] is not None
    for at, (before, after) in enumerate(pairwise(states), 1):
        if before == after:
            continue
        if after is None:
            found.append(event("removed", at=at, scopes=(scope,), since=moment(at)))
        elif before is None:
            last = next((state for state in reversed(states[:at]) if state is not None), None)
            forms = (field("form", str(last), str(after), "other"),) if last not in (None, after) else ()
            kind = "returned" if was_there or last is not None else "added"
            found.append(
                event(
                    kind,
                    at=at,
                    scopes=(scope,),
                    away_seconds=60 if kind == "returned" else None,
                    fields=forms,
                )
            )
        else:
            form = field("form", str(before), str(after), "other")
            found.append(event("changed", at=at, scopes=(scope,), fields=(form,)))
    return found


@given(states)
def test_the_net_is_the_difference_between_the_ends(states: list[int | None]) -> None:
    """Whatever happened between, a line says what is not as it was; and back means that all is."""
    told = net(*steps(states))
    before, after = states[0], states[-1]
    if not steps(states):
        assert told == ()
        return
    (line,) = told
    assert line.back == (before == after)
    if before is not None and after is not None and before != after:
        assert [(each.before, each.after) for each in line.fields] == [(str(before), str(after))]
    if before is None and after is not None:
        assert line.kind == Kind.ADDED
    if after is None:
        assert line.kind == Kind.REMOVED


@given(st.dictionaries(st.sampled_from(list(GROUPS)), states, min_size=1))
def test_every_scope_is_told_its_own(histories: dict[str, list[int | None]]) -> None:
    """What is told of many scopes is what would be told of each alone; none is lost, none is told twice."""
    events = sorted(
        (step for scope, states in histories.items() for step in steps(states, scope)),
        key=lambda step: step.at,
    )
    told = [
        (scope, replace(line, scopes=(), groups=(), at="", times=0, since=None, away_seconds=None))
        for line in net(*events)
        for scope in line.scopes
    ]
    alone = [
        (scope, replace(line, scopes=(), groups=(), at="", times=0, since=None, away_seconds=None))
        for scope, states in histories.items()
        for line in net(*steps(states, scope))
    ]
    assert sorted(told, key=repr) == sorted(alone, key=repr)


def test_what_came_and_went_together_is_one_line() -> None:
    """From three on, whatever their names; by their mark where they are many."""
    batch = [
        event(kind, f"m{n}:batch", at=at) for n in range(9) for at, kind in ((1, "removed"), (2, "returned"))
    ]
    assert [(line.mark, len(line.models), line.back) for line in net(*batch)] == [("*:batch", 9, True)]
    came = [event(kind, model, at=at) for model in "abc" for at, kind in ((1, "added"), (2, "removed"))]
    (line,) = net(*came)
    assert (line.models, line.back, line.times) == (("a", "b", "c"), True, 2)
