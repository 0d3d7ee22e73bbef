"""The command with which a person decides: accept.

The commands that ask gateways and write: check, sync, report, run.

What a run says when it is over: everything on a terminal, elsewhere only what needs somebody.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import errors
from pipeline.api import follower
from pipeline.cli.options import LOG, Place, logged, now, placed
from pipeline.core.watchlist import matches
from pipeline.history.types import Event
from pipeline.reports.console import change_lines, report_lines, incident_lines, scopes_text
from pipeline.reports.types import Report

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.core.types import Scope
    from pipeline.core.watchlist import Watch
    from pipeline.delivery.send import DeliverySummary
    from pipeline.gateways.client import GatewayClient
    from pipeline.gateways.types import ScopeResult
    from pipeline.history.watch import WatchedModel
    from pipeline.store import Store


_CURES = {
    "Refused": "put a key that is good where {key} leads",
    "Unresolved": "check as the user, and in the environment, that the job runs in",
    "Unreachable": "see that `url` is right and that this machine gets there",
    "Throttled": "a run would wait and try again; if it goes on, ask less often or lower `concurrency`",
    "Unreadable": "see that `url` is the API's address and `dialect` is right",
}


@click.command()
@placed
@logged
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def check(place: Place, *, as_json: bool, quiet: bool, verbose: int) -> int:
    """Validate the config, ask every scope once, and say what to do about each failure.

    Of destinations it says what they lack: a secret, a program. Nothing is sent to them.
    """
    from pipeline.cli.terminal import interruptible, progress, raw, table
    from pipeline.core.canonical import pretty
    from pipeline.sync.run import fetch_and_read

    del verbose
    config = load(place)
    scopes = tuple(_once(scope) for scope in config.scopes)
    with progress(len(scopes), quiet=quiet) as bar, interruptible():
        pulled = fetch_and_read(scopes, {}, fetcher(config), lambda _scope, _heard: bar.step())
    rows = [_check_row(scope, pulled.heard[scope.name]) for scope in pulled.scopes]
    failed = sum(row["error"] is not None for row in rows)
    if as_json:
        raw(pretty(rows))
    elif not quiet:
        table(
            ("scope", "asks as", "answers", "dialect", "models", "seconds", "what to do"),
            [
                (
                    row["scope"],
                    row["auth"],
                    row["answers"],
                    row["dialect"],
                    row["models"],
                    row["seconds"],
                    row["advice"],
                )
                for row in rows
            ],
            right=("models", "seconds"),
        )
    lacking = list(_lacking(config))
    if not quiet:
        for line in lacking:
            click.echo(line, err=as_json)
    code = errors.exit_status(scopes=len(rows), failed=failed)
    return code or (errors.DeliveryError.exit_code if lacking else 0)


def _lacking(config: Config) -> Iterator[str]:
    """Say what destinations lack to be sent to."""
    if not config.destinations:
        return
    from pipeline.api import follower
    from pipeline.delivery.channels import missing

    resolve = follower(config)
    for destination in config.destinations:
        for what in missing(destination.channel, resolve):
            yield f"destination {destination.name}: {what}"


def _once(scope: Scope) -> Scope:
    gateway = replace(scope.gateway, limits=replace(scope.gateway.limits, attempts=1))
    return replace(scope, gateway=gateway)


def _check_row(scope: Scope, heard: ScopeResult) -> dict[str, Any]:
    from pipeline.gateways.types import ListingAnswer
    from pipeline.sync.record import key_hint

    row: dict[str, Any] = {"scope": scope.name, "auth": scope.auth, "group": scope.group}
    seconds = None if heard.seconds is None else round(heard.seconds, 2)
    match heard.answer:
        case ListingAnswer(listing, dialect=dialect):
            advice = "; ".join(listing.warnings[:3]) or None
            told = {"answers": "yes", "dialect": dialect.name, "models": len(listing)}
            told |= {"error": None, "advice": advice}
        case errors.FetchError() as error:
            kind = type(error).__name__
            cure = _CURES[kind].format(key=key_hint(scope))
            if kind == "Refused" and scope.auth == "anonymous":
                cure = "this gateway answers nobody without a key: give the scope one, or leave it out"
            problem = {"class": kind, "message": error.message}
            advice = f"{error.message}; {cure}"
            told = {"answers": "no", "dialect": None, "models": None, "error": problem, "advice": advice}
        case _:
            raise AssertionError("nothing is known before a check, so nothing can be unchanged")
    return row | told | {"seconds": seconds}


@click.command()
@placed
@logged
@click.option("--scope", "only", multiple=True, help="Ask only scopes that match this glob; may be repeated.")
@click.option("--exit-code", is_flag=True, help="Leave with 1 when there are changes.")
@click.option("--dry-run", is_flag=True, help="Ask and compare, print what would be told, write nothing.")
def sync(place: Place, **options: Any) -> int:
    """Ask every scope and record what they said, without writing report files."""
    return _job(place, write_report=False, **options)


@click.command()
@placed
@logged
@click.option("--scope", "only", multiple=True, help="Ask only scopes that match this glob; may be repeated.")
@click.option("--exit-code", is_flag=True, help="Leave with 1 when there are changes.")
@click.option("--dry-run", is_flag=True, help="Ask and compare, print what would be told, write nothing.")
def run(place: Place, **options: Any) -> int:
    """Ask every scope, record, and write a report when there is news: what cron calls.

    Silent off a terminal when all is well; a scope that fails or is held is one line on stderr, and so is
    each urgent change of a model that the config watches.
    """
    return _job(place, write_report=True, **options)


def _job(
    place: Place,
    *,
    only: tuple[str, ...],
    exit_code: bool,
    dry_run: bool,
    quiet: bool,
    verbose: int,
    write_report: bool,
) -> int:
    from pipeline.api import destinations_of, follower, monitor_of
    from pipeline.cli.terminal import interruptible, progress, terminable
    from pipeline.delivery.outbox import enqueue
    from pipeline.delivery.send import DeliverySummary, send_due
    from pipeline.reports.report import build_report
    from pipeline.store import Store, writing
    from pipeline.store.changes import Window
    from pipeline.sync.run import sync as find_sync

    config = load(place)
    told_too = write_report and not dry_run

    def owe() -> None:
        if told_too:
            enqueue(store, destinations_of(config), config.watch, at=now())

    with monitor_of(config, dry_run=dry_run) as signs, terminable(signs):
        scopes = chosen(config, only)
        with Store.open_copy(config.database) if dry_run else writing(config.database, since=now()) as store:
            with progress(len(scopes), quiet=quiet) as bar, interruptible(signs.interrupt):
                asked = fetcher(config)
                done = find_sync(
                    scopes, store, asked, now, _teller(bar.step), with_it=owe, everything=not only
                )
            window = Window(done.snapshot - 1, done.snapshot)
            told = build_report(store, window, config.watch)
            doubtful = _doubtful(store, config)
            if dry_run or (not quiet and (verbose or sys.stdout.isatty())):
                print_report(told, doubtful)
            elif not quiet:
                log_problems(told, doubtful)
            handed = DeliverySummary()
            if told_too:
                handed = send_due(store, destinations_of(config), config.watch, now, follower(config))
        code = errors.exit_status(scopes=done.scopes, failed=done.failed, held=done.held)
        signs.finish(code, told)
        check_delivered(handed, quietly=done.failed > 0)
    return code or (errors.CHANGES_EXIT if exit_code and told.events else 0)


def _doubtful(store: Store, config: Config) -> tuple[WatchedModel, ...]:
    if not config.watch.models:
        return ()
    from pipeline.history.watch import doubtful

    return doubtful(store, config.watch)


def load(place: Place) -> Config:
    """Read the config of a place."""
    from pipeline import config

    return config.load(place.config)


def chosen(config: Config, only: tuple[str, ...]) -> tuple[Scope, ...]:
    """Give the scopes that match one of the globs; all, where there is none."""
    found = tuple(scope for scope in config.scopes if matches(scope.name, only))
    if not found:
        names = ", ".join(scope.name for scope in config.scopes)
        raise click.UsageError(f"no scope matches {' or '.join(only)}: there are {names}")
    return found


def fetcher(config: Config) -> Callable[[], GatewayClient]:
    """Give what makes the fetcher of a config, inside the event loop."""
    from pipeline import api

    return api.fetcher(config)


def _teller(step: Callable[[], None]) -> Callable[[Scope, ScopeResult], None]:
    from pipeline.gateways.types import ListingAnswer

    def tell(scope: Scope, heard: ScopeResult) -> None:
        step()
        fields: dict[str, Any] = {"scope": scope.name, "seconds": heard.seconds}
        match heard.answer:
            case ListingAnswer(listing):
                LOG.info(
                    "%s: %d models",
                    scope.name,
                    len(listing),
                    extra={"fields": fields | {"models": len(listing)}},
                )
                for warning in listing.warnings:
                    LOG.info("%s: %s", scope.name, warning, extra={"fields": fields})
            case errors.FetchError() as error:
                problem = {"error": type(error).__name__}
                LOG.info("%s: %s", scope.name, error.message, extra={"fields": fields | problem})
            case _:
                LOG.info("%s: unchanged", scope.name, extra={"fields": fields})

    return tell


def database_of(place: Place) -> Path:
    """Give the database of a place: the config's, or the usual one when there is no config."""
    if place.config.exists():
        return load(place).database
    return place.home / "modelwatch.db"


def watch_of(place: Place) -> Watch:
    """Give the models that the config of a place watches: none when there is no config."""
    from pipeline.core.watchlist import NO_WATCH

    return load(place).watch if place.config.exists() else NO_WATCH


@click.command()
@placed
@click.argument("scopes", nargs=-1, required=True, metavar="SCOPE...")
def accept(place: Place, scopes: tuple[str, ...]) -> None:
    """Believe what is held for a scope at once; SCOPE may be a glob, such as 'aihubmix/*'."""
    from pipeline.cli.terminal import raw
    from pipeline.api import destinations_of
    from pipeline.delivery.send import enqueue_and_send
    from pipeline.gateways.dialects import dialect_of
    from pipeline.history.changes import find_events
    from pipeline.reports.console import event_lines
    from pipeline.reports.report import mark_urgent
    from pipeline.store import scope_states, writing
    from pipeline.store.changes import Window
    from pipeline.sync import confirm

    config = load(place)
    gateways = {scope.gateway.name: scope.gateway for scope in config.scopes}

    def quiet(scope: str, reading: str | None) -> tuple[str, ...]:
        gateway = gateways.get(scope.partition("/")[0])
        found = dialect_of(reading)
        return (*(found.quiet if found else ()), *(gateway.spelling.quiet if gateway else ()))

    with writing(config.database, since=now(), must_exist=True) as store:
        known = scope_states(store)
        held = [name for name, ref in sorted(known.items()) if ref.held and matches(name, scopes)]
        if not held:
            raise click.UsageError(f"nothing is held for {' '.join(scopes)}: see `modelwatch status`")
        snapshot = confirm.accept(store, held, quiet, at=now())
        click.echo(f"believed now: {' '.join(held)}")
        events = mark_urgent(find_events(store, Window(snapshot - 1, snapshot)), config.watch)
        raw("".join(f"{line}\n" for line in event_lines(events)))
        handed = enqueue_and_send(store, destinations_of(config), config.watch, now, follower(config))
    check_delivered(handed)


def print_report(told: Report, doubtful: Sequence[WatchedModel]) -> None:
    """Say what happened; what concerns watched models first."""
    for line in _doubts(doubtful):
        click.echo(line)
    for line in report_lines(told):
        click.echo(line)


def log_problems(told: Report, doubtful: Sequence[WatchedModel]) -> None:
    """Say what needs somebody: scopes that are held or failing, and what concerns watched models."""
    for line in _doubts(doubtful):
        LOG.warning(line)
    for event in told.events:
        if event.urgent:
            LOG.warning(_in_a_line(event))
    troubled = [scope for scope in told.coverage if scope.state in ("held", "failed")]
    for line in incident_lines(replace(scope, pending_removals=0) for scope in troubled):
        LOG.warning(line)


def _doubts(doubtful: Sequence[WatchedModel]) -> Iterable[str]:
    if not doubtful:
        return ()
    from pipeline.cli.watch import doubts

    return doubts(doubtful)


def _in_a_line(event: Event) -> str:
    what = "; ".join(line.strip() for line in change_lines([event], each=True))
    return f"{what}  {scopes_text(event.gateway, event.scopes, event.groups)}"


def check_delivered(handed: DeliverySummary, *, quietly: bool = False) -> None:
    """Say what is wrong with templates, and what could not be handed out.

    Args:
        handed: what became of the outbox.
        quietly: something weighs more, so that the command leaves with another exit code.

    Raises:
        DeliveryError: something was not handed out; it stays in the outbox.
    """
    for problem in dict.fromkeys(handed.problems):
        LOG.warning(problem)
    if not quietly:
        handed.check()
    for line in handed.failures():
        LOG.warning(line)
