"""Spoiled answers, read as those of an unknown gateway: `python -m support.fuzzing SEED NUMBER`."""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pipeline.core.canonical import decode
from pipeline.core.facts import parse_permissions, to_columns
from pipeline.gateways.dialects import Answer
from pipeline.gateways.reader import AnswerReader
from pipeline.gateways.types import ListingAnswer
from support import TESTS
from support.fakes import scope

_AT = 1_790_000_000
"""The time of each answer, in seconds since 1970."""

_LONGEST = 60_000
"""The maximum of bytes of a sample."""

_TEXT = re.compile(rb'"[^"\\]{0,80}"')
_NUMBER = re.compile(rb"-?\d[\d.]*")
_ODD = (
    *(b"null", b"true", b"-0", b"1e999", b"-1e-999", b"NaN", b"Infinity", b"9" * 400, b"9" * 5000),
    *(b'""', b'"\\u0000"', b'"\\ud800"', b'"\\u202e"', b"[]", b"{}", b"[null]", b'{"":{}}', b'"9e99999"'),
    *(b'{"id":"a","id":"b"}', b'"data"', b'"id"', b"[" * 100, b'{"a":' * 100, b"0" * 50, b"1.0.0"),
)


def samples() -> list[bytes]:
    """Return the bodies of the golden answers."""
    found = []
    for path in sorted((TESTS / "golden").glob("*/*.json")):
        content = path.read_bytes()
        if path.name.endswith(".expected.json") or len(content) > _LONGEST:
            continue
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if isinstance(value, dict) and "bodies" in value.get("_answer", {}):
            found += [json.dumps(body).encode() for body in value["_answer"]["bodies"]]
        else:
            found.append(content)
    return found


def _cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _double(body: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.choice([1, 10, 100, 5000]))
    return body[:end] + body[start:end] * chance.choice([1, 2, 50 if end - start < 1000 else 1]) + body[end:]


def _drop(body: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(body) + 1)
    return body[:start] + body[start + chance.choice([1, 3, 30, 300]) :]


def _flip(body: bytes, chance: random.Random) -> bytes:
    content = bytearray(body)
    for _ in range(chance.choice([1, 2, 20])):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def _replace(pattern: re.Pattern[bytes], body: bytes, chance: random.Random) -> bytes:
    found = list(pattern.finditer(body))
    for place in sorted(
        chance.sample(found, min(len(found), chance.choice([1, 3]))), key=lambda f: -f.start()
    ):
        body = body[: place.start()] + chance.choice(_ODD) + body[place.end() :]
    return body


def _odd_text(body: bytes, chance: random.Random) -> bytes:
    return _replace(_TEXT, body, chance)


def _odd_number(body: bytes, chance: random.Random) -> bytes:
    return _replace(_NUMBER, body, chance)


def _swap(body: bytes, chance: random.Random) -> bytes:
    found = list(_TEXT.finditer(body))
    if len(found) < 2:
        return body
    one, other = sorted(chance.sample(found, 2), key=lambda place: place.start())
    between = body[one.end() : other.start()]
    return body[: one.start()] + other[0] + between + one[0] + body[other.end() :]


def _encode(body: bytes, chance: random.Random) -> bytes:
    text = body.decode("utf-8", "replace")
    coding = chance.choice(
        ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "utf-7", "cp037", "gzip"]
    )
    return gzip.compress(body) if coding == "gzip" else text.encode(coding, "replace")


def _wrap(body: bytes, chance: random.Random) -> bytes:
    opening, closing = chance.choice([(b"[", b"]"), (b'{"data":', b"}"), (b'{"error":', b"}")])
    depth = chance.choice([1, 2, 50, 2000, 100_000 if len(body) < 5000 else 1])
    return opening * depth + body + closing * depth


def _insert(body: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + chance.randbytes(chance.choice([1, 4, 40])) + body[place:]


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_cut, _double, _drop, _flip, _odd_text, _odd_text, _odd_number, _odd_number, _swap, _swap),
    *(_encode, _wrap, _insert),
)


def spoiled(bodies: list[bytes], chance: random.Random) -> bytes:
    """Return a body that is spoiled in one to three ways, or parts of two."""
    body = chance.choice(bodies)
    if chance.random() < 0.1:
        return _cut(body, chance) + _cut(chance.choice(bodies), chance)
    for way in chance.choices(_WAYS, k=chance.choice([1, 1, 2, 3])):
        body = way(body, chance)
    return body


def read_one(body: bytes) -> str:
    """Read a body as the command does; return `listing` or `unreadable`."""
    found = AnswerReader({}, advise=True).read_archived(scope("fuzz/public"), Answer((body,), _AT)).answer
    if not isinstance(found, ListingAnswer):
        return "unreadable"
    for record in found.listing.records.values():
        value = decode(record.body.encode())
        to_columns(found.dialect.facts(value))
        parse_permissions(value)
    return "listing"


def main(seed: int, number: int) -> None:
    """Read bodies at random; print how often each end was, the errors, and the peak of memory in KiB."""
    chance, bodies = random.Random(seed), samples()
    ends: Counter[str] = Counter()
    errors = []
    for _ in range(number):
        body = spoiled(bodies, chance)
        try:
            ends[read_one(body)] += 1
        except BaseException:  # noqa: BLE001 - each is a fault
            errors.append([traceback.format_exc(limit=-6), repr(body[:2000])])
    # The peak of `getrusage` is at least that of the process which started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    sys.stdout.write(json.dumps({"ends": ends, "errors": errors, "peak": peak}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
