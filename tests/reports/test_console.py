"""Reports and events as lines for a terminal."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.events import ADDED, CHANGED, RECOVERY, REMOVED, REPORT, RETURNED

from pipeline.core.types import FieldChange, Kind
from pipeline.history.types import Event
from pipeline.reports.console import event_lines, recovery_lines, report_lines


def test_a_report_shows_changes_then_recoveries_then_failures_and_holds() -> None:
    assert list(report_lines(REPORT)) == [
        "2026-05-02 06:00  one/prod one/public",
        "  - old  removed, missing since 2026-05-01 06:00",
        "2026-05-02 06:00  one/public",
        "  ~ moved",
        "      pricing.input 0.0000025, removed",
        '      tags: (none) → ["a","b"]',
        "  ↩ back  returned after 1 day",
        "      context_length: 8000 → 16000",
        "2026-05-02 06:00  one/prod",
        "  + new/model:free",
        "1 quiet change: see `modelwatch changes --all`",
        "one/test: recovered after 1 day",
        "one/prod: 1 pending removal, not confirmed yet: gone",
        "one/public: held since 2026-05-02 06:00: the list is empty",
        "one/me: failed since 2026-05-01 06:00: no",
    ]


def test_a_report_without_changes_counts_the_answers() -> None:
    assert list(report_lines(replace(REPORT, events=(), recoveries=(), coverage=()))) == [
        "no changes; 2 of 3 scopes answered"
    ]


def test_more_than_three_scopes_are_counted_with_their_groups() -> None:
    many = replace(ADDED, scopes=tuple(f"one/s{number}" for number in range(40)), groups=("default", "vip"))
    heading, _ = event_lines([many])
    assert heading == "2026-05-02 06:00  one: 40 scopes in default, vip"


def test_the_ends_of_failures_and_holds_are_lines() -> None:
    held = replace(RECOVERY, state="held", scope="one/a")
    assert list(recovery_lines((RECOVERY, held, replace(held, scope="one/b", accepted=True)))) == [
        "one/test: recovered after 1 day",
        "one/a: answer held since 2026-05-01 06:00 dropped: the next answers differed",
        "one/b: answer held since 2026-05-01 06:00 accepted",
    ]


def test_similar_models_are_named() -> None:
    assert list(event_lines([replace(REMOVED, successor="new"), replace(ADDED, case_variant="NEW")])) == [
        "2026-05-02 06:00  one/prod one/public",
        "  - old  removed, missing since 2026-05-01 06:00  (probably replaced by new)",
        "2026-05-02 06:00  one/prod",
        "  + new/model:free  (differs only in case from NEW)",
    ]


def test_models_with_a_common_label_are_one_line() -> None:
    removed = [replace(REMOVED, model=f"vendor/{number}") for number in range(8)]
    returned = [replace(RETURNED, model=f"{number}:free", fields=()) for number in range(8)]
    changed = [replace(CHANGED, model=f"m{number}") for number in range(8)]
    assert list(event_lines((*removed, *returned, *changed))) == [
        "2026-05-02 06:00  one/prod one/public",
        "  - 8 models vendor/*  removed, missing since 2026-05-01 06:00",
        "2026-05-02 06:00  one/public",
        "  ↩ 8 models *:free  returned after 1 day",
        "  ~ 8 models",
        "      pricing.input 0.0000025, removed",
        '      tags: (none) → ["a","b"]',
    ]


def test_flapping_models_are_one_line_each() -> None:
    def price(before: str, after: str) -> Event:
        return replace(CHANGED, fields=(FieldChange("input", before, after, "price"),))

    gone = [replace(REMOVED, kind=kind) for kind in (Kind.REMOVED, Kind.RETURNED, Kind.REMOVED)]
    assert list(event_lines([*gone, price("1", "2"), price("2", "1"), price("1", "2")])) == [
        "flapping",
        "  - old  3 changes since 2026-05-02 06:00, now removed",
        "  ~ moved  3 changes since 2026-05-02 06:00, now",
        "      input 1 → 2 (+100 %)",
    ]
    *_, line = event_lines([price("1", "2"), price("2", "3"), price("3", "1")])
    assert line == "      input: 1, as before"


@given(st.text(), st.text(), st.text())
def test_no_text_of_a_gateway_adds_a_line(model: str, name: str, value: str) -> None:
    fields = (FieldChange(name, value, None, "other"), FieldChange(name, None, value, "price"))
    lines = list(event_lines([replace(CHANGED, model=model, fields=fields)]))
    assert len(lines) == 4
    assert all(len(line.splitlines()) <= 1 for line in lines)


def test_urgent_events_come_first_and_are_marked() -> None:
    urgent = replace(REMOVED, model="mine", urgent=True)
    report = replace(REPORT, events=(ADDED, REMOVED, urgent), recoveries=(), coverage=())
    assert [line for line in report_lines(report) if line.startswith(("  ", "! "))] == [
        "! - mine  removed, missing since 2026-05-01 06:00",
        "  - old  removed, missing since 2026-05-01 06:00",
        "  + new/model:free",
    ]


def test_urgent_events_are_never_folded() -> None:
    gone = [replace(REMOVED, model=f"vendor/{number}") for number in range(9)]
    gone.append(replace(REMOVED, model="vendor/mine", urgent=True))
    assert [line for line in event_lines(gone) if line.startswith("! ")] == [
        "! - vendor/mine  removed, missing since 2026-05-01 06:00"
    ]
    same = [replace(CHANGED, model=f"m{number}", urgent=number == 3) for number in range(9)]
    assert [line for line in event_lines(same) if line.startswith("! ")] == ["! ~ m3"]
    flapping = [replace(REMOVED, snapshot=number, urgent=number == 4) for number in range(2, 6)]
    lines = list(event_lines(flapping))
    assert "flapping" not in lines
    assert sum(line.startswith("! ") for line in lines) == 1
