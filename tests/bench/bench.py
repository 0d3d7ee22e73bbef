"""Measure the program as its user meets it, beside its neighbours, and say which targets are met."""

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

from figures import Figure, markdown, table
from fleet import fleet, growth, large_fleet
from history import history
from measure import MeasureError
from replay import git_history, kept, replay
from setting import FULL, HISTORY, QUICK, Setting, setting
from starting import change, version

from pipeline import __version__

Row = Callable[[Setting], Iterator[Figure]]

ROWS: dict[str, Row] = {
    "replay": replay,
    "git-history": git_history,
    "size": kept,
    "fleet": fleet,
    "large-fleet": large_fleet,
    "growth": growth,
    "history": history,
    "version": version,
    "change": change,
}


def main() -> int:
    """Run the rows that are asked for, print the table, and write it as JSON; gives the exit code."""
    asked = _arguments()
    figures: list[Figure] = []
    code = 0
    with setting(corpus=asked.corpus, times=asked.times, sizes=QUICK if asked.quick else FULL) as at:
        for name in asked.only or ROWS:
            _note(f"{name} …")
            try:
                found = list(ROWS[name](at))
                figures += found
                _note(table(found))
            except (MeasureError, subprocess.CalledProcessError) as problem:
                # The others go on: what they have measured took its time.
                _note(f"{name} broke off: {problem}")
                code = 1
    about = _about(asked)
    shown = markdown(figures) if asked.markdown else table(figures)
    sys.stdout.write(f"{_line(about)}\n\n{shown}\n")
    written = {**about, "figures": [figure.as_json() for figure in figures]}
    asked.json.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=ROWS, metavar="ROW", help=f"may be repeated: {', '.join(ROWS)}"
    )
    parser.add_argument("--times", type=_positive, default=5, help="turns to take the median of (5)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument(
        "--corpus", type=Path, help="replay a real history: a directory that holds ppc_aihubmix"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    parser.add_argument(
        "--json", type=Path, default=Path(__file__).with_name("latest.json"), help="where to write it all"
    )
    asked = parser.parse_args()
    if asked.corpus and not (asked.corpus / HISTORY).is_dir():
        parser.error(f"--corpus: there is no directory {asked.corpus / HISTORY}")
    if not asked.json.absolute().parent.is_dir():
        parser.error(f"--json: there is no directory {asked.json.absolute().parent}")
    return asked


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _about(asked: argparse.Namespace) -> dict[str, object]:
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
        "modelwatch": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "times": asked.times,
        "quick": asked.quick,
        "corpus": "real" if asked.corpus else "made up",
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
