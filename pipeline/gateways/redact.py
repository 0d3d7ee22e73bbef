"""Redaction of bodies, validators and error texts before they leave the client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipeline.core.limits import MAX_ESCAPES, SMALL_ANSWER
from pipeline.core.masking import Masker
from pipeline.core.text import redact
from pipeline.core.types import Secret
from pipeline.errors import Unreadable
from pipeline.gateways.cache import BodyCache

_LARGE = 64 * 1024
"""The bytes of a body from which copying it takes longer than comparing it with others."""

_ESCAPES = (b"%", b"&", rb"\u00", rb"\x", rb"\u{")
"""How an escape of a letter begins in URLs, HTML, JSON and JavaScript."""

_FIRST_LETTERS = (b"%", b"&", b"\\")
"""The first letters of escapes: most bodies have few of them, and single letters are counted faster."""


class Redactor:
    """Replaces secrets in everything that a gateway sent back.

    Args:
        secrets: what is replaced.
        of_gateway: also replace what this one does, and add the secrets to it: they are those of a scope.
    """

    def __init__(self, secrets: Iterable[Secret] = (), *, of_gateway: Redactor | None = None) -> None:
        found = [secret.reveal() for secret in secrets]
        if of_gateway is None:
            self._masker, self._clean, self._own = Masker(), BodyCache[bytes](), list[str]()
        else:
            self._masker, self._clean = of_gateway._masker, of_gateway._clean  # noqa: SLF001 - of this class
            self._own = found
        if self._masker.add(found):
            self._clean.clear()

    def seen(self) -> Iterator[bytes]:
        """Yield the large ones of the last bodies without a secret."""
        return self._clean.bodies(_LARGE)

    def body(self, body: bytes) -> bytes:
        """Return a body with whole secrets masked; see `Masker.body`.

        Raises:
            Unreadable: too much of it is escaped to be searched for secrets.
        """
        # Most scopes of a gateway get the same answer.
        if (clean := self._clean.get(body)) is not None:
            return clean
        if self._masker and all(_has_many(body, beginnings) for beginnings in (_FIRST_LETTERS, _ESCAPES)):
            raise Unreadable(
                f"the answer has more than {MAX_ESCAPES:,} escaped letters",
                cure="ask for a part of it, with `path`, `params` or `paging`",
            )
        masked = self._masker.body(body)
        if masked is body and len(body) <= SMALL_ANSWER:
            self._clean.put(body, body)
        return masked

    def header(self, value: str | None) -> str | None:
        """Return a validator; None where it could not be sent back, or holds a secret or a part of one."""
        if value is None or not (value.isascii() and value.isprintable()):
            return None
        return value if self.mask(value) == value else None

    def mask(self, text: str) -> str:
        """Return a text with secrets, and parts of them, masked; see `Masker.text`."""
        return self._masker.text(text, self._own)

    def text(self, text: str) -> str:
        """Return an error text fit to be stored and shown; see `core.text.redact`."""
        return redact(self.mask(text))


def _has_many(body: bytes, beginnings: Sequence[bytes]) -> bool:
    """Return whether a body may have more escapes with these beginnings than are searched for secrets."""
    # Finding that a letter is absent takes a thirtieth of counting it.
    counts = (body.count(each) for each in beginnings if each[:1] in body)
    return len(body) > MAX_ESCAPES and sum(counts) > MAX_ESCAPES
