"""A report written for one destination: in all forms of a mail, with its attachments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.destinations import Attachment, Letter
from pipeline.errors import ConfigError
from pipeline.renderings.forms import TEMPLATES, fill, tidy
from pipeline.renderings.layout import page
from pipeline.renderings.page import Page
from pipeline.reports import Recovery, Report
from pipeline.reports.as_csv import as_csv
from pipeline.reports.as_json import as_json
from pipeline.reports.brief import Brief
from pipeline.reports.display import shown

FORMS = ("txt", "md", "html", "csv", "json")
"""What a report can be rendered as."""

_FILLS = (40, 24, 14, 8, 5, 3, 2, 1)
"""Lines in a section: as many as there is room for."""

_MOST = {"html": 98_000, "txt": 60_000, "md": 60_000}
"""Bytes that a form may have: Gmail clips what is larger than 102 kB."""

_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class Written:
    """A letter; `problems` say what is wrong in which of the user's templates, instead of which ours was used."""

    letter: Letter
    problems: tuple[str, ...] = ()


def letter(
    brief: Brief,
    *,
    destination: str,
    message_id: str,
    thread: str,
    language: str,
    templates: Mapping[str, str] | None = None,
) -> Written:
    """Write a report for a destination.

    Args:
        templates: the texts of the user's own templates, by file name.
    """
    problems: list[str] = []
    own = dict(templates or {})

    def form(name: str) -> str:
        try:
            return _filled(brief, name, language, own, destination)
        except ConfigError as error:
            problems.append(error.message)
            return _filled(brief, name, language, {}, destination)

    report = as_json(report_of(brief))
    made = Letter(
        message_id=message_id,
        thread=thread,
        at=brief.run.started_at,
        severity=brief.severity,
        language=language,
        subject=shown(" ".join(form("subject").split()), longest=_SUBJECT),
        text=form("txt"),
        markdown=form("md"),
        html=form("html"),
        json=report,
        attachments=(
            Attachment("changes.csv", "text/csv; charset=utf-8", as_csv(brief.events).encode()),
            Attachment("changes.json", "application/json", report.encode()),
        ),
    )
    return Written(made, tuple(problems))


def render(brief: Brief, form: str, *, language: str, templates: Mapping[str, str] | None = None) -> str:
    """Give a report in one of `FORMS`; HTML is a whole page.

    Raises:
        ConfigError: the user's template for it has a mistake; says in which file and line, and what is wrong.
    """
    match form:
        case "csv":
            return as_csv(brief.events)
        case "json":
            return as_json(report_of(brief))
        case _:
            return _filled(brief, form, language, templates or {}, "")


def report_of(brief: Brief) -> Report:
    """Give a report as the JSON has it, with each single step."""
    recoveries = (
        Recovery(end.at, scope, end.gateway, end.was, end.believed, end.since, end.seconds)
        for end in brief.ended
        for scope in end.scopes
    )
    ordered = sorted(recoveries, key=lambda each: (each.at, each.scope))
    return Report(brief.since, brief.run, brief.events, tuple(ordered), brief.coverage)


def _filled(brief: Brief, form: str, language: str, templates: Mapping[str, str], destination: str) -> str:
    """Fill a form with as much as there is room for."""
    text = ""
    for most in _FILLS:
        laid: Page = page(brief, language, most=most, destination=destination)
        text = tidy(fill(TEMPLATES[form], laid, brief, templates))
        if len(text.encode()) <= _MOST.get(form, len(text.encode())):
            break
    return text
