"""Net changes of groups of users: their ratios, and groups that are new, gone or back."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from support.fakes import moment

from pipeline.core.impact import severity
from pipeline.core.types import GROUP_FIELD, FieldChange, Kind, Severity
from pipeline.history.types import Event
from pipeline.reports.folding import fold_events
from pipeline.reports.types import NetChange


def group_event(at: int, *fields: FieldChange, **more: Any) -> Event:
    """Return an event of the group svip of one user."""
    found = {"scopes": ("acme/ada",), "groups": ("svip",), "models": ("lyra", "vega"), "listed": 2} | more
    return Event(
        at=moment(at), snapshot=at, kind=Kind.GROUP, gateway="acme", model="", fields=fields, **found
    )  # fmt: skip


def ratios(*values: str | None, **more: Any) -> list[Event]:
    """Return the events of a ratio that takes these values."""
    steps = enumerate(pairwise(values), 1)
    return [group_event(at, FieldChange("ratio", *way, "price"), **more) for at, way in steps]


def gone(at: int) -> Event:
    """Return the event of a group that is gone."""
    return group_event(at, FieldChange(GROUP_FIELD, '"svip"', None, "other"), since=moment(at - 1))


def back(at: int, since: int, *more: FieldChange) -> Event:
    """Return the event of a group that is back."""
    here = FieldChange(GROUP_FIELD, None, '"svip"', "other")
    return group_event(at, here, *more, since=moment(since), away_seconds=3600 * (at - since))


def only(events: list[Event]) -> NetChange:
    """Return the only net change of some events."""
    (change,) = fold_events(events, {})
    return change


def sides(change: NetChange) -> list[tuple[str | None, str | None]]:
    """Return the values of the ratio before and after."""
    return [
        (each.before, each.after) for each in (*change.prices, *change.fields) if each.before != each.after
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("0.3", "0.6"), Severity.BREAKING),
        (("0.6", "0.3"), Severity.NOTABLE),
        (("0.3", "0.6", "0.9"), Severity.BREAKING),
        (("0.3", "0.9", "0.6"), Severity.BREAKING),
        (("0.6", "0.9", "0.3"), Severity.NOTABLE),
    ],
)
def test_the_ratio_of_a_group_is_net_and_a_rise_is_breaking(
    values: tuple[str, ...], expected: Severity
) -> None:
    change = only(ratios(*values))
    assert [tuple(map(str, each)) for each in sides(change)] == [(values[0], values[-1])]
    assert (change.severity, change.steps, change.reverted) == (expected, len(values) - 1, False)
    assert (change.kind, change.groups, change.models, change.listed) == (
        Kind.GROUP, ("svip",), ("lyra", "vega"), 2,
    )  # fmt: skip


@pytest.mark.parametrize("values", [("1", "2", "1"), ("2", "1", "3", "2")])
def test_a_ratio_that_ends_where_it_began_is_no_change(values: tuple[str, ...]) -> None:
    assert fold_events(ratios(*values), {}) == ()


def test_a_group_that_was_gone_and_is_as_before_is_a_notable_change() -> None:
    change = only([gone(3), back(8, 2)])
    assert (change.reverted, change.severity, change.steps) == (True, Severity.NOTABLE, 2)
    assert (change.since, change.away_seconds, change.at) == (moment(2), 6 * 3600, moment(8))


def test_a_group_that_is_back_with_another_ratio_has_that_change_alone() -> None:
    change = only([gone(3), back(8, 2, FieldChange("ratio", "0.3", "0.6", "price"))])
    assert (change.reverted, change.severity) == (False, Severity.BREAKING)
    assert [tuple(map(str, each)) for each in sides(change)] == [("0.3", "0.6")]


def test_a_group_that_was_new_and_is_gone_within_the_window_is_notable() -> None:
    new = group_event(2, FieldChange(GROUP_FIELD, None, '"svip"', "other"))
    assert [(each.reverted, each.severity) for each in fold_events([new, gone(4)], {})] == [
        (True, Severity.NOTABLE)
    ]
    assert severity(Kind.GROUP, (), gone(4).fields, urgent=False) == Severity.BREAKING


def test_users_with_the_same_change_share_it_and_those_with_another_do_not() -> None:
    same = [each for name in ("acme/bea", "acme/ada") for each in ratios("1", "2", scopes=(name,))]
    other = ratios("1", "3", scopes=("acme/cid",))
    found = fold_events([*same, *other], {})
    assert [(each.scopes, [str(side) for side in sides(each)[0]]) for each in found] == [
        (("acme/ada", "acme/bea"), ["1", "2"]),
        (("acme/cid",), ["1", "3"]),
    ]


def test_groups_of_one_user_have_changes_of_their_own() -> None:
    events = ratios("1", "2") + ratios("1", "2", groups=("vip",))
    assert {each.groups for each in fold_events(events, {})} == {("svip",), ("vip",)}


@pytest.mark.parametrize("urgent", [(True, False), (False, True)])
def test_one_urgent_step_makes_the_change_of_a_group_urgent(urgent: tuple[bool, bool]) -> None:
    steps = [
        group_event(at, FieldChange("ratio", *way, "price"), urgent=each)
        for at, (way, each) in enumerate(zip(pairwise("123"), urgent, strict=True), 1)
    ]
    assert only(steps).severity == Severity.URGENT


def test_the_models_of_a_group_are_those_at_its_last_step() -> None:
    first, last = ratios("1", "2", "3")
    change = only([first, group_event(2, *last.fields, models=("lyra",), listed=1, watched_models=("lyra",))])
    assert (change.models, change.listed, change.watched_models) == (("lyra",), 1, ("lyra",))
