"""How answers about the past look: small charts, tables that fit, and names that cannot harm."""

from __future__ import annotations

import io
import sys
from decimal import Decimal

import pytest
from history.test_timeline import says
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import Script, row, scope

from pipeline.cli.compare import diff_lines, grid, matrix_lines, matrix_value, same_lines
from pipeline.cli.history import sparkline, timeline_lines
from pipeline.cli.options import side
from pipeline.cli.terminal import can_draw, width
from pipeline.history.availability import alike, matrices
from pipeline.history.compare import contrast
from pipeline.history.timeline import timelines
from pipeline.store import Store
from pipeline.store.catalog import Moment


@pytest.mark.parametrize(
    ("values", "drawn"),
    [((5, 2.5, 3), "█▁▂"), ((1, 2), "▁█"), ((4, 4), "▁▁"), ((0, 7, 14), "▁▄█"), (range(50), None)],
)
def test_a_chart_has_a_bar_for_each_price(values, drawn):
    """From the lowest to the highest; of many the last forty."""
    found = sparkline([Decimal(str(value)) for value in values])
    assert found == drawn if drawn else len(found) == 40


def test_a_chart_is_drawn_where_it_can_be(store: Store) -> None:
    """Beside what it draws; without it the line says the same in numbers."""
    for price in (5, 2, 3):
        says(store, row("lyra", cost={"in": price}))
    told = timelines(store, "lyra")
    line = "    input: $5 → $3 per 1M tokens (-40%) in 2 changes"
    assert list(timeline_lines(told, None, bars=True))[-1] == f"{line}  █▁▃"
    assert list(timeline_lines(told, None, bars=False))[-1] == line


class Screen(io.TextIOWrapper):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


@pytest.mark.parametrize(
    ("encoding", "term", "can"),
    [
        ("utf-8", "xterm", True),
        ("ascii", "xterm", False),
        ("utf-8", "dumb", False),
        ("cp437", "vt100", False),
    ],
)
def test_only_a_terminal_that_has_the_bars_is_drawn_on(monkeypatch, encoding, term, can):
    """One that lacks a letter, or is dumb, is told in numbers alone."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", Screen(io.BytesIO(), encoding=encoding))
    assert can_draw() is can


def test_nothing_is_drawn_into_a_pipe(monkeypatch):
    """What is not a terminal gets lines of eighty letters and no chart."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert (can_draw(), width()) == (False, 80)


def wide(script: Script) -> Script:
    """Twelve scopes, each with a model of its own and one that it alone lacks."""
    names = [f"acme/customer-{number:02}" for number in range(12)]
    for name in names:
        others = [f"all-but-{other[5:]}" for other in names if other != name]
        script.offers(name, "lyra", f"only-{name[5:]}", *others)
    script.run()
    return script


def test_a_matrix_that_is_too_wide_is_told_in_lines(script: Script) -> None:
    """To whom, or to whom not, whichever is shorter; no line is longer than the terminal."""
    (matrix,) = matrices(wide(script).store)
    lines = list(matrix_lines(grid(matrix, by="scope", all_too=True), 80))
    assert lines[0] == "acme: 24 of 25 models not offered to all of 12 scopes"
    assert "all-but-customer-07  not offered to customer-07" in lines
    assert "only-customer-07  offered to customer-07" in lines
    assert "lyra  offered to all" in lines
    assert max(map(len, lines)) <= 80


def test_a_matrix_that_fits_is_a_table(script: Script) -> None:
    """Scopes that are offered the same share a column, and are named above."""
    for name in ("acme/a", "acme/b", "acme/c"):
        script.offers(name, "lyra", "vega")
    script.drops("acme/b", "vega").run()
    (matrix,) = matrices(script.store)
    assert list(matrix_lines(grid(matrix, by="scope", all_too=False), 80)) == [
        "acme: 1 of 2 models not offered to all of 3 scopes",
        "  a +1: acme/a acme/c",
        "model  a +1  b",
        "vega   yes   -",
    ]


def test_a_group_can_be_offered_a_model_in_part(script: Script) -> None:
    """Where not all of its scopes are offered the same."""
    script.has(*(scope(f"acme/{name}", group="vip") for name in "ab"), scope("acme/c", group="free"))
    script.offers("acme/a", "lyra", "vega").offers("acme/b", "lyra").offers("acme/c", "lyra").run()
    (matrix,) = matrices(script.store)
    by_group = grid(matrix, by="group", all_too=False)
    assert matrix_value(by_group)["models"][0]["columns"] == {"free": "no", "vip": "some"}
    assert list(matrix_lines(by_group, 15))[1:] == ["vega  offered", "    to some of", "    vip"]


def test_what_is_quiet_is_counted(store: Store) -> None:
    """It is not called the same, and shown on request."""
    says(store, row("lyra", description="old"))
    says(store, row("lyra", description="new"))
    sides = side(store, "#1"), side(store, "#2")
    found = contrast(store, *sides)
    assert list(diff_lines(sides, found)) == ["(1 quiet: --all shows them)"]
    assert list(diff_lines(sides, found, quiet_too=True))[1:] == ["  ~ lyra  description: old → new"]


def test_a_word_that_is_a_scope_and_a_time_is_refused(script: Script) -> None:
    """It says how to write the one and the other."""
    script.offers("2d/prod", "lyra").run()
    script.store.connection.execute("update snapshots set started_at = '2001-01-01T00:00:00Z'")
    with pytest.raises(Exception, match="2d is a time and a scope: write @2d or 2d@now"):
        side(script.store, "2d")
    assert side(script.store, "2d@now").scopes == {"2d/prod"}
    assert side(script.store, "@2d").scopes is None
    assert side(script.store, "@#1").moment == Moment(run=1)


@given(st.text(min_size=1, max_size=12).filter(str.strip))
def test_no_name_can_steer_the_terminal(name: str) -> None:
    """Whatever a gateway calls a model, every line that tells of it is one printable line."""
    with Store.open(None) as store:
        script = Script(store).offers("acme/a", "anchor").offers("acme/b", "anchor")
        script.run()
        script.offers("acme/a", "anchor", name).offers("acme/b", "anchor").run()
        sides = side(store, "#1"), side(store, "now")
        shown = [
            *diff_lines(sides, contrast(store, *sides)),
            *same_lines(alike(store), 80),
            *(
                line
                for each in matrices(store)
                for line in matrix_lines(grid(each, by="scope", all_too=True), 80)
            ),
            *(
                line
                for story in [timelines(store, name)]
                if story
                for line in timeline_lines(story, None, bars=True)
            ),
        ]
    assert all("\x1b" not in line and len(line.splitlines()) <= 1 for line in shown)
