"""The values of a report: runs, events, and the state of scopes."""

from __future__ import annotations

from msgspec import Struct

from pipeline.core.impact import is_significant, severity
from pipeline.core.prices import PriceChange, split_prices
from pipeline.core.types import FieldChange, FlapStep, Kind, Severity
from pipeline.store.coverage import Coverage, Recovery, ScopeCounts
from pipeline.store.runs import Run

__all__ = ["Coverage", "Event", "Recovery", "Run", "ScopeCounts", "ScopeRows"]


class Event(Struct, frozen=True):
    """A change of one model in a window, one for all the scopes that had it in the same run.

    A change of shape is one of several models: nearly all of a list gained, or lost, the same fields. By a
    change of a group, it is new, gone or has another ratio; its scopes are those that list the user's groups.

    Args:
        at: when it took effect (ISO 8601 UTC, as all times): the start of the run that first had the change,
            or that confirmed a removal.
        snapshot: the number of that run.
        model: its id; empty for a change of shape or of a group.
        scopes: the names of the scopes, sorted.
        groups: the groups of those scopes that have one, sorted; for a change of a group, its name alone.
        owned_by: the owner that the gateway names.
        since: for a removal, the start of the run at which the model was first missing; for a return, of the
            run at which it had left.
        away_seconds: for a return, how long the model was away.
        fields: the fields that differ, for a change or a return with another record.
        prices: the prices in USD that differ, likewise.
        case_variant: for an addition or a removal, a model of the same list whose id differs only in case.
        successor: for a removal, the only model with a similar id that was added by the same transition.
        urgent: it concerns a watched model that was removed, returned, was repriced, or got another shutdown
            date.
        models: for a change of shape, the ids of the models, sorted; `fields` has the values of one of them.
            For a change of a group, the ids of its models.
        listed: for a change of shape, the number of models in the list; for one of a group, that of its
            models, None where they are unknown.
        watched_models: for a change of a group, the watched ones of its models.
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
    models: tuple[str, ...] = ()
    listed: int | None = None
    watched_models: tuple[str, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether nothing that matters changed: names, descriptions and counters do not."""
        kinds = (Kind.CHANGED, Kind.SHAPE, Kind.GROUP)
        return self.kind in kinds and not any(map(is_significant, self.fields))

    @property
    def repeated(self) -> bool:
        """Whether it is quiet because its values keep changing."""
        return self.quiet and any(field.flap_step == FlapStep.REPEATED for field in self.fields)

    @property
    def settled(self) -> bool:
        """Whether it reports no change, but that values which kept changing are stable."""
        steps = {field.flap_step for field in self.fields}
        return self.kind == Kind.CHANGED and steps == {FlapStep.SETTLED}

    @property
    def severity(self) -> Severity:
        """How severe it is, by itself: the net change of several events may be less severe."""
        if self.quiet:
            return Severity.QUIET
        if self.kind == Kind.SHAPE:
            return severity(self.kind, (), self.fields, urgent=self.urgent)
        prices, fields = split_prices(self.fields, self.prices)
        return severity(self.kind, prices, fields, urgent=self.urgent)


class ScopeRows(Struct, frozen=True):
    """The rows of a scope's last accepted answer that are left out, for people.

    `is_new` is set in the run that begins to leave out rows.
    """

    scope: str
    gateway: str
    text: str
    is_new: bool
