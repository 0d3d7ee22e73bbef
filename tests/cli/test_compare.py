"""The command `diff`: its lines, its sides, its exit status and its errors."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.e2e import Job, printed, usage_error
from support.fakes import Script, body, read, record_run, result_of, row, scope

from pipeline.cli.compare import diff_lines
from pipeline.history.compare import compare
from pipeline.history.selectors import parse_side
from pipeline.store import Store

NOW = datetime(2026, 9, 21, tzinfo=UTC)


def test_two_times_are_compared_scope_by_scope(past: Job) -> None:
    assert printed(past, "diff", "2026-05-01T07:00", "2026-05-04T07:00") == [
        "one/prod  2026-05-01 07:00 → 2026-05-04 07:00  3 → 3 models",
        "  ~ heron-2",
        "      input $5.00 → $3.00 per 1M tokens (−40 %)",
        "      output $10.00 → $12.00 per 1M tokens (+20 %)",
        "      description new (new)",
        "  ~ quarry/slate  context 8 → 16 (+100 %)",
        "one/public  2026-05-01 07:00 → 2026-05-04 07:00  2 → 1 model",
        "  - quarry/slate",
        "  ~ heron-2",
        "      input $5.00 → $3.00 per 1M tokens (−40 %)",
        "      output $10.00 → $12.00 per 1M tokens (+20 %)",
        "      description new (new)",
    ]


def test_two_scopes_are_compared_by_model_id(past: Job) -> None:
    assert printed(past, "diff", "one/public", "one/prod") == [
        "one/public → one/prod  1 → 3 models",
        "  + lumen-3",
        "  + quarry/slate",
    ]
    assert printed(past, "diff", "one/prod@2026-05-02T07:00", "one/public@#2") == [
        "one/prod 2026-05-02 07:00 → one/public #2  2 → 1 model",
        "  - lumen-3",
    ]


@pytest.mark.parametrize(
    ("sides", "found"),
    [
        (("#2", "#3"), []),
        (("#1", "#2"), ["changed heron-2", "removed quarry/slate"]),
        (("#2", "#1"), ["changed heron-2", "added quarry/slate"]),
        (("one/public@#4",), ["added [x]", "removed heron-2"]),
        (("one/public@#4", "now"), ["added [x]", "removed heron-2"]),
        (("@#4", "one/public"), ["added [x]", "removed heron-2"]),
        (("one/p?b*@2026-05-04T06:00", "2026-05-05T06:00"), ["added [x]", "removed heron-2"]),
        (("one", "one/public"), ["removed lumen-3", "removed quarry/slate"]),
    ],
)
def test_a_side_is_a_moment_or_scopes_or_both(past: Job, sides: tuple[str, ...], found: list[str]) -> None:
    compared = past.quick("diff", *sides, "--json").json()["compared"]
    changes = {f"{each['kind']} {each['model']}" for part in compared for each in part["changes"]}
    assert sorted(changes) == sorted(found)
    rows = past.quick("diff", *sides, "--csv").rows()
    assert {f"{row['kind']} {row['model']}" for row in rows} == set(found)


def test_exit_code_1_means_that_the_sides_differ(past: Job) -> None:
    assert [past.quick("diff", "#1", end, "--exit-code").code for end in ("#1", "#2")] == [0, 1]
    assert past.quick("diff", "#1", "#2").code == 0
    assert printed(past, "diff", "#2", "#3") == ["no difference: one/prod one/public"]


@pytest.mark.parametrize(
    ("sides", "parts"),
    [
        (("prod",), ("'prod' is no time, no snapshot and no scope", "did you mean one/prod?")),
        (("other@now",), ("no scope is named 'other'",)),
        (("one/prod@soon",), ("'soon' in one/prod@soon is no time",)),
        (("#9",), ("there is no snapshot #9: the newest is #5",)),
        (("#x",), ("'#x' is no snapshot",)),
        (("2026-04-30", "now"), ("there is no data for 2026-04-30 00:00", "begins at 2026-05-01 06:00")),
    ],
)
def test_an_unknown_side_is_wrong_usage(past: Job, sides: tuple[str, ...], parts: tuple[str, ...]) -> None:
    message = usage_error(past, "diff", *sides)
    assert all(part in message for part in parts), message


def test_quiet_differences_are_counted_and_hidden(store: Store) -> None:
    for description in ("old", "new"):
        listing = read(body(row("lyra", description=description)))
        record_run(store, [scope("acme/prod")], {"acme/prod": result_of(listing)})
    found = compare(store, parse_side(store, "#1", NOW), parse_side(store, "#2", NOW))
    assert list(diff_lines(found)) == ["(1 quiet: --all shows them)"]
    assert list(diff_lines(found, quiet_too=True))[1:] == ["  ~ lyra  description old → new"]


@given(st.text(min_size=1, max_size=12).filter(str.strip))
def test_no_name_can_steer_the_terminal(name: str) -> None:
    with Store.open(None) as store:
        script = Script(store).offers("acme/a", "anchor")
        script.run()
        script.offers("acme/a", "anchor", name).run()
        found = compare(store, parse_side(store, "#1", NOW), parse_side(store, "now", NOW))
    for line in diff_lines(found):
        assert "\x1b" not in line
        assert len(line.splitlines()) <= 1
