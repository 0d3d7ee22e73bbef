"""The commands for what gateways offer and what changed: changes, models, scopes, status."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import click
from msgspec.structs import asdict, replace

from pipeline.api import Home, Status, UserGroup
from pipeline.cli.options import Name, Time, csv_option, with_home
from pipeline.cli.terminal import raw, table
from pipeline.cli.watch import group_loss_lines
from pipeline.core.canonical import pretty
from pipeline.core.facts import strip_zeros
from pipeline.core.prices import PRICES
from pipeline.core.text import count
from pipeline.core.times import minute
from pipeline.core.types import Kind
from pipeline.errors import ConfigError
from pipeline.history.types import Coverage
from pipeline.reports import csv_json
from pipeline.reports.console import event_lines, incident_lines, price_now_text
from pipeline.reports.csv_json import coverage_value, current_price_value, event_value, write_csv


@click.command()
@with_home
@click.option("--since", type=Time(), help="From this time on: 2h, 1d, 3w (ago), or a date.")
@click.option(
    "--scope",
    "scopes",
    type=Name("scopes"),
    multiple=True,
    help="Only in scopes that match this glob; may be repeated.",
)
@click.option(
    "--model",
    "models",
    type=Name("models"),
    multiple=True,
    help="Only models that match this glob; may be repeated.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in Kind]),
    help="Only this kind of change; may be repeated.",
)
@click.option("--all", "quiet_too", is_flag=True, help="Show quiet changes too: names, owners, descriptions.")
@click.option("--each", is_flag=True, help="Show each change, flapping models and bulk changes too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; it marks and includes quiet changes.")
@csv_option("Print CSV; it includes quiet changes, with class text.")
def changes(
    home: Home,
    *,
    since: str | None,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    kinds: tuple[str, ...],
    quiet_too: bool,
    each: bool,
    as_json: bool,
    as_csv: bool,
    bom: bool,
) -> None:
    """Show what changed, oldest first; scopes with the same changes share a heading."""
    events = home.changes(since=since, scopes=scopes, models=models, kinds=kinds)
    if as_json:
        raw(pretty([event_value(event) for event in events]))
    elif as_csv:
        raw(csv_json.as_csv(events, bom=bom))
    else:
        lines = list(event_lines(events, quiet_too=quiet_too, each=each))
        click.echo("\n".join(lines) or "no changes")
        hidden = sum(event.quiet for event in events)
        if hidden and not quiet_too:
            click.echo(f"({hidden} quiet: --all shows them)")


_MODEL_COLUMNS = ("gateway", "model", "owned_by", "created", "scopes", "groups")
_FACT_COLUMNS = (
    "type",
    "context_length",
    "max_output",
    *PRICES,
    "price_source",
    "input_modalities",
    "output_modalities",
    "features",
    "endpoints",
    "lifecycle",
    "deprecated_at",
    "aliases",
)


@click.command()
@with_home
@click.argument("patterns", nargs=-1, type=Name("models"))
@click.option(
    "--scope",
    "scopes",
    type=Name("scopes"),
    multiple=True,
    help="Only in scopes that match this glob; may be repeated.",
)
@click.option("--owner", "owners", multiple=True, help="Only owners that match this glob; may be repeated.")
@click.option("--at", type=Time(), help="The models of this time: 2h, 1d, 3w (ago), or a date.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with each model's record.")
@csv_option("Print CSV.")
def models(
    home: Home,
    patterns: tuple[str, ...],
    *,
    scopes: tuple[str, ...],
    owners: tuple[str, ...],
    at: str | None,
    as_json: bool,
    as_csv: bool,
    bom: bool,
) -> None:
    """Show the models on offer, now or at a time, with their scopes; PATTERNS are globs of model ids.

    JSON and CSV have the facts and prices, too.
    """
    found = home.models(*patterns, at=at, scopes=scopes, owners=owners)
    if as_json:
        raw(pretty([row | {"facts": list(map(_facts_value, row["facts"]))} for row in found]))
    elif as_csv:
        columns = (*_MODEL_COLUMNS, *_FACT_COLUMNS, "other_prices", "records")
        raw(write_csv(columns, map(_model_row, found), bom=bom))
    else:
        table(_MODEL_COLUMNS, [_cells(row, _MODEL_COLUMNS) for row in found])
        click.echo(count(len(found), "model"))


def _cells(row: Mapping[str, Any], columns: Iterable[str]) -> list[Any]:
    """Return the values of columns, with lists as words and exact amounts; None where there is none."""
    return [_cell(row.get(name)) for name in columns]


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    return strip_zeros(Decimal(str(value))) if isinstance(value, float) else value


def _facts_value(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a record as a JSON object."""
    value = {name: each for name, each in facts.items() if name != "more_prices"}
    return value | {"prices": [current_price_value(price) for price in facts["more_prices"]]}


def _model_row(row: Mapping[str, Any]) -> list[Any]:
    """Return a model as a row of the CSV, with the facts of the record that the most scopes get."""
    facts = max(row["facts"], key=lambda each: len(each["scopes"]))
    others = "; ".join(map(price_now_text, facts["more_prices"])) or None
    return [*_cells(row, _MODEL_COLUMNS), *_cells(facts, _FACT_COLUMNS), others, len(row["facts"])]


_SCOPE_COLUMNS = ("scope", "group", "auth", "key", "models", "state", "last_answered")
_GROUP_COLUMNS = ("user", "group", "ratio", "models", "description")


@click.command()
@with_home
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@csv_option("Print CSV.")
def scopes(home: Home, *, as_json: bool, as_csv: bool, bom: bool) -> None:
    """Show every scope: its credential, its number of models, its state, and the groups of users."""
    coverage, groups = home.scopes(), home.groups()
    rows = [[getattr(scope, name) for name in _SCOPE_COLUMNS] for scope in coverage]
    if as_json:
        raw(pretty([_scope_value(scope, groups) for scope in coverage]))
    elif as_csv:
        for row, scope in zip(rows, coverage, strict=True):
            row.append(" ".join(group.group for group in groups if group.user == scope.scope))
        raw(write_csv((*_SCOPE_COLUMNS, "groups"), rows, bom=bom))
    else:
        table(_SCOPE_COLUMNS, rows, right=("models",))
        if groups:
            click.echo()
            of_users = [[getattr(group, name) for name in _GROUP_COLUMNS] for group in groups]
            table(_GROUP_COLUMNS, of_users, right=("ratio", "models"))


def _scope_value(scope: Coverage, groups: Sequence[UserGroup]) -> dict[str, Any]:
    """Return a scope as a JSON object; one that lists groups has these, too."""
    value = coverage_value(scope)
    if scope.listed_groups is None:
        return value
    return value | {"groups": [_group_value(group) for group in groups if group.user == scope.scope]}


def _group_value(group: UserGroup) -> dict[str, Any]:
    """Return a group of a user as a JSON object."""
    return {name: value for name, value in asdict(group).items() if name not in ("user", "gateway")}


@click.command()
@with_home
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(home: Home, *, as_json: bool) -> None:
    """Show the last run, and the scopes that are held, failing or no longer asked, with the time."""
    found = home.status()
    if as_json:
        value = {
            "run": asdict(found.run) if found.run else None,
            "reports_waiting": found.waiting,
            "reports_refused": found.refused,
            "unsteady": list(found.unsteady),
            "coverage": [coverage_value(scope) for scope in found.coverage],
        }
        raw(pretty(value))
    else:
        click.echo("\n".join(_status_lines(found, _references(home))))


def _references(home: Home) -> dict[str, str | None]:
    """Return the references of the keys by scope, for a terminal only: they name files."""
    if not sys.stdout.isatty():
        return {}
    try:
        return {scope.name: scope.reference for scope in home.config.scopes}
    except ConfigError:
        return {}


def _status_lines(status: Status, references: Mapping[str, str | None]) -> Iterator[str]:
    run = status.run
    if run is None:
        yield "the job has not run yet: start `modelwatch run`"
        return
    if run.status == "imported":
        yield f"the job has not run yet; the imported answers end at {minute(run.started_at)} UTC"
        return
    answered = f"{run.answered} of {count(run.scopes, 'scope')} answered"
    yield f"last run {minute(run.started_at)} UTC, {run.status}: {answered}"
    # A group that may be gone is not asked for its models.
    asked = [
        scope for scope in status.coverage if scope.state != "retired" and scope.scope not in status.groups
    ]
    yield from incident_lines(
        (replace(scope, pending_removals=0) if scope.listed_groups is not None else scope for scope in asked),
        last_answers=True,
        references=references,
    )
    yield from group_loss_lines(status.groups)
    for scope in asked:
        if scope.last_asked and scope.last_asked != run.started_at:
            yield f"{scope.scope}: not asked since {minute(scope.last_asked)}"
        if scope.scope in status.unsteady:
            yield f"{scope.scope}: unsteady, its problem comes and goes: its end is reported after 24 h"
    for state, number in (("waiting", status.waiting), ("refused", status.refused)):
        if number:
            yield f"reports {state}: {number}; `modelwatch outbox` shows why"
    retired = [scope.scope for scope in status.coverage if scope.state == "retired"]
    if retired:
        yield f"no longer asked, kept as history: {' '.join(retired)}"
    healthy = sum(scope.state == "ok" for scope in asked)
    yield f"{healthy} of {count(len(asked), 'scope')} {'is' if 1 in (healthy, len(asked)) else 'are'} healthy"
