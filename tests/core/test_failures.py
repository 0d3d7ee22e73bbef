"""Failures: when one lasts, and when a problem is due again."""

from __future__ import annotations

import pytest
from support.fakes import moment

from pipeline import errors
from pipeline.core.failures import TRANSIENT_CLASSES, is_reminder, lasts


def test_the_transient_classes_are_those_of_the_errors() -> None:
    assert TRANSIENT_CLASSES == ("Throttled", "Unreachable")
    assert all(issubclass(getattr(errors, name), errors.FetchError) for name in TRANSIENT_CLASSES)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0, False), (5, False), (5.4, True), (5.9, True), (6, True), (24, True), (-6, False)],
)
def test_a_failure_lasts_from_six_hours_on_or_a_tenth_less(hours: float, *, expected: bool) -> None:
    assert lasts(moment(10), moment(10 + hours)) is expected


@pytest.mark.parametrize(
    ("previous", "at", "expected"),
    [
        (1, 2, False),
        (23, 24, False),
        (24, 25, True),
        (25, 26, False),
        (24, 100, True),
        (None, 100, False),
        (1, -5, False),
        (-5, 2, True),
    ],
)
def test_a_run_reminds_of_a_problem_if_a_full_day_ended_since_the_run_before(
    previous: int | None, at: int, *, expected: bool
) -> None:
    """The problem began with run 1; runs are an hour apart."""
    before = None if previous is None else moment(previous)
    assert is_reminder(moment(1), before, moment(at)) is expected
