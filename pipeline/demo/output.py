"""The demo in words: what it is, each step, what is left of it, and what to try next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote
from textwrap import wrap

from pipeline.core.times import minute
from pipeline.demo.directory import CONFIG, DATABASE, REPORTS
from pipeline.demo.play import Step
from pipeline.demo.script import INTERVAL, KEYS, RUNS
from pipeline.history.changes import find_events
from pipeline.reports.console import event_lines
from pipeline.store import Store
from pipeline.store.changes import window

_MATRIX = "select model, offered_to from matrix"


_LATELY = timedelta(days=3)


_YEAR = len("2026-")


_MARGIN = len("01-01 00:00") + 2


@dataclass(frozen=True, slots=True)
class Shell:
    """How a person goes on from here: what starts modelwatch, what asks SQLite, and the demo's directory."""

    program: str
    sql: str
    directory: str

    def asks(self, command: str) -> str:
        """Write a command of modelwatch that looks at the demo."""
        return f"{self.program} {command} --home {quote(self.directory)}"


def opening_lines() -> Iterator[str]:
    """Say what is about to be seen."""
    days, hours = (RUNS - 1) * INTERVAL / timedelta(days=1), INTERVAL / timedelta(hours=1)
    asked = f"asked every {hours:g} hours with {len(KEYS)} keys and without one"
    yield f"{days:g} days of a made-up gateway, {asked}."
    yield "Gateway, requests, database and reports are real; only the clock is moved ahead."
    yield ""
    yield f"{'Time (UTC)':{_MARGIN}}What happens at the gateway, and below it what modelwatch says"


def step_lines(step: Step, *, width: int) -> Iterator[str]:
    """Give a step's lines, broken at `width`."""
    scene = step.scene or "Nothing new at the gateway."
    yield f"{minute(step.at)[_YEAR:]:{_MARGIN}}{scene}"
    for said in step.said:
        lead, hang = " " * (_MARGIN + 2), " " * (_MARGIN + 4)
        # A line that fits is left alone, for its columns are aligned.
        fits = len(lead) + len(said) <= width
        yield from (lead + said,) if fits else wrap(said, width, initial_indent=lead, subsequent_indent=hang)


def closing_lines(store: Store, shell: Shell, *, told: int, now: datetime) -> Iterator[str]:
    """Say what is left: the latest changes, the files, and commands to go on with.

    Args:
        store: the demo's database.
        shell: how the commands are written.
        told: how many steps were told.
        now: the end of the demo, UTC.
    """
    yield f"{'':{_MARGIN}}({RUNS - told} more runs had nothing to tell.)"
    yield ""
    yield f"$ {shell.asks(f'changes --since {_LATELY.days}d')}"
    since = (now - _LATELY).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield from event_lines(find_events(store, window(store, since=since)))
    yield ""
    yield from _files(store, shell)
    yield ""
    yield from _next(shell)


def _files(store: Store, shell: Shell) -> Iterator[str]:
    counts = {
        name: store.rows(f"select count(*) as n from {name}")[0]["n"]  # noqa: S608 - the names are these
        for name in ("snapshots", "scopes", "models", "deliveries")
    }
    directory = Path(shell.directory)
    yield "What is left of it"
    yield from _columns(
        (directory / CONFIG, "the config"),
        (directory / DATABASE, "{snapshots} runs, {scopes} scopes, {models} models".format(**counts)),
        (
            directory / REPORTS,
            "{deliveries} reports as CSV and JSON; latest.csv is the newest".format(**counts),
        ),
    )


def _next(shell: Shell) -> Iterator[str]:
    database = quote(str(Path(shell.directory) / DATABASE))
    yield "What to try next"
    yield from _columns(
        ("everything that changed", shell.asks("changes")),
        ("as people read it", shell.asks("report --since 3w --as txt")),
        ("all of it, in a browser", shell.asks("browse")),
        ("what is offered, to whom", shell.asks("models")),
        ("how every scope stands", shell.asks("scopes")),
        ("the same in SQL", f"{shell.sql} {database} '{_MATRIX}'"),
        ("your own gateways", f"{shell.program} init"),
    )


def _columns(*rows: tuple[object, str]) -> Iterator[str]:
    width = max(len(str(first)) for first, _ in rows)
    for first, second in rows:
        yield f"  {first!s:{width}}  {second}"
