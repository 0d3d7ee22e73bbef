"""Shards: a fleet of scopes divided among several jobs, by a hash of each scope's name."""

from __future__ import annotations

import re
from hashlib import blake2b

from msgspec import Struct


class Shard(Struct, frozen=True):
    """One of `of` shards, by its `number` from 1.

    The shard of a scope is the remainder of its hash by their number, plus one. The hash is that of BLAKE2b
    with eight bytes over the whole name in UTF-8, `acme/prod`, read with the first byte as the highest.
    """

    number: int
    of: int

    def __contains__(self, scope: str) -> bool:
        digest = blake2b(scope.encode(), digest_size=8).digest()
        return int.from_bytes(digest) % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """Return the shard that a text names: `3/16` is the third of sixteen.

    Raises:
        ValueError: it names none.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    shard = Shard(int(found[1]), int(found[2])) if found else None
    if shard is None or not 1 <= shard.number <= shard.of:
        raise ValueError(f"{text!r} is no shard: write 1/16 for the first of sixteen, 16/16 for the last")
    return shard
