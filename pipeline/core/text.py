"""Make foreign text safe to show: escape it for the terminal, put it on one line, redact it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pipeline.core.masking import MASK

UNSAFE = (
    "\x00-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional: https://www.unicode.org/reports/tr9/
    "\u200b-\u200d\u2060-\u2065\ufeff"  # zero width
    "\u2028\u2029"  # line and paragraph separator
    "\ud800-\udfff"  # surrogates, which UTF-8 cannot encode
)
"""The characters never shown as they are, as the inside of a regular expression's `[…]`."""

_LONGEST = 200
_MEGABYTE = 1_000_000
_MOST_NAMES = 10
_LONGEST_LINE = 300

_UNSAFE = re.compile(f"[{UNSAFE}]")
_UNSAFE_RUN = re.compile(f"[{UNSAFE}]+")
_KEY = re.compile(r"\b(sk|pk|key|sess)-[\w*.-]{6,}")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;]{6,}")
_REQUEST_ID = re.compile(
    r"\s*\(request[ _-]?id: [^)]*\)|\s*\[?request[ _-]?id\]?[:=]\s*[\w-]+", re.IGNORECASE
)


_LINE = re.compile(r"[^\n]*\n|[^\n]+$")


def lines_of(text: str) -> Iterator[str]:
    r"""Yield the lines of a text with their `\n`; a list of a million lines would take more than the text."""
    return (found[0] for found in _LINE.finditer(text))


def printable(text: str, *, longest: int = _LONGEST) -> str:
    """Return a text with unsafe characters escaped as JSON does, clipped to `longest` characters."""
    return _clipped(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text), longest)


def quoted(text: str) -> str:
    """Return a name in quotes, as `printable` shows it."""
    return f"'{printable(text)}'"


def similar(name: str, names: Iterable[str], *, most: int = 3, least: float = 0.4) -> list[str]:
    """Return up to `most` names that are similar to another, best first; case does not count.

    `least` is the least similarity, from 0 to 1 for equal: that of `difflib.get_close_matches`.
    """
    from difflib import get_close_matches  # slow to import, and needed only for mistakes

    by_folded: dict[str, list[str]] = {}
    for each in names:
        by_folded.setdefault(each.casefold(), []).append(each)
    found = get_close_matches(name.casefold(), by_folded, n=most, cutoff=least)
    return [each for folded in found for each in by_folded[folded]][:most]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `did you mean x?` for a name that does not exist; empty where no name is similar."""
    found = similar(name, names, most=1, least=0.6)
    return f"did you mean {printable(found[0])}?" if found else ""


def choices(name: str, names: Iterable[str], *, none: str) -> str:
    """Return what may be written instead of a name that does not exist: a similar one, else the first few.

    For example `did you mean acme/prod?` or `there are acme/prod, acme/web`; `none` where there are no names.
    """
    known = list(names)
    if not known:
        return none
    shown = ", ".join(map(printable, known[:_MOST_NAMES]))
    return did_you_mean(name, known) or f"there are {shown}{' …' if len(known) > _MOST_NAMES else ''}"


def one_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """Return a text with each run of unsafe characters as a space, clipped to `longest` characters."""
    return _clipped(_UNSAFE_RUN.sub(" ", text).strip(), longest)


_LONE_COMMA = re.compile(r"[,;]\s*(?=[.,;)]|$)")
"""A comma before which, or after which, a request id was cut."""


def redact(text: str) -> str:
    """Return an error text for storing: on one line, without anything like a key, without request ids.

    A request id differs in each answer, so the same error would look like a new one.
    """
    without_ids = _LONE_COMMA.sub("", _REQUEST_ID.sub("", text))
    return one_line(_BEARER.sub(rf"\1{MASK}", _KEY.sub(MASK, without_ids)))


def header_problem(secret: str) -> str | None:
    """Return why no header can carry a secret, and what to do: https://www.rfc-editor.org/rfc/rfc9110#section-5.5.

    None if one can.
    """
    if len(secret.splitlines()) > 1:
        return "has several lines: put the secret alone there, on one line"
    if not (secret.isascii() and secret.isprintable()):
        return "holds characters that no HTTP header can carry: put the secret alone there"
    return None


def sentence(text: str) -> str:
    """Return a text that ends like a sentence."""
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


def count(number: int, thing: str) -> str:
    """Return a number with its noun: `1 model`, `2 models`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def file_size(size: int) -> str:
    """Return a number of bytes for people: `64 kB`, `1.5 MB`, which are thousands and millions."""
    return f"{size / 1000:,.0f} kB" if size < _MEGABYTE else f"{size / _MEGABYTE:,.1f} MB"


def _clipped(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
