"""What the tests share: fakes, servers, strategies and programs to drive."""

import os
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


def amount(usual: int, thorough: int) -> int:
    """Return how often a proof tries: as the gate has time for, or all with MODELWATCH_THOROUGH=1."""
    return thorough if os.environ.get("MODELWATCH_THOROUGH") else usual
