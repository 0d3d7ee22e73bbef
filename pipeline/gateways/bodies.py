"""Bodies of answers: their letters in UTF-8, lines of JSON as an array, a name for what is no JSON."""

from __future__ import annotations

import codecs
import json
import re

from pipeline.core import canonical
from pipeline.core.limits import MAX_VALUES
from pipeline.core.text import redact
from pipeline.errors import Unreadable

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_LINES = re.compile(
    r"\s*application/(?:x-)?(?:ndjson|jsonl|jsonlines)\b|\s*text/(?:x-)?(?:ndjson|jsonl)\b", re.IGNORECASE
)
_ASCII_LIKE = frozenset({"ascii", "iso8859-1", "cp1252"})
"""Charsets that servers declare by default, whatever the body is in."""

_WIDE = ("utf-16", "utf-32")
"""Charsets that `json.detect_encoding` finds by zeros in the first bytes; without them the label is wrong."""

_SLOW = frozenset({"idna", "punycode"})
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(\S)")
_SAMPLE = 4096
_QUOTED = 60

_PASSWORD = rb"<input[^>]*\btype\s*=\s*[\"']?password\b"
_WEB_PAGE = "the answer is a web page, not JSON"
_SIGN_IN = (
    "check that `url` is the address of the API, and that the key or session of the scope is valid there"
)
_KINDS = (
    (
        r"<(?:!doctype html|html|head|body)\b|<\?xml[^<]*<(?:!doctype )?html\b",
        _WEB_PAGE,
        "check that `url` is the address of the API",
    ),
    (r"<", "the answer is XML, not JSON", "set `path`, `params` or `headers` to ask for JSON"),
    (
        r"(?:/\*\*/\s*)?[\w$.]+\s*\(\s*[\[{]",
        "the answer is JSONP, a call of a function with JSON",
        "ask without the parameter that names the function",
    ),
    (
        r"(?:\)\]\}'?,?|while\s*\(1\);|for\s*\(;;\);)\s*[\[{]",
        "the answer is JSON behind a guard such as `)]}'`",
        "ask at the address of the API",
    ),
    (r"(?:data|event|id|retry):", "the answer is a stream of events, not JSON", None),
)
"""What a body is by its beginning, with what to do; patterns are compiled at their first use."""

_PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}


def as_utf8(body: bytes, content_type: str = "") -> bytes:
    """Return a body in UTF-8, by its first bytes or else the declared charset; unchanged where that fails.

    A body of valid UTF-8 is that, even if a charset is declared that servers write by default. JSON between
    systems is in UTF-8, and was in UTF-16 too: https://www.rfc-editor.org/rfc/rfc4627#section-3.
    """
    encoding: str = json.detect_encoding(body) if len(body) > 1 else "utf-8"
    declared = _CHARSET.search(content_type)
    try:
        if encoding.startswith("utf-8") and declared:
            name = codecs.lookup(declared[1]).name
            encoding = encoding if name.startswith(_WIDE) else name
        if encoding in ("utf-8", "utf-8-sig") or encoding in _SLOW:
            return body
        if encoding in _ASCII_LIKE and _is_utf8(body):
            return body
        return body.decode(encoding).encode()
    except (UnicodeError, LookupError):
        return body


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def as_array(body: bytes, content_type: str) -> bytes:
    """Return a body with a JSON value in each line as an array, if its content type says that it is one.

    An array, an envelope with one, and JSON over several lines are left as they are, in spite of the type.
    """
    if not _LINES.match(content_type):
        return body
    lines = _lines(body)
    try:
        first = canonical.decode(lines[0]) if lines else None
    except ValueError:
        return body
    if len(lines) == 1 and (isinstance(first, list) or _is_envelope(first)):
        return body
    return b"[" + b",".join(lines) + b"]" if lines else body


def _lines(body: bytes) -> list[bytes]:
    """Return the lines of a body that are not blank; none of one with more than it may have values."""
    if max(body.count(b"\n"), body.count(b"\r")) > MAX_VALUES:
        return []
    return [line for line in body.splitlines() if line.strip()]


def _is_envelope(value: object) -> bool:
    """Return whether a value is an object with an array and without an id, so hardly a record."""
    return (
        isinstance(value, dict)
        and "id" not in value
        and any(isinstance(each, list) for each in value.values())
    )


def json_lines(body: bytes) -> list[object] | None:
    """Return the objects of a body with one in each line; None for any other body.

    See https://jsonlines.org/.
    """
    lines = _lines(body)
    if len(lines) > 1 and all(line.lstrip().startswith(b"{") for line in lines):
        try:
            return [canonical.decode(line) for line in lines]
        except ValueError:
            pass
    return None


def check_json(body: bytes, content_type: str) -> None:
    """Raise Unreadable for a body that is certainly no JSON, with its content type and its beginning."""
    start = _START.match(body)
    if start and start[1] in b"{[":
        return
    try:
        canonical.decode(body)
    except ValueError as error:
        raise not_json(body, error, content_type) from error


def not_json(body: bytes, error: ValueError, content_type: str = "") -> Unreadable:
    """Return the error for a body that cannot be parsed, named for what it is."""
    packed = next((name for magic, name in _PACKED.items() if body.startswith(magic)), None)
    if packed:
        return Unreadable(f"the answer is compressed with {packed}, not JSON", cure="decompress it")
    start = body[:_SAMPLE].decode("utf-8-sig", "replace").strip()
    if not start:
        return Unreadable("the answer is empty")
    if start[0] in "{[":
        if isinstance(error, canonical.TooManyValues):
            problem, cure = str(error), "ask for a part of it, with `path`, `params` or `paging`"
        elif "nested" in str(error):
            problem, cure = "the answer is nested too deeply to be a list of models", None
        else:
            problem, cure = "the answer is not JSON, or was cut off on its way", None
        return Unreadable(problem, cure=cure)
    for pattern, message, cure in _KINDS:
        if re.match(pattern, start, re.IGNORECASE):
            if message == _WEB_PAGE and re.search(_PASSWORD, body, re.IGNORECASE):
                return Unreadable("the answer is a sign-in page, not JSON", cure=_SIGN_IN, about_request=True)
            return Unreadable(message, cure=cure, about_request=True)
    kind = redact(content_type.partition(";")[0].strip()) or "a text"
    return Unreadable(f"the answer is {kind}, not JSON: {_quoted(start)}")


def _quoted(text: str) -> str:
    """Return the beginning of a text, without anything like a key."""
    shown = redact(text)
    return f'"{shown if len(shown) <= _QUOTED else shown[: _QUOTED - 1] + "…"}"'
