"""A report on a terminal: the text of the mail in colours, whatever the names in it."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from support.summaries import FULL, HOSTILE, hostile

from pipeline.cli.reports import print_summary
from pipeline.core.text import UNSAFE
from pipeline.reports.render.message import render


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_adds_an_escape_sequence_to_the_terminal(text: str) -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, color_system=None, width=100)
    print_summary(hostile(text), "en", console)
    assert not re.search(f"(?!\n)[{UNSAFE}]", output.getvalue())
    assert "aihubmix/batch: key rejected" in output.getvalue()


def test_the_terminal_shows_the_text_in_colours(capsys: pytest.CaptureFixture[str]) -> None:
    output = io.StringIO()
    print_summary(FULL, "ja", Console(file=output, force_terminal=True, color_system="standard", width=400))
    assert "\x1b[" in output.getvalue()
    shown = re.sub(r"\x1b\[[\d;]*m", "", output.getvalue())
    for line in render(FULL, "txt", language="ja").splitlines():
        assert line.strip("= ") in shown or "▁" in line or "modelwatch" in line or line == "--"
    print_summary(FULL, "ja")
    assert capsys.readouterr().out == render(FULL, "txt", language="ja")
