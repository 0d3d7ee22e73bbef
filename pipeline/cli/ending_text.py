"""How models end: in lines for people, and as rows of CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.endings import Announced, Vanished
from pipeline.reports.as_text import count, minute, who
from pipeline.reports.display import shown as safe

_ANNOUNCED = ("date", "days", "gateway", "model", "lifecycle", "scopes")
_GONE = ("at", "since", "gateway", "model", "scopes", "back")

Table = tuple[Sequence[str], list[Sequence[Any]]]


def announced_rows(found: Sequence[Announced]) -> Table:
    """Give columns and rows of what is announced."""
    return _ANNOUNCED, [
        (each.day, each.days, each.gateway, each.model, each.lifecycle, " ".join(each.scopes))
        for each in found
    ]


def gone_rows(found: Sequence[Vanished]) -> Table:
    """Give columns and rows of what went without notice."""
    return _GONE, [
        (each.at, each.since, each.gateway, each.model, " ".join(each.scopes), " ".join(each.back))
        for each in found
    ]


def lines(announced: Sequence[Announced], gone: Sequence[Vanished], days: int) -> Iterator[str]:
    """Say what is announced, by day, and how much went without notice."""
    if not announced:
        yield f"nothing that is offered is announced to end within {count(days, 'day')}"
    for each in announced:
        stage = f"  ({safe(each.lifecycle)})" if each.lifecycle else ""
        whom = who(each.gateway, each.scopes, ())
        yield f"{each.day}  {when(each.days)}  {safe(each.model)}{stage}  {whom}"
    if gone:
        yield (
            f"{count(len({(each.gateway, each.model) for each in gone}), 'model')} went without notice "
            f"in the last {count(days, 'day')}: --unannounced shows them"
        )


def when(days: int) -> str:
    """Say how far a day is: `in 3 days`, `today`, `2 days ago, still offered`."""
    if days == 0:
        return "today"
    return f"in {count(days, 'day')}" if days > 0 else f"{count(-days, 'day')} ago, still offered"


def gone_lines(gone: Sequence[Vanished], days: int) -> Iterator[str]:
    """Say what went without notice, oldest first."""
    if not gone:
        yield f"nothing went without notice in the last {count(days, 'day')}"
    for each in gone:
        since = f", missing since {minute(each.since)}" if each.since and each.since != each.at else ""
        back = _back(each)
        yield f"{minute(each.at)}  - {safe(each.model)}  {who(each.gateway, each.scopes, ())}{since}{back}"


def _back(gone: Vanished) -> str:
    if not gone.back:
        return ""
    return (
        "; offered again"
        if gone.back == gone.scopes
        else f"; offered again to {' '.join(map(safe, gone.back))}"
    )
