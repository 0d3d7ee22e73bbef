"""Reports of many scopes: they stay small, and whatever they leave out is counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.e2e import rows, valid
from support.events import ADDED, FAILED, HELD, RECOVERY, REPORT

from pipeline.history.types import Coverage, Event, Recovery
from pipeline.reports.console import report_lines
from pipeline.reports.csv_json import FIRST_NAMES, MOST_NAMES, as_csv, as_json, event_value
from pipeline.reports.types import FirstAnswer, Report
from pipeline.store.coverage import scope_counts

NAMES = tuple(f"one/customer-{number:06d}" for number in range(100_000))
MANY = NAMES[:10_000]


def report_of(
    coverage: Sequence[Coverage] = (),
    *,
    events: Sequence[Event] = (),
    recoveries: Sequence[Recovery] = (),
    first_answers: Sequence[FirstAnswer] = (),
) -> Report:
    """Return a report of some scopes in trouble."""
    counts = scope_counts(Counter(each.gateway for each in coverage), coverage)
    return replace(
        REPORT,
        coverage=tuple(coverage),
        events=tuple(events),
        recoveries=tuple(recoveries),
        first_answers=tuple(first_answers),
        scopes=counts,
    )


def as_value(report: Report) -> dict[str, Any]:
    """Return the JSON of a report, which is valid."""
    return valid(json.loads(as_json(report)))


def refused(*names: str) -> list[Coverage]:
    """Return scopes whose key is rejected."""
    return [replace(FAILED, scope=name) for name in names]


def test_a_hundred_thousand_scopes_that_are_refused_are_one_short_entry() -> None:
    report = report_of(refused(*NAMES))
    text = as_json(report)
    assert len(text) < 10_000
    assert sum(map(len, report_lines(report))) < 1_000
    value = valid(json.loads(text))
    (entry,) = value["coverage"]
    assert (entry["scope_count"], entry["scopes"]) == (100_000, list(NAMES[:FIRST_NAMES]))
    assert (entry["state"], entry["error"]["class"], entry["variants"]) == ("failed", "Refused", 1)
    assert value["scopes"]["failed"] == value["scopes"]["asked"] == 100_000
    assert value["commands"]["scopes"] == "modelwatch scopes --json"


def test_up_to_a_hundred_scopes_are_all_named() -> None:
    names = NAMES[:MOST_NAMES]
    report = report_of(refused(*names), events=[replace(ADDED, scopes=names)])
    value = as_value(report)
    assert value["coverage"][0]["scopes"] == value["changes"][0]["scopes"] == list(names)
    (row,) = rows(as_csv(report.events))
    assert (row["scopes"].split(), row["scope_count"]) == (list(names), "100")


def test_the_failures_of_many_scopes_that_name_each_key_become_one_entry() -> None:
    coverage = [
        replace(FAILED, scope=name, error_class="Unresolved", message=f"${number} is not set")
        for number, name in enumerate(MANY)
    ]
    value = as_value(report_of([*coverage, replace(HELD, scope="one/held")]))
    unresolved, held = value["coverage"]
    assert (unresolved["scope_count"], unresolved["variants"]) == (len(MANY), len(MANY))
    assert unresolved["error"]["message"] == "$0 is not set"
    assert (held["scopes"], held["variants"]) == (["one/held"], 1)


def test_a_change_in_many_scopes_has_their_number_and_the_first_names() -> None:
    groups = tuple(f"g{number:04d}" for number in range(1_000))
    event = replace(ADDED, scopes=MANY, groups=groups)
    report = report_of(events=[event] * 3)
    for text in (as_csv(report.events), as_json(report)):
        assert len(text) < 10_000
    value = as_value(report)["changes"][0]
    assert (value["scope_count"], value["scopes"]) == (len(MANY), list(MANY[:FIRST_NAMES]))
    assert (value["group_count"], value["groups"]) == (1_000, list(groups[:FIRST_NAMES]))
    row = rows(as_csv([event]))[0]
    assert (row["scope_count"], row["group_count"]) == ("10000", "1000")
    assert row["scopes"].split() == list(MANY[:FIRST_NAMES])
    assert event_value(event)["scopes"] == list(MANY)


def test_recoveries_and_first_answers_of_many_scopes_are_short_too() -> None:
    recoveries = [replace(RECOVERY, scope=name, models=number) for number, name in enumerate(MANY)]
    value = as_value(report_of(recoveries=recoveries, first_answers=[FirstAnswer("one", MANY, 7)]))
    (ended,) = value["recoveries"]
    assert (ended["scope_count"], ended["models"], ended["variants"]) == (len(MANY), None, len(MANY))
    (first,) = value["first_answers"]
    assert (first["scope_count"], first["models"], len(first["scopes"])) == (len(MANY), 7, FIRST_NAMES)


problems = st.lists(
    st.builds(
        lambda scope, gateway, base, message: replace(
            base, scope=f"{gateway}/{scope}", gateway=gateway, message=message
        ),
        st.integers(0, 400),
        st.sampled_from(["one", "two"]),
        st.sampled_from([FAILED, HELD, replace(FAILED, error_class="Throttled", urgent=False)]),
        st.integers(0, 30).map(str),
    ),
    unique_by=lambda each: each.scope,
    max_size=300,
)


@given(problems)
def test_every_scope_is_counted_in_one_entry(coverage: list[Coverage]) -> None:
    value = as_value(report_of(sorted(coverage, key=lambda each: each.scope)))
    counts = Counter(each["state"] for each in value["coverage"] for _ in range(each["scope_count"]))
    assert counts == Counter(each.state for each in coverage)
    assert value["scopes"]["asked"] == len(coverage)
    of = {each.scope: each for each in coverage}
    for entry in value["coverage"]:
        assert entry["scopes"] == sorted(entry["scopes"])
        assert all(of[name].state == entry["state"] for name in entry["scopes"])
        if entry["variants"] == 1:
            assert {of[name].message for name in entry["scopes"]} == {entry["error"]["message"]}


@pytest.mark.parametrize("since", [None, "2026-05-01T06:00:00Z"])
def test_a_report_names_the_command_that_prints_its_changes_in_full(since: str | None) -> None:
    command = as_value(replace(REPORT, since=since))["commands"]["changes"]
    window = "--since 2026-05-01T06:00:01Z " if since else ""
    assert command == f"modelwatch changes {window}--until 2026-05-02T06:00:01Z --json"
