"""Reports as feeds: Atom (RFC 4287) and JSON Feed 1.1."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from pipeline.destinations import Letter

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.DOTALL)
_NEVER = "1970-01-01T00:00:00Z"


def atom(destination: str, letters: Sequence[Letter], *, language: str) -> str:
    """Write the letters to a destination as an Atom feed, in the order given."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang={quoteattr(language)}>',
        f"<id>urn:modelwatch:{quote(destination, safe='')}</id>",
        f"<title>{_xml(_title(destination))}</title>",
        f"<updated>{max((letter.at for letter in letters), default=_NEVER)}</updated>",
        "<author><name>modelwatch</name></author>",
        *(line for letter in letters for line in _entry(letter)),
        "</feed>",
    ]
    return "\n".join([*lines, ""])


def _entry(letter: Letter) -> Iterator[str]:
    yield "<entry>"
    yield f"<id>{_xml(_uri(letter.message_id))}</id>"
    yield f"<title>{_xml(letter.subject)}</title>"
    yield f"<published>{letter.at}</published>"
    yield f"<updated>{letter.at}</updated>"
    yield f'<content type="html" xml:lang={quoteattr(letter.language)}>{_xml(_body(letter.html))}</content>'
    yield "</entry>"


def json_feed(destination: str, letters: Sequence[Letter], *, language: str) -> str:
    """Write the letters to a destination as a JSON Feed, in the order given."""
    value = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _title(destination),
        "language": language,
        "authors": [{"name": "modelwatch"}],
        "items": [
            {
                "id": _uri(letter.message_id),
                "title": letter.subject,
                "language": letter.language,
                "date_published": letter.at,
                "content_html": _body(letter.html),
                "content_text": letter.text,
            }
            for letter in letters
        ],
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _title(destination: str) -> str:
    return f"modelwatch: {destination}"


def _uri(message_id: str) -> str:
    """Write a `Message-ID` as a URI (RFC 2392)."""
    return f"mid:{quote(message_id.strip('<>'), safe='@.')}"


def _body(html: str) -> str:
    """Take what is inside a page."""
    found = _BODY.search(html)
    return found[1].strip() if found else html


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
