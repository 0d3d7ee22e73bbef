"""The command `deprecations`: announced shutdowns, and removals without notice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
from msgspec.structs import asdict

from pipeline.api import Home
from pipeline.cli.options import csv_option, with_home
from pipeline.cli.terminal import raw
from pipeline.core.canonical import pretty
from pipeline.core.text import count
from pipeline.core.text import printable as safe
from pipeline.core.times import minute
from pipeline.history.deprecations import AnnouncedShutdown, Deprecations, UnannouncedRemoval
from pipeline.reports.console import scopes_text
from pipeline.reports.csv_json import write_csv


@click.command()
@with_home
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="The next days to search for announced shutdowns, and the last for removals.",
)
@click.option("--unannounced", is_flag=True, help="Show the removals without notice instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with both.")
@csv_option("Print CSV.")
def deprecations(home: Home, *, days: int, unannounced: bool, as_json: bool, as_csv: bool, bom: bool) -> None:
    """Show the models with an announced shutdown, soon or overdue, and those removed without notice."""
    found = home.deprecations(days=days)
    if as_json:
        raw(pretty(asdict(found)))
    elif as_csv:
        columns, rows = (
            _removed_table(found.unannounced) if unannounced else _announced_table(found.announced)
        )
        raw(write_csv(columns, rows, bom=bom))
    elif unannounced:
        click.echo("\n".join(_removed_lines(found.unannounced, days)))
    else:
        click.echo("\n".join(_announced_lines(found, days)))


_Table = tuple[Sequence[str], list[Sequence[Any]]]
"""The columns of a CSV, and its rows."""


def _announced_table(announced: Sequence[AnnouncedShutdown]) -> _Table:
    return ("date", "days", "gateway", "model", "lifecycle", "scopes"), [
        (each.day, each.days, each.gateway, each.model, each.lifecycle, " ".join(each.scopes))
        for each in announced
    ]


def _removed_table(removed: Sequence[UnannouncedRemoval]) -> _Table:
    return ("at", "since", "gateway", "model", "scopes", "back"), [
        (each.at, each.since, each.gateway, each.model, " ".join(each.scopes), " ".join(each.back))
        for each in removed
    ]


def _announced_lines(found: Deprecations, days: int) -> Iterator[str]:
    """Yield a line for each announced shutdown, by day, or the next one; and the number of removals."""
    if not found.announced:
        yield f"no model on offer has an announced shutdown within {count(days, 'day')}"
        if found.later:
            yield f"the next one: {_announced_line(found.later)}"
    yield from map(_announced_line, found.announced)
    if found.unannounced:
        number = len({(each.gateway, each.model) for each in found.unannounced})
        gone = {(each.gateway, each.model) for each in found.unannounced if each.back != each.scopes}
        back = f", {number - len(gone)} of them offered again" if number > len(gone) else ""
        yield (
            f"{count(number, 'model')} removed without notice in the last {count(days, 'day')}{back}: "
            "--unannounced shows them"
        )


def _announced_line(each: AnnouncedShutdown) -> str:
    stage = f"  ({safe(each.lifecycle)})" if each.lifecycle else ""
    scopes = scopes_text(each.gateway, each.scopes, ())
    return f"{each.day}  {days_text(each.days)}  {safe(each.model)}{stage}  {scopes}"


def days_text(days: int) -> str:
    """Return the distance of a day: `in 3 days`, `today`, `2 days ago, still offered`."""
    if days == 0:
        return "today"
    return f"in {count(days, 'day')}" if days > 0 else f"{count(-days, 'day')} ago, still offered"


def _removed_lines(removed: Sequence[UnannouncedRemoval], days: int) -> Iterator[str]:
    if not removed:
        yield f"no model was removed without notice in the last {count(days, 'day')}"
    for each in removed:
        scopes = scopes_text(each.gateway, each.scopes, ())
        since = f", missing since {minute(each.since)}" if each.since and each.since != each.at else ""
        yield f"{minute(each.at)}  - {safe(each.model)}  {scopes}{since}{_returned(each)}"


def _returned(removed: UnannouncedRemoval) -> str:
    if not removed.back:
        return ""
    if removed.back == removed.scopes:
        return "; offered again"
    return f"; offered again to {' '.join(map(safe, removed.back))}"
