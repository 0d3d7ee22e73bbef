"""Nothing that leaves the fetcher holds a secret: bodies, tags and error texts pass through here."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.core.text import MASK, mask, redact
from pipeline.core.types import Secret

_SHORTEST_IN_BODY = 8


_SHORTEST_IN_TEXT = 4


_SHORT_ESCAPES = '/"\\'


class Redactor:
    """Knows the secrets of one scope, and takes them out of what came back."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = {secret.reveal() for secret in secrets}
        values |= {value.removeprefix("sk-") for value in values}
        self._values = sorted(values, key=len, reverse=True)
        self._spelled: re.Pattern[bytes] | None = None

    def body(self, body: bytes) -> bytes:
        """Give a body without the secrets, however its JSON spells them."""
        if self._values and self._may_be_escaped(body):
            return self._escaped().sub(MASK.encode(), body)
        for value in self._values:
            secret = value.encode()
            if len(secret) >= _SHORTEST_IN_BODY and secret in body:
                body = body.replace(secret, MASK.encode())
        return body

    def _may_be_escaped(self, body: bytes) -> bool:
        """Say whether letters of a secret may be escaped: few have another escape than their number."""
        special = any(letter in value for value in self._values for letter in _SHORT_ESCAPES)
        return b"\\" in body and (special or b"\\u00" in body)

    def _escaped(self) -> re.Pattern[bytes]:
        """Match the secrets letter by letter, as they are or in any of JSON's escapes."""
        if self._spelled is None:
            long = [value for value in self._values if len(value.encode()) >= _SHORTEST_IN_BODY]
            spelled = ("".join(map(_letter, value)) for value in long)
            self._spelled = re.compile("|".join(spelled).encode() or rb"(?!)")
        return self._spelled

    def tag(self, value: str | None) -> str | None:
        """Give a response header, None where it could not be sent back, or holds a secret: of no use then."""
        if value is None or not (value.isascii() and value.isprintable()):
            return None
        if any(secret in value for secret in self._values if len(secret) >= _SHORTEST_IN_TEXT):
            return None
        return value

    def text(self, text: str) -> str:
        """Give an error text fit to be kept and shown; see `wording.told`."""
        return redact(mask(text, self._values))


def _letter(letter: str) -> str:
    """Give the ways in which JSON may write a letter, as a regular expression."""
    units = letter.encode("utf-16-be").hex()
    number = "".join(f"\\\\u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    plain = re.escape(letter)
    # First with its backslash: half of an escape that was left over would spoil the text.
    return f"(?:\\\\{plain}|{plain}|{number})" if letter in _SHORT_ESCAPES else f"(?:{plain}|{number})"
