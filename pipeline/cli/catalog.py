"""The commands that look at the database: changes, models, scopes, status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import Place, Time, placed
from pipeline.cli.run import database_of, watch_of
from pipeline.core.text import printable
from pipeline.core.types import Kind
from pipeline.core.watchlist import unmatched_glob, matches

if TYPE_CHECKING:
    from pipeline.history.types import Coverage, Event, Run
    from pipeline.store import Store


def _store(place: Place) -> Store:
    from pipeline.store import Store

    return Store.read(database_of(place))


@click.command()
@placed
@click.option("--since", type=Time(), help="From this time on: 2h, 1d, 3w (ago), or a date.")
@click.option(
    "--scope", "scopes", multiple=True, help="Only in scopes that match this glob; may be repeated."
)
@click.option("--model", "models", multiple=True, help="Only models that match this glob; may be repeated.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in Kind]),
    help="Only this; may be repeated.",
)
@click.option("--all", "quiet_too", is_flag=True, help="Show quiet changes too: names, owners, descriptions.")
@click.option("--each", is_flag=True, help="Tell each change, also of what flaps and of what moves in bulk.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; quiet changes are in it, and marked.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV; quiet changes are in it, with class text.")
def changes(
    place: Place,
    *,
    since: str | None,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    kinds: tuple[str, ...],
    quiet_too: bool,
    each: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show what changed, oldest first; scopes that made the same move are told together."""
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.history.changes import find_events
    from pipeline.reports import csv_json
    from pipeline.reports.console import event_lines
    from pipeline.reports.csv_json import event_value
    from pipeline.reports.report import mark_urgent
    from pipeline.store.changes import window

    with _store(place) as store:
        known_scopes(store, scopes)
        events = mark_urgent(find_events(store, window(store, since=since)), watch_of(place))
    found = [
        event
        for event in _in_scopes(events, scopes)
        if matches(event.model, models) and (not kinds or event.kind in kinds)
    ]
    if as_json:
        raw(pretty([event_value(event) for event in found]))
    elif as_csv:
        raw(csv_json.as_csv(found))
    else:
        lines = list(event_lines(found, quiet_too=quiet_too, each=each))
        click.echo("\n".join(lines) or "no changes")
        hidden = sum(event.quiet for event in found)
        if hidden and not quiet_too:
            click.echo(f"({hidden} quiet: --all shows them)")


def known_scopes(store: Store, globs: tuple[str, ...]) -> None:
    """See that each glob is of some scope: a slip of the pen must not look like peace and quiet."""
    glob = unmatched_glob(globs, (row["name"] for row in store.rows("select name from scopes")))
    if glob is not None:
        raise click.UsageError(f"no scope matches {printable(glob)}: see `modelwatch scopes`")


def _in_scopes(events: Iterable[Event], globs: tuple[str, ...]) -> Iterable[Event]:
    """Keep the events of scopes that match, and of each event only those scopes."""
    from dataclasses import replace

    for event in events:
        scopes = tuple(scope for scope in event.scopes if matches(scope, globs))
        if scopes:
            yield event if scopes == event.scopes else replace(event, scopes=scopes)


@click.command()
@placed
@click.argument("patterns", nargs=-1)
@click.option(
    "--scope", "scopes", multiple=True, help="Only in scopes that match this glob; may be repeated."
)
@click.option("--owner", "owners", multiple=True, help="Only owners that match this glob; may be repeated.")
@click.option("--at", type=Time(), help="What was offered at this time: 2h, 1d, 3w (ago), or a date.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with each model's record.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def models(
    place: Place,
    patterns: tuple[str, ...],
    *,
    scopes: tuple[str, ...],
    owners: tuple[str, ...],
    at: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show what is offered, now or at a time, and to which scopes; PATTERNS are globs of model ids."""
    from pipeline.cli import terminal
    from pipeline.cli.options import in_history
    from pipeline.cli.terminal import raw, table
    from pipeline.core.canonical import pretty
    from pipeline.history.runs import catalog
    from pipeline.store.catalog import Moment

    with _store(place) as store:
        known_scopes(store, scopes)
        moment = Moment(at=at and in_history(store, at))
        offered = catalog(store, lambda scope: matches(scope, scopes), moment)
    found = [
        row for row in offered if matches(row["model"], patterns) and matches(row["owned_by"] or "", owners)
    ]
    columns = ("gateway", "model", "owned_by", "created", "scopes", "groups")
    rows = [_joined(row, columns) for row in found]
    if as_json:
        raw(pretty(found))
    elif as_csv:
        raw(terminal.as_csv(columns, rows))
    else:
        table(columns, rows)
        click.echo(f"{len(found)} model{'' if len(found) == 1 else 's'}")


def _joined(row: dict[str, Any], columns: tuple[str, ...]) -> list[Any]:
    return [" ".join(row[name]) if isinstance(row[name], list) else row[name] for name in columns]


@click.command()
@placed
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def scopes(place: Place, *, as_json: bool, as_csv: bool) -> None:
    """Show every scope: how it asks, how many models it is offered, and how it stands."""
    from pipeline.cli import terminal
    from pipeline.cli.terminal import raw, table
    from pipeline.core.canonical import pretty
    from pipeline.history import runs
    from pipeline.reports.csv_json import coverage_value

    with _store(place) as store:
        coverage = runs.coverage(store)
    columns = ("scope", "group", "auth", "key", "models", "state", "last_answered")
    rows = [[asdict(scope)[name] for name in columns] for scope in coverage]
    if as_json:
        raw(pretty([coverage_value(scope) for scope in coverage]))
    elif as_csv:
        raw(terminal.as_csv(columns, rows))
    else:
        table(columns, rows, right=("models",))


@click.command()
@placed
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(place: Place, *, as_json: bool) -> None:
    """Say when the job last ran, and which scopes are held, failing or silent, and since when."""
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.core.times import minute
    from pipeline.history import runs
    from pipeline.history.runs import find_run
    from pipeline.reports.csv_json import coverage_value
    from pipeline.store.outbox import unsent as count_unsent

    with _store(place) as store:
        run = find_run(store)
        coverage = runs.coverage(store)
        unsent = count_unsent(store)
    if as_json:
        raw(
            pretty(
                {
                    "run": asdict(run) if run else None,
                    "reports_waiting": unsent["waiting"],
                    "reports_refused": unsent["refused"],
                    "coverage": [coverage_value(scope) for scope in coverage],
                }
            )
        )
        return
    if run is None:
        click.echo("the job has not run yet: `modelwatch run`")
        return
    if run.status == "imported":
        click.echo(f"the job has not run yet; answers were imported until {minute(run.started_at)} UTC")
        return
    for line in _standing(run, coverage, unsent):
        click.echo(line)


def _standing(run: Run, coverage: Iterable[Coverage], unsent: Mapping[str, int]) -> Iterator[str]:
    from pipeline.core.times import minute
    from pipeline.reports.console import incident_lines

    retired = [scope.scope for scope in coverage if scope.state == "retired"]
    asked = [scope for scope in coverage if scope.state != "retired"]
    at, answered = minute(run.started_at), f"{run.answered} of {run.scopes} scopes answered"
    yield f"last run {at} UTC, {run.status}: {answered}"
    yield from incident_lines(asked)
    for scope in asked:
        if scope.state == "failed":
            last = f"last answered {minute(scope.last_answered)}" if scope.last_answered else "never answered"
            yield f"{scope.scope}: {last}"
        if scope.last_asked != run.started_at and scope.last_asked:
            yield f"{scope.scope}: not asked since {minute(scope.last_asked)}"
    yield from (
        f"reports {state}: {number}; `modelwatch outbox` says why"
        for state, number in unsent.items()
        if number
    )
    if retired:
        yield f"no longer in the config, kept as history: {' '.join(retired)}"
    yield f"{sum(scope.state == 'ok' for scope in asked)} of {len(asked)} scopes are well"
