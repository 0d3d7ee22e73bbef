"""Changes and incidents that scopes, models or windows share, although their histories differ."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise, permutations
from typing import Any

import pytest
from msgspec.structs import replace
from support.fakes import NOTHING_HELD, Script, moment, scope

from pipeline.core.prices import PriceChange
from pipeline.core.types import Anonymous, FieldChange, Kind, Severity, Thresholds
from pipeline.core.watchlist import Watch
from pipeline.errors import Refused
from pipeline.history.types import Event
from pipeline.reports.folding import BATCH, FLAPPING, fold_batches, fold_events, fold_flapping, worst_first
from pipeline.reports.summary import summarise
from pipeline.reports.types import Incident, NetChange, Summary
from pipeline.store.windows import Window
from pipeline.sync.accept import accept

ORDERS = list(permutations(range(3)))
"""The orders in which three histories can stand: the extreme one first, between the others, and last."""

SCOPES = ("acme/one", "acme/three", "acme/two")


def event(kind: str, model: str = "lyra", at: int = 1, scope: str = "acme/one", **more: Any) -> Event:
    """Return an event of a model in one scope."""
    found = {"at": moment(at), "snapshot": at, "kind": Kind(kind), "scopes": (scope,), "groups": ()}
    return Event(gateway="acme", model=model, **found, **more)


def price(before: str | None, after: str | None) -> PriceChange:
    """Return a change of the input price."""
    sides = (None if side is None else Decimal(side) for side in (before, after))
    return PriceChange("input", *sides, unit="1M tokens", source="exact")


def absence(number: int, model: str = "lyra", scope: str = "acme/one") -> list[Event]:
    """Return removal and return of a model; each absence begins earlier and takes longer than the last."""
    since = moment(10 - 2 * number)
    return [
        event("removed", model, 11, scope, since=since),
        event("returned", model, 12 + number, scope, since=since, away_seconds=3600 * (number + 1)),
    ]


def check_extremes(change: NetChange) -> None:
    """Check the times of three unlike absences that are one change."""
    assert (change.kind, change.reverted, change.steps) == (Kind.RETURNED, True, 2)
    assert (change.since, change.last_since) == (moment(6), moment(10))
    assert (change.least_away, change.away_seconds) == (3600, 3 * 3600)
    assert (change.at, change.absence) == (moment(14), None)


@pytest.mark.parametrize("order", ORDERS)
def test_scopes_with_unlike_absences_share_a_change_with_their_extremes(order: tuple[int, ...]) -> None:
    histories = [absence(number, scope=name) for name, number in zip(SCOPES, order, strict=True)]
    (change,) = fold_events([each for history in histories for each in history], {})
    assert change.scopes == SCOPES
    check_extremes(change)


@pytest.mark.parametrize("order", ORDERS)
def test_models_with_unlike_absences_are_folded_with_their_extremes(order: tuple[int, ...]) -> None:
    histories = [absence(number, model) for model, number in zip("abc", order, strict=True)]
    (change,) = fold_events([each for history in histories for each in history], {})
    assert change.models == ("a", "b", "c")
    check_extremes(change)


def test_like_absences_keep_their_beginning_and_end() -> None:
    histories = [absence(1, model, name) for model in "abc" for name in SCOPES]
    (change,) = fold_events([each for history in histories for each in history], {})
    assert change.absence == (moment(8), moment(13))
    assert (change.since, change.last_since, change.least_away, change.away_seconds) == (
        moment(8), moment(8), 7200, 7200,
    )  # fmt: skip


def test_a_model_that_was_away_twice_has_no_single_absence() -> None:
    twice = [
        event("removed", at=2, since=moment(1)),
        event("returned", at=3, since=moment(1), away_seconds=7200),
        event("removed", at=5, since=moment(4)),
        event("returned", at=6, since=moment(4), away_seconds=3600),
    ]
    (change,) = fold_events(twice, {})
    assert (change.absence, change.steps, change.away_seconds, change.since) == (None, 4, 3600, moment(4))
    unknown = [replace(each, since=None) for each in twice[:2]]
    (change,) = fold_events(unknown, {})
    assert (change.absence, change.since, change.last_since) == (None, None, None)


@pytest.mark.parametrize("order", ORDERS)
def test_removals_of_scopes_at_unlike_times_have_the_first_and_the_last_beginning(
    order: tuple[int, ...],
) -> None:
    gone = [
        event("removed", at=5 + number, scope=name, since=moment(1 + number))
        for name, number in zip(SCOPES, order, strict=True)
    ]
    (change,) = fold_events(gone, {})
    assert (change.since, change.last_since, change.at, change.steps) == (moment(1), moment(3), moment(7), 1)
    assert (change.away_seconds, change.least_away) == (None, None)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_the_steps_of_a_shared_change_are_those_of_the_scope_with_most(most: int) -> None:
    def history(name: str, ways: str) -> list[Event]:
        steps = enumerate(pairwise(ways), 1)
        return [event("changed", at=at, scope=name, prices=(price(*way),)) for at, way in steps]

    events = [each for at, name in enumerate(SCOPES) for each in history(name, "132" if at == most else "12")]
    (change,) = fold_events(events, {})
    assert (change.scopes, change.prices, change.steps) == (SCOPES, (price("1", "2"),), 2)


@pytest.mark.parametrize(
    ("ways", "expected", "severity"),
    [
        ([(None, "2")], (None, "2"), Severity.NOTABLE),
        ([("2", None)], ("2", None), Severity.NOTABLE),
        ([(None, "1"), ("1", "2")], (None, "2"), Severity.NOTABLE),
        ([("1", "2"), ("2", None)], ("1", None), Severity.NOTABLE),
        ([("1", None), (None, "1")], ("1", "1"), Severity.QUIET),
        ([(None, "1"), ("1", None)], (None, None), Severity.QUIET),
        ([("1", None), (None, "2")], ("1", "2"), Severity.BREAKING),
        ([("2", None), (None, "1")], ("2", "1"), Severity.NOTABLE),
    ],
)
def test_a_price_that_is_missing_on_one_side_is_net_too(
    ways: list[tuple[str | None, str | None]], expected: tuple[str | None, str | None], severity: Severity
) -> None:
    steps = [
        event("changed", at=at, prices=(price(*way),), fields=(FieldChange("pricing.input", *way, "price"),))
        for at, way in enumerate(ways, 1)
    ]
    (change,) = fold_events(steps, {})
    assert change.prices == (price(*expected),)
    assert (change.reverted, change.severity) == (expected[0] == expected[1], severity)


def circle(number: int) -> list[Event]:
    """Return so many changes of a field, of which the last leads back to the first value."""
    values = [str(each) for each in range(number)]
    return [
        event("changed", at=at, fields=(FieldChange("tier", *way, "other"),))
        for at, way in enumerate(pairwise([*values, "0"]), 1)
    ]


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_exactly_as_many_changes_as_make_a_flap_are_folded(more: int) -> None:
    steps = circle(FLAPPING + more)
    rest, flapping = fold_flapping(steps)
    assert (len(rest), [each.steps for each in flapping]) == (
        (len(steps), []) if more < 0 else (0, [len(steps)])
    )


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_change_that_was_undone_is_notable_from_as_many_steps_as_make_a_flap(more: int) -> None:
    (change,) = fold_events(circle(FLAPPING + more), {})
    assert (change.reverted, change.severity) == (True, Severity.QUIET if more < 0 else Severity.NOTABLE)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_exactly_as_many_models_with_a_label_as_make_a_batch_are_folded(more: int) -> None:
    number = BATCH + more
    removed = [event("removed", f"vendor/m{n}") for n in range(number)]
    rest, batches = fold_batches(removed)
    assert (len(rest), [(each.label, len(each.members)) for each in batches]) == (
        (number, []) if more < 0 else (0, [("vendor/*", number)])
    )
    assert [len(each.models) for each in fold_events(removed, {})] == ([1] * number if more < 0 else [number])


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_exactly_as_many_models_with_the_same_fields_as_fold_are_one_change(more: int) -> None:
    changed = [
        event("changed", f"m{n:02}", fields=(FieldChange("billing", f"{n}", f"{n}x", "other"),))
        for n in range(12 + more)
    ]
    assert len(fold_events(changed, {})) == (11 if more < 0 else 1)


def test_urgent_events_come_first_then_runs_in_their_order_then_the_worst_scopes() -> None:
    quiet = FieldChange("description", "a", "b", "text")
    events = [
        event("changed", "a", 1, "acme/one", fields=(quiet,)),
        event("added", "b", 1, "acme/two"),
        event("removed", "c", 1, "acme/two"),
        event("removed", "d", 2, "acme/one"),
        event("removed", "e", 3, "acme/one", urgent=True),
    ]
    assert [each.model for each in worst_first(events)] == ["e", "b", "c", "a", "d"]


CAREFUL = Thresholds(max_loss=0.1, floor=0)
NAMES = ("acme/a", "acme/b", "acme/c")


def careful(script: Script, *sizes: int) -> Script:
    """Run once with scopes of these sizes, which hold answers that lack much."""
    for name, size in zip(NAMES, sizes, strict=True):
        script.has(scope(name, thresholds=CAREFUL)).offers(name, *(f"m{n}" for n in range(size)))
    script.run()
    return script


def incident(script: Script, since: int) -> Incident:
    """Return the only incident of the runs after `since`."""
    (found,) = summarise(script.store, Window(since, script.runs)).incidents
    return found


@pytest.mark.parametrize("sizes", [(20, 20, 20), (20, 20, 30), (20, 30, 20), (30, 20, 20)])
def test_keys_of_unlike_sizes_that_get_the_anonymous_list_name_the_size_that_all_have(
    script: Script, sizes: tuple[int, ...]
) -> None:
    script.has(scope("acme/public", credential=Anonymous(), thresholds=CAREFUL)).offers(
        "acme/public", "m0", "m1"
    )
    careful(script, *sizes)
    for name in NAMES:
        script.offers(name, "m0", "m1")
    script.run()
    found = incident(script, 1)
    common = 20 if len(set(sizes)) == 1 else None
    assert (found.scopes, found.models, found.held_models) == (NAMES, common, 2)


@pytest.mark.parametrize("latest", NAMES)
def test_a_failure_of_scopes_with_unlike_last_answers_names_the_latest(script: Script, latest: str) -> None:
    careful(script, 1, 1, 1).run(latest)
    for name in NAMES:
        script.fails(name, Refused("no longer valid", status=401))
    script.run()
    found = incident(script, 2)
    assert (found.scopes, found.last_answered) == (NAMES, moment(2))


def accepted(script: Script, *left: int) -> Summary:
    """Let answers be held that lack models, accept them; return the summary of that run."""
    careful(script, 20, 20, 20)
    for name, size in zip(NAMES, left, strict=True):
        script.offers(name, *(f"m{n}" for n in range(size)))
    script.run()
    accept(script.store, NAMES, lambda _scope, _reading: (), at=moment(3))
    return summarise(script.store, Window(2, 3))


@pytest.mark.parametrize("left", [(1, 1, 1), (2, 1, 1), (1, 1, 2)])
def test_accepted_answers_name_the_removals_that_all_of_them_left(
    script: Script, left: tuple[int, ...]
) -> None:
    found = accepted(script, *left).resolved
    assert {each.accepted for each in found} == {True}
    assert sorted(name for each in found for name in each.scopes) == list(NAMES)
    for each in found:
        (missing,) = {20 - size for name, size in zip(NAMES, left, strict=True) if name in each.scopes}
        assert each.removals in (missing, 0)


def states(script: Script, number: int) -> list[tuple[str, bool, str]]:
    """Return the incidents of one run: the state, whether it is new, and its beginning."""
    found = summarise(script.store, Window(number - 1, number)).incidents
    return [(each.state, each.new, each.since) for each in found]


def test_a_failure_that_begins_during_a_hold_is_new_and_the_hold_goes_on_after_it(script: Script) -> None:
    script.has(scope("acme/a", thresholds=CAREFUL)).offers("acme/a", *"abcdefgh").run()
    script.offers("acme/a", "a").run()
    script.offers("acme/a", "h").run()
    script.fails("acme/a", Refused("no longer valid", status=401)).run(times=2)
    assert states(script, 2) == [("held", True, moment(2))]
    assert states(script, 3) == [("held", False, moment(2))]
    assert states(script, 4) == [("failed", True, moment(4))]
    assert states(script, 5) == [("failed", False, moment(4))]
    script.offers("acme/a", "d").run()
    assert states(script, 6) == [("held", False, moment(2))]
    script.offers("acme/a", *"abcdefgh").run()
    assert states(script, 7) == []


def test_a_hold_that_begins_during_a_failure_is_new(script: Script) -> None:
    script.has(scope("acme/a", thresholds=CAREFUL)).offers("acme/a", *"abcdefgh").run()
    script.fails("acme/a", Refused("no longer valid", status=401)).run()
    script.offers("acme/a", "a").run()
    assert states(script, 3) == [("held", True, moment(3))]


@pytest.mark.parametrize("unlike", NAMES)
def test_pending_removals_that_are_unlike_far_are_one_incident_without_their_distance(
    script: Script, unlike: str
) -> None:
    for name in NAMES:
        confirm = 5 if name == unlike else 3
        script.has(scope(name, thresholds=replace(NOTHING_HELD, confirm=confirm))).offers(
            name, "lyra", "vega"
        )
    script.run()
    for name in NAMES:
        script.drops(name, "lyra")
    script.run()
    found = summarise(script.store, Window(1, 2), watch=Watch(("lyra",)))
    (pending,) = found.incidents
    assert (pending.state, pending.scopes, pending.removal) == ("pending", NAMES, None)
