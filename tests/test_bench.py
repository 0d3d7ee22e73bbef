"""The benchmark measures what it prints; the figures themselves are not tested."""

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
    """Run some rows with the quick sizes and return the written figures."""
    only = [word for row in rows for word in ("--only", row)]
    words = [sys.executable, str(BENCH), "--quick", "--times", "1", "--json", str(into), *only]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(into.read_bytes())["figures"]
    assert all(figure["what"] in done.stdout for figure in figures), "the table has a row for each figure"
    return figures


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return bench(tmp_path_factory.mktemp("bench") / "written.json", "size", "version")


def test_the_selected_rows_are_measured_in_order_and_compared_with_their_targets(
    figures: list[dict[str, Any]],
) -> None:
    assert [figure["row"] for figure in figures] == ["size", "size", "version"]
    size, _, version = figures
    assert size["met"] is (size["raw"]["value"] <= size["raw"]["limit"] == 12e6)
    ours, other = version["raw"]["ours"]["median_s"], version["raw"]["other"]["median_s"]
    assert ours > 0
    assert version["raw"]["ratio"] == ours / other
    assert version["met"] is (version["raw"]["ratio"] <= version["raw"]["limit"])


def test_the_database_has_as_many_changes_as_a_count_without_modelwatch(
    figures: list[dict[str, Any]],
) -> None:
    changes = figures[1]
    assert (changes["figure"], changes["met"]) == ("equal", True)
    assert changes["raw"]["recorded"] == changes["raw"]["counted"]
    assert all(number > 0 for number in changes["raw"]["counted"].values())
