"""Which failures pass by themselves, and from when on they last."""

from __future__ import annotations

from pipeline.core.times import has_lasted, seconds_between
from pipeline.errors import Throttled, Unreachable

TRANSIENT = (Throttled, Unreachable)
"""The failures that usually end without a person: rate limits, 5xx, timeouts, resets, DNS."""

TRANSIENT_CLASSES = tuple(error.__name__ for error in TRANSIENT)
"""Their names, as sightings store them."""

LASTS_AFTER = 6 * 3600
"""Seconds from the run in which a transient failure began to the run from which on it lasts; see `lasts`."""

_REMINDER = 24 * 3600
"""Seconds of a problem after which it is logged again."""


def lasts(began: str, at: str) -> bool:
    """Return whether a failure that began with one run lasts at another; both are starts (ISO 8601 UTC)."""
    return has_lasted(began, at, LASTS_AFTER)


def is_reminder(began: str, previous: str | None, at: str) -> bool:
    """Return whether a run is the first after another full day of a problem (all times ISO 8601 UTC).

    Args:
        began: the start of the problem.
        previous: the start of the run before; None where there was none.
        at: the start of this run.
    """
    if previous is None or previous > at:  # the clock was ahead in the run before
        return False
    days, before = (seconds_between(began, each) // _REMINDER for each in (at, previous))
    return days > before
