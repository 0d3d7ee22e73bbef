"""A report as a value: what changed in a window, and what it is based on."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.diff import QUIET, SHAPE
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Kind


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job; times in ISO 8601 UTC, status done, partial, failed or imported."""

    snapshot: int
    started_at: str
    finished_at: str
    status: str
    scopes: int
    answered: int
    moved: int
    held: int
    failed: int


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one model, for all the scopes to which it happened at once.

    Args:
        at: when it was effective: the start of the run that saw it, or that confirmed a removal.
        kind: added, removed, returned or changed.
        scopes: their names, sorted.
        groups: the groups of those scopes, sorted, without those that name none.
        owned_by: whom the gateway names as owner.
        since: for a removal, the run that first missed it; for a return, the run at which it had left.
        away_seconds: for a return, how long it was away.
        fields: for a change, and a return in another form, the fields that differ.
        prices: likewise, the prices that differ, as far as the record's facts tell them; in USD.
        case_variant: for an addition or a removal, a model of the same list whose id differs only in case.
        successor: for a removal, the only model added in the same transition with a similar name.
        urgent: it concerns a model that the config watches, which went, or has another price or end.
    """

    at: str
    snapshot: int
    kind: Kind
    gateway: str
    model: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...]
    owned_by: str | None = None
    since: str | None = None
    away_seconds: int | None = None
    fields: tuple[FieldChange, ...] = ()
    prices: tuple[PriceChange, ...] = ()
    case_variant: str | None = None
    successor: str | None = None
    urgent: bool = False

    @property
    def quiet(self) -> bool:
        """Whether only names, descriptions and the like changed, or the shape of all records at once."""
        return self.kind == Kind.CHANGED and all(field.category in (QUIET, SHAPE) for field in self.fields)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is known of one scope at the end of a window.

    Args:
        state: `ok`, `held`, `failed`, or `new` when it never answered nor failed.
        state_since: the run at which a hold or a failure began.
        models: how many it is known to offer; None before its first answer.
        last_answered: the last run at which it gave a complete answer.
        pending_removals: how many of its models are missing and not yet confirmed as removed.
        error_class: for a failure, which one.
        message: why it is held or failed.
    """

    scope: str
    gateway: str
    group: str | None
    auth: str
    key: str | None
    state: str
    state_since: str | None
    models: int | None
    held_models: int | None
    pending_removals: int
    last_asked: str | None
    last_answered: str | None
    error_class: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Recovery:
    """The end of a scope's trouble.

    Args:
        at: the run at which it was over.
        state: the state that ended, `failed` or `held`.
        accepted: the held list is now the current listing.
        since: the run at which it had begun.
        seconds: how long it was.
    """

    at: str
    scope: str
    gateway: str
    state: str
    accepted: bool
    since: str
    seconds: int
