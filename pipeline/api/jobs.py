"""The jobs that ask gateways or bring answers in, as Python starts them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pipeline import deliver, history
from pipeline import sync as syncing
from pipeline.api.where import Globs, now
from pipeline.cli.alive import signs as signs_of
from pipeline.cli.references import fetcher, follower
from pipeline.config import Config
from pipeline.errors import QuestionError, exit_status
from pipeline.globs import matches
from pipeline.recording import Heard
from pipeline.reports import Report
from pipeline.saved import Answers, in_directory, in_lines
from pipeline.store import Store, writing
from pipeline.types import Scope
from pipeline.watchlist import mark

_Done = TypeVar("_Done")


def check(known: Config, globs: Globs) -> dict[str, Heard]:
    """Ask the scopes that match, and write nothing."""
    chosen = _chosen(known, globs)
    return _apart(lambda: syncing.pull(chosen, {}, fetcher(known)).heard)


def run(known: Config, globs: Globs, *, reports: bool, dry_run: bool) -> Report:
    """Ask the scopes that match, record what they say, and report it."""
    chosen = _chosen(known, globs)

    def job(store: Store) -> Report:
        def owe() -> None:
            if reports and not dry_run:
                deliver.owe(store, known, at=now())

        done = syncing.sync(chosen, store, fetcher(known), now, with_it=owe, everything=not globs)
        told = history.report(store, history.Window(done.snapshot - 1, done.snapshot))
        if reports and not dry_run:
            deliver.drain(store, known, now, follower(known)).check()
        signs.over(exit_status(scopes=done.scopes, failed=done.failed, held=done.held), told)
        return mark(told, known.watch)

    def opened() -> Report:
        with Store.rehearse(known.database) if dry_run else writing(known.database, since=now()) as store:
            return job(store)

    with signs_of(known, dry_run=dry_run) as signs:
        return _apart(opened)


def saved(source: Path, time_field: str | None) -> Answers:
    """Find the answers of a directory, or of a file of lines."""
    return in_directory(source, time_field) if source.is_dir() else in_lines(source, time_field)


def _chosen(known: Config, globs: Globs) -> tuple[Scope, ...]:
    found = tuple(scope for scope in known.scopes if matches(scope.name, globs))
    if not found:
        names = ", ".join(scope.name for scope in known.scopes)
        raise QuestionError(f"no scope matches {' or '.join(globs)}: there are {names}")
    return found


def _apart(job: Callable[[], _Done]) -> _Done:
    """Do a job that has an event loop of its own, also where one runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return job()
    with ThreadPoolExecutor(1, "modelwatch") as thread:
        return thread.submit(job).result()
