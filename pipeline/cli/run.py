"""The commands that ask gateways and record the answers: check, sync, run and accept."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from logging import INFO
from typing import Any

import click
from msgspec.structs import replace

from pipeline.api import (
    CheckResult,
    DeliverySummary,
    GroupGone,
    Home,
    Interrupt,
    ListingAnswer,
    RunObserver,
    RunProblems,
    ScopeResult,
)
from pipeline.cli.options import LOG, Name, ShardName, logged, names_option, new_option, with_home
from pipeline.cli.terminal import Bar, Column, interruptible, paint, progress, raw, table, terminable
from pipeline.cli.watch import pending_lines, returned_lines
from pipeline.core.canonical import pretty
from pipeline.core.masking import SHORTEST_IN_BODY
from pipeline.core.shards import Shard
from pipeline.core.text import count, printable, sentence
from pipeline.core.types import PROBLEMS, Kind, Scope, list_and_name, reference_name
from pipeline.errors import CHANGES_EXIT, FetchError, Unresolved
from pipeline.history.types import Coverage, Event
from pipeline.history.watch import WatchedModel
from pipeline.reports.console import (
    change_lines,
    cure_text,
    event_lines,
    incident_lines,
    left_out_lines,
    recovery_lines,
    report_lines,
    scopes_text,
)
from pipeline.reports.types import Report

_LONGEST_ADVICE = 1000

_MOST_KEYS = 10

_MOST_NAMES = 20
"""So many names of scopes are printed in one line."""

_MOST_CHECKS = 200
"""So many scopes have a row each; of more, only the first of those that did not answer as they should."""

_CHECK_COLUMNS = ("scope", "auth", "answers", "dialect", "models", "seconds")
_CHECK_TABLE = (
    Column("scope"),
    Column("asks as", spare=2),
    Column("answers", colours={"yes": "green", "no": "red", "held": "yellow", "anonymous list": "yellow"}),
    Column("dialect", spare=1),
    Column("models", right=True),
    Column("seconds", right=True, spare=3),
)

_scope_option = names_option("scope", "only", "Ask only scopes that match this glob")
_shard_option = click.option(
    "--shard",
    type=ShardName(),
    help="Ask only the scopes of one shard: 3/16 is the third of sixteen, by a hash of their names.",
)
_exit_code_option = click.option("--exit-code", is_flag=True, help="Exit with 1 when there are changes.")
_repeat_option = click.option(
    "--repeat", is_flag=True, help="Log a lasting problem in every run, not once a day."
)
_dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Ask and compare, print what would be reported, write nothing."
)


@click.command()
@with_home
@logged
@_scope_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def check(home: Home, *, only: tuple[str, ...], as_json: bool, quiet: bool, verbose: int) -> int:
    """Validate the config, ask every scope once, and show how to fix each failure.

    Also checks that destinations have their secrets and programs, and signs in to their servers; nothing is
    sent to them.
    """
    del verbose
    with progress(None, quiet=quiet) as bar, interruptible():
        found = home.check(*only, on_scopes=bar.grow, on_result=lambda _scope, _result: bar.step())
    rows = [check_row(scope, found) for scope in found.scopes]
    if as_json:
        raw(pretty(rows))
    elif not quiet:
        print_checks(rows)
    if not quiet:
        for line in missing_lines(found):
            click.echo(line, err=as_json)
    return found.exit_status


def print_checks(rows: Sequence[dict[str, Any]]) -> None:
    """Print a table, and the advice below it, where it has the full width."""
    shown = rows
    if len(rows) > _MOST_CHECKS:
        wrong = [row for row in rows if row["answers"] != "yes"]
        shown = (wrong or [row for row in rows if row["answers"] == "yes"])[:_MOST_NAMES]
    table(_CHECK_TABLE, ([row[column] for column in _CHECK_COLUMNS] for row in shown))
    if len(shown) < len(rows):
        answered = sum(row["answers"] == "yes" for row in rows)
        click.echo(f"{answered} of {len(rows)} scopes answered; all: `modelwatch check --json`")
    by_advice: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["advice"]:
            gateway = row["scope"].partition("/")[0]
            by_advice.setdefault((gateway, row["advice"]), []).append(row["scope"])
    for (gateway, advice), scopes in by_advice.items():
        names = scopes_text(gateway, tuple(scopes), ())
        click.echo(f"{names}: {printable(advice, longest=_LONGEST_ADVICE)}")


def missing_lines(found: CheckResult) -> Iterator[str]:
    """Yield a line for what destinations lack, and for secrets that are short or that others may read."""
    for destination, lines in found.missing.items():
        yield from (f"destination {destination}: {line}" for line in lines)
    by_list: dict[str, list[str]] = {}
    for reference in found.short:
        if listed := list_and_name(reference):
            by_list.setdefault(reference_name(reference), []).append(listed[1])
            continue
        # Only the owner's terminal may show the path of a file.
        name = reference if reference.startswith("file:") else reference_name(reference)
        yield (
            f"{name}: the secret has fewer than {SHORTEST_IN_BODY} letters, so that it is not masked in an"
            " answer that echoes it: use a longer one"
        )
    for name, keys in by_list.items():
        shown = ", ".join(keys[:_MOST_KEYS]) + " …" * (len(keys) > _MOST_KEYS)
        yield (
            f"{name} of `keys`: {count(len(keys), 'key')} ({shown}) of fewer than {SHORTEST_IN_BODY} letters,"
            " not masked in an answer that echoes it: use longer ones"
        )
    yield from (f"warning: {line}" for line in found.exposed)


def check_row(scope: Scope, found: CheckResult) -> dict[str, Any]:
    """Return the result of one scope: whether it answers, its dialect, models, error and advice."""
    result = found.results[scope.name]
    row: dict[str, Any] = {"scope": scope.name, "auth": scope.auth, "group": scope.group}
    seconds = None if result.seconds is None else round(result.seconds, 2)
    match result.answer:
        case ListingAnswer(listing, dialect=dialect, incomplete=incomplete) as answer:
            fallback = found.fallbacks.get(scope.name)
            empty = None if len(listing) else "the list is empty"
            about_settings = (*answer.setting_advice, answer.price_advice())
            notes = filter(None, (empty, incomplete, *listing.warnings[:3], *about_settings))
            advice = "; ".join(notes) or None
            if fallback:
                advice = f"{fallback} {_cure('Refused', scope)}"
            answers = "anonymous list" if fallback else "held" if scope.name in found.parts else "yes"
            models = None if scope.all_groups else len(listing)
            row |= {"answers": answers, "dialect": dialect.name, "models": models}
            row |= {"error": None, "advice": advice}
        case FetchError() as error:
            problem = {"class": type(error).__name__, "message": error.message}
            advice = error.on_terminal if isinstance(error, Unresolved) else error.message
            if not error.cure:
                advice = f"{sentence(advice)} {_cure(type(error).__name__, scope)}"
            row |= {"answers": "no", "dialect": None, "models": None, "error": problem, "advice": advice}
        case _:
            raise AssertionError("a check sends no validators, so no answer is unchanged")
    return row | {"seconds": seconds}


def _cure(key: str, scope: Scope) -> str:
    own = scope.gateway.overrides
    scheme = ""
    if key == "Refused" and own.key_header and not own.key_scheme:
        scheme = ' Does the header need a word before the key? Set `key_scheme`, such as "Bearer".'
    text = cure_text(key, [scope.name], [scope.reference], auth=scope.auth)
    return f"{text}{scheme}"


@click.command()
@with_home
@logged
@_scope_option
@_shard_option
@_exit_code_option
@_repeat_option
@_dry_run_option
@new_option
def sync(home: Home, **options: Any) -> int:
    """Ask every scope and record the answers, without reports."""
    return _run(home, reports=False, **options)


@click.command()
@with_home
@logged
@_scope_option
@_shard_option
@_exit_code_option
@_repeat_option
@_dry_run_option
@new_option
def run(home: Home, **options: Any) -> int:
    """Ask every scope, record, and send the reports that are due.

    The command for cron: off a terminal it prints nothing while all is well. Each scope that fails or is
    held, each failed delivery, and each urgent change of a watched model, is one line on stderr. A problem
    that lasts is logged again once a day, and when it ends; with --repeat or -v, in every run.
    """
    return _run(home, reports=True, **options)


def _run(
    home: Home,
    *,
    reports: bool,
    only: tuple[str, ...],
    shard: Shard | None,
    exit_code: bool,
    repeat: bool,
    dry_run: bool,
    new: bool,
    quiet: bool,
    verbose: int,
) -> int:
    prints = dry_run or (not quiet and (verbose > 0 or sys.stdout.isatty()))
    repeat = repeat or verbose > 0 or sys.stderr.isatty()
    observer = _Observer(prints=prints, quiet=quiet, repeat=repeat)
    result = home.run(*only, shard=shard, reports=reports, dry_run=dry_run, new=new, observer=observer)
    _log_lines(result.template_problems)
    _log_failures(result.deliveries, repeat=repeat)
    return result.exit_status or (CHANGES_EXIT if exit_code and result.report.events else 0)


class _Observer(RunObserver):
    """Shows the progress of a run, logs each answer, and prints the report or logs its problems."""

    def __init__(self, *, prints: bool, quiet: bool, repeat: bool) -> None:
        self._prints = prints
        self._quiet = quiet
        self._repeat = repeat
        self._report: Report | None = None
        self._absences: Sequence[WatchedModel] = ()
        self._bar = Bar()
        self._interrupt: Interrupt | None = None

    @contextmanager
    def running(self, interrupt: Interrupt | None) -> Iterator[None]:
        self._interrupt = interrupt
        with terminable(interrupt):
            yield

    @contextmanager
    def fetching(self, scopes: int) -> Iterator[None]:
        with progress(scopes, quiet=self._quiet) as self._bar, interruptible(self._interrupt):
            yield

    def on_result(self, scope: Scope, result: ScopeResult) -> None:
        self._bar.step()
        _log_result(scope, result)

    def on_report(self, report: Report, absences: Sequence[WatchedModel]) -> None:
        self._report, self._absences = report, absences
        if self._prints:
            for line in paint((*pending_lines(absences), *report_lines(report))):
                click.echo(line)

    def on_problems(self, problems: RunProblems) -> None:
        _log_lines(left_out_lines(each for each in problems.left_out if self._repeat or each.is_new))
        if self._prints:
            return
        assert self._report
        muted = problems.mutes
        absences = [each for each in self._absences if not muted.model(each.model)]
        coverage = [each for each in self._report.coverage if not muted.scope(each.scope)]
        _log_lines(pending_lines(absences if self._repeat else problems.absences))
        _log_lines(
            _urgent_lines(
                each
                for each in self._report.events
                if each.kind == Kind.REMOVED or not muted.model(each.model)
            )
        )
        _log_lines(_scope_lines(coverage if self._repeat else problems.scopes))
        _log_lines(recovery_lines(problems.recoveries))
        _log_lines(returned_lines(problems.returned))


def _log_failures(deliveries: DeliverySummary, *, repeat: bool) -> None:
    """Log the deliveries of a run that failed: all of them, or those that are due."""
    _log_lines(deliveries.failures() if repeat else deliveries.due)


def _log_lines(lines: Iterable[str]) -> None:
    for line in lines:
        LOG.warning(line)


def _log_result(scope: Scope, result: ScopeResult) -> None:
    if not LOG.isEnabledFor(INFO):
        return
    fields: dict[str, Any] = {"scope": scope.name, "seconds": result.seconds}
    match result.answer:
        case ListingAnswer(listing):
            thing = "group" if scope.all_groups else "model"
            counted = {"fields": fields | {f"{thing}s": len(listing)}}
            LOG.info("%s: %s", scope.name, count(len(listing), thing), extra=counted)
            for warning in listing.warnings:
                LOG.info("%s: %s", scope.name, warning, extra={"fields": fields})
        case FetchError() as error:
            failed = {"fields": fields | {"error": type(error).__name__}}
            LOG.info("%s: %s", scope.name, error.message, extra=failed)
        case GroupGone():
            LOG.info("%s: the group is not among those of its user", scope.name, extra={"fields": fields})
        case _:
            LOG.info("%s: unchanged", scope.name, extra={"fields": fields})


def _urgent_lines(events: Iterable[Event]) -> Iterator[str]:
    """Yield a line for each urgent change."""
    for event in events:
        if event.urgent:
            line, *texts = (line.strip() for line in change_lines([event], each=True, today=event.at))
            changes = "  ".join(filter(None, (line, "; ".join(texts))))
            yield f"{changes}  {scopes_text(event.gateway, event.scopes, event.groups)}"


def _scope_lines(scopes: Iterable[Coverage]) -> Iterator[str]:
    """Yield a line for each failure and hold, with its scopes."""
    problems = (scope for scope in scopes if scope.state in PROBLEMS)
    yield from incident_lines(replace(scope, pending_removals=0) for scope in problems)


def log_deliveries(deliveries: DeliverySummary) -> None:
    """Log the mistakes in templates, and the deliveries that failed.

    Raises:
        DeliveryError: a report was not delivered; it stays in the outbox.
    """
    for problem in dict.fromkeys(deliveries.problems):
        LOG.warning(problem)
    deliveries.check()
    for line in deliveries.failures():
        LOG.warning(line)


@click.command()
@with_home
@click.argument("scopes", nargs=-1, type=Name("scopes"), metavar="SCOPE...")
def accept(home: Home, scopes: tuple[str, ...]) -> None:
    """Accept the held answers of scopes at once; SCOPE may be a glob, such as 'aihubmix/*'."""
    found = home.accept(*scopes)
    more = len(found.scopes) - _MOST_NAMES
    names = " ".join(found.scopes[:_MOST_NAMES])
    click.echo(f"accepted: {names}{f' and {more} more' if more > 0 else ''}")
    raw("".join(f"{line}\n" for line in event_lines(found.events)))
    log_deliveries(found.deliveries)
