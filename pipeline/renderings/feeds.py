"""Reports as feeds: Atom (RFC 4287) and JSON Feed 1.1."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

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
