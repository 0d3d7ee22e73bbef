"""Ten thousand spoiled answers: each is a listing or unreadable, within bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support import ROOT, TESTS

pytestmark = pytest.mark.proofs

BODIES = 2500
"""The bodies of each of four cases."""

MEMORY = 300 * 1024
"""The most that reading may use, in KiB."""


@pytest.mark.parametrize("seed", [51, 52, 53, 54])
def test_a_spoiled_body_is_a_listing_or_unreadable(seed: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "support.fuzzing", str(seed), str(BODIES)],
        env={"PYTHONPATH": f"{TESTS}:{ROOT}"},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    found = json.loads(ran.stdout)
    assert found["errors"] == []
    assert sum(found["ends"].values()) == BODIES
    assert found["ends"]["listing"] > BODIES / 10
    assert found["peak"] < MEMORY
