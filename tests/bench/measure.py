"""Measuring programs as processes, in turns, by medians."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

WEIGH = Path(__file__).with_name("weigh.py")


class MeasureError(Exception):
    """A measured program failed."""


@dataclass(frozen=True, slots=True)
class Command:
    """The words of a command, and its environment variables beside `PATH` and `HOME`."""

    words: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


Turn = Callable[[int], Command]
"""A function that prepares a turn, untimed, and returns its command; turn 0 is the warm-up."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The seconds of each turn of a program, from start to exit, its peak memory in bytes, and its CPU.

    The CPU is in seconds, with that of processes that the program has started and waited for.
    """

    turns: tuple[float, ...]
    peaks: tuple[int, ...]
    cpus: tuple[float, ...] = ()

    @property
    def seconds(self) -> float:
        """The median of the turns."""
        return median(self.turns)

    @property
    def cpu(self) -> float:
        """The median of the CPU seconds."""
        return median(self.cpus)

    @property
    def peak(self) -> int:
        """The largest peak."""
        return max(self.peaks)

    def raw(self) -> dict[str, object]:
        """Return the figures of every turn for the JSON file."""
        return {"median_s": self.seconds, "turns_s": self.turns, "peak_bytes": self.peaks}


def python(*arguments: str) -> Command:
    """Return a command of this interpreter."""
    return Command((sys.executable, *arguments))


def beside(program: str) -> Path:
    """Return the path of a program in the environment of this interpreter."""
    return Path(sys.executable).with_name(program)


def modelwatch(*arguments: str, home: Path | None = None, env: Mapping[str, str] | None = None) -> Command:
    """Return a command of modelwatch."""
    at = ("--home", str(home)) if home else ()
    return Command((str(beside("modelwatch")), *arguments, *at), env or {})


def once(command: Command, *, status: int = 0) -> Measured:
    """Run a command, which ends with an exit status, and measure it.

    Raises:
        MeasureError: its exit status is another; the message has the end of its output.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as output:
        plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        measured = subprocess.run(
            [sys.executable, "-I", "-S", str(WEIGH), output.name, *command.words],
            env={**plain, **command.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        seconds, peak, code, cpu = measured.stdout.split()
        if int(code) != status:
            raise MeasureError(
                f"{' '.join(command.words)} exited with {code}: {output.read()[-2000:].strip()}"
            )
    return Measured((float(seconds),), (int(peak),), (float(cpu),))


def interleaved(turns: Mapping[str, Turn], times: int) -> dict[str, Measured]:
    """Run the programs in turns, A B A B …, after one warm-up each that does not count."""
    ran: dict[str, list[Measured]] = {name: [] for name in turns}
    for number in range(times + 1):
        for name, turn in turns.items():
            one = once(turn(number))
            if number:
                ran[name].append(one)
    return {
        name: Measured(
            tuple(one.seconds for one in each),
            tuple(one.peak for one in each),
            tuple(one.cpu for one in each),
        )
        for name, each in ran.items()
    }


def always(command: Command) -> Turn:
    """Return a turn without preparation."""
    return lambda _number: command


def database_bytes(database: Path) -> int:
    """Return the size of a database in bytes, after a checkpoint."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    return database.stat().st_size
