"""Mask secrets in what gateways and receivers send: they may echo one in any spelling, or a part of it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from struct import Struct
from typing import NamedTuple

MASK = "***"

SHORTEST_IN_BODY = 8
"""The letters that a secret needs to be masked in a body: a shorter one could be a part of an id."""

_SHORTEST_IN_TEXT = 4
_SHORTEST_IN_BASE64 = 6
_SHORTEST_PART = 12

_LEVELS = 4
"""How often escapes are decoded: JSON in JSON in a URL has three."""

_BLOCK = 4
_number = Struct("=I").unpack_from
_FEW = 200
"""So many needles are looked for one by one."""

_SCHEME = re.compile(r"(?:bearer|basic|token|api-?key|key)\s+(\S+)", re.IGNORECASE)
"""A header with a word before the secret: https://www.rfc-editor.org/rfc/rfc9110#section-11.4."""

_PREFIX = "sk-"

# Escapes, in lower case, of a letter itself, or of its number. The narrow ones are those of ASCII: a text in
# Chinese has many others. JSON: https://www.rfc-editor.org/rfc/rfc8259#section-7
_JSON = re.compile(rb"""\\(?:(["\\/])|u00([2-7][\da-f]))""")
_JSON_WIDE = re.compile(rb"""\\(?:(["\\/])|u(d[89ab][\da-f]{2}\\ud[c-f][\da-f]{2}|[\da-f]{4}))""")
# Also those of JavaScript, URLs (https://www.rfc-editor.org/rfc/rfc3986#section-2.1) and HTML
# (https://html.spec.whatwg.org/multipage/syntax.html#character-references).
_ANY = re.compile(
    rb"""\\(?:(["'\\/])|(?:u00|x)([2-7][\da-f])|u\{0*([2-7][\da-f])\})|%(?:u00)?([2-7][\da-f])"""
    rb"""|&(?:\#0*(\d{2,3})(?!\d);?|\#x0*([2-7][\da-f])(?![\da-f]);?|([a-z]{2,8});)"""
)
_ANY_WIDE = re.compile(
    rb"""\\(?:(["'\\/])|u(d[89ab][\da-f]{2}\\ud[c-f][\da-f]{2}|[\da-f]{4})"""
    rb"""|u\{0*([\da-f]{2,6})\})|%(?:u00)?([\da-f]{2})"""
    rb"""|&(?:\#0*(\d{2,7})(?!\d);?|\#x0*([\da-f]{2,6})(?![\da-f]);?|([a-z]{2,8});)"""
)
_ITSELF, _BYTE, _DECIMAL, _NAME = 1, 4, 5, 7
"""The groups of these patterns that are no hexadecimal number of a letter."""

_NOT_OF_JSON = re.compile(rb"%u?[\da-f]|&[#a-z]|\\[x']|\\u\{")


_LETTERS = [bytes([number]).lower() for number in range(256)]
"""Each byte in lower case, made once: a body may have millions of escapes."""

_ASCII = 128


class Span(NamedTuple):
    """A part of a text in bytes: its first one, and the one behind its last."""

    start: int
    end: int


class Masker:
    """Masks secrets in any case, also as JSON, URLs, HTML, base64 and hexadecimal digits write them.

    Such escapes may be within others, and mixed.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: dict[str, None] = {}
        self._is_plain = True
        self._json, self._any = _JSON, _ANY
        self._needles: dict[int, _Needles] = {}
        self._parts: dict[int, set[bytes]] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> bool:
        """Mask some more secrets from now on; return whether one is new."""
        unknown = [secret for secret in secrets if secret not in self._secrets]
        if not unknown:
            return False
        words = (word for secret in unknown for word in (secret, *_SCHEME.findall(secret)))
        new = [word for word in dict.fromkeys(words) if word not in self._secrets]
        self._secrets |= dict.fromkeys(new)
        is_wide = self._any is _ANY and not all(secret.isascii() for secret in new)
        if is_wide:
            self._json, self._any = _JSON_WIDE, _ANY_WIDE
            self._needles = {}
        has_json = any(letter in secret for secret in new for letter in '"\\')
        self._is_plain &= self._any is _ANY and not has_json
        for shortest, needles in self._needles.items():
            needles.add(self._forms(new, shortest))
        if self._parts is not None:
            _add_parts(self._parts, new)
        return True

    def body(self, body: bytes) -> bytes:
        """Return a body with whole secrets of at least eight letters masked; JSON remains JSON.

        Parts of a secret are left: masking them could alter a model's id.
        """
        return _masked(body, self._spans(body, SHORTEST_IN_BODY, parts=False))

    def text(self, text: str) -> str:
        """Return a text with secrets, and parts of them of twelve letters or more, masked."""
        data = text.encode("utf-8", "surrogatepass")
        spans = self._spans(data, _SHORTEST_IN_TEXT, parts=True)
        return _masked(data, spans).decode("utf-8", "surrogatepass")

    def _spans(self, data: bytes, shortest: int, *, parts: bool) -> list[Span]:
        """Return where the secrets are, in order."""
        needles = self._needles_from(shortest)
        if not needles:
            return []
        lower = data.lower()
        spans, decoded = self._decoded_spans(lower, self._json, needles, parts=parts)
        # JSON alone comes first: the letters of a secret may be an escape elsewhere.
        is_coded = b"%" in decoded or b"&" in decoded or b"\\" in decoded
        if is_coded and _NOT_OF_JSON.search(decoded):
            spans += self._decoded_spans(lower, self._any, needles, parts=parts)[0]
        return _merged(_with_backslash(lower, span) for span in spans)

    def _decoded_spans(
        self, data: bytes, escapes: re.Pattern[bytes], needles: _Needles, *, parts: bool
    ) -> tuple[list[Span], bytes]:
        """Decode a text over and over; return where the secrets are in it, and the last text."""
        spans: list[Span] = []
        texts = [data]
        while True:
            found = [
                span for needle in needles.in_text(texts[-1]) for span in _occurrences(texts[-1], needle)
            ]
            found += self._part_spans(texts[-1]) if parts else []
            for text in reversed(texts[:-1] if found else []):
                found = _before_decoding(found, text, escapes)
            spans += found
            may_hide = self._may_hide(texts[-1]) if escapes is self._json else True
            decoded = escapes.sub(_letter, texts[-1]) if may_hide else texts[-1]
            if decoded == texts[-1] or len(texts) > _LEVELS:
                return spans, texts[-1]
            texts.append(decoded)

    def _may_hide(self, data: bytes) -> bool:
        """Return whether escapes of JSON may hide a secret: most answers escape only line ends and quotes."""
        if not (self._is_plain and b"\\" in data):
            return b"\\" in data
        return b"\\u00" in data or b"\\/" in data

    def _part_spans(self, data: bytes) -> list[Span]:
        if self._parts is None:
            self._parts = {}
            _add_parts(self._parts, self._secrets)
        return [
            Span(at, at + length)
            for length, parts in self._parts.items()
            for at in range(len(data) - length + 1)
            if data[at : at + length] in parts
        ]

    def _needles_from(self, shortest: int) -> _Needles:
        """Return what to look for: secrets of so many letters or more in each spelling without escapes."""
        if shortest not in self._needles:
            self._needles[shortest] = _Needles()
            self._needles[shortest].add(self._forms(self._secrets, shortest))
        return self._needles[shortest]

    def _forms(self, secrets: Iterable[str], shortest: int) -> Iterator[bytes]:
        return (form for secret in secrets for form in _forms(secret, self._any, shortest))


class _Needles:
    """What to look for in texts; where it is much, only for what has four letters in common with a text.

    A gateway may have thousands of keys, and each may be in each of its answers. The first four letters of an
    occurrence that begin at a multiple of four are among the first seven of the needle.
    """

    def __init__(self) -> None:
        self._all: dict[bytes, None] = {}
        self._short: list[bytes] = []
        self._by_block: defaultdict[int, list[bytes]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, needles: Iterable[bytes]) -> None:
        """Look for some more from now on."""
        for needle in needles:
            if needle in self._all:
                continue
            self._all[needle] = None
            if len(needle) < 2 * _BLOCK - 1:
                self._short.append(needle)
                continue
            for at in range(_BLOCK):
                self._by_block[_number(needle, at)[0]].append(needle)

    def in_text(self, data: bytes) -> Iterable[bytes]:
        """Return those that a text may have."""
        if len(self._all) <= _FEW:
            return self._all
        blocks = set(memoryview(data)[: len(data) // _BLOCK * _BLOCK].cast("I"))
        found = (self._by_block[block] for block in self._by_block.keys() & blocks)
        return dict.fromkeys([*self._short, *chain.from_iterable(found)])


def _forms(secret: str, escapes: re.Pattern[bytes], shortest: int) -> Iterator[bytes]:
    """Yield a secret in lower case: as it is, without its prefix, as decoding leaves it, and encoded."""
    bare = secret.removeprefix(_PREFIX)
    for text in dict.fromkeys((secret, bare, secret.replace(" ", "+"))):
        plain = text.encode("utf-8", "surrogatepass").lower()
        if len(plain) >= shortest:
            yield plain
        if b"\\" in plain or b"%" in plain or b"&" in plain:
            decoded = plain
            for _ in range(_LEVELS):
                decoded = escapes.sub(_letter, decoded)
            if len(decoded) >= shortest:
                yield decoded
    if len(bare) >= shortest:
        yield from (form for form in _in_base64(bare) if len(form) >= _SHORTEST_IN_BASE64)
        yield bare.encode("utf-8", "surrogatepass").hex().encode()


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _in_base64(secret: str) -> Iterator[bytes]:
    """Yield base64 of a secret in lower case, at each place in its groups of three bytes.

    The letters at the ends, which the bytes beside the secret change, are left out. URLs have two other
    letters: https://www.rfc-editor.org/rfc/rfc4648#section-5.
    """
    data = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        encoded = b64encode(b"\0" * before + data)
        core = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6].lower()
        yield core
        if b"+" in core or b"/" in core:
            yield core.translate(_URL_SAFE)


def _add_parts(found: dict[int, set[bytes]], secrets: Iterable[str]) -> None:
    """Add parts of twelve letters, plain, in base64 and in hexadecimal digits, by their length."""
    for secret in secrets:
        plain = secret.encode("utf-8", "surrogatepass")
        for length, texts in (
            (_SHORTEST_PART, [plain.lower()]),
            (_SHORTEST_PART * 8 // 6, _in_base64(secret)),
            (_SHORTEST_PART * 2, [plain.hex().encode()]),
        ):
            for text in texts:
                places = range(len(text) - length + 1)
                found.setdefault(length, set()).update(text[at : at + length] for at in places)


def _letter(escape: re.Match[bytes]) -> bytes:
    """Return the letter of an escape in lower case; an escape of none as it is."""
    kind = escape.lastindex or 0
    value = escape[kind]
    if kind == _ITSELF:
        return value
    if kind == _BYTE:
        return _LETTERS[int(value, 16)]
    if kind == _NAME:
        return _named_letters().get(value, escape[0])
    if b"\\" in value:  # a surrogate pair
        pair = bytes.fromhex(value.replace(b"\\u", b"").decode())
        return pair.decode("utf-16-be").encode().lower()
    number = int(value, 10 if kind == _DECIMAL else 16)
    try:
        return _LETTERS[number] if number < _ASCII else chr(number).encode("utf-8", "surrogatepass").lower()
    except (ValueError, OverflowError):
        return escape[0]


@cache
def _named_letters() -> dict[bytes, bytes]:
    """Return the letters of ASCII that have a name in HTML: `amp`, `sol`, `lowbar`."""
    from html.entities import html5

    return {
        name.rstrip(";").lower().encode(): letter.lower().encode()
        for name, letter in html5.items()
        if letter.isascii() and letter.isprintable()
    }


def _occurrences(data: bytes, needle: bytes) -> Iterator[Span]:
    at = data.find(needle)
    while at >= 0:
        yield Span(at, at + len(needle))
        at = data.find(needle, at + 1)


def _before_decoding(spans: Sequence[Span], data: bytes, escapes: re.Pattern[bytes]) -> list[Span]:
    """Return where parts of a decoded text were before, with the whole of each escape.

    The escapes are not kept: a body may have millions.
    """
    # In the order of the text; an end comes before a start at the same place.
    edges = sorted({(span.start, True) for span in spans} | {(span.end, False) for span in spans})
    before: dict[tuple[int, bool], int] = {}
    letter = origin = Span(0, 0)
    following = escapes.finditer(data)
    escape = next(following, None)
    for at, is_start in edges:
        while escape and (start := letter.end + escape.start() - origin.end) < at + is_start:
            letter, origin = Span(start, start + len(_letter(escape))), Span(*escape.span())
            escape = next(following, None)
        place = origin.end + at - letter.end
        if is_start:
            before[at, is_start] = origin.start if at < letter.end else place
        else:
            before[at, is_start] = max(place, origin.end)
    return [Span(before[span.start, True], before[span.end, False]) for span in spans]


def _with_backslash(data: bytes, span: Span) -> Span:
    """Return a span with the backslash before it that would escape the mask: JSON would not remain JSON."""
    start = span.start
    while start and data[start - 1 : start] == b"\\":
        start -= 1
    return Span(span.start - (span.start - start) % 2, span.end)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch as one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(span.end, merged[-1].end))
        else:
            merged.append(span)
    return merged


def _masked(data: bytes, spans: Iterable[Span]) -> bytes:
    pieces, at = [], 0
    for span in spans:
        pieces += [data[at : span.start], MASK.encode()]
        at = span.end
    return b"".join([*pieces, data[at:]]) if pieces else data
