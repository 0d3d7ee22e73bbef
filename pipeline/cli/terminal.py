"""Write for a terminal, or plainly off it: tables, lines, a progress bar."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from pipeline.core.text import printable
from pipeline.delivery.monitoring import Monitor
from pipeline.reports.csv_json import cell

_BY_SIGNAL = 128


@contextmanager
def terminable(signals: Monitor) -> Iterator[None]:
    """Let SIGTERM end the program as ever, after the signs are given; a second one does not wait."""
    here = threading.current_thread() is threading.main_thread()
    if not signals.active or not here or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        signals.interrupt(_BY_SIGNAL + number)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


_WIDE = 500


_GAP = "   "


_PLAIN = 80


_INTERRUPTED = 130


_SHOW_CURSOR = b"\x1b[?25h"  # the progress bar has hidden it


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print a table; on a terminal it is as wide as the terminal, elsewhere as wide as it must be."""
    from rich.cells import cell_len

    cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    places = range(len(columns))
    widths = [max(cell_len(row[at]) for row in (columns, *cells)) for at in places]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
    if sum(widths) + len(_GAP) * (len(columns) - 1) > room:
        _folded(columns, cells, right, room)
        return

    def line(row: Sequence[str]) -> str:
        spaces = [" " * (widths[at] - cell_len(row[at])) for at in places]
        drawn = (spaces[at] + row[at] if columns[at] in right else row[at] + spaces[at] for at in places)
        return _GAP.join(drawn).rstrip()

    rule = "─" * (sum(widths) + len(_GAP) * (len(columns) - 1))
    click.echo("\n".join((line(columns), rule, *map(line, cells))))


def _folded(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str], room: int) -> None:
    """Print a table that is wider than there is room: long cells go on below."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    console = Console(width=room, highlight=False)
    with console.capture() as capture:
        console.print(drawn)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as CSV, each cell harmless in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def raw(text: str) -> None:
    """Print a text as it is, as UTF-8 with its own line ends."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


@contextmanager
def interruptible(leaving: Callable[[int], None] = lambda _code: None) -> Iterator[None]:
    """Leave at once on Ctrl-C, as one that is killed does: what is not committed never was.

    `leaving` is told the exit code before; a second Ctrl-C does not wait for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(_number: int, _frame: object) -> None:
        if sys.stderr.isatty():
            os.write(2, _SHOW_CURSOR)
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
        leaving(_INTERRUPTED)
        os._exit(_INTERRUPTED)

    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Bar:
    """Counts answers up; does nothing off a terminal."""

    def step(self) -> None:
        """Count one more."""


@contextmanager
def progress(total: int, *, quiet: bool, doing: str = "asking") -> Iterator[Bar]:
    """Show a progress bar on a terminal, and nothing anywhere else."""
    if quiet or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(doing, total=total)

        class Drawn(Bar):
            def step(self) -> None:
                drawn.advance(task)

        yield Drawn()


def can_draw() -> bool:
    """Say whether standard output is a terminal that has the letters of a small chart."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return False
    try:
        "▁█".encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def width() -> int:
    """Give how many letters a line may have: the terminal's, 80 elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN
