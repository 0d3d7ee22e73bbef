"""What a gateway says of an error, fit to be kept and shown: one line, no key, nothing that varies."""

from __future__ import annotations

import re

MASK = "***"

_LONGEST = 300
_KEY_LIKE = re.compile(r"\b(sk|pk|key|sess)-[\w*.-]{6,}")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;]{6,}")
_REQUEST_ID = re.compile(
    r"\s*\(request[ _-]?id: [^)]*\)|\s*\[?request[_ -]?id\]?[:=]\s*[\w-]+", re.IGNORECASE
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def told(text: str) -> str:
    """Give an error's text on one line: nothing like a key, no request id, not long."""
    text = _BEARER.sub(rf"\1{MASK}", _KEY_LIKE.sub(MASK, _REQUEST_ID.sub("", text)))
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
