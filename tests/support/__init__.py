"""What the tests share: fakes, servers, strategies and programs to drive."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
