"""Print to a terminal, or plainly elsewhere: tables, raw text, a progress bar; and end on a signal."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pipeline.core.text import UNSAFE, printable

_GAP = "   "

_PLAIN_WIDTH = 80

_WIDEST_TABLE = 500
"""Columns of a table off a terminal; a wider one is folded."""

_SIGNALLED = 128
"""A process that a signal ends has this exit status plus the signal's number."""

_INTERRUPTED = _SIGNALLED + signal.SIGINT

_SHOW_CURSOR = b"\x1b[?25h"
"""Undoes what the progress bar did to the terminal; see https://en.wikipedia.org/wiki/ANSI_escape_code."""


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print a table, folded where it is wider than the terminal.

    Args:
        columns: their headings.
        rows: the cells; None is an empty one.
        right: headings of the columns that are aligned right.
    """
    from rich.cells import cell_len

    cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    places = range(len(columns))
    widths = [max(cell_len(row[at]) for row in (columns, *cells)) for at in places]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDEST_TABLE
    if sum(widths) + len(_GAP) * (len(columns) - 1) > room:
        _folded_table(columns, cells, right, room)
        return

    def line(row: Sequence[str]) -> str:
        spaces = [" " * (widths[at] - cell_len(row[at])) for at in places]
        padded = (spaces[at] + row[at] if columns[at] in right else row[at] + spaces[at] for at in places)
        return _GAP.join(padded).rstrip()

    rule = "─" * (sum(widths) + len(_GAP) * (len(columns) - 1))
    click.echo("\n".join((line(columns), rule, *map(line, cells))))


def _folded_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str], room: int
) -> None:
    """Print a table in which long cells continue on the next line."""
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


_STEERING = re.compile(rf"(?!\t|\r?\n)[{UNSAFE}]")
"""The characters that could steer a terminal, or change what is seen there; no ends of lines."""


def raw(text: str) -> None:
    """Print a text as UTF-8, its line ends unchanged.

    On a terminal, other control characters are escaped as JSON does; JSON remains the same value.
    """
    if sys.stdout.isatty():
        text = _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


class Bar:
    """A progress bar; this one draws nothing."""

    def step(self) -> None:
        """Advance by one."""


@contextmanager
def progress(total: int, *, quiet: bool, label: str = "asking") -> Iterator[Bar]:
    """Show a progress bar while the block runs, if standard error is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(label, total=total)

        class Drawn(Bar):
            def step(self) -> None:
                drawn.advance(task)

        yield Drawn()


@contextmanager
def interruptible(on_interrupt: Callable[[int], None] | None = None) -> Iterator[None]:
    """Exit at once on Ctrl-C while the block runs; what is not committed is not written.

    Args:
        on_interrupt: called with the exit status before; a second Ctrl-C does not wait for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        if sys.stderr.isatty():
            os.write(2, _SHOW_CURSOR)
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
        if on_interrupt:
            on_interrupt(_INTERRUPTED)
        os._exit(_INTERRUPTED)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def terminable(on_terminate: Callable[[int], None] | None) -> Iterator[None]:
    """Call a function when SIGTERM ends the program while the block runs; a second SIGTERM does not wait.

    Args:
        on_terminate: called with the exit status; None leaves the signal alone.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if on_terminate is None or not main_thread or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        on_terminate(_SIGNALLED + number)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def can_draw() -> bool:
    """Return whether standard output is a terminal with the characters of a small chart."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return False
    try:
        "▁█".encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def width() -> int:
    """Return the characters of a line: the terminal's, 80 elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_WIDTH


def program_words() -> str:
    """Return how to start this program from here: its launcher, its name or its path."""
    root = Path(__file__).resolve().parents[2]
    if Path(sys.prefix).resolve() == root / ".venv":
        return shlex.quote(str(relative_path(root / "cron" / "modelwatch")))
    started = Path(sys.argv[0])
    if started.name != "modelwatch":
        return f"{shlex.quote(sys.executable)} -m pipeline"
    found = shutil.which(started.name)
    return (
        started.name if found and Path(found).samefile(started) else shlex.quote(str(relative_path(started)))
    )


def relative_path(path: Path) -> Path:
    """Return a path below the working directory as relative, any other as absolute."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
