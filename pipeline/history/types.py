"""The values of a report: runs, events, and the state of scopes."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.diff import QUIET, SHAPE
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, Kind
from pipeline.store.coverage import Coverage, Recovery
from pipeline.store.runs import Run

__all__ = ["Coverage", "Event", "Recovery", "Run"]


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one model in a window, one for all the scopes that had it in the same run.

    Args:
        at: when it took effect (ISO 8601 UTC, as all times): the start of the run that first had the change,
            or that confirmed a removal.
        snapshot: the number of that run.
        scopes: the names of the scopes, sorted.
        groups: the groups of those scopes that have one, sorted.
        owned_by: the owner that the gateway names.
        since: for a removal, the start of the run at which the model was first missing; for a return, of the
            run at which it had left.
        away_seconds: for a return, how long the model was away.
        fields: the fields that differ, for a change or a return with another record.
        prices: the prices in USD that differ, likewise.
        case_variant: for an addition or a removal, a model of the same list whose id differs only in case.
        successor: for a removal, the only model with a similar id that was added by the same transition.
        urgent: it concerns a watched model that was removed, was repriced, or got another shutdown date.
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
        """Whether only names, descriptions and the like changed, or the shape of all records."""
        return self.kind == Kind.CHANGED and all(field.category in (QUIET, SHAPE) for field in self.fields)
