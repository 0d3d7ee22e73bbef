"""The message of a report: all formats of a mail, with attachments; and single formats for files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.text import printable
from pipeline.errors import ConfigError
from pipeline.reports.csv_json import as_csv, as_json
from pipeline.reports.render.locales import Locale
from pipeline.reports.render.page import PageDraft, draft_page
from pipeline.reports.render.templates import TEMPLATES, fill, tidy
from pipeline.reports.types import NO_LINKS, Attachment, Links, Message, Summary

_SECTION_SIZES = (40, 24, 14, 8, 5, 3, 2, 1)
"""The limits of lines in a section to try, until the report is small enough."""

_MAX_BYTES = {"html": 98_000, "txt": 60_000, "md": 60_000}
"""The largest size of a format; Gmail clips messages above 102 kB."""

_MAX_SUBJECT = 200

_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


class RenderedMessage(Struct, frozen=True):
    """A message, and the mistakes in the user's templates, each replaced by the built-in one."""

    message: Message
    problems: tuple[str, ...] = ()


def write_message(
    summary: Summary,
    *,
    destination: str,
    message_id: str,
    thread: str,
    language: str,
    attached: bool = True,
    templates: Mapping[str, str] | None = None,
    bom: bool = False,
    zone: str = "UTC",
    links: Links = NO_LINKS,
) -> RenderedMessage:
    """Write the message of a report to a destination.

    Args:
        summary: the content.
        destination: its name in the config.
        message_id: `<…@…>`, the same at every attempt.
        thread: `<…@…>`, the same for all reports to this destination.
        language: one of `LANGUAGES`.
        attached: the attachments are sent too, so the text may refer to them.
        templates: the user's own templates, by file name.
        bom: the attached CSV begins with a byte order mark.
        zone: the time zone of its times; an IANA name.
        links: where its names lead.
    """
    problems: list[str] = []
    draft = draft_page(summary, language, destination=destination, attached=attached, zone=zone, links=links)

    def form(name: str) -> str:
        try:
            return _render(summary, name, draft, templates or {})
        except ConfigError as error:
            problems.append(error.message)
            return _render(summary, name, draft, {})

    json = as_json(summary.report)
    message = Message(
        message_id=message_id,
        thread=thread,
        at=summary.run.started_at,
        severity=summary.severity,
        language=language,
        subject=printable(" ".join(form("subject").split()), longest=_MAX_SUBJECT),
        text=form("txt"),
        markdown=form("md"),
        html=form("html"),
        json=json,
        attachments=tuple(_attachments(summary, json, bom=bom)),
    )
    return RenderedMessage(message, tuple(problems))


def _attachments(summary: Summary, json: str, *, bom: bool) -> Iterator[Attachment]:
    """Yield every step as CSV, if there is any, and as JSON."""
    if summary.events:
        # People open attachments in a spreadsheet; programs have the JSON beside it.
        text = as_csv(summary.events, bom=bom, guard_ids=True)
        yield Attachment("changes.csv", "text/csv; charset=utf-8", text.encode())
    yield Attachment("changes.json", "application/json", json.encode())


def without_attachments(message: Message) -> Message:
    """Return a message without its attachments; its first sentence explains why."""
    sentence = Locale(message.language).plain("footer.no_attachments")
    return replace(_beginning_with(sentence, message), attachments=())


def sentence_for_the_rest(language: str) -> str:
    """Return the sentence at the end of a message that was cut to the length that a chat takes."""
    return Locale(language).plain("footer.cut")


def as_test(message: Message, destination: str) -> Message:
    """Return a message whose subject and first sentence say that it is a test of a destination."""
    locale = Locale(message.language)
    subject = locale.plain("subject.test", what=message.subject)
    sentence = locale.plain("footer.test", destination=destination)
    return replace(_beginning_with(sentence, message), subject=subject)


def _beginning_with(sentence: str, message: Message) -> Message:
    """Return a message with a sentence of ours before each of its texts."""
    paragraph = f"<p>{escape(sentence)}</p>"
    html, found = _BODY.subn(lambda body: body[0] + paragraph, message.html, count=1)
    return replace(
        message,
        text=f"{sentence}\n\n{message.text}",
        markdown=f"{sentence}\n\n{message.markdown}",
        html=html if found else f"{paragraph}{html}",
    )


def render(
    summary: Summary,
    form: str,
    *,
    language: str,
    templates: Mapping[str, str] | None = None,
    bom: bool = False,
    zone: str = "UTC",
    links: Links = NO_LINKS,
) -> str:
    """Return a report in one of the `FORMS`; HTML is a whole page, and CSV is for Excel with `bom`.

    `zone` and `links` are those of `write_message`.

    Raises:
        ConfigError: the user's template has a mistake; the error names file, line and mistake.
    """
    match form:
        case "csv":
            return as_csv(summary.events, bom=bom)
        case "json":
            return as_json(summary.report)
        case _:
            return _render(
                summary, form, draft_page(summary, language, zone=zone, links=links), templates or {}
            )


def _render(summary: Summary, form: str, draft: PageDraft, templates: Mapping[str, str]) -> str:
    """Return a report in one format, with as many lines as its limit allows."""
    text = ""
    for max_lines in _SECTION_SIZES:
        text = tidy(fill(TEMPLATES[form], draft.cut(max_lines), summary, templates))
        if len(text.encode()) <= _MAX_BYTES.get(form, len(text.encode())):
            break
    return text
