"""Print to a terminal, or plainly elsewhere: tables, raw text, a progress bar; and end on a signal."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import click

from pipeline.cli.streams import has_colours
from pipeline.core.text import UNSAFE, printable

_GAP = "  "

_PLAIN_WIDTH = 80

_WIDEST_TABLE = 500
"""The width of a table off a terminal."""

_NARROWEST = 24
"""The least width of the last column of a table, if it folds."""

_SIGNALLED = 128
"""A process that a signal ends has this exit status plus the signal's number."""

_INTERRUPTED = _SIGNALLED + signal.SIGINT

_SHOW_CURSOR = b"\x1b[?25h"
"""Undoes what the progress bar did to the terminal; see https://en.wikipedia.org/wiki/ANSI_escape_code."""


STATE_COLOURS = {"ok": "green", "failed": "red", "held": "yellow"}
"""The colours of the states of scopes."""


class Column(NamedTuple):
    """A column of a table.

    Args:
        heading: its first line.
        right: its cells are aligned right.
        folds: its cells are words, which may continue on the next line.
        spare: where a table is too wide, the column with the highest number is left out first; 0 never is.
        colours: the colour of a cell, by its text.
    """

    heading: str
    right: bool = False
    folds: bool = False
    spare: int = 0
    colours: Mapping[str, str] = MappingProxyType({})


_USUAL = 0.9
"""The share of the cells of a column for which its width is chosen; longer ones take more lines."""


def table(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table as wide as the terminal has room for; print nothing where there are no rows.

    Cells of columns that fold continue between two words; no word is broken, so that ids and times can be
    copied. If that is not enough, columns are left out on a terminal, and named below. Empty columns are left
    out. The few longest names of the first column may have a line of their own.

    Args:
        columns: from left to right.
        rows: their cells; None is an empty one.
    """
    from rich.cells import cell_len

    cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    places = [at for at, _ in enumerate(columns) if any(row[at] for row in cells)]
    if not places:
        return
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDEST_TABLE
    widths = {at: max(cell_len(columns[at].heading), *(cell_len(row[at]) for row in cells)) for at in places}
    left_out = _fit(columns, cells, widths, room)

    def text(at: int, cell: str) -> str:
        spaces = " " * (widths[at] - cell_len(cell))
        cell = coloured(cell, columns[at].colours.get(cell))
        return spaces + cell if columns[at].right else cell + spaces

    def lines(row: Sequence[str]) -> Iterator[str]:
        parts = [_folded(row[at], widths[at]) if columns[at].folds else [row[at]] for at in widths]
        if cell_len(parts[0][0]) > widths[places[0]]:
            yield parts[0][0]
            parts[0] = []
        for line in zip_longest(*parts, fillvalue=""):
            yield _GAP.join(map(text, widths, line)).rstrip()

    headings = _GAP.join(text(at, columns[at].heading) for at in widths).rstrip()
    rule = "─" * min(room, sum(widths.values()) + len(_GAP) * (len(widths) - 1))
    click.echo(
        "\n".join((coloured(headings, bold=True), rule, *(line for row in cells for line in lines(row))))
    )
    if left_out:
        click.echo(coloured(f"(no room for: {', '.join(left_out)})", faint=True))


def _fit(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: dict[int, int], room: int
) -> list[str]:
    """Narrow and remove columns until they fit into a width, as far as they can; return those removed."""
    from rich.cells import cell_len

    def usual(at: int) -> int:
        lengths = sorted(cell_len(row[at]) for row in rows)
        return lengths[int(_USUAL * (len(lengths) - 1))]

    def folded(at: int) -> int:
        longest_word = max(cell_len(word) for row in rows for word in row[at].split() or [""])
        # A column that can be left out gets no more than two lines for most of the rows.
        half = (usual(at) + 1) // 2 if columns[at].spare else 0
        return max(cell_len(columns[at].heading), longest_word, half)

    least = {at: folded(at) if columns[at].folds else width for at, width in widths.items()}
    last = max(widths)
    if columns[last].folds:
        # Where a long word of the last column ends does not matter to the others.
        least[last] = min(least[last], max(_NARROWEST, cell_len(columns[last].heading)))
    first = min(widths)
    if not columns[first].right:
        least[first] = max(cell_len(columns[first].heading), min(usual(first), room // 2))
    left_out = []
    while sum(least[at] for at in widths) + len(_GAP) * (len(widths) - 1) > room:
        at = max(widths, key=lambda at: columns[at].spare)
        if not columns[at].spare or not sys.stdout.isatty():
            break
        del widths[at]
        left_out.append(columns[at].heading)
    while sum(widths.values()) + len(_GAP) * (len(widths) - 1) > room:
        at = max(widths, key=lambda at: widths[at] if widths[at] > least[at] else 0)
        if widths[at] <= least[at]:
            break
        widths[at] -= 1
    return left_out


def _folded(text: str, width: int) -> list[str]:
    """Return the lines of a text, broken between words."""
    from rich.cells import cell_len

    lines = [""]
    for word in text.split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(line) <= width:
            lines[-1] = line
        elif lines[-1]:
            lines.append(word)
        else:
            lines[-1] = word
    return lines


def coloured(text: str, colour: str | None = None, *, bold: bool = False, faint: bool = False) -> str:
    """Return a text in a colour of click, where standard output shows colours."""
    if not has_colours() or not (colour or bold or faint):
        return text
    return click.style(text, fg=colour, bold=bold or None, dim=faint or None)


_GOOD, _BAD, _UNSURE, _BACK = {"fg": "green"}, {"fg": "red"}, {"fg": "yellow"}, {"fg": "cyan"}

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d"
"""A time as `core.times.minute` writes it."""

_TIMES = re.compile(_TIME)

_COLOURS: Sequence[tuple[str, Mapping[str, Any]]] = (
    # Changes and differences: an urgent one, the symbol with the model, and headings.
    (r"(?P<it>! )", _BAD | {"bold": True}),
    (r"(! |  )(?P<it>\+ .+?)(?=  |$)", _GOOD),
    (r"(! |  )(?P<it>- .+?)(?=  |$)", _BAD),
    (r"(! |  )(?P<it>~ .+?)(?=  |$)", _UNSURE),
    (r"(! |  )(?P<it>↩ .+?)(?=  |$)", _BACK),
    (rf"(?P<it>{_TIME}  .*|flapping|\S.*  \d+ → \d+ models?)$", {"bold": True}),
    # A timeline.
    (r"(?P<it>\S+ at \S+)$", {"bold": True}),
    (rf" {{4}}(?P<it>{_TIME})", {"dim": True}),
    (rf" {{4}}{_TIME}  (?P<it>added|offered|back)\b", _GOOD),
    (rf" {{4}}{_TIME}  (?P<it>removed|gone|missing|may be gone)\b", _BAD),
    (rf" {{4}}{_TIME}  (?P<it>returned)\b", _BACK),
    (r" {4}now +(?P<it>offered)", _GOOD),
    (r" {4}now +(?P<it>not offered|no longer asked)", _BAD),
    # Watched models.
    (r"  \S.*?  (?P<it>OK), ", _GOOD),
    (r" {6}(?P<it>removed|gone|missing)\b", _BAD),
    (r" {6}(?P<it>may be \w+|unknown)\b", _UNSURE),
    (r"(?P<it>(none of \d+ watched models needs|the watched model needs no) attention)", _GOOD),
    (r"(?P<it>(\d+ of \d+ watched models needs?|the watched model needs) attention)", _BAD),
    # The states of scopes.
    (r"\S.*?: (?P<it>failing|answers keep failing)\b", _BAD),
    (r"\S.*?: (?P<it>held|answers keep being held|\d+ pending removals?)\b", _UNSURE),
    (r"(?P<it>reports (waiting|refused))", _UNSURE),
    (r"(?P<it>(\d+) of \2 scopes? (is|are) healthy)", _GOOD),
    (r"(?P<it>(\d+) of (?!\2 )\d+ scopes? (is|are) healthy)", _BAD),
    (r" *(?P<it>\(.*\)|no changes|no difference: .*)$", {"dim": True}),
)
"""How lines for people are coloured: their forms, with the part `it`, and styles of `click.style`.

The forms are texts, compiled at their first use: most runs have no terminal.
"""


def paint(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines for people: on a terminal folded to its width, and in colours where it shows them.

    The lines are those of changes, differences, timelines, watched models and states of scopes. Indented ones
    are folded, between two words, and never within a time. The terminal folds the others, which may have
    commands: what is copied there has no line breaks.
    """
    if not sys.stdout.isatty():
        yield from lines
        return
    room = shutil.get_terminal_size().columns
    for line in lines:
        first, *rest = _hanging(line, room)
        yield _painted(first) if has_colours() else first
        yield from rest


_LEAD = re.compile(rf" {{4}}({_TIME}|now {{13}})  |(! |  )[+\-~↩] | +|! ")


def _hanging(line: str, room: int) -> list[str]:
    """Return the lines into which an indented line is folded; those after the first are indented more."""
    from rich.cells import cell_len

    lead = _LEAD.match(line)
    if lead is None or len(line) * 2 <= room or cell_len(line) <= room:
        return [line]
    indent = lead.end() if lead[1] else lead.end() + 2
    # The words of a time stay together.
    text = _TIMES.sub(lambda found: found[0].replace(" ", "\0"), line[lead.end() :])
    first, *rest = _folded(text, max(room - indent, _NARROWEST))
    return [part.replace("\0", " ") for part in (lead[0] + first, *(" " * indent + each for each in rest))]


def _painted(line: str) -> str:
    """Return a line in colours."""
    spans: dict[tuple[int, int], Mapping[str, Any]] = {}
    for pattern, style in _COLOURS:
        if found := re.match(pattern, line):
            spans[found.span("it")] = style
    return _styled(line, spans)


def _styled(line: str, spans: Mapping[tuple[int, int], Mapping[str, Any]]) -> str:
    parts, end = [], 0
    for (start, stop), style in sorted(spans.items()):
        if start >= end:
            parts += [line[end:start], click.style(line[start:stop], **style)]
            end = stop
    return "".join((*parts, line[end:]))


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


def raw_pieces(pieces: Iterable[str]) -> None:
    """Print the pieces of a text as `raw` does, while they are made."""
    waiting: list[str] = []
    for piece in pieces:
        waiting.append(piece)
        if len(waiting) == _PIECES:
            raw("".join(waiting))
            waiting.clear()
    raw("".join(waiting))


_PIECES = 200
"""So many pieces are written at once."""


class Bar:
    """A progress bar; this one draws nothing."""

    def step(self) -> None:
        """Advance by one."""

    def grow(self, total: int) -> None:
        """Set the number of steps, where it was unknown before."""


_REDRAWN_EVERY = 0.1
"""Seconds between two pictures of a progress bar."""


@contextmanager
def progress(total: int | None, *, quiet: bool, label: str = "asking") -> Iterator[Bar]:
    """Show a progress bar while the block runs, if standard error is a terminal.

    The `total` is None where it is unknown before the work begins.
    """
    if quiet or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import Progress

    # Without its own thread, so that the process can still be forked.
    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as drawn:
        task = drawn.add_task(label, total=total)
        drawn.refresh()

        class Drawn(Bar):
            due = 0.0

            def grow(self, total: int) -> None:
                drawn.update(task, total=total)

            def step(self) -> None:
                drawn.advance(task)
                if time.monotonic() >= self.due:
                    drawn.refresh()
                    self.due = time.monotonic() + _REDRAWN_EVERY

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
