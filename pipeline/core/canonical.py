"""One spelling for every JSON value, so that equal things have equal digests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

import msgspec

from pipeline.core.types import Digest, Record

VERSION = "01"
"""First byte of every digest: a change of spelling is a migration, never an accident."""


_DEEPEST = 100


_LONGEST_INTEGER = 4000


_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')


_MAY_BE_JSON = re.compile(r'\s*[-\d"\[{tfnNI]')


_BRACKETS = re.compile(r"[\[\]{}]")


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


_EXACT = Context(prec=10_000, Emax=MAX_EMAX, Emin=MIN_EMIN)


def _number(text: str) -> int | Decimal | None:
    """Read a number by its value: `1.0` is 1, `2.5e-6` is `0.0000025`."""
    try:
        value = Decimal(text).normalize(_EXACT)
    except InvalidOperation:
        return None
    if not value:
        return 0
    _, _, exponent = value.as_tuple()
    if isinstance(exponent, int) and exponent >= 0 and value.adjusted() < _LONGEST_INTEGER:
        return int(value)
    return value


_decode = msgspec.json.Decoder(float_hook=_number).decode


_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


_encode_exactly = msgspec.json.Encoder(decimal_format="number").encode


_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def decode(body: bytes) -> Any:
    """Read JSON as gateways write it: a BOM, NaN, lone surrogates and stray bytes are put up with.

    Numbers come as int or Decimal, exact. NaN and infinities are null; what is no Unicode is U+FFFD.

    Raises:
        ValueError: this is no JSON, or it is nested too deeply to read.
    """
    try:
        return decode_strictly(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _decode_leniently(body)


def decode_strictly(body: bytes) -> Any:
    """Read JSON as its standard has it; gives what `decode` gives.

    Raises:
        ValueError: this is no JSON, or not all of it is Unicode, or it is nested too deeply to read.
    """
    try:
        return _decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _decode_leniently(body: bytes) -> Any:
    text = body.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text, parse_float=_number, parse_int=_number, parse_constant=lambda _: None)
        return _without_surrogates(value)
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
    """Give the members of a JSON object, the value of each in the very bytes that it was written in.

    Raises:
        ValueError: this is no JSON object.
    """
    try:
        return {name: bytes(raw) for name, raw in _members(body).items()}
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError("no JSON object") from error


def differing_members(before: str, after: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare two objects in canonical spelling; gives the members of each that the other has not."""
    old, new = _members(before.encode()), _members(after.encode())
    names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    left, right = ({name: decode(bytes(side[name])) for name in names if name in side} for side in (old, new))
    return left, right


def encode(value: Any) -> str:
    """Write a value in its canonical spelling: keys sorted, no spaces, numbers by value."""
    return _encode(value).decode()


def pretty(value: Any) -> str:
    """Write a value for people: indented, keys as they come, numbers exact, a line feed at the end."""
    return msgspec.json.format(_encode_exactly(value), indent=2).decode() + "\n"


def digest(text: str) -> Digest:
    """Address a text by its content."""
    return Digest(VERSION + blake2b(text.encode(), digest_size=16).hexdigest())


def digest_of_records(records: Iterable[Record]) -> Digest:
    """Address records: which they are, and under which model id each of them stands."""
    # A digest has one length and an id holds no NUL, so no two sets are spelled alike.
    return digest("\0".join(sorted(f"{record.digest} {record.model}" for record in records)))


def as_text(value: Any) -> str:
    """Write a field's value for people: strings bare, unless they would read as another JSON value."""
    if not isinstance(value, str):
        return encode(value)
    if not _MAY_BE_JSON.match(value):
        return value
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return value
    return encode(value)


def is_deep(text: str) -> bool:
    """Say whether a canonical text nests deeper than a record may: its readers are bounded by their stack."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return False
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest > _DEEPEST


def from_text(text: str) -> Any:
    """Read a value that `as_text` wrote."""
    try:
        return _decode(text.encode())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text
