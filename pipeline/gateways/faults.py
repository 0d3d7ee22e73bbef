"""Answers at which the program itself fails: one of them fails its scope, and stops no other."""

from __future__ import annotations

from pipeline.core.faults import describe
from pipeline.errors import Unreadable


def unexpected(error: Exception) -> Unreadable:
    """Return the error of an answer for an exception that nothing expected, without its message."""
    if isinstance(error, RecursionError):
        return Unreadable("the answer is nested too deeply to be a list of models")
    return Unreadable(
        f"the answer cannot be read: {describe(error)}", cure="report it, a fault of modelwatch"
    )
