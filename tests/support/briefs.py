"""Briefs to write reports of: one that has everything, a quiet one, and one whose every text is hostile."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from pipeline.core.prices import PER_1M, PER_CALL, PriceChange
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.history.types import Coverage, Event, Recovery, Run
from pipeline.reports.types import Day, Ended, Ending, NetChange, Started, Summary, Incident

BEFORE, AT = "2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"
NIGHT = "2026-11-23T22:00:00Z"
RUN = Run(812, AT, "2026-11-24T06:00:21Z", "partial", 19, 17, 3, 1, 2)
KEYS = tuple(f"aihubmix/key-{number:02d}" for number in range(1, 13))
FEW = ("aihubmix/prod", "aihubmix/staging")


def _price(name: str, before: str | None, after: str | None, per: str | None = PER_1M) -> PriceChange:
    sides = (None if side is None else Decimal(side) for side in (before, after))
    return PriceChange(name, *sides, per, "exact")


def _well(scope: str, group: str | None, auth: str = "key") -> Coverage:
    key = "env:KEY" if auth == "key" else None
    gateway = scope.partition("/")[0]
    return Coverage(scope, gateway, group, auth, key, "ok", None, 312, None, 0, AT, AT, None, None)


def _ended(was: str, scope: str, seconds: int, *, believed: bool = False) -> Ended:
    return Ended(Severity.NOTABLE, was, scope.partition("/")[0], (scope,), believed, NIGHT, AT, seconds)


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
        candidate="heron-2.1",
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
        prices=(_price("a call", "0.04", "0.05", PER_CALL), _price("model_ratio", "1.25", "1.5", None)),
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
        times=3,
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
        mark="*:batch",
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
        mark="of dipper-labs",
        at=AT,
    ),
    *(
        NetChange(Severity.NOTABLE, Kind.ADDED, "aihubmix", (model,), KEYS, ("vip",), at=AT)
        for model in ("heron-2.1", "heron-2.1-thinking", "vendor/redshank:free")
    ),
    NetChange(Severity.NOTABLE, Kind.ADDED, "aihubmix", ("Knot-7B",), KEYS, ("vip",), at=AT, twin="knot-7b"),
    NetChange(
        Severity.NOTABLE,
        Kind.CHANGED,
        "lark-proxy",
        ("turnstone",),
        ("lark-proxy/public",),
        prices=(_price("input", "2.50", "2.50"),),
        times=12,
        back=True,
        at=AT,
    ),
    NetChange(
        Severity.NOTABLE,
        Kind.RETURNED,
        "lark-proxy",
        ("godwit",),
        ("lark-proxy/public",),
        times=6,
        back=True,
        at=AT,
        since=NIGHT,
        away_seconds=3600,
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
TROUBLES = (
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
        Severity.NOTABLE,
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
        urgent=True,
    ),
    Event(AT, 812, Kind.ADDED, "aihubmix", "heron-2.1", KEYS, ("vip",)),
)
_NUMBERS = (3, 0, 5, 9, 0, 0, 2, 14, 6, 0, 1, 0, 0, 22, 8, 3, 0, 0, 0, 41, 12, 5, 0, 2, 0, 7, 4, 19)
DAYS = tuple(
    Day(
        (date(2026, 10, 28) + timedelta(days=number)).isoformat(),
        added=total - total // 3,
        removed=total // 3,
    )
    for number, total in enumerate(_NUMBERS)
)
COVERAGE = (
    *(_well(scope, "vip") for scope in (*KEYS, *FEW)),
    replace(
        _well("aihubmix/batch", "batch"),
        state="failed",
        state_since=NIGHT,
        last_answered="2026-11-23T18:00:00Z",
        error_class="Refused",
        message="aihubmix.example answered 401: this token has expired",
    ),
    _well("lark-proxy/public", None, "anonymous"),
    replace(_well("lark-proxy/trial", "trial"), models=57),
    replace(
        _well("lark-proxy/team", "team"),
        state="held",
        state_since=AT,
        held_models=20,
        message="280 of 300 models are gone at once",
    ),
    replace(
        _well("teal/public", None, "anonymous"),
        state="failed",
        state_since="2026-11-20T06:00:00Z",
        error_class="Unreachable",
        message="no answer from teal.example within 30 s",
    ),
)
RECOVERIES = tuple(
    Recovery(AT, scope, scope.partition("/")[0], "failed", believed=False, since=NIGHT, seconds=10_800)
    for scope in ("aihubmix/prod", "lark-proxy/public")
)
ENDINGS = (
    Ending("2026-11-20", -4, "aihubmix", "snipe-1", FEW),
    Ending("2026-11-24", 0, "lark-proxy", "ruff-old", ("lark-proxy/public",)),
    Ending("2026-11-25", 1, "aihubmix", "stint", FEW),
    Ending("2027-01-31", 68, "aihubmix", "heron-1", KEYS),
)
FULL = Summary(
    since=BEFORE,
    run=RUN,
    lines=(*URGENT, *BREAKING, *NOTABLE, *QUIET),
    troubles=TROUBLES,
    ended=(
        _ended("failed", "lark-proxy/public", 10_800),
        _ended("held", "aihubmix/prod", 28_800, believed=True),
        _ended("held", "aihubmix/staging", 28_800),
    ),
    started=(Started("lark-proxy", ("lark-proxy/trial",), 57),),
    missing=(("aihubmix/prod", 2), ("aihubmix/staging", 2), ("lark-proxy/public", 1)),
    coverage=COVERAGE,
    days=DAYS,
    endings=ENDINGS,
    events=EVENTS,
    recoveries=RECOVERIES,
)
"""A report that has everything."""

WELL = tuple(_well(f"aihubmix/{name}", None) for name in ("batch", "prod", "public", "staging", "trial"))
CALM = Summary(BEFORE, replace(RUN, status="done", scopes=5, answered=5), coverage=WELL, days=DAYS)
"""A report with no news."""

SOME = replace(CALM, coverage=(*WELL[:4], replace(WELL[4], state="failed", state_since=NIGHT)))
"""A report with no news of those that answered."""

NASTY = "<script>alert(1)</script>\r\nBcc: x@evil.example\u202e\x1b[31m`|*[a](http://evil.example)@everyone"
"""What a gateway might call a model."""

LONG = "=cmd|" + "x" * 10_000
"""A name that is far too long, and a formula."""


def hostile(text: str) -> Summary:
    """Give the full brief, in which everything that a gateway says is a certain text."""

    def line(each: NetChange) -> NetChange:
        return replace(
            each,
            models=tuple(f"{text}{number}" for number, _ in enumerate(each.models)),
            groups=(text,) * len(each.groups),
            mark=f"{text}/*" if each.mark else "",
            fields=tuple(FieldChange(text, text, text, field.category) for field in each.fields),
            prices=tuple(replace(price, name=text) if price.per is None else price for price in each.prices),
            twin=text if each.twin else None,
            candidate=text if each.candidate else None,
        )

    return replace(
        FULL,
        lines=tuple(map(line, FULL.lines)),
        troubles=tuple(replace(each, message=text) for each in FULL.troubles),
        endings=tuple(replace(each, model=text) for each in FULL.endings),
        coverage=tuple(replace(each, group=text) for each in FULL.coverage),
        events=tuple(replace(each, model=text, groups=(text,)) for each in FULL.events),
    )


def many(number: int) -> Summary:
    """Give a brief in which a great number of models changed, each in its own way, with long names."""
    lines = tuple(
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
    return replace(FULL, lines=lines)
