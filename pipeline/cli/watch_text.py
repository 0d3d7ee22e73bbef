"""How watched models stand: in lines for people, as JSON, and as rows of CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline.cli.ending_text import when
from pipeline.cli.story_text import price_text, price_value, unit_of
from pipeline.reports.as_text import URGENT, count, minute, who
from pipeline.reports.display import shown as safe
from pipeline.watching import Finding, Standing, Unmatched, Watched, What
from pipeline.watchlist import is_glob

COLUMNS = (
    "model",
    "what",
    "urgent",
    "scope",
    "since",
    "date",
    "days",
    "price",
    "before",
    "after",
    "percent",
    "unit",
    "near",
)
"""The columns of the CSV: a row for each model, scope, finding and price, and for what is well."""


def value(standing: Standing) -> dict[str, Any]:
    """Give it as plain values."""
    return {
        "at": standing.at,
        "urgent": standing.urgent,
        "models": [
            {
                "model": each.model,
                "urgent": each.urgent,
                "scopes": list(each.scopes),
                "findings": [_finding_value(finding) for finding in each.findings],
            }
            for each in standing.models
        ],
        "unmatched": [
            {"word": each.word, "once": each.known, "near": list(each.near)} for each in standing.unmatched
        ],
    }


def _finding_value(finding: Finding) -> dict[str, Any]:
    return {
        "what": str(finding.what),
        "urgent": finding.urgent,
        "scopes": list(finding.scopes),
        "since": finding.since,
        "date": finding.day,
        "days": finding.days,
        "prices": [price_value(price) for price in finding.prices],
    }


def rows(standing: Standing) -> Iterator[Sequence[Any]]:
    """Give it as rows of CSV."""
    for each in standing.unmatched:
        what = "gone" if each.known else "unknown"
        yield (each.word, what, "yes", *[None] * 9, " ".join(each.near) or None)
    for model in standing.models:
        if not model.findings:
            yield from ((model.model, "well", None, scope, *[None] * 9) for scope in model.scopes)
        for finding in model.findings:
            yield from _finding_rows(model.model, finding)


def _finding_rows(model: str, finding: Finding) -> Iterator[Sequence[Any]]:
    for scope in finding.scopes:
        urgent = "yes" if finding.urgent else None
        dates = (finding.since, finding.day, finding.days)
        head = (model, str(finding.what), urgent, scope, *dates)
        if not finding.prices:
            yield (*head, *[None] * 6)
        for price in finding.prices:
            yield (*head, price.name, price.before, price.after, price.percent, unit_of(price), None)


def lines(standing: Standing, since: str) -> Iterator[str]:
    """Say it: first what needs attention, then what is well."""
    for unmatched in standing.unmatched:
        yield f"{URGENT}{safe(unmatched.word)}  {_unmatched(unmatched, since)}"
    for each in sorted(standing.models, key=lambda model: not model.urgent):
        yield from _model(each, since)
    urgent = len(standing.unmatched) + sum(each.urgent for each in standing.models)
    watched = len(standing.unmatched) + len(standing.models)
    at = f", by the run of {minute(standing.at)} UTC" if standing.at else ": the job has not run yet"
    need = "need" if urgent > 1 else "needs"
    yield f"{urgent or 'none'} of {count(watched, 'watched model')} {need} attention{at}"


def _unmatched(unmatched: Unmatched, since: str) -> str:
    if is_glob(unmatched.word):
        if unmatched.known:
            return f"matches no model that is offered, or was since {minute(since)}"
        said = "matches no model that was ever offered"
    else:
        if unmatched.known:
            return "was offered once, but to no scope that is asked now and watched"
        said = "no scope was ever offered it"
    return f"{said}: did you mean {' or '.join(map(safe, unmatched.near))}?" if unmatched.near else said


def _model(each: Watched, since: str) -> Iterator[str]:
    lead = URGENT if each.urgent else "  "
    if not each.findings:
        yield f"{lead}{safe(each.model)}  well, offered to {_who(each.scopes)}"
        return
    yield f"{lead}{safe(each.model)}  {_offered(each)}"
    for finding in each.findings:
        for text in _finding(finding, since):
            yield f"      {text}"


def _offered(each: Watched) -> str:
    return f"offered to {_who(each.scopes)}" if each.scopes else "offered to no scope"


def _finding(finding: Finding, since: str) -> Iterator[str]:
    began = f" since {minute(finding.since)}" if finding.since else ""
    match finding.what:
        case What.MISSING:
            yield f"missing{began}: {_who(finding.scopes)}"
        case What.UNCONFIRMED:
            yield f"missing{began}, to be confirmed by the next answers: {_who(finding.scopes)}"
        case What.HELD:
            yield f"not in the answer held{began}: {_who(finding.scopes)}"
        case What.ENDING:
            yield f"ends {finding.day}, {when(finding.days or 0)}: {_who(finding.scopes)}"
        case What.REPRICED:
            for price in finding.prices:
                yield f"{price_text(price)} since {minute(since)}: {_who(finding.scopes)}"
        case What.UNHEARD:
            yield f"as far as is known, failed{began}: {_who(finding.scopes)}"


def _who(scopes: Sequence[str]) -> str:
    """Name scopes, or count them by gateway when they are many."""
    of_gateway: dict[str, list[str]] = {}
    for scope in scopes:
        of_gateway.setdefault(scope.partition("/")[0], []).append(scope)
    return ", ".join(who(gateway, tuple(of), ()) for gateway, of in of_gateway.items())


def doubts(models: Iterable[Watched]) -> Iterator[str]:
    """Say, in a line each, what no report tells of yet."""
    for each in models:
        for finding in each.findings:
            for text in _finding(finding, ""):
                yield f"{URGENT}{safe(each.model)}  {text}"
