"""The bench is no test of speed; that it measures what it says is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import TESTS

BENCH = TESTS / "bench" / "bench.py"


def bench(into: Path, *rows: str) -> list[dict[str, Any]]:
    """Run some rows at their smallest, and give the figures that were written."""
    only = [word for row in rows for word in ("--only", row)]
    words = [sys.executable, str(BENCH), "--quick", "--times", "1", "--json", str(into), *only]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(into.read_bytes())["figures"]
    assert all(figure["what"] in done.stdout for figure in figures), "the table has a line for each"
    return figures


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return bench(tmp_path_factory.mktemp("bench") / "written.json", "size", "version")


def test_every_figure_is_a_number_beside_its_target(figures: list[dict[str, Any]]) -> None:
    """The rows that were asked for are there, in order, each measured and held against its target."""
    assert [figure["row"] for figure in figures] == ["size", "size", "version"]
    size, _, version = figures
    assert size["met"] is (size["raw"]["value"] <= size["raw"]["limit"] == 12e6)
    ours, other = version["raw"]["ours"]["median_s"], version["raw"]["other"]["median_s"]
    assert ours > 0
    assert version["raw"]["ratio"] == ours / other
    assert version["met"] is (version["raw"]["ratio"] <= version["raw"]["limit"])


def test_the_database_has_every_step_of_a_history(figures: list[dict[str, Any]]) -> None:
    """Models added, removed and changed are as many as a count without our code finds, and there are some."""
    steps = figures[1]
    assert (steps["figure"], steps["met"]) == ("equal", True)
    assert steps["raw"]["recorded"] == steps["raw"]["counted"]
    assert all(number > 0 for number in steps["raw"]["counted"].values())
