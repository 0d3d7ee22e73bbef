"""The text of the demo: an introduction, each step, the files that it leaves, and commands to try next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from shlex import quote
from textwrap import wrap

from msgspec import Struct

from pipeline.api import Home
from pipeline.core.times import minute
from pipeline.demo.directory import CONFIG, DATABASE, REPORTS
from pipeline.demo.play import Step
from pipeline.demo.script import INTERVAL, KEYS, RUNS
from pipeline.reports.console import event_lines

_MATRIX = "SELECT model, offered_to FROM matrix"
"""An example for people; it is not run here."""

_EXCERPT_DAYS = 3
"""The changes of so many days are printed at the end."""

_YEAR = len("2026-")

_MARGIN = len("01-01 00:00") + 2


class Shell(Struct, frozen=True):
    """How to write commands: the program, a program for SQLite files, and the demo's directory."""

    program: str
    sql: str
    directory: str

    def command(self, words: str) -> str:
        """Return a command of modelwatch on the demo's directory."""
        return f"{self.program} {words} --home {quote(self.directory)}"


def opening_lines() -> Iterator[str]:
    """Yield the introduction."""
    days, hours = (RUNS - 1) * INTERVAL / timedelta(days=1), INTERVAL / timedelta(hours=1)
    asked = f"asked every {hours:g} hours with {len(KEYS)} keys and without one"
    yield f"{days:g} days of a made-up gateway, {asked}."
    yield "Gateway, requests, database and reports are real; only the clock is set forward."
    yield ""
    yield f"{'Time (UTC)':{_MARGIN}}What happens at the gateway, and below it what modelwatch reports"


def step_lines(step: Step, *, width: int) -> Iterator[str]:
    """Yield the lines of a step, wrapped at `width`."""
    scene = step.scene or "Nothing new at the gateway."
    yield f"{minute(step.at)[_YEAR:]:{_MARGIN}}{scene}"
    lead, hang = " " * (_MARGIN + 2), " " * (_MARGIN + 4)
    for line in step.lines:
        if len(lead) + len(line) <= width:
            yield lead + line  # Wrapping would destroy its columns.
        else:
            yield from wrap(line, width, initial_indent=lead, subsequent_indent=hang)


def closing_lines(home: Home, shell: Shell, *, steps: int) -> Iterator[str]:
    """Yield the latest changes, the files, and commands to try next.

    Args:
        home: the demo's.
        shell: how to write the commands.
        steps: how many steps were printed.
    """
    yield f"{'':{_MARGIN}}({RUNS - steps} more runs had nothing to report.)"
    yield ""
    yield f"$ {shell.command(f'changes --since {_EXCERPT_DAYS}d')}"
    yield from event_lines(home.changes(since=f"{_EXCERPT_DAYS}d"))
    yield ""
    yield "Files of the demo"
    yield from _aligned(*_files(home, Path(shell.directory)))
    yield ""
    yield "What to try next"
    yield from _aligned(*_commands(shell))


def _files(home: Home, directory: Path) -> Iterator[tuple[object, str]]:
    scopes, models = len(home.scopes()), len(home.models())
    reports = len(home.outbox(include_sent=True))
    yield directory / CONFIG, "the config"
    yield directory / DATABASE, f"{RUNS} runs of {scopes} scopes; {models} models on offer"
    yield directory / REPORTS, f"{reports} reports as CSV and JSON; latest.csv is the newest"


def _commands(shell: Shell) -> Iterator[tuple[object, str]]:
    database = quote(str(Path(shell.directory) / DATABASE))
    yield "all changes", shell.command("changes")
    yield "the same as a report", shell.command("report --since 3w --as txt")
    yield "everything in a browser", shell.command("browse")
    yield "the models on offer, and to whom", shell.command("models")
    yield "the state of every scope", shell.command("scopes")
    yield "the same in SQL", f"{shell.sql} {database} '{_MATRIX}'"
    yield "your own gateways", f"{shell.program} init"


def _aligned(*rows: tuple[object, str]) -> Iterator[str]:
    width = max(len(str(first)) for first, _ in rows)
    for first, second in rows:
        yield f"  {first!s:{width}}  {second}"
