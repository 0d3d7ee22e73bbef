"""A report written for one destination: in all forms of a mail, with its attachments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from pipeline.core.text import printable
from pipeline.errors import ConfigError
from pipeline.reports.csv_json import as_csv, as_json
from pipeline.reports.render.catalogue import Words
from pipeline.reports.render.page import pages
from pipeline.reports.render.templates import TEMPLATES, fill, tidy
from pipeline.reports.render.types import Page
from pipeline.reports.types import Attachment, Message, Summary

_FILLS = (40, 24, 14, 8, 5, 3, 2, 1)
"""Lines in a section: as many as there is room for."""


_MOST = {"html": 98_000, "txt": 60_000, "md": 60_000}
"""Bytes that a form may have: Gmail clips what is larger than 102 kB."""


_SUBJECT = 200


_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Written:
    """A letter; `problems` say what is wrong in which of the user's templates: ours was used instead."""

    letter: Message
    problems: tuple[str, ...] = ()


def letter(
    brief: Summary,
    *,
    destination: str,
    message_id: str,
    thread: str,
    language: str,
    attached: bool = True,
    templates: Mapping[str, str] | None = None,
) -> Written:
    """Write a report for a destination.

    Args:
        brief: what is to be told.
        destination: its name in the config.
        message_id: `<…@…>`, the same however often it is tried.
        thread: `<…@…>`, the same for all reports to this destination.
        language: one of `LANGUAGES`.
        attached: its attachments go with it, so it may point to them.
        templates: the texts of the user's own templates, by file name.
    """
    problems: list[str] = []
    laid = pages(brief, language, destination=destination, attached=attached)

    def form(name: str) -> str:
        try:
            return _filled(brief, name, laid, templates or {})
        except ConfigError as error:
            problems.append(error.message)
            return _filled(brief, name, laid, {})

    report = as_json(brief.report)
    made = Message(
        message_id=message_id,
        thread=thread,
        at=brief.run.started_at,
        severity=brief.severity,
        language=language,
        subject=printable(" ".join(form("subject").split()), longest=_SUBJECT),
        text=form("txt"),
        markdown=form("md"),
        html=form("html"),
        json=report,
        attachments=tuple(_attachments(brief, report)),
    )
    return Written(made, tuple(problems))


def _attachments(brief: Summary, report: str) -> Iterator[Attachment]:
    """Give the steps as files: as CSV where there are any, and as JSON."""
    if brief.events:
        yield Attachment("changes.csv", "text/csv; charset=utf-8", as_csv(brief.events).encode())
    yield Attachment("changes.json", "application/json", report.encode())


def without_attachments(letter: Message) -> Message:
    """Give a letter with nothing attached, for who takes none as large, and a sentence that says so."""
    sentence = Words(letter.language).plain("footer.no_attachments")
    html, found = _BODY.subn(rf"\g<0><p>{sentence}</p>", letter.html, count=1)
    return replace(
        letter,
        text=f"{sentence}\n\n{letter.text}",
        html=html if found else f"<p>{sentence}</p>{html}",
        attachments=(),
    )


def render(brief: Summary, form: str, *, language: str, templates: Mapping[str, str] | None = None) -> str:
    """Give a report in one of the `FORMS` of destinations; HTML is a whole page.

    Raises:
        ConfigError: the user's template for it has a mistake; says in which file and line, and what is wrong.
    """
    match form:
        case "csv":
            return as_csv(brief.events)
        case "json":
            return as_json(brief.report)
        case _:
            return _filled(brief, form, pages(brief, language), templates or {})


def _filled(brief: Summary, form: str, laid: Callable[[int], Page], templates: Mapping[str, str]) -> str:
    """Fill a form with as much as there is room for."""
    text = ""
    for most in _FILLS:
        text = tidy(fill(TEMPLATES[form], laid(most), brief, templates))
        if len(text.encode()) <= _MOST.get(form, len(text.encode())):
            break
    return text
