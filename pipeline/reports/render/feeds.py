"""Announced ends as a calendar (RFC 5545) to subscribe to.

Reports as feeds: Atom (RFC 4287) and JSON Feed 1.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from pipeline.reports.render.catalogue import Words, foreign
from pipeline.reports.types import Ending

_LONGEST = 75


_NAMED = 12


_SPECIAL = re.compile(r"[\\;,]")


def calendar(endings: Iterable[Ending], *, stamp: str, language: str) -> str:
    """Write a calendar in which each model has an event on the day on which it is announced to end.

    Args:
        endings: a model that several scopes lose on one day is one event.
        stamp: when the calendar was made, ISO 8601 UTC.
        language: one of `LANGUAGES`.
    """
    scopes: dict[tuple[str, str, str], set[str]] = {}
    for ending in endings:
        scopes.setdefault((ending.day, ending.gateway, ending.model), set()).update(ending.scopes)
    words = Words(language)
    name = words.plain("calendar.name")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//modelwatch//announced ends//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escaped(name)}",
    ]
    for (day, gateway, model), whom in sorted(scopes.items()):
        lines += _event(words, day, gateway, model, sorted(whom), stamp)
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _event(words: Words, day: str, gateway: str, model: str, scopes: list[str], stamp: str) -> Iterator[str]:
    whom = words.listed(foreign(scope, "name") for scope in scopes[:_NAMED])
    if len(scopes) > _NAMED:
        whom = words.say("whom.and_more", what=whom, n=len(scopes) - _NAMED)
    name = foreign(model)
    first = date.fromisoformat(day)
    yield "BEGIN:VEVENT"
    yield f"UID:{blake2b(repr((day, gateway, model)).encode(), digest_size=16).hexdigest()}@modelwatch"
    yield f"DTSTAMP:{re.sub('[-:]', '', stamp)}"
    yield f"DTSTART;VALUE=DATE:{first:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{first + timedelta(days=1):%Y%m%d}"
    summary = words.plain("calendar.summary", model=name, gateway=foreign(gateway, "name"))
    yield f"SUMMARY:{_escaped(summary)}"
    told = words.plain("calendar.description", model=name, day=words.day(day), whom=whom)
    yield f"DESCRIPTION:{_escaped(told)}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _escaped(text: str) -> str:
    """Escape what has a meaning; control characters were escaped before."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def _folded(line: str) -> Iterator[str]:
    """Break a line so that none is longer than 75 octets, and no character is torn."""
    part, size = "", 0
    for character in line:
        width = len(character.encode())
        if size + width > _LONGEST:
            yield part
            part, size = " ", 1
        part, size = part + character, size + width
    yield part


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """A report in a feed.

    Args:
        id: a URI, the same for good; or a `Message-ID`, `<…@…>`.
        at: ISO 8601 UTC.
        html: a whole page, of which the body is taken, or a part of one.
    """

    id: str
    at: str
    subject: str
    html: str
    text: str


def atom(title: str, entries: Sequence[Entry], *, feed_id: str, at: str, language: str) -> str:
    """Write an Atom feed, its entries in the order given; `at` is when it was last changed."""
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


def json_feed(title: str, entries: Sequence[Entry], *, language: str) -> str:
    """Write a JSON Feed, its items in the order given."""
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
    """Write a `Message-ID` as a URI (RFC 2392); a URI stays as it is."""
    return f"mid:{quote(name[1:-1], safe='@.')}" if name.startswith("<") else name


def _body(html: str) -> str:
    found = _BODY.search(html)
    return found[1].strip() if found else html


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
