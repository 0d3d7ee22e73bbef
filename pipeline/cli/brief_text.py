"""A report on a terminal; elsewhere the same as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pipeline.renderings import render
from pipeline.renderings.layout import pages
from pipeline.renderings.page import Page, Section
from pipeline.renderings.words import Text as Said
from pipeline.reports.brief import Brief

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_MOST = 200
_TONES = {"urgent": "red", "breaking": "yellow", "notable": "blue", "calm": "green"}
_MARKS = {
    "id": "cyan",
    "value": "cyan",
    "command": "bold",
    "said": "italic",
    "name": "bold",
    "strong": "bold",
} | {
    "worse": "red",
    "better": "green",
    "faint": "dim",
}
_BARS = "▁▂▃▄▅▆▇█"


def tell(brief: Brief, language: str, console: Console | None = None) -> None:
    """Print a report: in colours on a terminal, else as plain text."""
    from rich.console import Console

    console = console or Console(highlight=False)
    if not console.is_terminal:
        click.echo(render(brief, "txt", language=language), nl=False)
        return
    for part in _parts(pages(brief, language)(_MOST)):
        console.print(part, highlight=False)


def _parts(shown: Page) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(f" {shown.badge} ", style=f"reverse bold {_TONES[shown.tone]}")
    headline = _styled(shown.headline)
    headline.stylize("bold")
    yield headline
    yield from map(_styled, shown.lead)
    window = _styled(shown.window)
    window.stylize("dim")
    yield window
    yield Text(" · ").join(Text(count.text, style=_MARKS.get(count.tone, "")) for count in shown.counts)
    if shown.picture:
        bars = "".join(
            _BARS[min(7, bar.height * 8 // 101)] if bar.total else " " for bar in shown.picture.bars
        )
        yield Text(f"{bars}  ", style="blue") + _styled(shown.picture.caption)
    for section in shown.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text(
        f"\n{section.title}", style=f"bold {_TONES[section.tone]}" if section.tone != "calm" else "bold"
    )
    for block in section.blocks:
        if block.title:
            yield Padding(_styled(block.title), (0, 0, 0, 2))
        if block.row:
            yield Padding(_styled(block.row), (0, 0, 0, 4))
        for item in block.items:
            yield Padding(_styled(item.head), (0, 0, 0, 4))
            for detail in (*item.details, *item.notes):
                yield Padding(_styled(detail), (0, 0, 0, 8))
        if block.more:
            yield Padding(_styled(block.more), (0, 0, 0, 4))
    if section.more:
        yield Padding(_styled(section.more), (0, 0, 0, 2))


def _styled(said: Said) -> Text:
    from rich.text import Text

    return Text.assemble(*((piece.text, _MARKS.get(piece.mark, "")) for piece in said), overflow="fold")
