"""Measure modelwatch and the programs it is compared with, and print which targets are met."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from engines import engines
from figures import Figure, markdown, table
from fleet import fleet, growth, large_fleet, merge
from history import history
from measure import MeasureError
from replay import database_size, git_history, replay
from scale import million, scale
from setting import FULL, HISTORY, QUICK, Setting, setting
from starting import change, version

from pipeline import __version__

Row = Callable[[Setting], Iterator[Figure]]

ROWS: dict[str, Row] = {
    "replay": replay,
    "git-history": git_history,
    "size": database_size,
    "fleet": fleet,
    "large-fleet": large_fleet,
    "scale": scale,
    "million": million,
    "engines": engines,
    "growth": growth,
    "merge": merge,
    "history": history,
    "version": version,
    "change": change,
}

ON_REQUEST = ("million",)
"""Rows that take many minutes: only `--only` runs them."""


def main() -> int:
    """Run the selected rows, print the table, write it as JSON, and return the exit status."""
    arguments = _arguments()
    figures: list[Figure] = []
    code = 0
    with setting(
        corpus=arguments.corpus, times=arguments.times, sizes=QUICK if arguments.quick else FULL
    ) as at:
        for name in arguments.only or (row for row in ROWS if row not in ON_REQUEST):
            _note(f"{name} …")
            try:
                found = list(ROWS[name](at))
                figures += found
                _note(table(found))
            except (MeasureError, subprocess.CalledProcessError) as problem:
                # The other rows continue.
                _note(f"{name} failed: {problem}")
                code = 1
    about = _about(arguments)
    shown = markdown(figures) if arguments.markdown else table(figures)
    sys.stdout.write(f"{_line(about)}\n\n{shown}\n")
    written = {**about, "figures": [figure.as_json() for figure in figures]}
    arguments.json.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=ROWS, metavar="ROW", help=f"may be repeated: {', '.join(ROWS)}"
    )
    parser.add_argument(
        "--times", type=_positive, default=5, help="number of measurements (5); the median counts"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to check that it works")
    parser.add_argument("--corpus", type=Path, help="import a real history: a directory with ppc_aihubmix")
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    parser.add_argument(
        "--json", type=Path, default=Path(__file__).with_name("latest.json"), help="the file with all figures"
    )
    arguments = parser.parse_args()
    if arguments.corpus and not (arguments.corpus / HISTORY).is_dir():
        parser.error(f"--corpus: there is no directory {arguments.corpus / HISTORY}")
    if not arguments.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no directory {arguments.json.absolute().parent}")
    return arguments


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _about(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
        "modelwatch": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "times": arguments.times,
        "quick": arguments.quick,
        "corpus": "real" if arguments.corpus else "generated",
    }


def _line(about: dict[str, object]) -> str:
    sizes = ", quick sizes" if about["quick"] else ""
    return (
        f"{about['at']}: modelwatch {about['modelwatch']}, Python {about['python']}, {about['system']}, "
        f"{about['cores']} cores, {about['corpus']} history, medians of {about['times']}{sizes}"
    )


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
