"""Simulated months: many seeds, of which each reports exactly what is true."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import amount
from support.simulated_month import Month, play

pytestmark = pytest.mark.proofs


@pytest.mark.parametrize("seed", range(100, 100 + amount(1, 12)))
def test_a_month_at_random_reports_every_change_that_lasts_once_and_nothing_else(seed: int, tmp_path: Path):
    month = Month(seed)
    found = play(month, tmp_path)
    assert month.without_flapping(found.loud) == month.truth()
    assert all(least <= found.loud[each] <= 3 for each, least in month.flapping_fields().items())
    assert sorted(found.shapes) == sorted(month.shapes())
    assert found.daily <= len(found.days)
    assert found.alarms <= month.alarms_at_most()
