"""The commands that ask gateways and write: check, sync, report, run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import errors
from pipeline.cli.common import LOG, Place, logged, now, placed
from pipeline.globs import matches

if TYPE_CHECKING:  # these are heavy, and `--help` needs none of them
    from pipeline.config import Config
    from pipeline.fetch.fetcher import Fetcher
    from pipeline.recording import Heard
    from pipeline.store import Store
    from pipeline.types import Scope
    from pipeline.watching import Watched
    from pipeline.watchlist import Watch

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
    from pipeline import sync
    from pipeline.canonical import pretty
    from pipeline.cli import show

    del verbose
    config = load(place)
    scopes = tuple(_once(scope) for scope in config.scopes)
    with show.progress(len(scopes), quiet=quiet) as bar, show.interruptible():
        pulled = sync.pull(scopes, {}, fetcher(config), lambda _scope, _heard: bar.step())
    rows = [_check_row(scope, pulled.heard[scope.name]) for scope in pulled.scopes]
    failed = sum(row["error"] is not None for row in rows)
    if as_json:
        show.raw(pretty(rows))
    elif not quiet:
        show.table(
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
    from pipeline.cli.references import follower
    from pipeline.notify import lacks

    resolve = follower(config)
    for destination in config.destinations:
        for what in lacks(destination.channel, resolve):
            yield f"destination {destination.name}: {what}"


def _once(scope: Scope) -> Scope:
    gateway = replace(scope.gateway, limits=replace(scope.gateway.limits, attempts=1))
    return replace(scope, gateway=gateway)


def _check_row(scope: Scope, heard: Heard) -> dict[str, Any]:
    from pipeline.recording import Told, key_hint

    row: dict[str, Any] = {"scope": scope.name, "auth": scope.auth, "group": scope.group}
    seconds = None if heard.seconds is None else round(heard.seconds, 2)
    match heard.answer:
        case Told(listing, dialect=dialect):
            advice = "; ".join(listing.warnings[:3]) or None
            told = {"answers": "yes", "dialect": dialect.name, "models": len(listing)}
            told |= {"error": None, "advice": advice}
        case errors.FetchError() as error:
            kind = type(error).__name__
            cure = _CURES[kind].format(key=key_hint(scope))
            if kind == "Refused" and scope.auth == "nobody":
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
    from pipeline import deliver, history, watchlist
    from pipeline import sync as syncing
    from pipeline.cli import alive, references, show, telling
    from pipeline.store import Store, writing

    config = load(place)
    told_too = write_report and not dry_run

    def owe() -> None:
        if told_too:
            deliver.owe(store, config, at=now())

    with alive.signs(config, dry_run=dry_run) as signs, alive.terminable(signs):
        scopes = chosen(config, only)
        with Store.rehearse(config.database) if dry_run else writing(config.database, since=now()) as store:
            with show.progress(len(scopes), quiet=quiet) as bar, show.interruptible(signs.cut):
                asked = fetcher(config)
                done = syncing.sync(
                    scopes, store, asked, now, _teller(bar.step), with_it=owe, everything=not only
                )
            window = history.Window(done.snapshot - 1, done.snapshot)
            told = watchlist.mark(history.report(store, window), config.watch)
            doubtful = _doubtful(store, config)
            if dry_run or (not quiet and (verbose or sys.stdout.isatty())):
                telling.tell(told, doubtful)
            elif not quiet:
                telling.warn(told, doubtful)
            handed = deliver.Handed()
            if told_too:
                handed = deliver.drain(store, config, now, references.follower(config))
        code = errors.exit_status(scopes=done.scopes, failed=done.failed, held=done.held)
        signs.over(code, told)
        telling.check(handed, quietly=done.failed > 0)
    return code or (errors.CHANGES_EXIT if exit_code and told.events else 0)


def _doubtful(store: Store, config: Config) -> tuple[Watched, ...]:
    if not config.watch.models:
        return ()
    from pipeline.watching import doubtful

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


def fetcher(config: Config) -> Callable[[], Fetcher]:
    """Give what makes the fetcher of a config, inside the event loop."""
    from pipeline.cli import references

    return references.fetcher(config)


def _teller(step: Callable[[], None]) -> Callable[[Scope, Heard], None]:
    from pipeline.recording import Told

    def tell(scope: Scope, heard: Heard) -> None:
        step()
        fields: dict[str, Any] = {"scope": scope.name, "seconds": heard.seconds}
        match heard.answer:
            case Told(listing):
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
    from pipeline.watchlist import NOTHING

    return load(place).watch if place.config.exists() else NOTHING
