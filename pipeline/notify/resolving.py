"""The secrets that a transport needs, and errors without them."""

from __future__ import annotations

import re
from urllib.parse import unquote

from pipeline.errors import Unresolved
from pipeline.types import Resolve, Secret

BOUND = 4
"""How many times the patience for one answer the whole sending of a letter may take."""


def given(reference: str, resolve: Resolve) -> Secret:
    """Follow a reference.

    Raises:
        Unresolved: it gives nothing.
    """
    secret = Secret(resolve(reference).reveal().strip())
    if not secret.reveal():
        raise Unresolved(f"{reference} is empty, so nothing was sent: put the secret there")
    return secret


def header(reference: str, resolve: Resolve) -> Secret:
    """Follow a reference to what goes into a line of a request.

    Raises:
        Unresolved: it gives nothing that could be sent.
    """
    secret = given(reference, resolve)
    if not (secret.reveal().isascii() and secret.reveal().isprintable()):
        raise Unresolved(f"{reference} holds characters that cannot be sent: see that it is the value alone")
    return secret


def pieces(address: str) -> list[str]:
    """Take an address apart that is a secret, as each of its parts may be one; the longest first."""
    parts = re.split(r"[/:@?&=#+,;]+", address.partition("://")[2])
    return sorted({address, *parts, *map(unquote, parts)}, key=len, reverse=True)
