"""Canonical JSON: one form for every JSON value, so that equal values have equal digests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

import msgspec

from pipeline.core.limits import MAX_NAME, MAX_VALUES
from pipeline.core.types import Digest, Record

VERSION = "01"
"""The first byte of every digest: a change of the canonical form needs a migration."""

_MAX_DEPTH = 100
_MAX_INTEGER_DIGITS = 4000

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
_MAY_BE_JSON = re.compile(r'\s*[-\d"\[{tfnNI]')
_BRACKETS = re.compile(r"[\[\]{}]")
_MAY_HAVE_SURROGATES = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT = Context(prec=10_000, Emax=MAX_EMAX, Emin=MIN_EMIN)


def _number(text: str) -> int | Decimal | None:
    """Parse a number by its value: `1.0` is 1, `2.5e-6` is `0.0000025`."""
    try:
        value = Decimal(text).normalize(_EXACT)
    except InvalidOperation:
        return None
    if not value:
        return 0
    _, _, exponent = value.as_tuple()
    if isinstance(exponent, int) and exponent >= 0 and value.adjusted() < _MAX_INTEGER_DIGITS:
        return int(value)
    return value


_decode = msgspec.json.Decoder(float_hook=_number).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode_exactly = msgspec.json.Encoder(decimal_format="number").encode
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class TooManyValues(ValueError):  # noqa: N818 - named for what the body has
    """A body has more values than may be decoded."""


def check_values(body: bytes) -> None:
    """Refuse a body with more values than `MAX_VALUES`, before it is decoded.

    Raises:
        TooManyValues: it has; those in texts count, too.
    """
    # A value takes at least two bytes: itself, and a comma or a bracket.
    if len(body) > 2 * MAX_VALUES and count_values(body) > MAX_VALUES:
        raise TooManyValues(f"the answer has more than {MAX_VALUES:,} values")


def count_values(body: bytes) -> int:
    """Return at least the number of values of a body: that of its commas and opening brackets."""
    return sum(map(body.count, (b",", b"[", b"{")))


def decode(body: bytes) -> Any:
    """Parse JSON leniently: a BOM, NaN, lone surrogates and invalid UTF-8 are accepted.

    Numbers are int or Decimal, exact. NaN and infinities become None; invalid characters become U+FFFD.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has too many values.
    """
    try:
        return decode_strictly(body)
    # Invalid UTF-8 does not raise a MsgspecError: https://github.com/msgspec/msgspec/issues/714
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _decode_leniently(body)


def decode_strictly(body: bytes) -> Any:
    """Parse JSON strictly; where it succeeds, `decode` returns the same.

    See https://www.rfc-editor.org/rfc/rfc8259.

    Raises:
        ValueError: it is not JSON in UTF-8, is nested too deeply, or has too many values.
    """
    check_values(body)
    try:
        return _decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _decode_leniently(body: bytes) -> Any:
    text = body.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text, parse_float=_number, parse_int=_number, parse_constant=lambda _: None)
        return _without_surrogates(value) if _MAY_HAVE_SURROGATES.search(text) else value
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return _LONE_SURROGATE.sub("\ufffd", value)
        case dict():
            return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
        case list():
            return [_without_surrogates(item) for item in value]
        case _:
            return value


def members(body: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object, each value undecoded.

    Raises:
        ValueError: it is not a JSON object.
    """
    try:
        return {name: bytes(raw) for name, raw in _members(body).items()}
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError("no JSON object") from error


def differing_members(before: str, after: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the members of each of two canonical objects that the other does not have."""
    old, new = _members(before.encode()), _members(after.encode())
    names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    left, right = ({name: decode(bytes(side[name])) for name in names if name in side} for side in (old, new))
    return left, right


def only_member(body: str, name: str) -> dict[str, Any]:
    """Return a canonical object without its other members, which are not decoded; {} without this one."""
    raw = _members(body.encode()).get(name)
    return {} if raw is None else {name: decode(bytes(raw))}


def encode(value: Any) -> str:
    """Return the canonical JSON of a value: keys sorted, no spaces, numbers by value."""
    return _encode(value).decode()


def pretty(value: Any) -> str:
    """Return a value as JSON for people: indented, keys in their order, numbers exact, a final newline."""
    return msgspec.json.format(_encode_exactly(value), indent=2).decode() + "\n"


def pretty_items(values: Iterable[Any]) -> Iterator[str]:
    """Yield the pieces of what `pretty` returns for a list of the values, which may be many."""
    start = "[\n"
    for value in values:
        text = pretty(value).rstrip("\n").replace("\n", "\n  ")
        yield f"{start}  {text}"
        start = ",\n"
    yield "[]\n" if start == "[\n" else "\n]\n"


def digest(text: str) -> Digest:
    """Return the digest of a text."""
    return Digest(VERSION + blake2b(text.encode(), digest_size=16).hexdigest())


def digest_of_records(records: Iterable[Record]) -> Digest:
    """Return the digest of a set of records and their model ids."""
    # Digests have one length and ids hold no NUL, so different sets give different texts.
    return digest("\0".join(sorted(f"{record.digest} {record.model}" for record in records)))


def as_text(value: Any) -> str:
    """Return a field's value as text: strings bare, unless they would parse as another JSON value."""
    if not isinstance(value, str):
        return encode(value)
    if not _MAY_BE_JSON.match(value):
        return value
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return value
    return encode(value)


def from_text(text: str) -> Any:
    """Parse a value that `as_text` returned."""
    try:
        return _decode(text.encode())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text


def longest_name(text: str) -> int:
    """Return the length of the longest name in a canonical text, as it is written; 0 for a short one."""
    if "\\" in text:
        text = text.replace("\\\\", "..").replace('\\"', "..")
    # Each part but the last one ends with a name.
    parts = text.split('":')
    parts.pop()
    if not parts or len(max(parts, key=len)) <= MAX_NAME:
        return 0
    return max(len(part.rpartition('"')[2]) for part in parts)


def is_deep(text: str) -> bool:
    """Return whether a canonical text nests deeper than a record may: recursive parsers have a limit."""
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return False
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest > _MAX_DEPTH
