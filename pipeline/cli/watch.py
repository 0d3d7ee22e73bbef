"""The command `watch`: check the models that the config, or the command line, names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
from msgspec.structs import replace

from pipeline.api import Home
from pipeline.cli.options import MOMENTS, Name, Time, csv_option, names_option, with_home
from pipeline.cli.terminal import paint, raw
from pipeline.core.canonical import pretty
from pipeline.core.text import count
from pipeline.core.text import printable as safe
from pipeline.core.times import minute
from pipeline.core.watchlist import is_glob
from pipeline.errors import CHANGES_EXIT
from pipeline.history.watch import Finding, FindingKind, UnmatchedPattern, WatchedModel, WatchReport
from pipeline.reports.console import URGENT_PREFIX, field_texts, price_text, scopes_text, shutdown_text
from pipeline.reports.csv_json import field_value, price_value, sides, write_csv


@click.command()
@with_home
@click.argument("models", nargs=-1, type=Name("models"), metavar="[MODEL]...")
@names_option("scope", "scopes", "Only in scopes that match this glob")
@click.option(
    "--since",
    type=Time(),
    default="7d",
    show_default=True,
    help=f"Report prices and stages that changed after this time: {MOMENTS}.",
)
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="A shutdown needs attention when it is at most this many days away.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 when a model needs attention.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@csv_option("Print CSV, a row for each model, scope and finding.")
def watch(
    home: Home,
    models: tuple[str, ...],
    *,
    scopes: tuple[str, ...],
    since: str,
    days: int,
    exit_code: bool,
    as_json: bool,
    as_csv: bool,
    bom: bool,
) -> int:
    """Check the watched models: missing, retiring, repriced or OK.

    MODEL is an id or a glob of ids; the default is the models under [watch] in the config. A model is missing
    in a scope that has offered it before and does not now. The answers are those of the last run; no gateway
    is asked.
    """
    report = home.watch(*models, scopes=scopes, since=since, days=days)
    if as_json:
        raw(pretty(watch_value(report)))
    elif as_csv:
        raw(write_csv(WATCH_COLUMNS, watch_rows(report), bom=bom))
    else:
        click.echo("\n".join(paint(watch_lines(report))))
    return CHANGES_EXIT if exit_code and report.urgent else 0


def watch_value(report: WatchReport) -> dict[str, Any]:
    """Return a report as JSON values."""
    return {
        "at": report.at,
        "urgent": report.urgent,
        "models": [
            {
                "model": model.model,
                "urgent": model.urgent,
                "scopes": list(model.scopes),
                "findings": [
                    {
                        "kind": str(finding.kind),
                        "urgent": finding.urgent,
                        "scopes": list(finding.scopes),
                        "since": finding.since,
                        "answers": finding.answers,
                        "answers_needed": finding.needed,
                        "earliest": finding.earliest,
                        "date": finding.day,
                        "days": finding.days,
                        "prices": [price_value(price) for price in finding.prices],
                        "fields": [field_value(field) for field in finding.fields],
                        "group": finding.group,
                    }
                    for finding in model.findings
                ],
            }
            for model in report.models
        ],
        "unmatched": [
            {"pattern": each.pattern, "offered_before": each.offered_before, "similar": list(each.similar)}
            for each in report.unmatched
        ],
    }


WATCH_COLUMNS = (
    "model",
    "kind",
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
    "similar",
    "answers",
    "answers_needed",
    "earliest",
    "group",
    "field",
    "currency",
)
"""The columns of the CSV: a row for each model, scope, finding and value, and for each model that is OK."""


def watch_rows(report: WatchReport) -> Iterator[Sequence[Any]]:
    """Yield the rows of the CSV."""
    for each in report.unmatched:
        kind = "gone" if each.offered_before else "unknown"
        yield (each.pattern, kind, "yes", *[None] * 9, " ".join(each.similar) or None, *[None] * 6)
    for model in report.models:
        if not model.findings:
            yield from ((model.model, "ok", None, scope, *[None] * 15) for scope in model.scopes)
        for finding in model.findings:
            yield from _finding_rows(model.model, finding)


def _finding_rows(model: str, finding: Finding) -> Iterator[Sequence[Any]]:
    urgent = "yes" if finding.urgent else None
    dates = (finding.since, finding.day, finding.days)
    tail = (finding.answers, finding.needed, finding.earliest, finding.group)
    for scope in finding.scopes:
        head = (model, str(finding.kind), urgent, scope, *dates)
        if not (finding.prices or finding.fields):
            yield (*head, *[None] * 6, *tail, None, None)
        for price in finding.prices:
            sided = (price.name, price.before, price.after, price.percent, price.unit)
            yield (*head, *sided, None, *tail, None, price.currency if price.unit else None)
        for field in finding.fields:
            yield (*head, None, *sides(field), None, None, None, *tail, field.field, None)


def watch_lines(report: WatchReport) -> Iterator[str]:
    """Yield the report in lines, the models that need attention first."""
    for unmatched in report.unmatched:
        yield f"{URGENT_PREFIX}{safe(unmatched.pattern)}  {_unmatched_text(unmatched, report.since)}"
    for model in sorted(report.models, key=lambda model: not model.urgent):
        yield from _model_lines(model)
    urgent = len(report.unmatched) + sum(model.urgent for model in report.models)
    watched = len(report.unmatched) + len(report.models)
    run = f", by the run of {minute(report.at)} UTC" if report.at else ": the job has not run yet"
    if watched == 1:
        yield f"the watched model needs {'' if urgent else 'no '}attention{run}"
    else:
        verb = "need" if urgent > 1 else "needs"
        yield f"{urgent or 'none'} of {watched} watched models {verb} attention{run}"


def _unmatched_text(unmatched: UnmatchedPattern, since: str | None) -> str:
    if is_glob(unmatched.pattern):
        if unmatched.offered_before:
            return f"matches no model on offer, now or since {minute(since or '')}"
        text = "matches no model that has ever been offered"
    else:
        if unmatched.offered_before:
            return "was offered before, but by no scope that is asked and watched now"
        text = "no scope has ever been offered it"
    return f"{text}: did you mean {' or '.join(map(safe, unmatched.similar))}?" if unmatched.similar else text


def _model_lines(model: WatchedModel) -> Iterator[str]:
    lead = URGENT_PREFIX if model.urgent else "  "
    failing = {scope for each in model.findings if each.kind == FindingKind.FAILING for scope in each.scopes}
    offering = [scope for scope in model.scopes if scope not in failing]
    offered = f"offered to {_scopes(offering)}" if offering else "offered to no scope"
    if failing and not offering:
        offered = "unknown whether it is offered"
    if not model.findings:
        yield f"{lead}{safe(model.model)}  OK, {offered}"
        return
    yield f"{lead}{safe(model.model)}  {offered}"
    for text in _findings_texts(model.findings):
        yield f"      {text}"


def _findings_texts(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the texts of findings; those that differ only in the lost group share one."""
    of_groups: dict[Finding, list[Finding]] = {}
    for finding in findings:
        if finding.group is None:
            yield from _finding_texts(finding)
        else:
            of_groups.setdefault(replace(finding, group=None, scopes=()), []).append(finding)
    for first, members in of_groups.items():
        began = f" since {minute(first.since)}" if first.since else ""
        names = _some_groups([safe(each.group or "") for each in members])
        groups = f"group{'' if len(members) == 1 else 's'} {names}"
        match first.kind:
            case FindingKind.MISSING:
                text = f"gone with {groups}{began}"
            case FindingKind.UNCONFIRMED:
                text = f"may be gone with {groups}{began}, {_confirmation(first)}"
            case _:
                text = f"missing with {groups} from the answer held{began}"
        yield f"{text}: {_scopes([scope for each in members for scope in each.scopes])}"


def _some_groups(names: Sequence[str]) -> str:
    more = len(names) - _MOST_GROUPS
    return f"{', '.join(names[:_MOST_GROUPS])} and {more} more" if more > 0 else ", ".join(names)


def _finding_texts(finding: Finding) -> Iterator[str]:
    began = f" since {minute(finding.since)}" if finding.since else ""
    scopes = _scopes(finding.scopes)
    match finding.kind:
        case FindingKind.MISSING:
            yield f"removed, missing{began}: {scopes}"
        case FindingKind.UNCONFIRMED:
            flapping = ", it keeps coming and going" if finding.flapping else ""
            yield f"may be missing{began}{flapping}, {_confirmation(finding)}: {scopes}"
        case FindingKind.HELD:
            yield f"missing from the answer held{began}: {scopes}"
        case FindingKind.SHUTDOWN:
            yield f"{shutdown_text(finding.day or '', finding.days or 0)}: {scopes}"
        case FindingKind.REPRICED | FindingKind.STAGE:
            for text in (*map(price_text, finding.prices), *field_texts(finding.fields)):
                yield f"{text}{began}: {scopes}"
        case FindingKind.FAILING:
            last = minute(finding.last_answered) if finding.last_answered else "never"
            yield f"unknown, the scope is failing{began}, last offered {last}: {scopes}"


def _confirmation(finding: Finding) -> str:
    """Return how far a pending removal is confirmed, and when it can be at the earliest."""
    if finding.needed is None:
        return "to be confirmed by the next answers"
    if finding.earliest and not finding.answers_left:
        return f"{count(finding.answers or 0, 'answer')}; removed at the earliest {minute(finding.earliest)}"
    answers = f"{min(finding.answers or 0, finding.needed)} of {count(finding.needed, 'answer')}"
    text = f"{answers}, removed after {finding.answers_left} more"
    return f"{text}, at the earliest {minute(finding.earliest)}" if finding.earliest else text


def group_loss_lines(lost: Mapping[str, Finding]) -> Iterator[str]:
    """Yield the groups that may be gone, by the scopes of their models, and how far that is confirmed.

    For example `hub/each.svip: group svip may be gone (1 of 2 answers)`. The groups that a held list lacks
    share a line.
    """
    held: dict[str, list[str]] = {}
    for scope, finding in lost.items():
        group = safe(finding.group or "")
        if finding.kind == FindingKind.HELD:
            held.setdefault(scope.rpartition(".")[0], []).append(group)
            continue
        answers = finding.answers or 0
        counted = count(answers, "answer")
        if finding.needed is not None:
            counted = f"{min(answers, finding.needed)} of {count(finding.needed, 'answer')}"
        yield f"{safe(scope)}: group {group} may be gone ({counted})"
    for user, groups in held.items():
        yield f"{safe(user)}: groups missing from the held answer: {_some_groups(groups)}"


_MOST_GROUPS = 6


def _scopes(names: Sequence[str]) -> str:
    """Return the names of scopes, or their number at each gateway when they are many."""
    by_gateway: dict[str, list[str]] = {}
    for name in names:
        by_gateway.setdefault(name.partition("/")[0], []).append(name)
    return ", ".join(scopes_text(gateway, tuple(scopes), ()) for gateway, scopes in by_gateway.items())


def pending_lines(models: Iterable[WatchedModel]) -> Iterator[str]:
    """Yield a line for each finding, such as those that no report has yet."""
    for model in models:
        for text in _findings_texts(model.findings):
            yield f"{URGENT_PREFIX}{safe(model.model)}  {text}"


def returned_lines(returned: Iterable[tuple[tuple[str, str], str]]) -> Iterator[str]:
    """Yield a line for each watched model that is back before its removal was confirmed.

    `returned` has the scope and the model, and the start of the run that first missed it (ISO 8601 UTC).
    """
    scopes_of: dict[tuple[str, str], list[str]] = {}
    for (scope, model), since in returned:
        scopes_of.setdefault((model, since), []).append(scope)
    for (model, since), scopes in scopes_of.items():
        yield f"{safe(model)}  offered again, missing since {minute(since)}: {_scopes(scopes)}"
