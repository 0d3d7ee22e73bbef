"""Net changes of a window: folded, with a severity, in the order of severities."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.fakes import moment

from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.core.watchlist import NO_WATCH, Watch
from pipeline.history.types import Event
from pipeline.reports.folding import fold_events
from pipeline.reports.types import NetChange

GROUPS = {"acme/one": "vip", "acme/two": "vip", "acme/three": "free"}


def event(kind: str, model: str = "lyra", at: int = 1, **more: Any) -> Event:
    """Return an event of a model, in one scope by default."""
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
    """Return a field change."""
    return FieldChange(path, before, after, category)


def price(before: str | None, after: str | None, name: str = "input") -> PriceChange:
    """Return a price change per million tokens."""
    sides = (None if side is None else Decimal(side) for side in (before, after))
    return PriceChange(name, *sides, unit="1M tokens", source="exact")


def net(*events: Event, watch: Watch = NO_WATCH) -> tuple[NetChange, ...]:
    """Return the net changes of some events."""
    return fold_events(events, GROUPS, watch)


def test_a_model_that_left_and_returned_is_one_reverted_change() -> None:
    (change,) = net(
        event("removed", at=2, since=moment(1)),
        event("returned", at=5, since=moment(1), away_seconds=14400),
    )
    found = (change.kind, change.reverted, change.severity, change.steps, change.away_seconds, change.at)
    assert found == (Kind.RETURNED, True, Severity.NOTABLE, 2, 14400, moment(5))


def test_a_model_that_was_added_and_removed_is_one_reverted_change() -> None:
    (change,) = net(event("added", at=1), event("removed", at=3, since=moment(2)))
    assert (change.kind, change.reverted, change.severity) == (Kind.REMOVED, True, Severity.NOTABLE)


def test_a_flapping_price_is_one_change_with_its_last_value() -> None:
    ways = ("2.4", "2.5"), ("2.5", "2.4")
    (change,) = net(*(event("changed", at=at, prices=(price(*ways[at % 2]),)) for at in range(12)))
    assert (change.steps, change.reverted, change.prices) == (12, True, (price("2.4", "2.4"),))
    assert change.severity == Severity.NOTABLE


def test_prices_are_net_and_fields_that_changed_back_are_left_out() -> None:
    (change,) = net(
        event("changed", at=1, prices=(price("1", "2"),), fields=(field("ctx", "8", "9", "limits"),)),
        event("changed", at=2, prices=(price("2", "3"),), fields=(field("ctx", "9", "8", "limits"),)),
    )
    assert (change.prices, change.fields, change.steps, change.reverted) == ((price("1", "3"),), (), 2, False)


def test_a_field_that_repeats_a_price_is_left_out() -> None:
    raw = field("pricing.prompt", "0.000002", "0.000003", "price")
    (change,) = net(event("changed", prices=(price("2", "3"),), fields=(raw,)))
    assert (change.prices, change.fields) == ((price("2", "3"),), ())


CHANGED = [
    (field("context_length", "8000", "4000", "limits"), Severity.BREAKING),
    (field("context_length", "8000", "16000", "limits"), Severity.NOTABLE),
    (field("max_output", "8k", "16k", "limits"), Severity.NOTABLE),
    (field("max_output", "8k", "0", "limits"), Severity.BREAKING),
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
def test_reductions_and_price_increases_are_breaking_and_text_is_quiet(
    changed: FieldChange, severity: Severity
) -> None:
    (change,) = net(event("changed", fields=(changed,)))
    assert change.severity == severity


def test_reductions_come_first_among_the_fields() -> None:
    better = [field(f"a{n}", "1", "2", "limits") for n in range(9)]
    cut = field("z", "2", "1", "limits")
    (change,) = net(event("changed", fields=(*better, cut)))
    assert change.fields == (cut, *better)


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("removed", Severity.BREAKING), ("added", Severity.NOTABLE), ("returned", Severity.NOTABLE)],
)
def test_removals_are_breaking_and_additions_and_returns_notable(kind: str, severity: Severity) -> None:
    (change,) = net(event(kind))
    assert change.severity == severity


def test_a_watched_model_is_urgent_when_removed_returned_or_repriced_but_not_when_both_in_one_window() -> (
    None
):
    cheaper = event("changed", "vega", prices=(price("2", "1"),), urgent=True)
    gone = event("removed", "lyra", urgent=True)
    back = event("returned", "lyra", at=2, away_seconds=1, urgent=True)
    assert [change.severity for change in net(cheaper, gone)] == [Severity.URGENT] * 2
    assert [change.severity for change in net(back)] == [Severity.URGENT]
    assert [change.severity for change in net(gone, back)] == [Severity.NOTABLE]


@pytest.mark.parametrize(
    ("step", "severity"),
    [
        (event("added"), Severity.NOTABLE),
        (event("returned"), Severity.NOTABLE),
        (event("removed", urgent=True), Severity.URGENT),
        (event("changed", fields=(field("ctx", "2", "1", "limits"),)), Severity.BREAKING),
        (event("changed", fields=(field("description", "a", "b", "text"),)), Severity.QUIET),
    ],
    ids=lambda value: str(getattr(value, "kind", value)),
)
def test_any_change_of_a_watched_model_is_marked_and_keeps_its_severity(
    step: Event, severity: Severity
) -> None:
    watches = (
        Watch(("lyra",)),
        Watch(("l*",), ("acme/o*",)),
        Watch(("vega",)),
        Watch(("lyra",), ("zeta/*",)),
    )
    found = [change for watch in watches for change in net(step, watch=watch)]
    assert [change.watched for change in found] == [True, True, False, False]
    assert {change.severity for change in found} == {severity}


def test_watched_models_are_not_folded_with_others() -> None:
    batch = [event("added", f"{owner}{n}:batch") for owner in ("my", "other") for n in range(9)]
    found = net(*batch, watch=Watch(("my*",)))
    assert sorted((change.watched, len(change.models)) for change in found) == [(False, 9), (True, 9)]


def test_changes_are_ordered_by_severity() -> None:
    text = (field("description", "a", "b", "text"),)
    found = net(
        event("changed", "d", fields=text),
        event("added", "c"),
        event("removed", "b"),
        event("removed", "a", urgent=True),
    )
    assert [change.severity for change in found] == list(Severity)


def test_scopes_with_the_same_net_change_share_it_despite_different_steps() -> None:
    both = event("removed", scopes=("acme/one", "acme/three"), at=3)
    before = event("changed", scopes=("acme/one",), at=1, fields=(field("ctx", "1", "2", "limits"),))
    (change,) = net(before, both)
    assert (change.scopes, change.groups, change.steps) == (("acme/one", "acme/three"), ("free", "vip"), 1)


def test_many_models_with_a_common_label_are_one_change() -> None:
    batch = [event("removed", f"m{n}:batch", at=n % 3) for n in range(29)]
    folded, single = sorted(net(*batch, event("removed", "lyra")), key=lambda change: -len(change.models))
    assert (folded.label, len(folded.models), single.models) == ("*:batch", 29, ("lyra",))


def test_an_urgent_change_is_never_folded() -> None:
    batch = [event("removed", f"m{n}:batch") for n in range(10)]
    found = net(*batch, event("removed", "mine:batch", urgent=True))
    assert (found[0].models, found[0].severity) == (("mine:batch",), Severity.URGENT)
    assert [len(change.models) for change in found] == [1, 10]


def test_the_same_change_of_three_models_is_one_change() -> None:
    increases = [event("changed", model, prices=(price("1", "2"),)) for model in "abc"]
    (change,) = net(*increases)
    assert change.models == ("a", "b", "c")
    assert [each.models for each in net(*increases[:2])] == [("a",), ("b",)]


def test_models_whose_same_fields_changed_differently_are_one_change() -> None:
    shared = field("tier", "1", "2", "other")
    events = [
        event("changed", f"m{n:02}", fields=(field("billing", f"{n}", f"{n}x", "other"), shared))
        for n in range(70)
    ]
    (change,) = net(*events)
    assert (len(change.models), change.varying) == (70, ("billing",))
    assert shared in change.fields
    assert len(net(*events[:11])) == 11


def test_models_that_changed_in_the_same_way_are_not_folded_with_the_others() -> None:
    same = [event("changed", f"s{n:02}", fields=(field("hints", "a", "b", "other"),)) for n in range(50)]
    other = [event("changed", f"o{n:02}", fields=(field("hints", "a", f"{n}", "other"),)) for n in range(20)]
    assert [(len(change.models), change.varying) for change in net(*same, *other)] == [
        (20, ("hints",)),
        (50, ()),
    ]


def test_different_descriptions_do_not_prevent_folding() -> None:
    limit = field("context_length", "8", "16", "limits")
    (change,) = net(
        *(event("changed", model, fields=(limit, field("description", "", model, "text"))) for model in "abc")
    )
    assert (change.models, change.fields) == (("a", "b", "c"), (limit,))


states = st.lists(st.sampled_from([None, 1, 2]), min_size=2, max_size=8)
"""The form of a model before the window and at each run; None where it is not offered."""


def steps(states: Sequence[int | None], scope: str = "acme/one") -> list[Event]:
    """Return the events between successive states."""
    found = []
    offered_before = states[0] is not None
    for at, (before, after) in enumerate(pairwise(states), 1):
        if before == after:
            continue
        if after is None:
            found.append(event("removed", at=at, scopes=(scope,), since=moment(at)))
        elif before is None:
            last = next((state for state in reversed(states[:at]) if state is not None), None)
            forms = (field("form", str(last), str(after), "other"),) if last not in (None, after) else ()
            kind = "returned" if offered_before or last is not None else "added"
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
def test_the_net_change_is_the_difference_between_the_ends_of_the_window(states: list[int | None]) -> None:
    found = net(*steps(states))
    before, after = states[0], states[-1]
    if not steps(states):
        assert found == ()
        return
    (change,) = found
    assert change.reverted == (before == after)
    if before is not None and after is not None and before != after:
        assert [(each.before, each.after) for each in change.fields] == [(str(before), str(after))]
    if before is None and after is not None:
        assert change.kind == Kind.ADDED
    if after is None:
        assert change.kind == Kind.REMOVED


NO_TIMES = {"since": None, "last_since": None, "away_seconds": None, "least_away": None}


@given(st.dictionaries(st.sampled_from(list(GROUPS)), states, min_size=1))
def test_the_changes_of_many_scopes_are_those_of_each_scope_alone(
    histories: dict[str, list[int | None]],
) -> None:
    events = sorted(
        (step for scope, states in histories.items() for step in steps(states, scope)),
        key=lambda step: step.at,
    )
    found = [
        (scope, replace(change, scopes=(), groups=(), at="", steps=0, **NO_TIMES))
        for change in net(*events)
        for scope in change.scopes
    ]
    alone = [
        (scope, replace(change, scopes=(), groups=(), at="", steps=0, **NO_TIMES))
        for scope, states in histories.items()
        for change in net(*steps(states, scope))
    ]
    assert sorted(found, key=repr) == sorted(alone, key=repr)


def test_reverted_changes_are_folded_by_label_or_from_three_models_on() -> None:
    batch = [
        event(kind, f"m{n}:batch", at=at) for n in range(9) for at, kind in ((1, "removed"), (2, "returned"))
    ]
    assert [(change.label, len(change.models), change.reverted) for change in net(*batch)] == [
        ("*:batch", 9, True)
    ]
    came = [event(kind, model, at=at) for model in "abc" for at, kind in ((1, "added"), (2, "removed"))]
    (change,) = net(*came)
    assert (change.models, change.reverted, change.steps) == (("a", "b", "c"), True, 2)


@pytest.mark.parametrize(
    "small",
    [
        field("max_output", "0", None, "limits"),
        field("max_output", "8000", "8000.0", "limits"),
        field("shutdown_date", "null", None, "lifecycle"),
    ],
)
def test_fields_that_differ_in_form_alone_are_shown_only_where_nothing_else_changed(
    small: FieldChange,
) -> None:
    limit = field("context_length", "8000", "16000", "limits")
    (both,) = net(event("changed", fields=(small, limit)))
    (priced,) = net(
        event(
            "changed",
            fields=(small, field("pricing.input", "1", "2", "price")),
            prices=(price("1", "2"),),
        )
    )
    (alone,) = net(event("changed", fields=(small,)))
    assert (both.fields, priced.fields, alone.fields) == ((limit,), (), (small,))
