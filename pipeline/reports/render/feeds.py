"""Feeds and calendars to subscribe to: Atom (RFC 4287), JSON Feed 1.1, iCalendar (RFC 5545)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from hashlib import blake2b
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct

from pipeline.reports.render.locales import Locale, untrusted
from pipeline.reports.types import Shutdown

_MAX_OCTETS = 75
_MAX_SCOPES = 12

_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.DOTALL)

# https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# https://www.rfc-editor.org/rfc/rfc5545#section-3.3.11
_ESCAPED_IN_CALENDARS = re.compile(r"[\\;,]")


class Entry(Struct, frozen=True):
    """A report in a feed.

    Args:
        id: a permanent URI, or a `Message-ID`, `<…@…>`.
        at: ISO 8601 UTC.
        html: a part of a page, or a whole page, whose body is used.
    """

    id: str
    at: str
    subject: str
    html: str
    text: str


def atom(title: str, entries: Sequence[Entry], *, feed_id: str, at: str, language: str) -> str:
    """Return an Atom feed of entries in the given order; `at` is the time of its last change."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang={quoteattr(language)}>',
        f"<id>{_xml(_uri(feed_id))}</id>",
        f"<title>{_xml(title)}</title>",
        f"<updated>{_xml(at)}</updated>",
        "<author><name>modelwatch</name></author>",
        "<generator>modelwatch</generator>",
    ]
    for entry in entries:
        lines += [
            "<entry>",
            f"<id>{_xml(_uri(entry.id))}</id>",
            f"<title>{_xml(entry.subject)}</title>",
            f"<published>{_xml(entry.at)}</published>",
            f"<updated>{_xml(entry.at)}</updated>",
            f'<content type="html">{_xml(_body(entry.html))}</content>',
            "</entry>",
        ]
    return "\n".join([*lines, "</feed>", ""])


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def json_feed(title: str, entries: Sequence[Entry], *, language: str) -> str:
    """Return a JSON Feed of entries in the given order."""
    value = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": title,
        "language": language,
        "authors": [{"name": "modelwatch"}],
        "items": [
            {
                "id": _uri(entry.id),
                "title": entry.subject,
                "date_published": entry.at,
                "content_html": _body(entry.html),
                "content_text": entry.text,
            }
            for entry in entries
        ],
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _uri(name: str) -> str:
    """Return a `Message-ID` as a URI (RFC 2392); a URI stays as it is."""
    return f"mid:{quote(name[1:-1], safe='@.')}" if name.startswith("<") else name


def _body(html: str) -> str:
    found = _BODY.search(html)
    return found[1].strip() if found else html


def calendar(shutdowns: Iterable[Shutdown], *, stamp: str, language: str) -> str:
    """Return a calendar with one event for each model, on its announced shutdown date.

    Args:
        shutdowns: those of one model on one day are one event, with all their scopes.
        stamp: the time at which the calendar was made, ISO 8601 UTC.
        language: one of `LANGUAGES`.
    """
    scopes: dict[tuple[str, str, str], set[str]] = {}
    for shutdown in shutdowns:
        key = (shutdown.day, shutdown.gateway, shutdown.model)
        scopes.setdefault(key, set()).update(shutdown.scopes)
    locale = Locale(language)
    name = locale.plain("calendar.name")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//modelwatch//announced shutdowns//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escape(name)}",
    ]
    for (day, gateway, model), names in sorted(scopes.items()):
        lines += _event(locale, day, gateway, model, sorted(names), stamp)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _fold(line))


def _event(
    locale: Locale, day: str, gateway: str, model: str, scopes: list[str], stamp: str
) -> Iterator[str]:
    named = locale.join_some((untrusted(scope, "name") for scope in scopes), _MAX_SCOPES)
    name = untrusted(model)
    summary = locale.plain("calendar.summary", model=name, gateway=untrusted(gateway, "name"))
    description = locale.plain("calendar.description", model=name, day=locale.day(day), scopes=named)
    first = date.fromisoformat(day)
    yield "BEGIN:VEVENT"
    yield f"UID:{blake2b(repr((day, gateway, model)).encode(), digest_size=16).hexdigest()}@modelwatch"
    yield f"DTSTAMP:{re.sub('[-:]', '', stamp)}"
    yield f"DTSTART;VALUE=DATE:{first:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{first + timedelta(days=1):%Y%m%d}"
    yield f"SUMMARY:{_escape(summary)}"
    yield f"DESCRIPTION:{_escape(description)}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _escape(text: str) -> str:
    """Escape special characters in a printable text."""
    return _ESCAPED_IN_CALENDARS.sub(lambda found: f"\\{found[0]}", text)


def _fold(line: str) -> Iterator[str]:
    """Break a line between characters so that no part exceeds 75 octets (RFC 5545, section 3.1)."""
    part, size = "", 0
    for character in line:
        width = len(character.encode())
        if size + width > _MAX_OCTETS:
            yield part
            part, size = " ", 1
        part, size = part + character, size + width
    yield part
