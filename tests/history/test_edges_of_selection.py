"""Selections of the past that are met in part: half of the models, one of two scopes, some of the pairs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from support.fakes import NOTHING_HELD, Script, moment, scope

from pipeline.core.categories import SHAPE
from pipeline.core.types import FieldChange, FlapMark, FlapStep, Kind
from pipeline.core.watchlist import Watch
from pipeline.history.changes import find_events, select_models
from pipeline.history.compare import ComparedPairs
from pipeline.history.selectors import unknown_model
from pipeline.history.shapes import group_shapes
from pipeline.history.types import Event
from pipeline.history.watch import Pending, not_removed
from pipeline.reports.summary import summarise
from pipeline.store.catalog import ScopeListing
from pipeline.store.windows import Window

BEGIN = datetime.fromisoformat("2026-09-20T06:00:00+00:00")
"""When the first run of a script begins."""


def event(kind: Kind, model: str = "", **more: Any) -> Event:
    """Return an event in one scope."""
    found = {"at": moment(1), "snapshot": 1, "scopes": ("acme/one",), "groups": ()} | more
    return Event(kind=kind, gateway="acme", model=model, **found)


@pytest.mark.parametrize(
    ("kind", "globs", "expected"),
    [
        (Kind.ADDED, (), True),
        (Kind.ADDED, ("ly*",), True),
        (Kind.ADDED, ("ve*",), False),
        (Kind.ADDED, ("ve*", "lyra"), True),
    ],
)
def test_an_event_is_selected_by_its_model(kind: Kind, globs: tuple[str, ...], *, expected: bool) -> None:
    found = select_models(event(kind, "lyra"), globs)
    assert found == (event(kind, "lyra") if expected else None)


@pytest.mark.parametrize("kind", [Kind.SHAPE, Kind.GROUP])
@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        ((), ("lyra", "vega", "orion")),
        (("lyra",), ("lyra",)),
        (("*",), ("lyra", "vega", "orion")),
        (("ve*", "or*"), ("vega", "orion")),
        (("none",), None),
    ],
)
def test_an_event_of_many_models_is_selected_with_those_that_match(
    kind: Kind, globs: tuple[str, ...], expected: tuple[str, ...] | None
) -> None:
    found = select_models(event(kind, models=("lyra", "vega", "orion")), globs)
    assert (found and found.models) == expected


GONE = FieldChange("group", '"svip"', None, "other")
NEW = FieldChange("group", None, '"svip"', "other")


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([], {"lyra", "of the group"}),
        ([event(Kind.REMOVED, "lyra")], {"of the group"}),
        ([event(Kind.REMOVED, "vega")], {"lyra", "of the group"}),
        ([event(Kind.CHANGED, "lyra")], {"lyra", "of the group"}),
        ([event(Kind.GROUP, groups=("svip",), fields=(GONE,))], {"lyra"}),
        ([event(Kind.GROUP, groups=("svip",), fields=(NEW,))], {"lyra", "of the group"}),
        ([event(Kind.GROUP, groups=("vip",), fields=(GONE,))], {"lyra", "of the group"}),
        ([event(Kind.REMOVED, "lyra"), event(Kind.GROUP, groups=("svip",), fields=(GONE,))], set()),
    ],
)
def test_pending_removals_end_with_the_removal_of_their_model_or_group_alone(
    events: list[Event], left: set[str]
) -> None:
    pending = {
        ("acme/one", "lyra"): Pending(moment(1), "acme/one"),
        ("acme/one.svip", "of the group"): Pending(moment(1), "acme/one", "svip"),
    }
    assert {model for _, model in not_removed(pending, events)} == left


@pytest.mark.parametrize(("model", "ends"), [("lyre", ": did you mean lyra?"), ("quite-another", "")])
def test_an_unknown_model_is_named_with_similar_ones_if_there_are_any(
    script: Script, model: str, ends: str
) -> None:
    script.offers("acme/one", "lyra", "vega").run()
    said = unknown_model(script.store, model)
    assert said.partition(": did")[2] == ends.partition(": did")[2]
    assert ("did you mean" in said) == bool(ends)


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (("acme/one",), {"acme/one"}),
        (("acme/two",), {"acme/two"}),
        (("acme/*",), {"acme/one", "acme/two"}),
        (("lyra",), set()),
    ],
)
def test_a_pending_removal_is_watched_in_the_scopes_of_the_watch_list_alone(
    script: Script, scopes: tuple[str, ...], expected: set[str]
) -> None:
    for name in ("acme/one", "acme/two"):
        script.has(scope(name, thresholds=replace(NOTHING_HELD, confirm=3))).offers(name, "lyra", "vega")
    script.run()
    for name in ("acme/one", "acme/two"):
        script.drops(name, "lyra")
    script.run()
    found = summarise(script.store, Window(1, 2), watch=Watch(("lyra",), scopes))
    assert {name for each in found.incidents for name in each.scopes} == expected


@pytest.mark.parametrize(("repeated", "announced"), [(3, 1), (2, 2), (1, 3)])
def test_a_shape_is_announced_unless_more_than_half_of_its_models_repeat_it(
    repeated: int, announced: int
) -> None:
    def field(step: FlapStep) -> FieldChange:
        return FieldChange("tags", None, "[]", SHAPE, flapping=FlapMark(step), shape_of="other")

    steps = [FlapStep.REPEATED] * repeated + [FlapStep.ANNOUNCED] * announced
    found = {
        fields[0].flap_step: len(models)
        for models, fields in group_shapes({f"m{n}": [field(step)] for n, step in enumerate(steps)})
    }
    both = {FlapStep.REPEATED: repeated, FlapStep.ANNOUNCED: announced}
    assert found == ({FlapStep.REPEATED: 4} if repeated == 3 else both)


def test_the_events_of_a_run_are_by_kind_and_then_by_name(script: Script) -> None:
    script.offers("acme/one", "m", "z", "a", "k").run()
    script.offers("acme/one", "y", "b", "k", m=2).run(times=2)
    found = [(each.snapshot, each.kind, each.model) for each in find_events(script.store, Window(1, 3))]
    assert sorted(found[:3], key=lambda each: each[2]) == sorted(
        [(2, Kind.ADDED, "b"), (2, Kind.ADDED, "y"), (2, Kind.CHANGED, "m")], key=lambda each: each[2]
    )
    assert [model for _, kind, model in found if kind == Kind.ADDED] == ["b", "y"]
    assert [model for _, kind, model in found if kind == Kind.REMOVED] == ["a", "z"]


def listing_of(scope_id: int, sighting: int) -> ScopeListing:
    """Return the listing of a scope at a moment."""
    return ScopeListing(scope_id, f"acme/{scope_id}", "acme", None, 1, "reading", 3, sighting, retired=False)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [(((1, 1),), True), (((1, 1), (2, 2)), True), (((1, 2),), False), (((1, 1), (1, 2)), False)],
)
def test_only_scopes_that_are_all_compared_with_themselves_are_compared_in_time(
    pairs: tuple[tuple[int, int], ...], *, expected: bool
) -> None:
    listings = tuple((listing_of(before, 1), listing_of(after, 2)) for before, after in pairs)
    assert ComparedPairs(listings, ()).in_time is expected


def test_removals_that_began_in_unlike_runs_and_are_confirmed_in_one_are_by_name(script: Script) -> None:
    patient = replace(NOTHING_HELD, confirm=2, confirm_after=7200.0)
    script.has(scope("acme/one", thresholds=patient)).offers("acme/one", "z", "m", "a", "kept").run()
    for hours, gone in ((2, "z"), (2.5, "a"), (3, "m")):
        script.drops("acme/one", gone).run_at(BEGIN + timedelta(hours=hours))
    assert find_events(script.store, Window(1, script.runs)) == ()
    script.run_at(BEGIN + timedelta(hours=9))
    found = find_events(script.store, Window(1, script.runs))
    assert [(each.kind, each.model) for each in found] == [(Kind.REMOVED, each) for each in "amz"]
