"""How watched models stand: in lines for people, as JSON, and as rows of CSV.

The command that says how the models stand that somebody depends on: watch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.catalog import known_scopes
from pipeline.cli.history import price_text, price_value, unit_of, when
from pipeline.cli.options import Place, Time, now, placed
from pipeline.cli.run import database_of, watch_of
from pipeline.core.text import count
from pipeline.core.text import printable as safe
from pipeline.core.times import minute
from pipeline.core.watchlist import is_glob
from pipeline.errors import CHANGES_EXIT
from pipeline.history.watch import Finding, Unmatched, WatchedModel, WatchReport, What
from pipeline.reports.console import URGENT, who

if TYPE_CHECKING:
    from pipeline.core.watchlist import Watch


WATCH_COLUMNS = (
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


def watch_value(standing: WatchReport) -> dict[str, Any]:
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


def watch_rows(standing: WatchReport) -> Iterator[Sequence[Any]]:
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


def watch_lines(standing: WatchReport, since: str) -> Iterator[str]:
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


def _model(each: WatchedModel, since: str) -> Iterator[str]:
    lead = URGENT if each.urgent else "  "
    if not each.findings:
        yield f"{lead}{safe(each.model)}  well, offered to {_who(each.scopes)}"
        return
    yield f"{lead}{safe(each.model)}  {_offered(each)}"
    for finding in each.findings:
        for text in _finding(finding, since):
            yield f"      {text}"


def _offered(each: WatchedModel) -> str:
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


def doubts(models: Iterable[WatchedModel]) -> Iterator[str]:
    """Say, in a line each, what no report tells of yet."""
    for each in models:
        for finding in each.findings:
            for text in _finding(finding, ""):
                yield f"{URGENT}{safe(each.model)}  {text}"


@click.command()
@placed
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option(
    "--scope", "scopes", multiple=True, help="Only in scopes that match this glob; may be repeated."
)
@click.option(
    "--since", type=Time(), default="7d", show_default=True, help="Compare prices with this time's."
)
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="An end needs attention when it is so many days away, or fewer.",
)
@click.option("--exit-code", is_flag=True, help="Leave with 1 when something needs attention.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row for each model, scope and finding.")
def watch(
    place: Place,
    models: tuple[str, ...],
    *,
    scopes: tuple[str, ...],
    since: str,
    days: int,
    exit_code: bool,
    as_json: bool,
    as_csv: bool,
) -> int:
    """Say of each model that you depend on whether it is missing, ends, costs something else, or is well.

    MODEL is an id or a glob of ids; without any, those under [watch] in the config. A model is missing in
    the scopes that have offered it before and do not any more. Nobody is asked: the last run has heard it.
    """
    from pipeline.cli import terminal
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.history.watch import watch as find_watch
    from pipeline.store import Store

    wanted = _wanted(place, models, scopes)
    with Store.read(database_of(place)) as store:
        known_scopes(store, scopes)
        today = datetime.fromisoformat(now()).date()
        standing = find_watch(store, wanted, since=since, today=today, days=days)
    if as_json:
        raw(pretty(watch_value(standing)))
    elif as_csv:
        raw(terminal.as_csv(WATCH_COLUMNS, watch_rows(standing)))
    else:
        click.echo("\n".join(watch_lines(standing, since)))
    return CHANGES_EXIT if exit_code and standing.urgent else 0


def _wanted(place: Place, models: tuple[str, ...], scopes: tuple[str, ...]) -> Watch:
    """Give the config's watch, as far as the words given do not say otherwise."""
    watch = watch_of(place)
    wanted = replace(watch, models=models or watch.models, scopes=scopes or watch.scopes)
    if not wanted.models:
        raise click.UsageError(
            f"nothing is watched: name models, or write `[watch]` and `models = [...]` into {place.config}"
        )
    return wanted
