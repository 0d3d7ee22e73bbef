"""What standard output can show: the characters of a chart, and the width of a line."""

from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest

from pipeline.cli.terminal import Column, can_draw, raw, table, width
from pipeline.core.canonical import pretty


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


def test_off_a_terminal_a_table_of_any_width_has_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column(f"column-{number}", folds=number > 5, spare=number) for number in range(9)]
    table(columns, [["x" * 190 for _ in columns], ["y z" for _ in columns]])
    headings, _, *lines = capsys.readouterr().out.splitlines()
    assert headings.split() == [column.heading for column in columns]
    assert " ".join(lines).split() == ["x" * 190] * 9 + ["y", "z"] * 9


def test_an_empty_table_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table([Column("one"), Column("two")], [])
    table([Column("one")], [[None], [""]])
    assert capsys.readouterr().out == ""


STEERING = 'a\x1b[2Jb\x9b31mc\x07d\u202ee\u200bf\ufeffg\x7fh\ri "ü模型😀"'


def test_on_a_terminal_control_characters_are_escaped_and_json_stays_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = pretty({"id": STEERING, "lines": "one\ntwo\tthree"})
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Screen(shown, encoding="utf-8"))
    raw(data)
    raw("model,id\r\nx\ty,\u202ez\r\n")
    text = shown.getvalue().decode()
    assert not any(unicodedata.category(letter) in {"Cc", "Cf"} for letter in text if letter not in "\r\n\t")
    written, csv = text.split("model,")
    assert json.loads(written) == json.loads(data)
    assert csv == "id\r\nx\ty,\\u202ez\r\n"


def test_off_a_terminal_every_character_is_printed_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="utf-8"))
    raw(STEERING)
    assert shown.getvalue().decode() == STEERING
