"""Mask secrets in what gateways and receivers send: they may echo one in any spelling, or a part of it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
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

_BLOCK = 8
_STRIDE = 4
_SOME = 2000
"""So many secrets have four blocks of each form in memory, which makes a search four times as fast."""

_number = Struct("=Q").unpack
_FEW = 30
"""So many secrets are looked for one by one."""

_COMMON = 100
"""So many secrets may have eight letters in common by chance."""

_HEXADECIMAL = re.compile(rf"[0-9a-f]{{{2 * _SHORTEST_PART},}}")

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

_ESCAPES = re.compile(rb"[\\%&]")
"""How escapes begin."""

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
        self._runs = _Runs()
        self._forms: dict[int, dict[bytes, None]] = {}
        self._all_parts: dict[int, set[bytes]] = {}
        self._whole: _Index | None = None
        self._parts: _Index | None = None
        self.add(secrets)

    def __bool__(self) -> bool:
        """Return whether there is a secret."""
        return bool(self._secrets)

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
            self._whole = None
        has_json = any(letter in secret for secret in new for letter in '"\\')
        self._is_plain &= self._any is _ANY and not has_json
        self._runs.add(new)
        self._forms.clear()
        self._all_parts.clear()
        if self._whole is not None:
            self._whole.add(new, self._ends)
        if self._parts is not None:
            self._parts.add(new, _samples)
        return True

    def body(self, body: bytes) -> bytes:
        """Return a body with whole secrets of at least eight letters masked; JSON remains JSON.

        Parts of a secret are left: masking them could alter a model's id.
        """
        return _masked(body, self._spans(body, SHORTEST_IN_BODY, None))

    def text(self, text: str, own: Sequence[str] = ()) -> str:
        """Return a text with secrets, and parts of them of twelve letters or more, masked.

        Where the secrets are many, parts in base64 are masked of the `own` ones and of those that are in the
        text as a whole only: to find the others would take megabytes for each hundred.
        """
        data = text.encode("utf-8", "surrogatepass")
        spans = self._spans(data, _SHORTEST_IN_TEXT, own)
        return _masked(data, spans).decode("utf-8", "surrogatepass")

    def _spans(self, data: bytes, shortest: int, own: Sequence[str] | None) -> list[Span]:
        """Return where the secrets are, in order, and parts of them unless `own` is None."""
        if not self._secrets:
            return []
        lower = data.lower()
        spans, decoded = self._decoded_spans(lower, self._json, shortest, own)
        # JSON alone comes first: the letters of a secret may be an escape elsewhere.
        is_coded = b"%" in decoded or b"&" in decoded or b"\\" in decoded
        if is_coded and _NOT_OF_JSON.search(decoded):
            spans += self._decoded_spans(lower, self._any, shortest, own)[0]
        return _merged(_widened(lower, span) for span in spans)

    def _decoded_spans(
        self, data: bytes, escapes: re.Pattern[bytes], shortest: int, own: Sequence[str] | None
    ) -> tuple[list[Span], bytes]:
        """Decode a text over and over; return where the secrets are in it, and the last text."""
        spans: list[Span] = []
        texts = [data]
        while True:
            found = [
                span
                for needle in self._needles(texts[-1], shortest)
                for span in _occurrences(texts[-1], needle)
            ]
            found += [] if own is None else self._part_spans(texts[-1], own)
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

    def _needles(self, data: bytes, shortest: int) -> Iterable[bytes]:
        """Return what to look for in a text: secrets in each spelling without escapes."""
        if not self._runs.may_be_in(data):
            return ()
        if len(self._secrets) > _FEW:
            words = self._words_in(data)
            return dict.fromkeys(chain.from_iterable(_forms(each, self._any, shortest) for each in words))
        if shortest not in self._forms:
            forms = (_forms(each, self._any, shortest) for each in self._secrets)
            self._forms[shortest] = dict.fromkeys(chain.from_iterable(forms))
        return self._forms[shortest]

    def _words_in(self, data: bytes) -> Iterable[str]:
        """Return which of many secrets a text may have as a whole."""
        if self._whole is None:
            self._whole = _Index(stride=_STRIDE if len(self._secrets) <= _SOME else 1)
            self._whole.add(self._secrets, self._ends)
        return self._whole.words_in(data)

    def _ends(self, secret: str) -> Iterator[bytes]:
        """Yield the last letters of each form of a secret; fewer than eight if a form has too few.

        The last ones, since thousands of keys begin alike. Where a text is searched at every fourth place,
        four blocks that overlap, of which one is at such a place.
        """
        assert self._whole
        before = range(self._whole.stride)
        # What has a secret with its prefix has it without, too.
        forms = _forms(secret.removeprefix(_PREFIX), self._any, 1)
        return (
            form[max(0, len(form) - _BLOCK - back) : len(form) - back] for form in forms for back in before
        )

    def _part_spans(self, data: bytes, own: Sequence[str]) -> list[Span]:
        if len(self._secrets) <= _FEW:
            if not self._all_parts:
                _add_parts(self._all_parts, self._secrets)
            found = self._all_parts
        else:
            if self._parts is None:
                self._parts = _Index(most=_COMMON)
                self._parts.add(self._secrets, _samples)
            texts = (data, *map(bytes.fromhex, _hexadecimal(data.decode("ascii", "replace"))))
            words = chain.from_iterable(self._parts.words_in(each.lower()) for each in texts)
            found = {}
            _add_parts(found, dict.fromkeys((*own, *self._words_in(data), *words)))
        return [
            Span(at, at + length)
            for length, parts in found.items()
            for at in range(len(data) - length + 1)
            if data[at : at + length] in parts
        ]


_BASE64 = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789+/-_")
"""The letters of base64, also in URLs, in lower case; hexadecimal digits are among them."""

_LETTER = b"x"


class _Runs:
    """Whether a text has as many letters of secrets in a row as the shortest secret.

    Most lists have no word that is as long as a key, and this takes a fifth of looking for thousands of keys.
    """

    def __init__(self) -> None:
        self._letters = set(_BASE64)
        self._lengths: set[int] = set()
        self._run = self._table = b""

    def add(self, secrets: Iterable[str]) -> None:
        """Look for some more secrets."""
        for secret in secrets:
            plain = _plain(secret.removeprefix(_PREFIX))
            self._letters.update(plain)
            # As in `_forms`: decoding makes a secret shorter, base64 and hexadecimal digits do not.
            self._lengths.add(0 if _ESCAPES.search(plain) else len(plain))
        self._run = _LETTER * min(self._lengths)
        self._table = bytes(_LETTER[0] if number in self._letters else 0 for number in range(256))

    def may_be_in(self, data: bytes) -> bool:
        """Return whether a text in lower case may have a secret, in any spelling without escapes."""
        return self._run in data.translate(self._table)


class _Index:
    """Which of thousands of secrets a text may have: those with which it has eight letters in common.

    A gateway may have a million keys, and each may be in each of its answers. Of a secret, a few places are
    kept.

    Args:
        most: letters that more secrets than this have in common are none of theirs, but the maker's; None to
            keep all.
        stride: a text is searched at each place that is a multiple of this, a divisor of eight.
    """

    def __init__(self, most: int | None = None, stride: int = 1) -> None:
        self.stride = stride
        self._words: dict[int, str | list[str]] = {}
        self._short: dict[str, None] = {}
        self._most = most

    def add(self, secrets: Iterable[str], blocks_of: Callable[[str], Iterable[bytes]]) -> None:
        """Look for some more secrets, each by some blocks of eight letters; one of fewer letters always."""
        words = self._words
        for secret in secrets:
            for block in blocks_of(secret):
                if len(block) < _BLOCK:
                    self._short[secret] = None
                    continue
                (number,) = _number(block)
                known = words.setdefault(number, secret)
                if isinstance(known, list):
                    if self._most is None or len(known) <= self._most:
                        known.append(secret)
                elif known is not secret:
                    words[number] = [known, secret]

    def words_in(self, data: bytes) -> Iterable[str]:
        """Return the secrets that a text may have."""
        found = dict(self._short)
        view, keys = memoryview(data), self._words.keys()
        for start in range(0, min(_BLOCK, len(data)), self.stride):
            end = start + (len(data) - start) // _BLOCK * _BLOCK
            for number in keys & view[start:end].cast("Q"):
                known = self._words[number]
                if isinstance(known, str):
                    found[known] = None
                elif self._most is None or len(known) <= self._most:
                    found.update(dict.fromkeys(known))
        return found


def _plain(text: str) -> bytes:
    """Return a text as it is looked for: in UTF-8, with the letters of ASCII in lower case."""
    return text.encode("utf-8", "surrogatepass").lower()


def _samples(secret: str) -> Iterator[bytes]:
    """Yield eight letters of a secret at every fourth: each part of eleven letters has one of them."""
    plain = _plain(secret)
    return (plain[at : at + _BLOCK] for at in range(0, len(plain) - _BLOCK + 1, _BLOCK // 2))


def _hexadecimal(text: str) -> Iterator[str]:
    """Yield the hexadecimal digits in a text that may be those of a part, as pairs from both beginnings."""
    for found in _HEXADECIMAL.finditer(text):
        for start in (0, 1):
            digits = found[0][start:]
            yield digits[: len(digits) // 2 * 2]


def _forms(secret: str, escapes: re.Pattern[bytes], shortest: int) -> Iterator[bytes]:
    """Yield a secret in lower case: as it is, without its prefix, as decoding leaves it, and encoded."""
    bare = secret.removeprefix(_PREFIX)
    for text in dict.fromkeys((secret, bare, secret.replace(" ", "+"))):
        plain = _plain(text)
        if len(plain) >= shortest:
            yield plain
        if _ESCAPES.search(plain):
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
        return _LETTERS[number] if number < _ASCII else _plain(chr(number))
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


def _widened(data: bytes, span: Span) -> Span:
    """Return a span with the whole of its first and last letter, and of the escapes of JSON that it cuts.

    A backslash would escape the mask, or a quote behind it, and JSON would not remain JSON.
    """
    start, end = span
    # A letter has four bytes at most, and a body may be no UTF-8.
    while start > max(0, span.start - 3) and _is_inside_letter(data, start):
        start -= 1
    begun = _BEGUN.search(data, max(0, start - 5), start)
    if begun and _is_escape(data, begun.start()):
        start = begun.start()
    if end > start and _is_escape(data, end - 1):
        end += 1
    while end < span.end + 3 and _is_inside_letter(data, end):
        end += 1
    return Span(start, end)


_BEGUN = re.compile(rb"\\(?:u[\da-f]{0,3})?\Z")
"""An escape of JSON without its end."""


def _is_escape(data: bytes, at: int) -> bool:
    """Return whether a byte is the backslash of an escape, and not escaped itself."""
    first = at
    while first >= 0 and data[first : first + 1] == b"\\":
        first -= 1
    return (at - first) % 2 == 1


def _is_inside_letter(data: bytes, at: int) -> bool:
    """Return whether a byte is not the first of its letter: https://www.rfc-editor.org/rfc/rfc3629#section-3."""
    return at < len(data) and data[at] & 0xC0 == 0x80  # noqa: PLR2004 - the two bits that say so


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
