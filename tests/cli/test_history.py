"""The command `history`: its lines, its charts, its JSON and CSV, and its errors."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.e2e import Job, printed, usage_error
from support.fakes import moment

from pipeline.cli.history import sparkline, timeline_lines
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange
from pipeline.history.timeline import StepKind, Timeline, TimelineStep
from pipeline.simulator import Gateway


def test_scopes_with_equal_timelines_share_the_lines(past: Job) -> None:
    assert printed(past, "history", "heron-2") == [
        "heron-2 at one",
        "  one/prod one/public",
        "    2026-05-01 06:00  offered, in the first answer; input $5.00, output $10.00 per 1M tokens",
        "    2026-05-02 06:00  input $5.00 → $2.50 per 1M tokens (−50 %)",
        "    2026-05-04 06:00  input $2.50 → $3.00 per 1M tokens (+20 %)",
        "                      output $10.00 → $12.00 per 1M tokens (+20 %)",
        "    2026-05-05 06:00  missing, to be confirmed by the next answers",
        "    (1 quiet change: `modelwatch show` shows them)",
        "    now               not offered",
        "    input $5.00 → $3.00 per 1M tokens (−40 %) in 2 changes",
    ]


def test_removal_and_return_have_their_times(past: Job) -> None:
    assert printed(past, "history", "quarry/slate") == [
        "quarry/slate at one",
        "  one/prod",
        "    2026-05-01 06:00  offered, in the first answer",
        "    2026-05-03 06:00  removed, missing since 2026-05-02 06:00",
        "    2026-05-04 06:00  returned after 2 days",
        "                      context 8 → 16 (+100 %)",
        "    now               offered",
        "  one/public",
        "    2026-05-01 06:00  offered, in the first answer",
        "    2026-05-03 06:00  removed, missing since 2026-05-02 06:00",
        "    now               not offered",
    ]


def test_since_counts_the_earlier_steps(past: Job) -> None:
    assert printed(past, "history", "quarry/slate", "--scope", "*/prod", "--since", "2026-05-04") == [
        "quarry/slate at one",
        "  one/prod",
        "    (2 earlier steps)",
        "    2026-05-04 06:00  returned after 2 days",
        "                      context 8 → 16 (+100 %)",
        "    now               offered",
    ]


def test_a_glob_shows_each_matching_model_and_an_exact_id_wins(past: Job) -> None:
    lines = printed(past, "history", "*e*-[23]", "--scope", "one/prod")
    assert [line for line in lines if line.endswith(" at one")] == ["heron-2 at one", "lumen-3 at one"]
    assert printed(past, "history", "[x]")[0] == "[x] at one"


def test_json_has_numbers_with_their_unit(past: Job) -> None:
    (timeline,) = past.quick("history", "heron-2", "--json").json()
    assert (timeline["scopes"], timeline["offered"]) == (["one/prod", "one/public"], False)
    assert [step["kind"] for step in timeline["steps"]] == ["first", "changed", "changed", "missing"]
    assert timeline["steps"][1]["prices"] == [
        {
            "name": "input",
            "before": 5,
            "after": 2.5,
            "percent": -50,
            "unit": "1M tokens",
            "source": "exact",
        }
    ]


def test_csv_has_a_row_for_each_scope_step_and_field(past: Job) -> None:
    rows = past.quick("history", "heron-2", "--csv", "--scope", "*/prod").rows()
    assert [(row["at"][8:10], row["kind"], row["field"], row["before"], row["after"]) for row in rows] == [
        ("01", "first", "input", "", "5"),
        ("01", "first", "output", "", "10"),
        ("02", "changed", "input", "5", "2.5"),
        ("04", "changed", "input", "2.5", "3"),
        ("04", "changed", "output", "10", "12"),
        ("05", "missing", "", "", ""),
    ]
    assert {row["unit"] for row in rows if row["field"]} == {"1M tokens"}


def test_an_unknown_model_is_answered_with_similar_ids(past: Job) -> None:
    """An id that differs only in case comes first."""
    assert "did you mean heron-2 or" in usage_error(past, "history", "Heron-2")
    assert "lumen-3" in usage_error(past, "history", "lumen-4")
    assert "no scope has ever been offered 'zz*'" in usage_error(past, "history", "zz*")


def test_an_unknown_scope_is_wrong_usage(past: Job) -> None:
    assert "no scope matches '*/nope': there are one/prod, one/public" in usage_error(
        past, "history", "heron-2", "--scope", "*/nope"
    )
    assert "no scope that matches 'one/public' has ever been offered 'lumen-3'" in usage_error(
        past, "history", "lumen-3", "--scope", "one/public"
    )


@pytest.mark.parametrize(
    ("values", "bars"),
    [((5, 2.5, 3), "█▁▂"), ((1, 2), "▁█"), ((4, 4), "▁▁"), ((0, 7, 14), "▁▄█")],
)
def test_a_sparkline_has_a_bar_for_each_value(values: Sequence[float], bars: str) -> None:
    assert sparkline([Decimal(str(value)) for value in values]) == bars


def test_a_sparkline_shows_the_last_forty_values() -> None:
    assert len(sparkline([Decimal(value) for value in range(50)])) == 40


def timeline(model: str, *steps: TimelineStep) -> Timeline:
    """Return the timeline of a model in one healthy scope."""
    return Timeline("acme", model, ("acme/prod",), (), "ok", None, None, steps)


def input_price(before: int | None, after: int) -> tuple[PriceChange, ...]:
    """Return a change of the price of input tokens."""
    first = None if before is None else Decimal(before)
    return (PriceChange("input", first, Decimal(after), "1M tokens", "exact"),)


def test_a_chart_follows_the_summary_of_a_price() -> None:
    """Without a chart the line is the same."""
    found = timeline(
        "lyra",
        TimelineStep(StepKind.FIRST, moment(1), prices=input_price(None, 5)),
        TimelineStep(StepKind.CHANGED, moment(2), prices=input_price(5, 2)),
        TimelineStep(StepKind.CHANGED, moment(3), prices=input_price(2, 3)),
    )
    line = "    input $5.00 → $3.00 per 1M tokens (−40 %) in 2 changes"
    assert list(timeline_lines([found], None, bars=True))[-1] == f"{line}  █▁▃"
    assert list(timeline_lines([found], None, bars=False))[-1] == line


@given(st.text(min_size=1, max_size=12).filter(str.strip))
def test_no_name_can_steer_the_terminal(name: str) -> None:
    change = FieldChange(name, None, f'"{name}"', "other")
    found = timeline(name, TimelineStep(StepKind.CHANGED, moment(1), fields=(change,)))
    for line in timeline_lines([found], None, bars=True):
        assert "\x1b" not in line
        assert len(line.splitlines()) <= 1


def test_after_a_prune_the_first_answer_is_only_the_first_that_is_kept(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    with Gateway() as one:
        one.offers("alpha")
        job.asks(one.url, name="one", attempts=1)
        job.quick("run", at="2026-01-01T06:00:00Z")
        one.offers("beta")
        job.quick("run", at="2026-02-01T06:00:00Z")
        one.offers("gamma")
        job.quick("run", at="2026-05-01T06:00:00Z")
        job.quick("run", at="2026-05-09T06:00:00Z")
    now = "2026-05-09T07:00:00Z"
    before = printed(job, "history", "alpha", at=now), printed(job, "show", "alpha", at=now)
    assert "    2026-01-01 06:00  offered, in the first answer" in before[0]
    assert any("offered since the beginning, 2026-01-01 06:00" in line for line in before[1])
    assert job.quick("prune", "--keep", "10d", at=now).code == 0
    after = printed(job, "history", "alpha", at=now), printed(job, "show", "alpha", at=now)
    assert "    2026-02-01 06:00  offered, in the first kept answer" in after[0]
    assert any("offered in the first kept answer, 2026-02-01 06:00, and since" in line for line in after[1])
