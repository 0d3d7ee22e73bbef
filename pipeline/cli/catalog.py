"""The commands for what gateways offer and what changed: changes, models, scopes, status."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import click
from msgspec.structs import asdict, replace

from pipeline.api import Home, Mute, Needs, NotAsked, SiteState, Status, UserGroup
from pipeline.cli.options import MOMENTS, Name, Time, csv_option, names_option, with_home
from pipeline.cli.terminal import STATE_COLOURS, Column, paint, raw, raw_pieces, table
from pipeline.cli.watch import group_loss_lines
from pipeline.core.canonical import pretty, pretty_items
from pipeline.core.facts import strip_zeros
from pipeline.core.prices import PRICES
from pipeline.core.text import count, did_you_mean, printable, quoted
from pipeline.core.times import duration, elapsed, minute
from pipeline.core.types import Kind
from pipeline.errors import CHANGES_EXIT, ConfigError
from pipeline.history.types import Coverage, Run
from pipeline.reports import csv_json
from pipeline.reports.console import (
    dollars_text,
    event_lines,
    incident_lines,
    price_now_text,
    scopes_text,
    unsteady_lines,
)
from pipeline.reports.csv_json import (
    counts_value,
    coverage_value,
    current_price_value,
    event_value,
    named,
    problems_value,
    write_csv,
)


@click.command()
@with_home
@click.option("--since", type=Time(), help=f"From this time on: {MOMENTS}.")
@click.option("--until", type=Time(), help="Before this time.")
@names_option("scope", "scopes", "Only in scopes that match this glob")
@names_option("model", "models", "Only models that match this glob")
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
    until: str | None,
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
    events = home.changes(since=since, until=until, scopes=scopes, models=models, kinds=kinds)
    if as_json:
        raw(pretty([event_value(event) for event in events]))
    elif as_csv:
        raw(csv_json.as_csv(events, bom=bom))
    else:
        lines = list(event_lines(events, quiet_too=quiet_too, each=each)) or ["no changes"]
        hidden = sum(event.quiet for event in events)
        if hidden and not quiet_too:
            lines.append(f"({hidden} quiet: --all shows them)")
        click.echo("\n".join(paint(lines)))


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


_MODELS_TABLE = (
    Column("model"),
    Column("input", right=True),
    Column("output", right=True),
    Column("context", right=True, spare=1),
    Column("max output", right=True, spare=4),
    Column("other prices", folds=True, spare=7),
    Column("modalities", folds=True, spare=5),
    Column("features", folds=True, spare=6),
    Column("shutdown", spare=3),
    Column("owner", spare=8),
    Column("created", spare=9),
    Column("offered to", folds=True, spare=2),
)

_SORT_FACTS = {
    "input": "input_usd_per_1m",
    "output": "output_usd_per_1m",
    "context": "context_length",
    "max-output": "max_output",
    "shutdown": "deprecated_at",
}
_SORT_ROWS = {"model": "model", "owner": "owned_by", "created": "created"}


class Tokens(click.ParamType[int]):
    """A number of tokens: `128000`, `128,000`, `128k` or `1m`."""

    name = "tokens"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the number."""
        found = _TOKENS.match(str(value).lower().replace(",", "").replace("_", ""))
        if not found:
            self.fail(f"{value!r} is not a number of tokens: write 128000, 128k or 1m", param, ctx)
        return int(Decimal(found[1]) * _THOUSANDS[found[2]])


_TOKENS = re.compile(r"^(\d{1,12}(?:\.\d{1,6})?)([km]?)$", re.ASCII)

_THOUSANDS = {"": 1, "k": 1000, "m": 1_000_000}


class Amount(click.ParamType[Decimal]):
    """A price in USD per 1M tokens: `1`, `0.25` or `$0.25`."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Parse the price."""
        text = str(value).removeprefix("$")
        if not re.fullmatch(r"\d{1,9}(\.\d{1,12})?", text, re.ASCII):
            self.fail(f"{value!r} is not a price: write USD per 1M tokens, such as 0.25", param, ctx)
        return Decimal(text)


@click.command()
@with_home
@click.argument("patterns", nargs=-1, type=Name("models"))
@names_option("scope", "scopes", "Only in scopes that match this glob")
@click.option("--owner", "owners", multiple=True, help="Only owners that match this glob; may be repeated.")
@click.option(
    "--feature", "features", multiple=True, help="Only with this feature, such as tools; may be repeated."
)
@click.option(
    "--modality",
    "modalities",
    multiple=True,
    help="Only those that take or return this, such as image; may be repeated.",
)
@click.option("--context", type=Tokens(), help="Only with a context of at least so many tokens: 128k, 1m.")
@click.option(
    "--max-input", type=Amount(), help="Only with an input price of at most this: USD per 1M tokens."
)
@click.option("--max-output", type=Amount(), help="The same for the output price.")
@click.option(
    "--sort",
    type=click.Choice([*_SORT_ROWS, *_SORT_FACTS]),
    help="Sort by this, unknown values last.  [default: gateway, then model]",
)
@click.option("--reverse", is_flag=True, help="With --sort: from the highest to the lowest.")
@click.option("--at", type=Time(), help=f"The models of this time: {MOMENTS}.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with each model's record.")
@csv_option("Print CSV.")
def models(
    home: Home,
    patterns: tuple[str, ...],
    *,
    scopes: tuple[str, ...],
    owners: tuple[str, ...],
    features: tuple[str, ...],
    modalities: tuple[str, ...],
    context: int | None,
    max_input: Decimal | None,
    max_output: Decimal | None,
    sort: str | None,
    reverse: bool,
    at: str | None,
    as_json: bool,
    as_csv: bool,
    bom: bool,
) -> None:
    """List the models on offer, now or at a time, with prices and limits; PATTERNS are globs of model ids.

    A filter leaves out the scopes for which the model does not pass it, as scopes may have other prices.
    Prices are in USD per 1M tokens. JSON and CSV have every fact and price.
    """
    if reverse and not sort:
        raise click.UsageError("--reverse needs --sort: what to sort by")
    prices = {"input_usd_per_1m": max_input, "output_usd_per_1m": max_output}
    needs = Needs(
        features=features,
        modalities=modalities,
        context=context,
        max_prices={column: most for column, most in prices.items() if most is not None},
    )
    found = home.models(*patterns, at=at, scopes=scopes, owners=owners, needs=needs)
    if sort:
        found = _sorted(found, sort, reverse=reverse)
    if as_json:
        raw(pretty([row | {"facts": list(map(_facts_value, row["facts"]))} for row in found]))
    elif as_csv:
        columns = (*_MODEL_COLUMNS, *_FACT_COLUMNS, "other_prices", "records")
        raw(write_csv(columns, map(_model_row, found), bom=bom))
    else:
        offered_to = {scope for row in found for scope in row["scopes"]}
        cells = [_models_cells(row, with_scopes=len(offered_to) > 1) for row in found]
        table(_MODELS_TABLE, cells)
        priced = any(
            facts.get(column) is not None for row in found for facts in row["facts"] for column in prices
        )
        of = f" of {', '.join(map(printable, offered_to))}" if len(offered_to) == 1 else ""
        click.echo(f"{count(len(found), 'model')}{of}{'; prices in USD per 1M tokens' if priced else ''}")
        if not found:
            every = home.models(at=at, scopes=scopes)
            for line in _unknown_names(every, patterns, owners, features, modalities):
                click.echo(line)


def _sorted(rows: Iterable[dict[str, Any]], sort: str, *, reverse: bool) -> list[dict[str, Any]]:
    """Return models by a value, those without it last; of several records, that of the most scopes."""

    def value(row: Mapping[str, Any]) -> Any:
        fact = _SORT_FACTS.get(sort)
        return row[_SORT_ROWS[sort]] if fact is None else _main_facts(row).get(fact)

    known = [row for row in rows if value(row) is not None]
    return [*sorted(known, key=value, reverse=reverse), *(row for row in rows if value(row) is None)]


def _models_cells(row: Mapping[str, Any], *, with_scopes: bool) -> tuple[str | None, ...]:
    """Return the cells of a model in the table; values that differ between scopes are `least – most`."""

    def values(column: str) -> list[Any]:
        return sorted({facts.get(column) for facts in row["facts"] if facts.get(column) is not None})

    def span(column: str, show: Callable[[Any], str]) -> str | None:
        found = values(column)
        return " – ".join(dict.fromkeys((show(found[0]), show(found[-1])))) if found else None

    facts = _main_facts(row)
    taken, given = (" ".join(facts.get(f"{side}_modalities") or ()) for side in ("input", "output"))
    return (
        row["model"],
        span("input_usd_per_1m", dollars_text),
        span("output_usd_per_1m", dollars_text),
        span("context_length", "{:,}".format),
        span("max_output", "{:,}".format),
        ", ".join(map(price_now_text, facts["more_prices"])) or None,
        f"{taken} → {given}" if taken and given else taken or (f"→ {given}" if given else None),
        " ".join(facts.get("features") or ()) or None,
        (facts.get("deprecated_at") or "")[:10] or None,
        row["owned_by"],
        (row["created"] or "")[:10] or None,
        scopes_text(row["gateway"], tuple(row["scopes"]), ()) if with_scopes else None,
    )


def _unknown_names(
    every: Sequence[Mapping[str, Any]],
    patterns: Iterable[str],
    owners: Iterable[str],
    features: Iterable[str],
    modalities: Iterable[str],
) -> Iterator[str]:
    """Yield a line for each filter that no model on offer passes, with a similar name."""
    facts = [facts for row in every for facts in row["facts"]]
    taken = {name for each in facts for name in each.get("input_modalities") or ()}
    given = {name for each in facts for name in each.get("output_modalities") or ()}
    for noun, globs, names in (
        ("model", patterns, {row["model"] for row in every}),
        ("owner", owners, {row["owned_by"] for row in every if row["owned_by"]}),
        ("feature", features, {name for each in facts for name in each.get("features") or ()}),
        ("modality", modalities, taken | given),
    ):
        for glob in globs:
            if not any(fnmatchcase(name, glob) for name in names):
                near = did_you_mean(glob, sorted(names))
                yield f"no {noun} on offer matches {quoted(glob)}{near and f': {near}'}"


def _cells(row: Mapping[str, Any], columns: Iterable[str]) -> list[Any]:
    """Return the values of columns, with lists as words and exact amounts; None where there is none."""
    return [_cell(row.get(name)) for name in columns]


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    return strip_zeros(Decimal(str(value))) if isinstance(value, float) else value


def _main_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the record of a model that the most scopes get."""
    found: dict[str, Any] = max(row["facts"], key=lambda facts: len(facts["scopes"]))
    return found


def _facts_value(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a record as a JSON object."""
    value = {name: each for name, each in facts.items() if name != "more_prices"}
    return value | {"prices": [current_price_value(price) for price in facts["more_prices"]]}


def _model_row(row: Mapping[str, Any]) -> list[Any]:
    """Return a model as a row of the CSV, with the facts of the record that the most scopes get."""
    facts = _main_facts(row)
    others = "; ".join(map(price_now_text, facts["more_prices"])) or None
    return [*_cells(row, _MODEL_COLUMNS), *_cells(facts, _FACT_COLUMNS), others, len(row["facts"])]


_SCOPE_COLUMNS = ("scope", "group", "auth", "key", "models", "state", "last_answered")

_SCOPES_TABLE = (
    Column("scope"),
    Column("models", right=True),
    Column("state", colours=STATE_COLOURS),
    Column("last answer (UTC)", spare=1),
    Column("asks as", spare=2),
    Column("group", spare=3),
    Column("key", spare=4),
)

_COUNT_COLUMNS = ("gateway", "asked", "ok", "held", "failed", "new", "retired")
_COUNTS_TABLE = (Column("gateway"), *(Column(name, right=True) for name in _COUNT_COLUMNS[1:]))

_MOST_SCOPES = 200
"""So many scopes have a row each."""

_FIRST_SCOPES = 20
"""So many of those in trouble are shown where there are more scopes."""

_GROUPS_TABLE = (
    Column("user"),
    Column("group"),
    Column("ratio", right=True),
    Column("models", right=True),
    Column("description", folds=True, spare=1),
)


@click.command()
@with_home
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@csv_option("Print CSV.")
def scopes(home: Home, *, as_json: bool, as_csv: bool, bom: bool) -> None:
    """Show every scope: its credential, its number of models, its state, and the groups of users.

    Of more than 200 scopes, the text has their numbers, and those that are held, failing or new or have
    pending removals.
    """
    groups = home.groups()
    of_user: dict[str, list[UserGroup]] = {}
    for group in groups:
        of_user.setdefault(group.user, []).append(group)
    if as_json:
        with home.each_scope() as found:
            raw_pieces(pretty_items(_scope_value(scope, of_user.get(scope.scope, ())) for scope in found))
    elif as_csv:
        with home.each_scope() as found:
            rows = (_scope_row(scope, of_user.get(scope.scope, ())) for scope in found)
            raw(write_csv((*_SCOPE_COLUMNS, "groups"), rows, bom=bom))
    else:
        _print_scopes(home)
        if groups:
            click.echo()
            table(
                _GROUPS_TABLE,
                [(group.user, group.group, group.ratio, group.models, group.description) for group in groups],
            )
        for line in site_lines(home.sites(), now=home.clock()):
            click.echo(line)


def _print_scopes(home: Home) -> None:
    """Print a row for each scope; of many, their numbers and the first of those in trouble."""
    counts = home.scope_counts()
    if not counts:
        click.echo("no scope yet: `modelwatch run` asks those of the config")
        return
    if sum(each.asked + each.retired for each in counts) <= _MOST_SCOPES:
        table(_SCOPES_TABLE, map(_scope_cells, home.scopes()))
        return
    table(_COUNTS_TABLE, ([getattr(each, name) for name in _COUNT_COLUMNS] for each in counts))
    exceptional = home.scopes(exceptional=True)
    if exceptional:
        click.echo()
        table(_SCOPES_TABLE, map(_scope_cells, exceptional[:_FIRST_SCOPES]))
    more = len(exceptional) - _FIRST_SCOPES
    rest = f"{count(more, 'more scope')} held, failing, new or with pending removals; " if more > 0 else ""
    click.echo(f"{rest}all: `modelwatch scopes --json` or `--csv`")


def _scope_row(scope: Coverage, groups: Iterable[UserGroup]) -> list[Any]:
    row = [getattr(scope, name) for name in _SCOPE_COLUMNS]
    return [*row, " ".join(group.group for group in groups)]


def _scope_cells(scope: Coverage) -> tuple[Any, ...]:
    answered = minute(scope.last_answered) if scope.last_answered else None
    return scope.scope, scope.models, scope.state, answered, scope.auth, scope.group, scope.key


def _scope_value(scope: Coverage, groups: Iterable[UserGroup]) -> dict[str, Any]:
    """Return a scope as a JSON object; one that lists groups has these, too."""
    value = coverage_value(scope)
    if scope.listed_groups is None:
        return value
    return value | {"groups": [_group_value(group) for group in groups]}


def _group_value(group: UserGroup) -> dict[str, Any]:
    """Return a group of a user as a JSON object."""
    return {name: value for name, value in asdict(group).items() if name not in ("user", "gateway")}


@click.command()
@with_home
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 1 unless the job has run, every scope is healthy, and no report was refused.",
)
@click.option("--since", type=Time(), help="With --exit-code: the last run must have ended after this: 3h.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(home: Home, *, exit_code: bool, since: str | None, as_json: bool) -> int:
    """Show the last run, and the scopes that are held, failing or no longer asked, with the time."""
    if since and not exit_code:
        raise click.UsageError("--since needs --exit-code: it is when the last run must have ended")
    found = home.status()
    if as_json:
        value = {
            "run": asdict(found.run) if found.run else None,
            "reports_waiting": found.waiting,
            "reports_refused": found.refused,
            "unsteady": named(found.unsteady),
            "unsteady_count": len(found.unsteady),
            "scopes": counts_value(found.scopes, retired=True),
            "coverage": problems_value(found.coverage),
            "mutes": list(map(asdict, found.mutes)),
            "sites": list(map(asdict, found.sites)),
        }
        raw(pretty(value))
    else:
        references = _references(home) if found.coverage else {}
        click.echo("\n".join(paint(_status_lines(found, references, now=home.clock()))))
    return 0 if found.is_healthy(since or "") or not exit_code else CHANGES_EXIT


def _references(home: Home) -> dict[str, str | None]:
    """Return the references of the keys by scope, for a terminal only: they name files."""
    if not sys.stdout.isatty():
        return {}
    try:
        return {scope.name: scope.reference for scope in home.config.scopes}
    except ConfigError:
        return {}


def _run_line(run: Run) -> str:
    answered = f"{run.answered} of {count(run.scopes, 'scope')} answered"
    return f"last run {minute(run.started_at)} UTC, {run.status}: {answered}"


def mute_lines(mutes: Iterable[Mute]) -> Iterator[str]:
    """Yield a line for each mute."""
    for each in mutes:
        yield f"muted until {minute(each.until)} UTC: {each.kind} {printable(each.pattern)}"


def site_lines(sites: Iterable[SiteState], *, now: str) -> Iterator[str]:
    """Yield a line for each site whose database was merged, with the age of its newest run."""
    for each in sites:
        until = "all its runs are pruned"
        if each.last_run:
            ago = duration(elapsed(each.last_run, now))
            until = f"merged until {minute(each.last_run)} UTC, {ago} ago"
        yield f"site {each.name}: {count(each.scopes, 'scope')}, {until}"


def _not_asked_lines(not_asked: Iterable[NotAsked]) -> Iterator[str]:
    """Yield a line for the scopes of a gateway that were last asked in the same minute."""
    by_minute: dict[tuple[str, str], list[NotAsked]] = {}
    for each in not_asked:
        by_minute.setdefault((each.gateway, minute(each.since)), []).append(each)
    for (gateway, since), members in by_minute.items():
        scopes = tuple(scope for each in members for scope in each.scopes)
        number = sum(each.number for each in members)
        yield f"{scopes_text(gateway, scopes, (), number=number)}: not asked since {since}"


def _status_lines(status: Status, references: Mapping[str, str | None], *, now: str) -> Iterator[str]:
    run = status.run
    if run is None:
        yield "the job has not run yet: start `modelwatch run`"
        return
    if run.status == "imported" and not status.sites:
        yield f"the job has not run yet; the imported answers end at {minute(run.started_at)} UTC"
        return
    if run.status == "imported":
        yield f"the job has not run here; what was merged or imported ends at {minute(run.started_at)} UTC"
    else:
        yield _run_line(run)
    yield from site_lines(status.sites, now=now)
    # A group that may be gone is not asked for its models.
    asked = (scope for scope in status.coverage if scope.scope not in status.groups)
    yield from incident_lines(
        (replace(scope, pending_removals=0) if scope.listed_groups is not None else scope for scope in asked),
        last_answers=True,
        references=references,
    )
    yield from group_loss_lines(status.groups)
    yield from _not_asked_lines(status.not_asked)
    yield from unsteady_lines(status.unsteady)
    yield from mute_lines(status.mutes)
    for state, number in (("waiting", status.waiting), ("refused", status.refused)):
        if number:
            yield f"reports {state}: {number}; `modelwatch outbox` shows why"
    retired = sum(each.retired for each in status.scopes)
    if retired:
        more = retired - len(status.retired)
        names = f"{' '.join(status.retired)}{f' and {more} more' if more else ''}"
        yield f"no longer asked, kept as history: {names}"
    verb = "is" if 1 in (status.healthy, status.asked) else "are"
    yield f"{status.healthy} of {count(status.asked, 'scope')} {verb} healthy"
