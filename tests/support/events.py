"""Events, coverage and a report with every kind of change and every state of a scope."""

from __future__ import annotations

from msgspec.structs import replace

from pipeline.core.types import FieldChange, Kind
from pipeline.history.types import Coverage, Event, Recovery, Run, ScopeCounts
from pipeline.reports.types import Report

AT, BEFORE = "2026-05-02T06:00:00Z", "2026-05-01T06:00:00Z"

ADDED = Event(AT, 2, Kind.ADDED, "one", "new/model:free", ("one/prod",), ("vip",), owned_by="aurora")
REMOVED = Event(AT, 2, Kind.REMOVED, "one", "old", ("one/prod", "one/public"), ("vip",), since=BEFORE)
RETURNED = Event(
    AT,
    2,
    Kind.RETURNED,
    "one",
    "back",
    ("one/public",),
    (),
    since=BEFORE,
    away_seconds=86400,
    fields=(FieldChange("context_length", "8000", "16000", "limits"),),
)
CHANGED = Event(
    AT,
    2,
    Kind.CHANGED,
    "one",
    "moved",
    ("one/public",),
    (),
    fields=(
        FieldChange("pricing.input", "2.5e-6", None, "price"),
        FieldChange("tags", None, '["a","b"]', "text"),
    ),
)
QUIET = replace(CHANGED, model="quiet", fields=(FieldChange("description", "old", "new", "text"),))
EVENTS = (REMOVED, CHANGED, RETURNED, ADDED, QUIET)

HEALTHY = Coverage(
    "one/prod",
    "one",
    "vip",
    "key",
    "env:PROD",
    "ok",
    None,
    7,
    None,
    1,
    AT,
    AT,
    None,
    None,
    pending_models=("gone",),
)
HELD = Coverage(
    "one/public",
    "one",
    None,
    "anonymous",
    None,
    "held",
    AT,
    7,
    0,
    0,
    AT,
    AT,
    None,
    "the list is empty",
    hold="empty",
)
FAILED = Coverage(
    "one/me",
    "one",
    None,
    "session",
    "file:",
    "failed",
    BEFORE,
    7,
    None,
    0,
    AT,
    BEFORE,
    "Refused",
    "no",
    urgent=True,
)
NEW = Coverage("one/new", "one", None, "anonymous", None, "new", None, None, None, 0, None, None, None, None)
RECOVERY = Recovery(
    AT,
    "one/test",
    "one",
    "failed",
    accepted=False,
    since=BEFORE,
    seconds=86400,
    error_class="Unreachable",
    urgent=True,
)
RUN = Run(2, AT, AT, "partial", 3, 2, 1, 1, 1)
REPORT = Report(
    BEFORE,
    RUN,
    EVENTS,
    (RECOVERY,),
    (HEALTHY, HELD, FAILED),
    scopes=(ScopeCounts("one", ok=1, held=1, failed=1),),
)
