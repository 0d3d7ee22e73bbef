"""The secrets of channels: resolve them, check their characters, and split them into parts to mask."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from pipeline.core.text import header_problem
from pipeline.core.types import Resolve, Secret, reference_name
from pipeline.errors import Unresolved


def resolve_secret(reference: str, resolve: Resolve) -> Secret:
    """Resolve a reference, without the white space around the secret.

    Raises:
        Unresolved: it cannot be resolved, or is empty.
    """
    secret = Secret(resolve(reference).reveal().strip())
    if not secret.reveal():
        raise Unresolved(f"{reference_name(reference)} is empty; nothing was sent: set the secret there")
    return secret


def resolve_header(reference: str, resolve: Resolve) -> Secret:
    """Resolve a reference to a URL or the value of a header.

    Raises:
        Unresolved: it cannot be resolved, is empty, or has characters that HTTP cannot carry.
    """
    secret = resolve_secret(reference, resolve)
    if problem := header_problem(secret.reveal()):
        raise Unresolved(f"{reference_name(reference)} {problem}")
    return secret


def unresolved(references: Iterable[str], resolve: Resolve) -> list[str]:
    """Return a line, for the owner's terminal, for each reference that cannot be resolved."""
    found = []
    for reference in references:
        try:
            resolve_secret(reference, resolve)
        except Unresolved as error:
            found.append(error.on_terminal)
    return found


def url_parts(url: str) -> list[str]:
    """Return a URL and its parts, each of which may be a secret, the longest first."""
    parts = re.split(r"[/:@?&=#+,;]+", url.partition("://")[2])
    return sorted({url, *parts, *map(unquote, parts)}, key=len, reverse=True)
