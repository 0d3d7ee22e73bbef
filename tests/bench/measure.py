"""Start programs as a user does, in turns, and take medians."""

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
    """A program that was to be measured did not do its work."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, and the variables that it finds beside `PATH` and `HOME`."""

    words: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


Turn = Callable[[int], Command]
"""Makes ready for a turn, untimed, and gives its command; turn 0 is the warm-up."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the turns of one program took, start to exit: seconds each, and peaks in bytes."""

    turns: tuple[float, ...]
    peaks: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return median(self.turns)

    @property
    def peak(self) -> int:
        """The largest."""
        return max(self.peaks)

    def raw(self) -> dict[str, object]:
        """Give every turn, for the JSON."""
        return {"median_s": self.seconds, "turns_s": self.turns, "peak_bytes": self.peaks}


def python(*arguments: str) -> Command:
    """Start this interpreter."""
    return Command((sys.executable, *arguments))


def beside(program: str) -> Path:
    """Give a program of the environment that this interpreter runs in."""
    return Path(sys.executable).with_name(program)


def modelwatch(*arguments: str, home: Path | None = None, env: Mapping[str, str] | None = None) -> Command:
    """Start the command itself, in a home."""
    at = ("--home", str(home)) if home else ()
    return Command((str(beside("modelwatch")), *arguments, *at), env or {})


def once(command: Command) -> Measured:
    """Run a command to its end.

    Raises:
        MeasureError: it left with another code than 0; with what it said.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as output:
        plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        weighed = subprocess.run(
            [sys.executable, "-I", "-S", str(WEIGH), output.name, *command.words],
            env={**plain, **command.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        seconds, peak, code = weighed.stdout.split()
        if code != "0":
            raise MeasureError(f"{' '.join(command.words)} left with {code}: {output.read()[-2000:].strip()}")
    return Measured((float(seconds),), (int(peak),))


def interleaved(turns: Mapping[str, Turn], times: int) -> dict[str, Measured]:
    """Let the programs run in turns, A B A B …, after a warm-up of each that does not count."""
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
        )
        for name, each in ran.items()
    }


def always(command: Command) -> Turn:
    """Give a turn that needs nothing made ready."""
    return lambda _number: command


def settled(database: Path) -> int:
    """Give the bytes of a database, with all that was written in its main file."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    return database.stat().st_size
