"""The commands that look closely at one thing: show a model, probe a gateway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from pipeline.cli.common import LOG, Place, logged, placed
from pipeline.cli.running import database_of, fetcher, load
from pipeline.errors import exit_status
from pipeline.globs import matches

if TYPE_CHECKING:  # heavy, and `--help` needs none of it
    from pipeline.config import Config
    from pipeline.dialects import Answer, Dialect
    from pipeline.errors import FetchError
    from pipeline.fetch import Result
    from pipeline.live import Look, Seen
    from pipeline.showing import Shown
    from pipeline.store import Store
    from pipeline.types import Scope

_LEAST = 2


@click.command()
@placed
@logged
@click.argument("gateway")
@click.option("--scope", "name", help="Ask as this scope.  [default: the gateway's first]")
@click.option("--times", type=click.IntRange(min=_LEAST), default=3, show_default=True, help="How often.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def probe(
    place: Place, gateway: str, *, name: str | None, times: int, as_json: bool, quiet: bool, verbose: int
) -> int:
    """Ask a gateway several times in a row, and say what differs though nothing changed.

    Prints the lines for the config with which this is not told as changes. No database is touched.
    """
    from pipeline import dialects, live
    from pipeline.canonical import pretty
    from pipeline.cli import show as terminal
    from pipeline.cli.probe_text import Told, tell, value
    from pipeline.probing import probe as compare

    del verbose
    config = load(place)
    scope = _scope_of(config, gateway, name)
    asked = dialects.to_ask(scope.gateway)
    with terminal.progress(times, quiet=quiet) as bar:
        results = live.ask_again(scope, asked, times, fetcher(config), bar.step)
    read, answers, failures = _read(scope, asked, results)
    told = Told(scope, asked, read, times, compare(read, answers) if len(answers) >= _LEAST else None)
    if as_json:
        terminal.raw(pretty(value(told, failures)))
    elif not quiet:
        tell(told)
    for message in dict.fromkeys(error.message for error in failures.values()):
        numbers = ", ".join(str(number) for number, error in failures.items() if error.message == message)
        LOG.warning("%s: answer %s of %d: %s", scope.name, numbers, times, message)
    return exit_status(scopes=times, failed=len(failures))


def _scope_of(config: Config, gateway: str, name: str | None) -> Scope:
    known = list(dict.fromkeys(scope.gateway.name for scope in config.scopes))
    if gateway not in known:
        raise click.UsageError(f"no gateway is named {gateway}: there are {', '.join(known)}")
    # What all groups of a user may use is put together from other answers than a list.
    scopes = [scope for scope in config.scopes if scope.gateway.name == gateway and not scope.all_groups]
    found = [scope for scope in scopes if name in (None, scope.name, scope.name.partition("/")[2])]
    if not found:
        names = ", ".join(scope.name for scope in scopes)
        wanted = f"{gateway} has no scope {name} with a list of its own" if name else f"{gateway} has no list"
        raise click.UsageError(f"{wanted}: {f'there are {names}' if names else 'it is asked by groups only'}")
    return found[0]


def _read(
    scope: Scope, asked: Dialect, results: Sequence[Result]
) -> tuple[Dialect, list[Answer], dict[int, FetchError]]:
    """Tell the readable answers from the failures, by number; the first readable one shows the dialect."""
    from pipeline import dialects
    from pipeline.errors import FetchError, Unreadable
    from pipeline.fetch import Fetched

    read: Dialect | None = None
    answers: list[Answer] = []
    failures: dict[int, FetchError] = {}
    for number, result in enumerate(results, 1):
        match result:
            case Fetched(answer):
                dialect = read or dialects.to_read(scope.gateway, asked, answer)
                try:
                    dialect.read(answer)
                except Unreadable as error:
                    failures[number] = error
                else:
                    read = dialect
                    answers.append(answer)
            case FetchError():
                failures[number] = result
            case _:
                raise AssertionError("no known answer was named, so none can be unchanged")
    return read or asked, answers, failures


@click.command()
@placed
@logged
@click.argument("model")
@click.option("--scope", "globs", multiple=True, help="Only in scopes that match this glob; may be repeated.")
@click.option("--live", is_flag=True, help="Ask each scope for the model now, at the model's own address.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the records.")
def show(
    place: Place,
    model: str,
    *,
    globs: tuple[str, ...],
    live: bool,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> int:
    """Tell all that is known of one model: where it is offered, since when, at what price, its history."""
    from pipeline.canonical import pretty
    from pipeline.cli import show as terminal
    from pipeline.cli.model_text import lines, value
    from pipeline.showing import shown
    from pipeline.store import Store

    del verbose
    with Store.read(database_of(place)) as store:
        known = shown(store, model, lambda scope: matches(scope, globs))
        if not known:
            raise click.UsageError(_unknown(store, model, globs))
        config = load(place) if live else None
        seen = _look(store, config, known, quiet=quiet) if config else None
    if as_json:
        terminal.raw(pretty(value(model, known, seen)))
    elif not quiet:
        terminal.raw("".join(f"{line}\n" for line in lines(model, known, seen)))
    failed = sum(each.message is not None for each in (seen or {}).values())
    return exit_status(scopes=len(seen or {}), failed=failed)


def _unknown(store: Store, model: str, globs: tuple[str, ...]) -> str:
    from pipeline import history
    from pipeline.reports.display import shown as safe
    from pipeline.showing import closest

    like = closest(store, model)
    if model in like:
        names = ", ".join(scope.scope for scope in history.coverage(store))
        return f"no scope matches {' or '.join(globs)}: there are {names}"
    perhaps = f": did you mean {' or '.join(map(safe, like))}?" if like else ""
    return f"no scope was ever offered {safe(model)}{perhaps}"


def _look(store: Store, config: Config, known: Iterable[Shown], *, quiet: bool) -> dict[str, Seen]:
    """Ask now, as each scope that the config has, for what is known at its gateway."""
    from pipeline import live
    from pipeline.cli import show as terminal

    looks = list(_looks(store, config, known))
    with terminal.progress(len(looks), quiet=quiet) as bar:
        return live.look(looks, fetcher(config), bar.step)


def _looks(store: Store, config: Config, known: Iterable[Shown]) -> Iterator[Look]:
    from pipeline import dialects
    from pipeline.live import Look
    from pipeline.store import refs

    pointers = refs(store)
    scopes = {scope.name: scope for scope in config.scopes if not scope.all_groups}
    for at in known:
        for standing in at.standings if at.is_known else ():
            scope = scopes.get(standing.coverage.scope)
            if scope:
                dialect = dialects.to_ask(scope.gateway, pointers[scope.name].reading)
                listed = at.offers[standing.record].body if standing.record is not None else None
                yield Look(scope, dialect, at.model, listed)
