"""Text of a gateway in a form that is safe to print.

What others say of an error, fit to be kept and shown: one line, no key, nothing that varies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

LONGEST = 200


_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def printable(text: str, *, longest: int = LONGEST) -> str:
    """Give a gateway's text in a form safe to print: control and bidirectional characters as escapes, cut."""
    safe = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return safe if len(safe) <= longest else safe[: longest - 1] + "…"


def count(number: int, thing: str) -> str:
    """Write how many there are: `1 model`, `2 models`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


MASK = "***"


_LONGEST = 300


_SHORTEST_SECRET = 4


_KEY_LIKE = re.compile(r"\b(sk|pk|key|sess)-[\w*.-]{6,}")


_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;]{6,}")


_REQUEST_ID = re.compile(
    r"\s*\(request[ _-]?id: [^)]*\)|\s*\[?request[_ -]?id\]?[:=]\s*[\w-]+", re.IGNORECASE
)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def redact(text: str) -> str:
    """Give an error's text on one line: nothing like a key, no request id, not long."""
    text = _BEARER.sub(rf"\1{MASK}", _KEY_LIKE.sub(MASK, _REQUEST_ID.sub("", text)))
    return one_line(text)


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Give a text on one line: no control characters, none that turn the direction of writing, not long."""
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= longest else text[: longest - 1] + "…"


def mask(text: str, secrets: Iterable[str]) -> str:
    """Give a text without these secrets, as they are or as JSON and addresses spell them."""
    for value in secrets:
        if len(value) >= _SHORTEST_SECRET:
            for spelled in (value, json.dumps(value)[1:-1], quote(value), quote(value, safe="")):
                text = re.sub(re.escape(spelled), MASK, text, flags=re.IGNORECASE)
    return text
