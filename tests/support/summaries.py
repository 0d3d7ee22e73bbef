"""Summaries to render: one with everything, one without news, and one in which every text is hostile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from msgspec.structs import replace

from pipeline.core.prices import UNIT_1M, UNIT_CALL, PriceChange
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.history.types import Coverage, Event, Recovery, Run, ScopeCounts
from pipeline.reports.types import (
    DayCounts,
    FirstAnswer,
    Incident,
    NetChange,
    ResolvedIncident,
    Shutdown,
    Summary,
)
from pipeline.store.coverage import scope_counts

BEFORE, AT = "2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"
NIGHT = "2026-11-23T22:00:00Z"
RUN = Run(812, AT, "2026-11-24T06:00:21Z", "partial", 19, 17, 3, 1, 2)
KEYS = tuple(f"aihubmix/key-{number:02d}" for number in range(1, 13))
FEW = ("aihubmix/prod", "aihubmix/staging")


def _price(name: str, before: str | None, after: str | None, unit: str | None = UNIT_1M) -> PriceChange:
    sides = (None if side is None else Decimal(side) for side in (before, after))
    return PriceChange(name, *sides, unit, "exact")


def _healthy(scope: str, group: str | None, auth: str = "key") -> Coverage:
    key = "env:KEY" if auth == "key" else None
    gateway = scope.partition("/")[0]
    return Coverage(scope, gateway, group, auth, key, "ok", None, 312, None, 0, AT, AT, None, None)


def _resolved(state: str, scope: str, seconds: int, *, accepted: bool = False) -> ResolvedIncident:
    return ResolvedIncident(
        Severity.NOTABLE, state, scope.partition("/")[0], (scope,), accepted, NIGHT, AT, seconds
    )


def counted(coverage: Iterable[Coverage]) -> tuple[ScopeCounts, ...]:
    """Return the number of scopes in each state, by gateway."""
    coverage = tuple(coverage)
    return scope_counts(Counter(each.gateway for each in coverage), coverage)


KEYLESS = frozenset({"lark-proxy/public", "teal/public"})
"""The scopes without a key."""

URGENT = (
    NetChange(
        Severity.URGENT,
        Kind.REMOVED,
        "aihubmix",
        ("heron-2",),
        KEYS,
        ("vip",),
        at=AT,
        since=NIGHT,
        successor="heron-2.1",
        watched=True,
    ),
    NetChange(
        Severity.URGENT,
        Kind.CHANGED,
        "aihubmix",
        ("wren-large",),
        FEW,
        ("default",),
        prices=(_price("input", "2.40", "3.00"), _price("output", "9.60", "12")),
        at=AT,
        watched=True,
    ),
)
BREAKING = (
    NetChange(
        Severity.BREAKING,
        Kind.REMOVED,
        "aihubmix",
        ("plover-mini", "plover-mini-audio", "sandpiper-8b"),
        KEYS,
        ("vip", "pro", "default", "trial"),
        at=AT,
        since=NIGHT,
    ),
    NetChange(
        Severity.BREAKING,
        Kind.CHANGED,
        "aihubmix",
        ("curlew-pro",),
        FEW,
        fields=(
            FieldChange("context_length", "1000000", "256000", "limits"),
            FieldChange("max_output", "64000", "32000", "limits"),
        ),
        at=AT,
    ),
    NetChange(
        Severity.BREAKING,
        Kind.CHANGED,
        "lark-proxy",
        ("whimbrel-image",),
        ("lark-proxy/public",),
        prices=(_price("a call", "0.04", "0.05", UNIT_CALL), _price("model_ratio", "1.25", "1.5", None)),
        at=AT,
    ),
    NetChange(
        Severity.BREAKING,
        Kind.CHANGED,
        "lark-proxy",
        ("whimbrel-tools",),
        ("lark-proxy/public",),
        fields=(FieldChange("features", '["tools","vision"]', '["vision"]', "capabilities"),),
        at=AT,
    ),
    NetChange(
        Severity.BREAKING,
        Kind.SHAPE,
        "lark-proxy",
        tuple(f"stint-{number}" for number in range(1, 56)),
        ("lark-proxy/public",),
        fields=(
            FieldChange("context_length", "128000", None, "shape", "limits"),
            FieldChange("pricing.input", "2", None, "shape", "price"),
        ),
        at=AT,
        listed=57,
    ),
)
NOTABLE = (
    NetChange(
        Severity.NOTABLE,
        Kind.CHANGED,
        "aihubmix",
        ("egret-flash",),
        KEYS,
        ("vip",),
        prices=(_price("input", "2.40", "1.80"), _price("cache read", None, "0.075")),
        steps=3,
        at=AT,
    ),
    NetChange(
        Severity.NOTABLE,
        Kind.CHANGED,
        "aihubmix",
        ("heron-1",),
        KEYS,
        ("vip",),
        fields=(FieldChange("deprecated_at", None, '"2027-01-31"', "lifecycle"),),
        at=AT,
    ),
    NetChange(
        Severity.NOTABLE,
        Kind.RETURNED,
        "aihubmix",
        tuple(f"siskin-{number}:batch" for number in range(29)),
        FEW,
        label="*:batch",
        at=AT,
        since="2026-11-18T10:00:00Z",
        away_seconds=501_120,
    ),
    NetChange(
        Severity.NOTABLE,
        Kind.ADDED,
        "aihubmix",
        tuple(f"dipper-{number}" for number in range(9)),
        FEW,
        label="of dipper-labs",
        at=AT,
    ),
    *(
        NetChange(Severity.NOTABLE, Kind.ADDED, "aihubmix", (model,), KEYS, ("vip",), at=AT)
        for model in ("heron-2.1", "heron-2.1-thinking", "vendor/redshank:free")
    ),
    NetChange(
        Severity.NOTABLE, Kind.ADDED, "aihubmix", ("Knot-7B",), KEYS, ("vip",), at=AT, case_variant="knot-7b"
    ),
    NetChange(
        Severity.NOTABLE,
        Kind.CHANGED,
        "lark-proxy",
        ("turnstone",),
        ("lark-proxy/public",),
        prices=(_price("input", "2.50", "2.50"),),
        steps=12,
        reverted=True,
        at=AT,
    ),
    NetChange(
        Severity.NOTABLE,
        Kind.RETURNED,
        "lark-proxy",
        ("godwit",),
        ("lark-proxy/public",),
        steps=6,
        reverted=True,
        at=AT,
        since=NIGHT,
        away_seconds=3600,
    ),
    NetChange(
        Severity.NOTABLE,
        Kind.SHAPE,
        "aihubmix",
        ("dunlin-1", "dunlin-2", "dunlin-3", "dunlin-4", "dunlin-5"),
        FEW,
        fields=(FieldChange("shutdown_date", None, "2027-01-31", "shape", "lifecycle"),),
        at=AT,
        listed=6,
    ),
)
QUIET = tuple(
    NetChange(
        Severity.QUIET,
        Kind.CHANGED,
        "aihubmix",
        (f"quiet-{number}",),
        FEW,
        fields=(FieldChange("description", '"old"', '"new"', "text"),),
        at=AT,
    )
    for number in range(7)
)
INCIDENTS = (
    Incident(
        Severity.URGENT,
        "failed",
        "aihubmix",
        ("aihubmix/batch",),
        NIGHT,
        new=True,
        error_class="Refused",
        message="aihubmix.example answered 401: this token has expired",
        models=311,
        last_answered="2026-11-23T18:00:00Z",
    ),
    Incident(
        Severity.BREAKING,
        "held",
        "lark-proxy",
        ("lark-proxy/team",),
        AT,
        new=True,
        message="280 of 300 models are gone at once",
        models=300,
        held_models=20,
        last_answered=AT,
    ),
    Incident(
        Severity.URGENT,
        "failed",
        "teal",
        ("teal/public",),
        "2026-11-20T06:00:00Z",
        new=False,
        error_class="Unreachable",
        message="no answer from teal.example within 30 s",
        models=41,
        last_answered="2026-11-20T05:00:00Z",
    ),
)
EVENTS = (
    Event(AT, 812, Kind.REMOVED, "aihubmix", "heron-2", KEYS, ("vip",), since=NIGHT, urgent=True),
    Event(
        AT,
        812,
        Kind.CHANGED,
        "aihubmix",
        "wren-large",
        FEW,
        ("default",),
        fields=(FieldChange("pricing.input", "2.4", "3", "price"),),
        prices=(_price("input", "2.4", "3"),),
        urgent=True,
    ),
    Event(
        AT,
        812,
        Kind.SHAPE,
        "aihubmix",
        "",
        FEW,
        (),
        fields=(FieldChange("shutdown_date", None, "2027-01-31", "shape", "lifecycle"),),
        models=("dunlin-1", "dunlin-2", "dunlin-3", "dunlin-4", "dunlin-5"),
        listed=6,
    ),
    Event(AT, 812, Kind.ADDED, "aihubmix", "heron-2.1", KEYS, ("vip",)),
)
_NUMBERS = (3, 0, 5, 9, 0, 0, 2, 14, 6, 0, 1, 0, 0, 22, 8, 3, 0, 0, 0, 41, 12, 5, 0, 2, 0, 7, 4, 19)
DAYS = tuple(
    DayCounts(
        (date(2026, 10, 28) + timedelta(days=number)).isoformat(),
        added=total - total // 3,
        removed=total // 3,
    )
    for number, total in enumerate(_NUMBERS)
)
COVERAGE = (
    *(_healthy(scope, "vip") for scope in (*KEYS, *FEW)),
    replace(
        _healthy("aihubmix/batch", "batch"),
        state="failed",
        state_since=NIGHT,
        last_answered="2026-11-23T18:00:00Z",
        error_class="Refused",
        message="aihubmix.example answered 401: this token has expired",
        urgent=True,
    ),
    _healthy("lark-proxy/public", None, "anonymous"),
    replace(_healthy("lark-proxy/trial", "trial"), models=57),
    replace(
        _healthy("lark-proxy/team", "team"),
        state="held",
        state_since=AT,
        held_models=20,
        message="280 of 300 models are gone at once",
    ),
    replace(
        _healthy("teal/public", None, "anonymous"),
        state="failed",
        state_since="2026-11-20T06:00:00Z",
        error_class="Unreachable",
        message="no answer from teal.example within 30 s",
        urgent=True,
    ),
)
RECOVERIES = tuple(
    Recovery(
        AT,
        scope,
        scope.partition("/")[0],
        "failed",
        accepted=False,
        since=NIGHT,
        seconds=10_800,
        error_class="Throttled",
    )
    for scope in ("aihubmix/prod", "lark-proxy/public")
)
SCOPES = counted(COVERAGE)
SHUTDOWNS = (
    Shutdown("2026-11-20", -4, "aihubmix", "snipe-1", FEW),
    Shutdown("2026-11-24", 0, "lark-proxy", "ruff-old", ("lark-proxy/public",)),
    Shutdown("2026-11-25", 1, "aihubmix", "stint", FEW),
    Shutdown("2027-01-31", 68, "aihubmix", "heron-1", KEYS),
)
FULL = Summary(
    since=BEFORE,
    run=RUN,
    changes=(*URGENT, *BREAKING, *NOTABLE, *QUIET),
    incidents=INCIDENTS,
    resolved=(
        _resolved("failed", "lark-proxy/public", 10_800),
        _resolved("held", "aihubmix/prod", 28_800, accepted=True),
        _resolved("held", "aihubmix/staging", 28_800),
    ),
    first_answers=(FirstAnswer("lark-proxy", ("lark-proxy/trial",), 57),),
    pending=(
        ("aihubmix/prod", ("lyra-3", "lyra-3-mini")),
        ("aihubmix/staging", ("lyra-3", "lyra-3-mini")),
        ("lark-proxy/public", ("wren-2",)),
    ),
    coverage=tuple(each for each in COVERAGE if each.state != "ok"),
    days=DAYS,
    shutdowns=SHUTDOWNS,
    events=EVENTS,
    recoveries=RECOVERIES,
    scopes=SCOPES,
    keyless=KEYLESS,
)
"""A report with everything."""

HEALTHY = tuple(
    _healthy(f"aihubmix/{name}", None) for name in ("batch", "prod", "public", "staging", "trial")
)
CALM = Summary(BEFORE, replace(RUN, status="done", scopes=5, answered=5), days=DAYS, scopes=counted(HEALTHY))
"""A report without news."""

FAILED = replace(HEALTHY[4], state="failed", state_since=NIGHT)
SOME = replace(CALM, coverage=(FAILED,), scopes=counted((*HEALTHY[:4], FAILED)))
"""A report without news, in which one scope failed."""

_FAILING = tuple(replace(each, state="failed") for each in HEALTHY)
ALL_FAILED = replace(CALM, coverage=_FAILING, scopes=counted(_FAILING))
"""A report without news, in which every scope failed."""

NASTY = "<script>alert(1)</script>\r\nBcc: x@evil.example\u202e\x1b[31m`|*[a](http://evil.example)@everyone"
"""A model id that attacks headers, HTML, terminals and Markdown."""

LONG = "=cmd|" + "x" * 10_000
"""A name that is too long, and a formula."""


HOSTILE = (
    NASTY,
    LONG,
    "\x00\x1b]0;title\x07\u2066",
    "{{ 7 * 7 }}{% raw %}",
    "]]>&amp;<!--",
    '" onload="x',
    " ",
)
"""Texts that attack one format or another."""


def hostile(text: str) -> Summary:
    """Return `FULL` with every text from a gateway replaced by `text`."""

    def change(each: NetChange) -> NetChange:
        return replace(
            each,
            models=tuple(f"{text}{number}" for number, _ in enumerate(each.models)),
            groups=(text,) * len(each.groups),
            label=f"{text}/*" if each.label else "",
            fields=tuple(FieldChange(text, text, text, field.category) for field in each.fields),
            prices=tuple(replace(price, name=text) if price.unit is None else price for price in each.prices),
            case_variant=text if each.case_variant else None,
            successor=text if each.successor else None,
        )

    return replace(
        FULL,
        changes=tuple(map(change, FULL.changes)),
        incidents=tuple(replace(each, message=text) for each in FULL.incidents),
        shutdowns=tuple(replace(each, model=text) for each in FULL.shutdowns),
        coverage=tuple(replace(each, group=text) for each in FULL.coverage),
        events=tuple(replace(each, model=text, groups=(text,)) for each in FULL.events),
    )


def many(number: int) -> Summary:
    """Return a summary with many changes of models with long names, all different."""
    changes = tuple(
        NetChange(
            severity,
            Kind.CHANGED,
            "aihubmix",
            (f"vendor-{index % 97}/{'long-' * 12}{index}",),
            (f"aihubmix/key-{index % 500}",),
            prices=(_price("input", "1", str(2 + index)), _price("output", "1", str(3 + index))),
            at=AT,
        )
        for index in range(number)
        for severity in (list(Severity)[index % 3],)
    )
    return replace(FULL, changes=changes)


def only(*changes: NetChange, severity: Severity = Severity.BREAKING) -> Summary:
    """Return a summary with nothing but some changes, all of one severity."""
    return replace(CALM, changes=tuple(replace(change, severity=severity) for change in changes))
