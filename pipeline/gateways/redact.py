"""Redaction of bodies, validators and error texts before they leave the client."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.core.text import MASK, mask, redact
from pipeline.core.types import Secret

_MIN_LENGTH_IN_BODY = 8
_MIN_LENGTH_IN_HEADER = 4
_SHORT_ESCAPES = '/"\\'


class Redactor:
    """Replaces the secrets of one scope in everything that its gateway sent back."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = {secret.reveal() for secret in secrets}
        values |= {value.removeprefix("sk-") for value in values}
        self._secrets = sorted(values, key=len, reverse=True)
        self._escaped: re.Pattern[bytes] | None = None

    def body(self, body: bytes) -> bytes:
        """Return a body with whole secrets masked, also where JSON escapes their letters.

        Parts of a secret are left: masking them could alter a model's id.
        """
        if self._secrets and self._may_hold_escapes(body):
            return self._escaped_secrets().sub(MASK.encode(), body)
        for value in self._secrets:
            secret = value.encode()
            if len(secret) >= _MIN_LENGTH_IN_BODY and secret in body:
                body = body.replace(secret, MASK.encode())
        return body

    def _may_hold_escapes(self, body: bytes) -> bool:
        """Return whether a body may hold a secret with escaped letters.

        Of the printable letters, JSON has a short escape for `/`, `"` and the backslash only.
        """
        special = any(letter in value for value in self._secrets for letter in _SHORT_ESCAPES)
        return b"\\" in body and (special or b"\\u00" in body)

    def _escaped_secrets(self) -> re.Pattern[bytes]:
        """Return a pattern that matches the secrets letter by letter, plain or escaped."""
        if self._escaped is None:
            long = [value for value in self._secrets if len(value.encode()) >= _MIN_LENGTH_IN_BODY]
            patterns = ("".join(map(_letter_pattern, value)) for value in long)
            self._escaped = re.compile("|".join(patterns).encode() or rb"(?!)")
        return self._escaped

    def header(self, value: str | None) -> str | None:
        """Return a validator; None where it could not be sent back, or holds a secret."""
        if value is None or not (value.isascii() and value.isprintable()):
            return None
        if any(secret in value for secret in self._secrets if len(secret) >= _MIN_LENGTH_IN_HEADER):
            return None
        return value

    def text(self, text: str) -> str:
        """Return an error text fit to be stored and shown; see `core.text.redact`."""
        return redact(mask(text, self._secrets))


def _letter_pattern(letter: str) -> str:
    """Return a regular expression for a letter as JSON may write it.

    See https://www.rfc-editor.org/rfc/rfc8259#section-7.
    """
    units = letter.encode("utf-16-be").hex()
    number = "".join(f"\\\\u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    plain = re.escape(letter)
    # The escaped form first: a remaining backslash would make the JSON invalid.
    return f"(?:\\\\{plain}|{plain}|{number})" if letter in _SHORT_ESCAPES else f"(?:{plain}|{number})"
