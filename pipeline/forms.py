"""Reports in the forms in which they become files: one each, or one of many."""

from __future__ import annotations

from collections.abc import Callable

from pipeline import outbox
from pipeline.briefing import short
from pipeline.config import Config
from pipeline.destinations import Destination
from pipeline.reports.brief import Brief
from pipeline.store import Store

_ENTRIES = 20
"""So many of the last reports are in a feed."""


def templates(destination: Destination, problems: list[str]) -> dict[str, str]:
    """Read the templates that a destination has of its own, by file name."""
    found = {}
    for path in sorted(destination.templates.glob("*.j2")) if destination.templates else ():
        try:
            found[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}")
    return found


def render(brief: Brief, form: str, destination: Destination, problems: list[str]) -> str:
    """Write a brief in a form: csv, json, html, md or txt; what is wrong with templates goes to `problems`."""
    from pipeline import renderings

    own = templates(destination, problems)
    text, found = renderings.render(
        brief, form, destination=destination.name, language=destination.language, templates=own
    )
    problems += found
    return text
