"""Reports and events as lines for a terminal."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.events import ADDED, CHANGED, RECOVERY, REMOVED, REPORT, RETURNED

from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Kind
from pipeline.history.types import Event
from pipeline.reports.console import change_texts, event_lines, recovery_lines, report_lines


def first_six(pattern: str) -> str:
    """Return the names of six models."""
    return ", ".join(map(pattern.format, range(6)))


def test_a_report_shows_changes_then_recoveries_then_failures_and_holds_with_their_cures() -> None:
    assert list(report_lines(REPORT)) == [
        "2026-05-02 06:00  one/prod one/public",
        "  - old  removed, missing since 2026-05-01 06:00",
        "2026-05-02 06:00  one/public",
        "  ~ moved",
        "      pricing.input 0.0000025, removed",
        "      tags a, b (new)",
        "  ↩ back  returned after 1 day",
        "      context 8,000 → 16,000 (+100 %)",
        "2026-05-02 06:00  one/prod",
        "  + new/model:free",
        "1 quiet change: see `modelwatch changes --all`",
        "one/test: recovered after 1 day",
        (
            "one/public: held since 2026-05-02 06:00: the list is empty. "
            "To accept it now: modelwatch accept one/public"
        ),
        (
            "one/me: failing since 2026-05-01 06:00: no. "
            "Set a valid cookie, access token or password in the place that the config names."
        ),
        "one/prod: 1 pending removal, not confirmed yet: gone",
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
        "one/a: answer held since 2026-05-01 06:00 dropped, a later answer differed",
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
    removed = [replace(REMOVED, model=f"v/{number}") for number in range(8)]
    returned = [replace(RETURNED, model=f"{number}:free", fields=()) for number in range(8)]
    changed = [replace(CHANGED, model=f"m{number}") for number in range(8)]
    assert list(event_lines((*removed, *returned, *changed))) == [
        "2026-05-02 06:00  one/prod one/public",
        f"  - 8 v/* models: {first_six('v/{}')} and 2 more  removed, missing since 2026-05-01 06:00",
        "2026-05-02 06:00  one/public",
        f"  ↩ 8 *:free models: {first_six('{}:free')} and 2 more  returned after 1 day",
        f"  ~ 8 models: {first_six('m{}')} and 2 more",
        "      pricing.input 0.0000025, removed",
        "      tags a, b (new)",
    ]


def test_times_that_differ_among_folded_models_are_a_range() -> None:
    removed = [
        replace(REMOVED, model=f"m-{number}", owned_by="custom", since=f"2026-05-01T0{number}:00:00Z")
        for number in range(8)
    ]
    returned = [
        replace(RETURNED, model=f"{number}:free", fields=(), away_seconds=3600 * (1 + number))
        for number in range(8)
    ]
    between = "first missing between 2026-05-01 00:00 and 2026-05-01 07:00"
    assert list(event_lines((*removed, *returned)))[1::2] == [
        f"  - 8 models (owner custom): {first_six('m-{}')} and 2 more  removed, {between}",
        f"  ↩ 8 *:free models: {first_six('{}:free')} and 2 more  returned after 1 h to 8 h",
    ]


def test_a_shutdown_date_has_the_same_words_whatever_its_field() -> None:
    def texts(*fields: FieldChange, today: str = "2026-05-01") -> list[str]:
        return change_texts(fields, (), today=today)

    def date(before: str | None, after: str | None, field: str = "expiration_date") -> FieldChange:
        return FieldChange(field, before, after, "lifecycle")

    assert texts(date(None, "2026-08-01")) == ["shutdown 1 Aug 2026, in 92 days (new)"]
    assert texts(date("null", "2026-08-01", "shutdown_date"), today="") == ["shutdown 1 Aug 2026 (new)"]
    assert texts(date("2026-08-01", "2026-06-01")) == ["shutdown 1 Aug → 1 Jun 2026 (earlier)"]
    assert texts(date("2026-08-01", "2027-01-01")) == ["shutdown 1 Aug 2026 → 1 Jan 2027 (later)"]
    assert texts(date("2026-08-01", None)) == ["shutdown date withdrawn (was 1 Aug 2026)"]
    both = (date(None, "2026-08-01"), date(None, "2026-08-01T00:00:00Z", "deprecated_at"))
    assert texts(*both) == ["shutdown 1 Aug 2026, in 92 days (new)"]
    differing = (date(None, "2026-08-01", "deprecation.tuning"), date(None, "2026-09-01", "deprecation.use"))
    assert texts(*differing) == [
        "deprecation.tuning 1 Aug 2026, in 92 days (new)",
        "deprecation.use 1 Sep 2026, in 123 days (new)",
    ]
    assert texts(date(None, "true", "deprecated")) == ["deprecated true (new)"]


def test_the_fields_that_make_a_change_urgent_come_first() -> None:
    cut = FieldChange("context_length", "1000000", "256000", "limits")
    end = FieldChange("shutdown_date", None, "2026-06-01", "lifecycle")
    line, *texts = list(event_lines([replace(CHANGED, fields=(cut, end), urgent=True)]))[1:]
    assert line == "! ~ moved"
    assert texts == ["      shutdown 1 Jun 2026 (new)", "      context 1,000,000 → 256,000 (−74.4 %)"]


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
    assert line == "      input 1, as before"


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


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("2", "3", "2", "3"), ["      input $2.00 → $3.00 per 1M tokens (+50 %)"]),
        (("2", "3", "4", "2"), ["      input $2.00 per 1M tokens, as before"]),
        ((None, "2", "3", None), ["      pricing.input, as before"]),
        ((None, "2", None, "3"), ["      input $3.00 per 1M tokens, new"]),
        (("2", None, "3", "2"), ["      input $2.00 per 1M tokens, as before"]),
    ],
)
def test_a_price_that_changed_repeatedly_has_its_present_side(
    values: tuple[str | None, ...], expected: list[str]
) -> None:
    def change(way: tuple[str | None, str | None]) -> PriceChange:
        sides = (None if side is None else Decimal(side) for side in way)
        return PriceChange("input", *sides, unit="1M tokens", source="exact")

    steps = [
        replace(CHANGED, fields=(FieldChange("pricing.input", *way, "price"),), prices=(change(way),))
        for way in pairwise(values)
    ]
    heading, line, *lines = event_lines(steps)
    assert (heading, line.partition(" since ")[0]) == ("flapping", "  ~ moved  3 changes")
    assert lines == expected
