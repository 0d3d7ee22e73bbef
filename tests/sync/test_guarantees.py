"""The table of guarantees in the page of this package, row by row: a live scenario for each."""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from support import ROOT
from support.e2e import Job, Question, Reply, Scripted, listing
from support.proving import current_bodies

from pipeline.core.times import iso
from pipeline.core.types import Severity, Thresholds
from pipeline.simulator import Gateway

BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
KEY = "sk-guarantees-12345678"
TOKEN = "ada-access-token-1234"
TEN = tuple(f"m{n}" for n in range(10))
JSON = {"Content-Type": "application/json"}
PRICE = {"pricing": {"prompt": "0.000002", "completion": "0.000006"}}


# The table.


@dataclass(frozen=True)
class Row:
    """A row of the table: what the scope answers is prose, the rest is checked."""

    outcome: str
    exit: int
    when: str
    severity: str | None
    stderr: bool


def table() -> dict[str, Row]:
    """Return the rows of the table by their names."""
    page = (ROOT / "pipeline/sync/README.md").read_text("utf-8")
    section = page.partition("\n## Guarantees\n")[2].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if name := re.fullmatch(r"`([a-z0-9-]+)`", cells[0]):
            _, _, outcome, status, when, severity, stderr = cells
            assert name[1] not in found, f"two rows are named {name[1]}"
            found[name[1]] = Row(outcome, int(status), when, severity.strip("—") or None, stderr == "a line")
    return found


TABLE = table()


# Scenarios.

Change = Callable[[Any], None]
"""Changes the gateway, before a run."""


@dataclass(frozen=True)
class Run:
    """A run before the one that the row describes.

    Args:
        hours: since the first run.
        change: of the gateway, before it.
        severity: of its mail; None for no mail.
        code: its exit status.
    """

    hours: float
    change: Change | None = None
    severity: str | None = None
    code: int = 0


@dataclass(frozen=True)
class Scenario:
    """The answers of a scope, run after run; the last run is the one that the row describes.

    Args:
        runs: the runs before it.
        hours: of the last run, since the first.
        change: of the gateway, before it.
        texts: what its mail says, among other things.
        never: what no mail says.
        stderr: what it prints on standard error, among other things.
        scopes: those of the config; the first is the one that the row is about.
        about: the name of the scope that the row is about, if it is not in the config.
        settings: of the gateway in the config.
        watch: the watched models.
        gateway: makes the gateway.
    """

    runs: tuple[Run, ...]
    hours: float
    change: Change | None = None
    texts: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    scopes: Mapping[str, str] = field(default_factory=lambda: {"prod": 'key = "env:KEY"'})
    about: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    watch: tuple[str, ...] = ()
    gateway: Callable[[], AbstractContextManager[Any]] = Gateway


def records(*models: str, **fields: Any) -> dict[str, Mapping[str, Any]]:
    """Return records that are alike."""
    return dict.fromkeys(models, fields)


def offers(*models: str, **fields: Any) -> Change:
    """Let the gateway offer the key these models and no others, each with the same fields."""
    return offers_each(records(*models, **fields))


def offers_each(models: Mapping[str, Mapping[str, Any]], group: str = "prod") -> Change:
    """Let the gateway offer the key these models and no others."""

    def change(gateway: Gateway) -> None:
        gateway.heals()
        gateway.key(KEY, group="prod")
        if gone := gateway.groups._offered.get(group, {}).keys() - models.keys():
            gateway.drops(*gone, of=group)
        for model, fields in models.items():
            gateway.offers(model, to=group, **fields)

    return change


def fails(fault: str, **options: Any) -> Change:
    """Let the gateway answer everyone with a fault."""
    return lambda gateway: gateway.fails(fault, **options)


def falls_back(gateway: Gateway) -> None:
    """Let the key get what everyone gets."""
    gateway.key(KEY, group="default")


def both(*changes: Change) -> Change:
    """Make several changes."""

    def change(gateway: Any) -> None:
        for each in changes:
            each(gateway)

    return change


class Answers:
    """A server that answers with what the scenario sets."""

    def __init__(self) -> None:
        self.answer: Callable[[Question], Reply] = lambda _question: Reply()
        self._server = Scripted(self._reply)

    @property
    def url(self) -> str:
        return self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def _reply(self, question: Question) -> Reply:
        return self.answer(question)


def replies(body: bytes, status: int = 200, **headers: str) -> Change:
    """Let the server answer with these bytes."""
    named = tuple((name.replace("_", "-"), value) for name, value in (JSON | headers).items())
    return answers(lambda _question: Reply(body, status, named))


def answers(answer: Callable[[Question], Reply]) -> Change:
    """Let the server answer by a function."""

    def change(server: Answers) -> None:
        server.answer = answer

    return change


def two_pages(question: Question) -> Reply:
    """Answer with the first or the second five models; the first answer links the second."""
    if question.path.endswith("?page=2"):
        return Reply(enveloped(*TEN[5:]), headers=tuple(JSON.items()))
    link = ("Link", '</v1/models?page=2>; rel="next"')
    return Reply(enveloped(*TEN[:5]), headers=(*JSON.items(), link))


def enveloped(*models: str, **envelope: Any) -> bytes:
    """Return a list of models with more members beside it."""
    value = json.loads(listing({"id": model, "object": "model"} for model in models))
    return json.dumps(value | envelope).encode()


def user_with_groups(gateway: Gateway) -> None:
    """Add a user with two groups."""
    gateway.group("vip")
    gateway.group("svip")
    gateway.offers("alpha", to="vip")
    gateway.offers(*TEN, to="svip")
    gateway.user("ada", id=1, group="vip", access_token=TOKEN)


BASE = Run(0, offers(*TEN), severity="notable")
"""The first answer: ten models."""

PUBLIC = {"prod": 'key = "env:KEY"', "public": ""}

IN_TURN = (
    BASE,
    Run(1, offers(*TEN[4:], "b1", "b2"), "breaking", 5),
    Run(2, offers(*TEN), "breaking"),
)
"""A list that comes back after another one was held."""


def limits(**others: int) -> Change:
    """Let the gateway offer ten models with a limit of 8192, and some with another."""
    return offers_each({model: {"context_length": others.get(model, 8192)} for model in TEN})


def prices(first: str) -> Change:
    """Let the gateway offer ten models with a price, and the first with its own."""
    others = PRICE["pricing"]
    return offers_each({m: {"pricing": others | ({"prompt": first} if m == "m0" else {})} for m in TEN})


RETURNED = (Run(0, limits(), "notable"), Run(1, limits(m0=4096), "breaking"), Run(2, limits(), "breaking"))
"""A limit that went back to its earlier value."""

LOST_LIMIT = (Run(0, offers(*TEN, context_length=8192), "notable"), Run(1, offers(*TEN), "breaking"))
"""A list that lost its limits."""

REJECTED_TWICE = (
    BASE,
    Run(1, fails("refused"), "urgent", 4),
    Run(2, offers(*TEN), "urgent"),
    Run(3, fails("refused"), "urgent", 4),
    Run(4, offers(*TEN), "urgent"),
)
"""A key that was rejected twice within a day."""

REJECTED_THRICE = (*REJECTED_TWICE, Run(5, fails("refused"), "urgent", 4), Run(6, offers(*TEN)))
"""A key that was rejected three times."""

COUNTED_TWICE = (
    Run(0, replies(enveloped(*TEN)), "notable"),
    Run(1, replies(enveloped(*TEN, total=25)), "breaking", 5),
    Run(2, replies(enveloped(*TEN)), "breaking"),
    Run(3, replies(enveloped(*TEN, total=25)), "breaking", 5),
    Run(4, replies(enveloped(*TEN)), "breaking"),
)
"""A list that had a larger `total` twice within a day."""

COUNTED_THRICE = (
    *COUNTED_TWICE,
    Run(5, replies(enveloped(*TEN, total=25)), "breaking", 5),
    Run(6, replies(enveloped(*TEN))),
)
"""A list that had it three times."""

LOWER = {m: {"context_length": 4096 if m == "m0" else 8192} for m in TEN}
"""The limit of one of ten models is lower."""

FLAPPED_WATCHED = (
    BASE,
    *(
        step
        for day in (24, 48)
        for step in (Run(day, offers(*TEN[1:]), "urgent"), Run(day + 1, offers(*TEN), "urgent"))
    ),
)
"""A watched model was missing twice, for one answer."""

SCENARIOS: dict[str, Scenario] = {
    # Answers that are accepted.
    "first-answer": Scenario((), 0, offers(*TEN), texts=("10 models",)),
    "same-list": Scenario((BASE,), 1, lambda gateway: gateway.shuffles()),
    "addition": Scenario((BASE,), 1, offers(*TEN, "new"), texts=("new",)),
    "small-loss": Scenario((BASE,), 1, offers(*TEN[3:]), never=("removed",)),
    "changed-rules": Scenario((BASE,), 1, None),
    "linked-pages": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),), 1, answers(two_pages), gateway=Answers
    ),
    "list-beside-a-code": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(enveloped(*TEN, "new", code=20000, message="ok")),
        gateway=Answers,
        texts=("new",),
    ),
    "declared-complete": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(enveloped(*TEN, "new", total=25)),
        gateway=Answers,
        settings={"complete": True},
        texts=("new",),
    ),
    "rows-left-out": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(listing([{"id": None}, *({"id": model, "object": "model"} for model in TEN)])),
        gateway=Answers,
        stderr=("1 of 11 rows is left out: 1 without a usable id (row 1: its id is null",),
    ),
    "rows-left-out-again": Scenario(
        (
            Run(0, replies(enveloped(*TEN)), "notable"),
            Run(1, replies(listing([{"id": None}, *({"id": model, "object": "model"} for model in TEN)]))),
        ),
        48,
        None,
        gateway=Answers,
    ),
    # Answers that are held.
    "large-loss": Scenario(
        (BASE,),
        1,
        offers(*TEN[4:]),
        texts=("The held answer has 6 models; the current listing has 10.",),
        stderr=("4 of 10",),
    ),
    "large-loss-of-a-watched-model": Scenario(
        (BASE,),
        1,
        offers(*TEN[4:]),
        watch=("m0",),
        texts=("m0", "The held answer has 6 models"),
        stderr=("m0",),
    ),
    "agreeing-answers": Scenario(
        (BASE, Run(1, offers(*TEN[4:]), "breaking", 5)),
        2,
        None,
        texts=("accepted", "4 models missing"),
        never=("Removed for",),
    ),
    "contradicting-answer": Scenario(
        (BASE, Run(1, offers(*TEN[6:]), "breaking", 5)), 2, offers(*TEN[5:]), never=("removed",)
    ),
    "answer-within-a-minute": Scenario((BASE, Run(1, offers(*TEN[4:]), "breaking", 5)), 1.01),
    "hold-of-a-day": Scenario(
        (
            BASE,
            Run(1, offers(*TEN[5:]), "breaking", 5),
            Run(13, offers(*TEN[:1], *TEN[6:], *TEN[1:2]), None, 5),
        ),
        26,
        offers(*TEN[5:]),
    ),
    "old-list-again": Scenario((BASE, Run(1, offers(*TEN[4:]), "breaking", 5)), 2, offers(*TEN)),
    "empty-list-with-a-message": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(b'{"data": [], "message": "unauthorized"}'),
        gateway=Answers,
        texts=("unauthorized",),
        stderr=('the list is empty, with the message "unauthorized"; it had 10 models',),
    ),
    "empty-list": Scenario(
        (BASE,), 1, fails("empty"), texts=("answer held, the list is empty",), stderr=("empty",)
    ),
    "empty-list-again": Scenario(
        (BASE, Run(1, fails("empty"), "breaking", 5), *(Run(n, None, None, 5) for n in (2, 3, 4, 5))), 6
    ),
    "empty-list-for-long": Scenario(
        (BASE, Run(1, fails("empty"), "breaking", 5), *(Run(n, None, None, 5) for n in (3, 4, 5))), 7.5
    ),
    "alternating-lists": Scenario(
        IN_TURN,
        3,
        offers(*TEN[4:], "b1", "b2"),
        texts=("10 and 8 models", "b1, b2"),
        stderr=("two lists alternate: 10 and 8 models; 2 models are only in some answers: b1, b2",),
        never=("removed",),
    ),
    "alternating-lists-again": Scenario(
        (*IN_TURN, Run(3, offers(*TEN[4:], "b1", "b2"), "breaking", 5)), 4, offers(*TEN), never=("removed",)
    ),
    "anonymous-list": Scenario(
        (Run(0, both(offers(*TEN), offers_each(records(*TEN[:8]), "default")), "notable"),),
        1,
        falls_back,
        scopes=PUBLIC,
        texts=("anonymous list", "revoked"),
        stderr=("anonymous list",),
    ),
    "anonymous-list-for-long": Scenario(
        (
            Run(0, both(offers(*TEN), offers_each(records(*TEN[:8]), "default")), "notable"),
            Run(1, falls_back, "urgent", 5),
            Run(2, None, None, 5),
            Run(14, None, None, 5),
        ),
        30,
        scopes=PUBLIC,
        never=("removed",),
    ),
    "always-the-anonymous-list": Scenario(
        (Run(0, both(offers(*TEN), offers_each(records(*TEN), "default")), "notable"),),
        1,
        both(offers(*TEN, "new"), offers_each(records(*TEN, "new"), "default")),
        scopes=PUBLIC,
        texts=("new",),
    ),
    "more-by-a-total": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(enveloped(*TEN[:9], total=25)),
        gateway=Answers,
        texts=("25", "complete = true"),
        stderr=("25",),
    ),
    "same-list-with-a-total": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(enveloped(*TEN, total=11)),
        gateway=Answers,
        texts=("11", "complete = true"),
        stderr=("11",),
    ),
    "more-by-a-total-again": Scenario(
        (
            Run(0, replies(enveloped(*TEN)), "notable"),
            Run(1, replies(enveloped(*TEN[:9], total=25)), "breaking", 5),
        ),
        30,
        gateway=Answers,
    ),
    # Answers that fail.
    "next-page": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(enveloped(*TEN[:9], next_cursor="abc")),
        gateway=Answers,
        texts=("next_cursor", "paging"),
        stderr=("paging",),
    ),
    "next-page-in-a-header": Scenario(
        (Run(0, replies(enveloped(*TEN), X_Total_Pages="1"), "notable"),),
        1,
        replies(enveloped(*TEN[:9]), X_Total_Pages="2", X_RateLimit_Remaining="59"),
        gateway=Answers,
        texts=("x-total-pages", "paging"),
        stderr=("x-total-pages", "paging"),
    ),
    "first-list-in-part": Scenario(
        (), 0, replies(enveloped(*TEN, total=25)), gateway=Answers, texts=("25",), stderr=("complete = true",)
    ),
    "part-of-a-list": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(enveloped(*TEN[:9]), 206, Content_Range="items 0-8/25"),
        gateway=Answers,
        texts=("Content-Range",),
        stderr=("Content-Range",),
    ),
    "null-list": Scenario((BASE,), 1, fails("null"), texts=("null",), stderr=("null",)),
    "error-in-a-200": Scenario(
        (Run(0, replies(enveloped(*TEN)), "notable"),),
        1,
        replies(b'{"code": 1001, "msg": "token expired", "data": []}'),
        gateway=Answers,
        texts=("token expired",),
        stderr=("token expired",),
    ),
    "error-beside-a-list": Scenario(
        (Run(0, replies(enveloped(*TEN, error_msg="ok")), "notable"),),
        1,
        replies(enveloped(*TEN, error_msg="token expired")),
        gateway=Answers,
        texts=("token expired",),
        stderr=("token expired",),
    ),
    "transient-failure": Scenario((BASE,), 8, fails("broken"), texts=("500",), stderr=("500",)),
    "transient-failure-after-a-mail": Scenario((BASE,), 1, fails("broken"), stderr=("500",)),
    "transient-failure-again": Scenario((BASE, Run(8, fails("broken"), "notable", 4)), 9),
    "transient-failure-that-comes-and-goes": Scenario(
        (
            BASE,
            Run(7, fails("broken"), "notable", 4),
            Run(8, offers(*TEN)),
            Run(14, fails("broken"), "notable", 4),
            Run(15, offers(*TEN)),
        ),
        21,
        fails("broken"),
        texts=("comes and goes: 3 times since 2 Mar 15:00 UTC",),
        stderr=("keep failing and recovering, 3 times since 2026-03-02 15:00",),
    ),
    "transient-failure-that-comes-and-goes-again": Scenario(
        (
            BASE,
            Run(7, fails("broken"), "notable", 4),
            Run(8, offers(*TEN)),
            Run(14, fails("broken"), "notable", 4),
            Run(15, offers(*TEN)),
            Run(21, fails("broken"), "notable", 4),
            Run(22, offers(*TEN)),
        ),
        29,
        fails("broken"),
    ),
    "lasting-failure": Scenario(
        (BASE, Run(8, fails("broken"), "notable", 4), Run(9, None, None, 4)),
        14.5,
        texts=("500",),
        stderr=("500",),
    ),
    "rejected-key": Scenario((BASE,), 1, fails("refused"), texts=("Key rejected", "401"), stderr=("401",)),
    "rejected-key-again": Scenario((BASE, Run(1, fails("refused"), "urgent", 4)), 2),
    "rejected-key-after-a-day": Scenario(
        (BASE, Run(1, fails("refused"), "urgent", 4), Run(20, None, None, 4)), 26, stderr=("401",)
    ),
    "end-of-a-transient-failure": Scenario(
        (BASE, Run(8, fails("broken"), "notable", 4)), 9, offers(*TEN), stderr=("recovered after 1 h",)
    ),
    "end-of-a-failure": Scenario((BASE, Run(1, fails("refused"), "urgent", 4)), 2, offers(*TEN)),
    # Problems that come and go.
    "rejected-key-that-comes-and-goes": Scenario(
        REJECTED_TWICE,
        5,
        fails("refused"),
        texts=("comes and goes: 3 times since 2 Mar 09:00 UTC", "401"),
        stderr=("keep failing and recovering, 3 times since 2026-03-02 09:00", "401"),
    ),
    "rejected-key-that-comes-and-goes-again": Scenario(REJECTED_THRICE, 7, fails("refused")),
    "end-while-it-comes-and-goes": Scenario(
        (*REJECTED_TWICE, Run(5, fails("refused"), "urgent", 4)), 6, offers(*TEN)
    ),
    "lasting-failure-after-it-came-and-went": Scenario(
        (*REJECTED_THRICE, Run(7, fails("refused"), None, 4), Run(10, None, None, 4)),
        13,
        texts=("Key rejected",),
        stderr=("failing since 2026-03-02 15:00, 4 times since 2026-03-02 09:00",),
    ),
    "well-for-a-day": Scenario(
        (*REJECTED_THRICE, Run(20)),
        30,
        texts=("well for 24 h, after 3 failures or holds since 2 Mar 09:00 UTC",),
        stderr=("well for 24 h, after it failed 3 times since 2026-03-02 09:00",),
    ),
    "hold-after-a-failure": Scenario(
        (
            Run(0, replies(enveloped(*TEN)), "notable"),
            Run(8, replies(enveloped(*TEN, total=25)), "breaking", 5),
            Run(15, replies(b"", 500), "notable", 4),
        ),
        16,
        replies(enveloped(*TEN, total=25)),
        gateway=Answers,
    ),
    "hold-that-comes-and-goes": Scenario(
        COUNTED_TWICE,
        5,
        replies(enveloped(*TEN, total=25)),
        gateway=Answers,
        texts=("comes and goes: 3 times since 2 Mar 09:00 UTC", "25"),
        stderr=("answers keep being held, 3 times since 2026-03-02 09:00",),
    ),
    "hold-that-comes-and-goes-again": Scenario(
        COUNTED_THRICE, 7, replies(enveloped(*TEN, total=25)), gateway=Answers
    ),
    "another-hold-of-an-unsteady-scope": Scenario(
        COUNTED_THRICE,
        7,
        replies(enveloped()),
        gateway=Answers,
        texts=("the list is empty",),
        stderr=("the list is empty",),
    ),
    # Removals.
    "removal": Scenario(
        (BASE, Run(1, offers(*TEN[1:])), Run(2)), 3.1, texts=("m0", "missing since 2 Mar 09:00")
    ),
    "two-answers-within-two-hours": Scenario((BASE, Run(1, offers(*TEN[1:])), Run(1.5)), 2),
    "one-answer-in-six-hours": Scenario((BASE, Run(1, offers(*TEN[1:]))), 7, offers(*TEN)),
    "watched-removal-begins": Scenario(
        (BASE,), 1, offers(*TEN[1:]), watch=("m0",), texts=("m0",), stderr=("m0",)
    ),
    "watched-removal": Scenario(
        (BASE, Run(1, offers(*TEN[1:]), "urgent"), Run(2)), 3.5, watch=("m0",), texts=("m0",), stderr=("m0",)
    ),
    "runs-within-a-minute": Scenario(
        (BASE, Run(1, offers(*TEN[1:]))), 1.01, settings={"confirm_after": 0}, never=("removed",)
    ),
    "flapping-model": Scenario(
        (
            BASE,
            *(step for day in (24, 48) for step in (Run(day, offers(*TEN[1:])), Run(day + 1, offers(*TEN)))),
            Run(72, offers(*TEN[1:])),
            Run(74),
        ),
        76,
        never=("removed",),
    ),
    "flapping-watched-model": Scenario(
        (*FLAPPED_WATCHED, Run(72, offers(*TEN[1:])), Run(73)),
        74,
        watch=("m0",),
        texts=("m0", "keeps coming and going", "Missing from 3 of 4 answers"),
        stderr=("m0", "keeps coming and going"),
    ),
    "flapping-watched-model-returns": Scenario(
        (*FLAPPED_WATCHED, Run(72, offers(*TEN[1:])), Run(73), Run(74, None, "urgent")),
        75,
        offers(*TEN),
        watch=("m0",),
        texts=("m0", "3 h"),
        stderr=("m0  offered again, missing since",),
    ),
    "watched-return": Scenario(
        (BASE, Run(1, offers(*TEN[1:]), "urgent"), Run(4, None, "urgent")),
        28,
        offers(*TEN),
        watch=("m0",),
        texts=("urgent: m0 returned", "1.1 days"),
        stderr=("m0  returned after 1.1 days",),
    ),
    "return": Scenario(
        (BASE, Run(1, offers(*TEN[1:])), Run(4, None, "breaking")), 28, offers(*TEN), texts=("m0", "1.1 days")
    ),
    "lost-group": Scenario(
        (Run(0, user_with_groups, "notable"), Run(1, lambda gateway: gateway.group("svip", usable=False))),
        3.5,
        scopes={"ada": 'access_token = "env:TOKEN", user_id = 1, groups = "all"'},
        about="ada.svip",
        texts=("svip", "10 models"),
    ),
    "lost-group-of-a-watched-model": Scenario(
        (
            Run(0, user_with_groups, "notable"),
            Run(1, lambda gateway: gateway.group("svip", usable=False), "urgent"),
        ),
        3.5,
        scopes={"ada": 'access_token = "env:TOKEN", user_id = 1, groups = "all"'},
        about="ada.svip",
        watch=("m3", "m4"),
        texts=("group svip is gone (10 models), with the watched m3, m4",),
        stderr=("group svip is gone (10 models), with the watched m3, m4",),
    ),
    # Changes of values.
    "price-rise": Scenario(
        (Run(0, offers(*TEN, **PRICE), "notable"),),
        1,
        offers_each(records(*TEN, **PRICE) | {"m0": {"pricing": PRICE["pricing"] | {"prompt": "0.000003"}}}),
        texts=("input $2.00 → $3.00 per 1M tokens (+50 %)",),
    ),
    "price-cut": Scenario(
        (Run(0, offers(*TEN, **PRICE), "notable"),),
        1,
        offers_each(records(*TEN, **PRICE) | {"m0": {"pricing": PRICE["pricing"] | {"prompt": "0.000001"}}}),
        texts=("input $2.00 → $1.00 per 1M tokens (−50 %)",),
    ),
    "watched-price": Scenario(
        (Run(0, offers(*TEN, **PRICE), "notable"),),
        1,
        offers_each(records(*TEN, **PRICE) | {"m0": {"pricing": PRICE["pricing"] | {"prompt": "0.000001"}}}),
        watch=("m0",),
        texts=("m0",),
        stderr=("m0",),
    ),
    "first-shutdown-date": Scenario(
        (BASE,),
        1,
        offers_each(records(*TEN) | {"m0": {"shutdown_date": "2026-12-20"}}),
        texts=("m0", "shutdown 20 Dec 2026"),
    ),
    "watched-shutdown-date": Scenario(
        (BASE,),
        1,
        offers_each(records(*TEN) | {"m0": {"shutdown_date": "2026-12-20"}}),
        watch=("m0",),
        texts=("m0", "shutdown 20 Dec 2026"),
        stderr=("m0",),
    ),
    "limit-cut": Scenario(
        (Run(0, offers(*TEN, context_length=8192), "notable"),),
        1,
        offers_each({model: {"context_length": 4096 if model == "m0" else 8192} for model in TEN}),
        texts=("m0", "4,096"),
    ),
    "lost-capability": Scenario(
        (Run(0, offers(*TEN, features=["tools", "vision"]), "notable"),),
        1,
        offers_each({model: {"features": ["tools", "vision"][: 2 - (model == "m0")]} for model in TEN}),
        texts=("m0", "vision"),
    ),
    "same-amount": Scenario(
        (Run(0, offers(*TEN, **PRICE, context_length=8192, shutdown_date="2026-12-20"), "notable"),),
        1,
        offers(
            *TEN,
            pricing={"prompt": "2e-06", "completion": 0.000006},
            context_length="8192",
            shutdown_date=1797724800,
        ),
        watch=("m0",),
    ),
    "counter": Scenario((Run(0, offers(*TEN, downloads=5), "notable"),), 1, offers(*TEN, downloads=6)),
    "description": Scenario(
        (Run(0, offers(*TEN, description="Fast."), "notable"),), 1, offers(*TEN, description="Faster.")
    ),
    "lost-shape": Scenario(
        (Run(0, offers(*TEN, context_length=8192), "notable"),),
        1,
        offers_each({model: {"context_length": 8192} if model == "m0" else {} for model in TEN}),
        texts=("1 field lost by most models", "context_length: lost by 9 of 10 models"),
    ),
    "gained-shape": Scenario(
        (BASE,),
        1,
        offers(*TEN, **PRICE),
        texts=("pricing.completion, pricing.prompt: new in 10 of 10 models",),
    ),
    "gained-other-shape": Scenario((BASE,), 1, offers(*TEN, mood="good")),
    "value-that-returns": Scenario(
        (
            Run(0, offers(*TEN, context_length=8192), "notable"),
            Run(
                1, offers_each({m: {"context_length": 4096 if m == "m0" else 8192} for m in TEN}), "breaking"
            ),
        ),
        2,
        offers(*TEN, context_length=8192),
        texts=("m0", "keeps changing between"),
    ),
    "value-that-keeps-changing": Scenario(
        (
            Run(0, offers(*TEN, context_length=8192), "notable"),
            Run(
                1, offers_each({m: {"context_length": 4096 if m == "m0" else 8192} for m in TEN}), "breaking"
            ),
            Run(2, offers(*TEN, context_length=8192), "breaking"),
        ),
        3,
        offers_each({m: {"context_length": 4096 if m == "m0" else 8192} for m in TEN}),
    ),
    "new-value-while-it-keeps-changing": Scenario(
        RETURNED, 3, limits(m0=2048), texts=("m0", "8,192 → 2,048")
    ),
    "watched-price-while-it-keeps-changing": Scenario(
        (
            Run(0, prices("0.000002"), "notable"),
            Run(1, prices("0.000003"), "urgent"),
            Run(2, prices("0.000002"), "urgent"),
            Run(3, prices("0.000003"), "quiet"),
        ),
        4,
        prices("0.000090"),
        watch=("m0",),
        texts=("m0", "input $3.00 → $90.00 per 1M tokens (+2,900 %)"),
        stderr=("m0", "input $3.00 → $90.00 per 1M tokens"),
    ),
    "price-back-and-higher": Scenario(
        (Run(0, offers(*TEN, **PRICE), "notable"), Run(1, offers(*TEN), "breaking")),
        2,
        offers(*TEN, pricing={"prompt": "0.000020", "completion": "0.000060"}),
        texts=("input $2.00 → $20.00 per 1M tokens (+900 %)", "output $6.00 → $60.00"),
        never=("new in",),
    ),
    "list-that-keeps-changing": Scenario(
        LOST_LIMIT,
        2,
        offers(*TEN, context_length=8192),
        texts=("context_length: keeps being lost and regained by 10 of 10 models, now back",),
    ),
    "list-that-keeps-changing-again": Scenario(
        (*LOST_LIMIT, Run(2, offers(*TEN, context_length=8192), "breaking")), 3, offers(*TEN)
    ),
    "list-that-settles": Scenario(
        (
            *LOST_LIMIT,
            Run(2, offers(*TEN, context_length=8192), "breaking"),
            Run(3, offers(*TEN), "quiet"),
            Run(4, offers(*TEN, context_length=8192), "quiet"),
            Run(5, None),
            Run(20, None),
        ),
        29,
        texts=("context_length: back with 10 of 10 models after 4 changes in 3 h",),
    ),
    "value-that-settles": Scenario(
        (
            Run(0, offers(*TEN, context_length=8192), "notable"),
            Run(
                1, offers_each({m: {"context_length": 4096 if m == "m0" else 8192} for m in TEN}), "breaking"
            ),
            Run(2, offers(*TEN, context_length=8192), "breaking"),
            Run(3, offers_each({m: {"context_length": 4096 if m == "m0" else 8192} for m in TEN}), "quiet"),
            Run(4, offers(*TEN, context_length=8192), "quiet"),
            Run(5, None),
            Run(20, None),
        ),
        29,
        texts=("m0", "8,192"),
    ),
    "value-that-settles-lower": Scenario(
        (
            Run(0, offers(*TEN, context_length=8192), "notable"),
            Run(1, offers_each(LOWER), "breaking"),
            Run(2, offers(*TEN, context_length=8192), "breaking"),
            Run(3, offers_each(LOWER), "quiet"),
            Run(4, None),
            Run(20, None),
        ),
        28,
        texts=("m0", "context settled at 4,096 (before: 8,192) after 3 changes in 2 h"),
    ),
}
"""The scenario of each row, by its name; the answers are those that the row describes in words."""


# Running them.

DEFAULTS = {"confirm_after": Thresholds().confirm_after}
"""Settings with which most other tests differ from the defaults."""

DESTINATIONS = "".join(
    f'\n[destinations.{severity}]\ntype = "eml"\ndirectory = "{severity}"\nseverity = "{severity}"\n'
    for severity in Severity
)


class Played:
    """A home with a destination for each severity, in which the runs of a scenario happen."""

    def __init__(self, directory: Path, url: str, scenario: Scenario) -> None:
        self.job = Job(directory / "home", {"KEY": KEY, "TOKEN": TOKEN})
        self.job.asks(url, scopes=scenario.scopes, **DEFAULTS | {"attempts": 1} | scenario.settings)
        watch = f"\n[watch]\nmodels = {list(scenario.watch)!r}\n" if scenario.watch else ""
        self.job.configure(self.job.config.read_text("utf-8") + watch + DESTINATIONS)
        self.scope = f"local/{scenario.about or next(iter(scenario.scopes))}"
        self.mails: list[str] = []
        self._seen: set[Path] = set()

    def run(self, hours: float) -> tuple[int, str | None, str]:
        """Run the command; return its exit status, the severity of its mail, and its standard error."""
        done = self.job.quick("run", at=iso(BEGIN + timedelta(hours=hours)))
        assert done.stdout == ""
        new = set(self.job.home.glob("*/*.eml")) - self._seen
        self._seen |= new
        by_severity = {path.parent.name: path for path in new}
        severity = next((str(each) for each in Severity if each in by_severity), None)
        self.mails.append(_text(by_severity[severity]) if severity else "")
        # What is quiet only reaches a destination that asks for it.
        return done.code, severity, done.stderr

    def outcome(self, before: Mapping[str, Any]) -> str:
        """Return the outcome of the scope in the last run, by the lists that the command shows."""
        (scope,) = (each for each in self.job.quick("scopes", "--json").json() if each["scope"] == self.scope)
        if scope["state"] != "ok":
            return str(scope["state"])
        same = before.get(self.scope) == current_bodies(self.job.database).get(self.scope)
        return "unchanged" if same else "accepted"


def _text(path: Path) -> str:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body
    return " ".join(f"{message['subject']}\n{body.get_content()}".split())


@pytest.mark.parametrize("name", TABLE)
def test_each_row_of_the_table_holds_in_a_live_scenario(name, tmp_path):
    assert name in SCENARIOS, "the row has no scenario"
    row, scenario = TABLE[name], SCENARIOS[name]
    with scenario.gateway() as gateway:
        played = Played(tmp_path, gateway.url, scenario)
        for run in scenario.runs:
            if run.change:
                run.change(gateway)
            code, severity, _ = played.run(run.hours)
            assert (run.hours, code, severity) == (run.hours, run.code, run.severity), played.mails[-1]
        before = current_bodies(played.job.database) if scenario.runs else {}
        if scenario.change:
            scenario.change(gateway)
        code, severity, stderr = played.run(scenario.hours)
    assert (code, severity, bool(stderr)) == (row.exit, row.severity, row.stderr), played.mails[-1] + stderr
    assert played.outcome(before) == row.outcome
    assert (severity is None) == row.when.startswith("never")
    for text in scenario.texts:
        assert text in played.mails[-1]
    for text in scenario.never:
        assert not any(text in mail for mail in played.mails)
    for text in scenario.stderr:
        assert text in stderr


def test_each_scenario_has_a_row_of_the_table():
    assert SCENARIOS.keys() == TABLE.keys()
