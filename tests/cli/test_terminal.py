"""What standard output can show: the characters of a chart, and the width of a line."""

from __future__ import annotations

import io
import sys

import pytest

from pipeline.cli.terminal import can_draw, width


class Screen(io.TextIOWrapper):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
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
def test_charts_are_drawn_only_on_a_terminal_with_their_characters(
    monkeypatch: pytest.MonkeyPatch, encoding: str, term: str, *, can: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", Screen(io.BytesIO(), encoding=encoding))
    assert can_draw() is can


def test_a_pipe_gets_no_chart_and_lines_of_eighty_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert (can_draw(), width()) == (False, 80)
