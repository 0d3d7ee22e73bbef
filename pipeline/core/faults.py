"""Errors that nothing expected: their class and place, without their message, which may hold a secret."""

from __future__ import annotations

import traceback
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def cause(error: Exception) -> Exception:
    """Return the first error of a group, such as that of several tasks; any other error as it is."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def describe(error: Exception) -> str:
    """Return the class of an error, and the last place in this program that it passed."""
    places = [
        (Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    ours = [place for place in places if place[0].is_relative_to(_PACKAGE)] or places
    text = f"unexpected {type(error).__name__}"
    if not ours:
        return text
    path, line = ours[-1]
    where = path.relative_to(_PACKAGE.parent) if path.is_relative_to(_PACKAGE) else path.name
    return f"{text} at {where}:{line}"
