"""The types of the domain: gateways, scopes and their credentials, records, listings, changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import NewType, TypeGuard

from msgspec import Struct, field

from pipeline.core.limits import MAX_BODY, MAX_MODELS

Digest = NewType("Digest", str)
"""A version byte and 128 bits of BLAKE2b, in hexadecimal."""

GROUP_PREFIX = "group:"
"""Begins the ids of the groups of a user, which are listed like models."""

GROUP_FIELD = "group"
"""The field of an event by which a group is new or gone: its name, absent on the other side."""

REFERENCE_PREFIXES = ("env:", "file:", "command:")
"""The prefixes of references to secrets."""


class Share(StrEnum):
    """Who may read the files of a home: their owner alone, its group too, or all users of the machine."""

    OWNER = "owner"
    GROUP = "group"
    ALL = "all"


class Secret:
    """A value that prints as `***`; `reveal()` is called only where it is sent."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")


def is_reference(value: object) -> TypeGuard[str]:
    """Return whether a value is a reference to a secret."""
    return isinstance(value, str) and value.startswith(REFERENCE_PREFIXES) and value not in REFERENCE_PREFIXES


_LISTED = "listed:"


def listed_reference(reference: str, name: str) -> str:
    """Return the reference of the key with a name in the list that another reference gives.

    It is made by the program only: no config can have it.
    """
    return f"{_LISTED}{name}:{reference}"


def list_and_name(reference: str) -> tuple[str, str] | None:
    """Return the reference of the list and the name in it; None for a reference to a single secret."""
    if not reference.startswith(_LISTED):
        return None
    name, _, inner = reference.removeprefix(_LISTED).partition(":")
    return inner, name


def reference_name(reference: str) -> str:
    """Return how a reference is named in all that is stored or sent: `env:NAME`, `file:` or `command:`.

    The words of a command may hold a secret, and the path of a file tells about its machine.
    """
    listed = list_and_name(reference)
    if listed is not None:
        return reference_name(listed[0])
    return reference if reference.startswith("env:") else f"{reference.partition(':')[0]}:"


def reference_names(references: Iterable[str]) -> dict[str, str]:
    """Return references by their names; a second one of the same name has a number: `file: (2)`."""
    found: dict[str, str] = {}
    for reference in dict.fromkeys(references):
        name = reference_name(reference)
        number = 1 + sum(reference_name(other) == name for other in found.values())
        found[name if number == 1 else f"{name} ({number})"] = reference
    return found


Resolve = Callable[[str], Secret]
"""Returns the secret of a reference such as `env:NAME`; raises Unresolved."""


class Anonymous(Struct, frozen=True):
    """No credential: the gateway's default group."""


class Key(Struct, frozen=True, gc=False):
    """An API key, by its reference: `env:PROD_KEY`.

    With a `name`, the reference gives a list of keys, and this is the one of that name.
    """

    reference: str
    name: str | None = None

    @property
    def own_reference(self) -> str:
        """The reference of this key alone."""
        return self.reference if self.name is None else listed_reference(self.reference, self.name)


class Cookie(Struct, frozen=True):
    """The session cookie of a signed-in user, by its reference; a `user_id` is sent as `New-Api-User`."""

    reference: str
    user_id: str | None = None


class AccessToken(Struct, frozen=True):
    """The access token of a user, by its reference, and the user's id (sent as `New-Api-User`)."""

    reference: str
    user_id: str


class Login(Struct, frozen=True):
    """A user who signs in at `path` in each run; `reference` is that of the password.

    `user_id` is sent as `New-Api-User` where the answer to the login names none.
    """

    username: str
    reference: str
    path: str = "/api/user/login"
    user_id: str | None = None


Credential = Anonymous | Key | Cookie | AccessToken | Login


class Limits(Struct, frozen=True):
    """Limits of the requests to a gateway; times in seconds, sizes in bytes after decompression.

    `max_body` and `max_models` count all pages of a list. See also `core.limits`.
    """

    concurrency: int = 8
    timeout: float = 30.0
    attempts: int = 4
    backoff: float = 0.5
    max_wait: float = 60.0
    max_body: int = MAX_BODY
    max_models: int = MAX_MODELS


class Thresholds(Struct, frozen=True):
    """The thresholds for accepting an answer and confirming a removal.

    Args:
        max_loss: the share of models (0 to 1) that may be missing at once; above it the answer is held.
        floor: the number of models that may be missing at once from any list, however short.
        confirm: the complete listings in a row without a model that confirm its removal.
        confirm_after: the seconds for which a model must be missing before its removal is confirmed.
        empty_after: the seconds for which a list must be empty before that is accepted.
    """

    max_loss: float = 0.25
    floor: int = 3
    confirm: int = 2
    confirm_after: float = 2 * 3600.0
    empty_after: float = 6 * 3600.0


Pairs = tuple[tuple[str, str], ...]

Scalar = str | int | float | bool


class Overrides(Struct, frozen=True):
    """A gateway's own settings of its dialect; None and () keep those of the dialect.

    `noise` to `no_models` extend those of the dialect, `headers` and `params` too, where the same name
    replaces; the others replace those of the dialect.

    Args:
        path: the path of the list, below the gateway's base; it may have a query.
        list: the path of the array of records in a body; "" is the body itself.
        id: the path of the model's id in a record.
        key_header: the header for a key.
        key_scheme: the word before the key in its header; "raw" for none.
        key_param: the query parameter for a key, instead of a header.
        headers: headers of each request; a value may be a reference to a secret.
        params: query parameters of each request; a value may be a reference to a secret.
        body: the JSON to send; the list is requested by POST then.
        paging: by name: param, next, more, pages, total, size.
        prices: by name: unit, input, output, cache_read, cache_write, per_call.
        facts: the path in a record, by the name of the fact.
        noise: paths in a record that differ between answers without a change of the model.
        quiet: paths that are stored, and reported only on request.
        sets: paths of arrays whose order has no meaning.
        no_models: globs of ids that are no models.
        null_is_empty: the gateway writes null for an empty list.
        complete: the answer is the whole list, whatever it says of more pages.
        success: the value in the envelope that an answer must have at each path: `("code", 0)`.
    """

    path: str | None = None
    list: str | None = None
    id: str | None = None
    key_header: str | None = None
    key_scheme: str | None = None
    key_param: str | None = None
    headers: Pairs = ()
    params: Pairs = ()
    body: str | None = None
    paging: Pairs = ()
    prices: Pairs = ()
    facts: Pairs = ()
    noise: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    no_models: tuple[str, ...] = ()
    null_is_empty: bool = False
    complete: bool = False
    success: tuple[tuple[str, Scalar], ...] = ()


class Gateway(Struct, frozen=True):
    """A server with a model list; `url` is its base, with or without `/v1`."""

    name: str
    url: str
    dialect: str = "auto"
    limits: Limits = field(default_factory=Limits)
    overrides: Overrides = field(default_factory=Overrides)


class Scope(Struct, frozen=True, gc=False):
    """A view of a gateway: that of a key, of a signed-in user, or the anonymous one.

    With `all_groups` the user's groups are listed, and each is a scope of its own beside this one.
    """

    name: str
    gateway: Gateway
    credential: Credential = field(default_factory=Anonymous)
    group: str | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    all_groups: bool = False

    @property
    def auth(self) -> str:
        """The kind of its credential: anonymous, key or session."""
        match self.credential:
            case Anonymous():
                return "anonymous"
            case Key():
                return "key"
            case _:
                return "session"

    @property
    def key_hint(self) -> str | None:
        """The name of the reference of its secret; None without a credential. See `reference_name`."""
        return None if self.reference is None else reference_name(self.reference)

    @property
    def reference(self) -> str | None:
        """The whole reference of its secret, or of the list that has it; None without a credential.

        It is neither stored nor sent.
        """
        match self.credential:
            case Anonymous():
                return None
            case Key(reference) | Cookie(reference) | AccessToken(reference) | Login(_, reference):
                return reference


def scopes_by_gateway(scopes: Iterable[Scope]) -> dict[str, list[Scope]]:
    """Return scopes by the name of their gateway, in their order."""
    found: dict[str, list[Scope]] = {}
    for scope in scopes:
        found.setdefault(scope.gateway.name, []).append(scope)
    return found


class Engine(Struct, frozen=True):
    """Who asks the gateways: this process, processes of this machine, or Dask.

    Args:
        kind: local, processes or dask.
        workers: the number of workers that a run starts; None for one per processor.
        scheduler: the address of a Dask scheduler; None for a cluster of this machine that lasts for a run.
        tls: the files of the certificate authority, of the client's certificate and of its key, in PEM; ()
            for those of Dask's own configuration.
        when_lost: what becomes of scopes whose scheduler is gone: they `fail`, or this process asks, `local`.
    """

    kind: str = "local"
    workers: int | None = None
    scheduler: str | None = None
    tls: tuple[str, ...] = ()
    when_lost: str = "fail"


class KeyList(Struct, frozen=True):
    """A list of keys that a gateway's scopes are made of, when they are asked.

    Args:
        gateway: the gateway.
        reference: gives the list: `command:…` or `file:…`.
        thresholds: those of the scopes.
    """

    gateway: Gateway
    reference: str
    thresholds: Thresholds = field(default_factory=Thresholds)

    def scope(self, name: str, group: str | None) -> Scope:
        """Return the scope of a key by its name in the list."""
        full = f"{self.gateway.name}/{name}"
        return Scope(full, self.gateway, Key(self.reference, name), group, thresholds=self.thresholds)


class Record(Struct, frozen=True):
    """A model as its gateway describes it, without noise, in canonical JSON."""

    model: str
    digest: Digest
    body: str


class LeftOutRows(Struct, frozen=True):
    """The rows of answers that their listings leave out.

    Args:
        rows: how many rows the answers have.
        without_id: how many of them have no usable model id.
        repeated: how many repeat a model with different content.
        first_without_id: the first of them, and what it has instead.
        first_repeated: the first model of the others.
    """

    rows: int
    without_id: int = 0
    repeated: int = 0
    first_without_id: str = ""
    first_repeated: str = ""

    @property
    def number(self) -> int:
        """How many rows are left out."""
        return self.without_id + self.repeated

    def plus(self, other: LeftOutRows, source: str) -> LeftOutRows:
        """Return the sum with the rows of another answer, which `source` names."""
        return LeftOutRows(
            self.rows + other.rows,
            self.without_id + other.without_id,
            self.repeated + other.repeated,
            self.first_without_id or (f"{source}: {other.first_without_id}" if other.without_id else ""),
            self.first_repeated or (f"{source}: {other.first_repeated}" if other.repeated else ""),
        )

    def text(self, *, answers: int = 1) -> str:
        """Return it for people, on one line; `answers` is the number of answers."""
        parts = []
        if self.without_id:
            parts.append(f"{self.without_id:,} without a usable id ({self.first_without_id})")
        if self.repeated:
            parts.append(f"{self.repeated:,} with other content of a listed model ({self.first_repeated})")
        of = f" in {answers:,} answers" if answers > 1 else ""
        are = "is" if self.number == 1 else "are"
        return f"{self.number:,} of {self.rows:,} rows{of} {are} left out: {', '.join(parts)}"


class Listing(Struct, frozen=True):
    """One complete answer: its records by model id, and a digest that ignores order.

    `left_out` is None if it has all rows of the answer, and where it is read from the database.
    """

    records: Mapping[str, Record]
    digest: Digest
    reading: str
    warnings: tuple[str, ...] = ()
    left_out: LeftOutRows | None = None

    def __len__(self) -> int:
        return len(self.records)


class Kind(StrEnum):
    """The kind of a change.

    Only events have the last three: `returned` is for an added model that the scope had offered before,
    `shape` for fields that nearly all records gain or lose at once, `group` for a group of a user.
    """

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RETURNED = "returned"
    SHAPE = "shape"
    GROUP = "group"


class Change(Struct, frozen=True):
    """A model that differs between two listings; the record is None in a listing without it."""

    model: str
    before: Record | None
    after: Record | None

    @property
    def kind(self) -> Kind:
        """Added, removed or changed, by the sides."""
        if self.before is None:
            return Kind.ADDED
        return Kind.REMOVED if self.after is None else Kind.CHANGED


class FlapStep(StrEnum):
    """The place of a change in an episode of a value that keeps changing.

    `announced`: the first return to an earlier value. `repeated`: a later change, which is quiet. `settled`:
    the value is stable.
    """

    ANNOUNCED = "announced"
    REPEATED = "repeated"
    SETTLED = "settled"


class FlapMark(Struct, frozen=True):
    """The mark of a value that keeps changing; of a settled one, the number of changes and the seconds."""

    step: FlapStep
    changes: int | None = None
    seconds: int | None = None


class FieldChange(Struct, frozen=True):
    """One field of a changed record.

    `before` and `after` are the values as text (see `canonical.as_text`); None means the field was absent.
    `category` is one of price, limits, capabilities, lifecycle, text, counters, shape, other; for a shape,
    `shape_of` is the category that the field has by its meaning. `flapping` is set for a value that keeps
    changing; a settled one has the value before the first change, which may be equal, and the stable one.
    """

    field: str
    before: str | None
    after: str | None
    category: str
    shape_of: str | None = None
    flapping: FlapMark | None = None

    @property
    def flap_step(self) -> FlapStep | None:
        """The place of the change in an episode of a value that keeps changing; None outside of one."""
        return self.flapping.step if self.flapping else None


class Outcome(StrEnum):
    """The outcome of a scope in a run, as its sighting stores it."""

    BASELINE = "baseline"
    MOVED = "moved"
    CONFIRMED = "confirmed"
    HELD = "held"
    FAILED = "failed"
    RECOVERED = "recovered"
    REREAD = "reread"
    SETTLED = "settled"
    RETIRED = "retired"


class HoldKind(StrEnum):
    """Why an answer is held, as its sighting stores it in `error_class`.

    `loss`: too many models are gone at once. `empty`: the list is empty. `anonymous`: the key gets the list
    that the gateway gives without a key. `incomplete`: there may be more pages. `alternating`: two lists come
    in turn, and this is the other one; `current`: they come in turn, and this answer was the current list.
    """

    LOSS = "loss"
    EMPTY = "empty"
    ANONYMOUS = "anonymous"
    INCOMPLETE = "incomplete"
    ALTERNATING = "alternating"
    CURRENT = "current"


SETS_LISTING = (Outcome.BASELINE, Outcome.MOVED, Outcome.REREAD)
"""The outcomes that set the current listing of a scope."""

HOLD_OUTCOMES = (Outcome.HELD, Outcome.BASELINE, Outcome.MOVED, Outcome.RECOVERED, Outcome.RETIRED)
"""The outcomes that hold an answer of a scope, and those that end a hold."""

PROBLEMS = (Outcome.FAILED, Outcome.HELD)
"""The outcomes of an unhealthy scope."""

_SCOPE_NAME = re.compile(r"\w[\w.@+-]*")


def is_valid_name(text: str) -> bool:
    """Return whether a text can be the name of a gateway or a scope."""
    return _SCOPE_NAME.fullmatch(text) is not None


SITE_MARK = ":"
"""Between the name of a site and that of a gateway or scope there, which cannot have it."""


def split_site(name: str) -> tuple[str, str]:
    """Return the site in the name of a gateway or scope, empty where it has none, and the name there."""
    site, _, own = name.rpartition(SITE_MARK)
    return site, own


def without_gateway(scope: str) -> str:
    """Return the name of a scope without that of its gateway: `prod`, or `tokyo:prod` at a site."""
    site, mark, own = scope.rpartition(SITE_MARK)
    return f"{site}{mark}{own.partition('/')[2] or own}"


class Severity(StrEnum):
    """The severity of a change, the highest first.

    `urgent`: a watched model was removed, is missing, has another price or shutdown date; a scope fails, and
    the failure is not transient or has lasted. `breaking`: a model was removed, a limit cut, a capability
    lost, a price raised; an answer is held. `notable`: all other changes that are not quiet; a transient
    failure. `quiet`: names, descriptions, owners, counters.
    """

    URGENT = "urgent"
    BREAKING = "breaking"
    NOTABLE = "notable"
    QUIET = "quiet"

    def reaches(self, least: Severity) -> bool:
        """Return whether this is at least as severe as another."""
        order = list(Severity)
        return order.index(self) <= order.index(least)


class ScopeState(Struct, frozen=True):
    """A scope's row: its current listing, its held listing, and its last outcome.

    `began` is the snapshot with which its present hold or failure began, or that of its last sighting, and
    `sighted` that of its last sighting; both are None before the first. `left_out` is the text of the
    `LeftOutRows` of its last accepted answer, `price_advice` says which prices of the current listing give no
    figure. `flap_level` is that of its last sighting: for a hold or
    failure, how many times it began in a row; None for once.
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
    began: int | None
    fingerprint: str | None
    etag: str | None
    last_modified: str | None
    sighted: int | None = None
    left_out: str | None = None
    price_advice: str | None = None
    flap_level: int | None = None
