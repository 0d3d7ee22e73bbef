"""The nouns: scopes and how to ask as them, records, listings, changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

Digest = NewType("Digest", str)
"""A version byte and 128 bits of BLAKE2b, in hexadecimal."""


REFERENCE_PREFIXES = ("env:", "file:", "command:")
"""How a text begins that says where a secret is kept."""


class Secret:
    """A value that prints as `***` everywhere; `reveal()` is called only where it is sent."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


Resolve = Callable[[str], Secret]
"""Gives the secret that a reference such as `env:NAME` leads to; raises Unresolved."""


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Ask without any credential: the gateway's default group."""


@dataclass(frozen=True, slots=True)
class Key:
    """Ask as an API key; `reference` says where it is kept, e.g. `env:PROD_KEY`."""

    reference: str


@dataclass(frozen=True, slots=True)
class Cookie:
    """Ask as a signed-in user, by the session cookie that `reference` leads to."""

    reference: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    """Ask as a signed-in user, by access token and user id (sent as `New-Api-User`)."""

    reference: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Login:
    """Ask as a user who signs in at `/api/user/login` at each run."""

    username: str
    reference: str


Credential = Anonymous | Key | Cookie | AccessToken | Login


@dataclass(frozen=True, slots=True)
class Limits:
    """How a gateway is asked; times in seconds, sizes in bytes after decompression."""

    concurrency: int = 8
    timeout: float = 30.0
    attempts: int = 4
    backoff: float = 0.5
    max_wait: float = 60.0
    max_body: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When an answer is believed.

    Args:
        max_loss: the share of models (0 to 1) that may be gone at once without being held.
        floor: so many may be gone at once from any list, however short.
        confirm: complete listings in a row that must miss a model before its removal is effective.
    """

    max_loss: float = 0.25
    floor: int = 3
    confirm: int = 2


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the config says of how a gateway writes its list; None and () leave what its dialect says.

    Args:
        path: where the list is asked for, below the gateway's base.
        list: where in a body the array of records is; "" is the body itself.
        id: where in a record the model's id is.
        key_header: the header that carries a key.
        paging: by name: param, next, more, pages, total, size.
        prices: by name: unit, input, output, cache_read, cache_write, per_call.
        facts: by the fact's name, where in a record it is.
        noise: paths in a record that differ though the world did not change.
        quiet: paths that are kept, and told only on request.
        sets: paths of arrays whose order means nothing.
        no_models: globs of ids that are no models.
    """

    path: str | None = None
    list: str | None = None
    id: str | None = None
    key_header: str | None = None
    paging: Pairs = ()
    prices: Pairs = ()
    facts: Pairs = ()
    noise: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    no_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A server with a model list; `url` is its base, with or without `/v1`."""

    name: str
    url: str
    dialect: str = "auto"
    limits: Limits = field(default_factory=Limits)
    overrides: Overrides = field(default_factory=Overrides)


@dataclass(frozen=True, slots=True)
class Scope:
    """One place to ask from: a gateway, as one key, one signed-in user, or nobody.

    With `all_groups` the user's groups are listed, and each becomes a scope of its own beside this one.
    """

    name: str
    gateway: Gateway
    credential: Credential = field(default_factory=Anonymous)
    group: str | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    all_groups: bool = False

    @property
    def auth(self) -> str:
        """How it asks, in one word: anonymous, key or session."""
        match self.credential:
            case Anonymous():
                return "anonymous"
            case Key():
                return "key"
            case _:
                return "session"

    @property
    def key_hint(self) -> str | None:
        """Where its secret is kept: the reference, or `command:` alone; None without a credential."""
        match self.credential:
            case Anonymous():
                return None
            case Key(reference) | Cookie(reference) | AccessToken(reference) | Login(_, reference):
                return "command:" if reference.startswith("command:") else reference


@dataclass(frozen=True, slots=True)
class Record:
    """What a gateway said of one model, noise removed, in one canonical spelling."""

    model: str
    digest: Digest
    body: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One complete answer: its records by model id, and a digest that ignores order."""

    records: Mapping[str, Record]
    digest: Digest
    reading: str
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)


class Kind(StrEnum):
    """What happened to a model; `returned` is an added model that the scope had offered before."""

    ADDED = "added"
    REMOVED = "removed"
    RETURNED = "returned"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One model in two listings; its kind follows from its sides, so the two cannot disagree."""

    model: str
    before: Record | None
    after: Record | None

    @property
    def kind(self) -> Kind:
        """Added, removed or changed."""
        if self.before is None:
            return Kind.ADDED
        return Kind.REMOVED if self.after is None else Kind.CHANGED


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a changed record.

    `before` and `after` are the values as text (see `canonical.as_text`); None means the field was absent.
    `category` is one of price, limits, capabilities, lifecycle, text, shape, other.
    """

    field: str
    before: str | None
    after: str | None
    category: str


class Outcome(StrEnum):
    """What a sighting says of a scope at a snapshot."""

    BASELINE = "baseline"
    MOVED = "moved"
    CONFIRMED = "confirmed"
    HELD = "held"
    FAILED = "failed"
    RECOVERED = "recovered"
    REREAD = "reread"


SETS_LISTING = (Outcome.BASELINE, Outcome.MOVED, Outcome.REREAD)
"""The outcomes that set the current listing of a scope."""

PROBLEMS = (Outcome.FAILED, Outcome.HELD)
"""The outcomes of a scope that is not healthy."""


_SCOPE_NAME = re.compile(r"^\w[\w.@+-]*$")


def is_valid_name(text: str) -> bool:
    """Say whether a text can be the name of a gateway or a scope."""
    return bool(_SCOPE_NAME.match(text))


class Severity(StrEnum):
    """How much something matters, the most first.

    `urgent`: a watched model left, has another price or end; a scope is refused or silent. `breaking`: a
    model was removed, a limit cut, a capability lost, a price raised; an answer is held. `notable`: all other
    loud changes. `quiet`: names, descriptions, owners.
    """

    URGENT = "urgent"
    BREAKING = "breaking"
    NOTABLE = "notable"
    QUIET = "quiet"

    def reaches(self, least: Severity) -> bool:
        """Say whether this matters as much as another, or more."""
        order = list(Severity)
        return order.index(self) <= order.index(least)


@dataclass(frozen=True, slots=True)
class ScopeState:
    """A scope's row: what it is known to offer, what is held, and the last thing that happened to it.

    `began` is the snapshot at which its present hold or failure began.
    """

    id: int
    name: str
    group_name: str | None
    listing: int | None
    digest: Digest | None
    reading: str | None
    held: int | None
    outcome: Outcome | None
    error_class: str | None
    error: str | None
    began: int | None
    fingerprint: str | None
    etag: str | None
    last_modified: str | None
