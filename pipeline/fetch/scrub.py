"""Nothing that leaves the fetcher holds a secret: bodies and error texts pass through here."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.types import Secret

MASK = "***"

_SHORTEST_IN_BODY = 8
_SHORTEST_IN_TEXT = 4
_LONGEST_TEXT = 300
_KEY_LIKE = re.compile(r"\b(sk|pk|key|sess)-[\w*.-]{6,}")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;]{6,}")
_REQUEST_ID = re.compile(r"\s*\(request id: [^)]*\)|\s*\[?request[_ -]id\]?[:=]\s*[\w-]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


class Scrubber:
    """Knows the secrets of one scope, and takes them out of what came back."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = {secret.reveal() for secret in secrets}
        values |= {value.removeprefix("sk-") for value in values}
        self._values = sorted(values, key=len, reverse=True)

    def body(self, body: bytes) -> bytes:
        """Give a body without the secrets, should the gateway have echoed one."""
        for value in self._values:
            secret = value.encode()
            if len(secret) >= _SHORTEST_IN_BODY and secret in body:
                body = body.replace(secret, MASK.encode())
        return body

    def text(self, text: str) -> str:
        """Give an error text on one line: no secret, nothing like a key, no request id, not long."""
        for value in self._values:
            if len(value) >= _SHORTEST_IN_TEXT:
                text = text.replace(value, MASK)
        text = _BEARER.sub(rf"\1{MASK}", _KEY_LIKE.sub(MASK, _REQUEST_ID.sub("", text)))
        text = _CONTROL.sub(" ", text).strip()
        return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
