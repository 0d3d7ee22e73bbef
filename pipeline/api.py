"""A home, as Python has it: what to ask of it, and values as answers.

The jobs that ask gateways or bring answers in, as Python starts them.

Where config and database of a home are, how they are opened, and what the words of a question mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline import __version__, maintenance
from pipeline import config as configs
from pipeline.config import Config
from pipeline.core.times import iso, parse_moment
from pipeline.core.types import Resolve, Scope
from pipeline.core.watchlist import NO_WATCH, Watch, matches
from pipeline.delivery.monitoring import Monitor, run_monitor
from pipeline.delivery.outbox import enqueue
from pipeline.delivery.send import all_destinations, send_due
from pipeline.delivery.types import Destination
from pipeline.errors import ConfigError, QuestionError, exit_status
from pipeline.gateways.types import ScopeResult
from pipeline.history.availability import Alike, Matrix, alike, matrices
from pipeline.history.changes import find_events
from pipeline.history.compare import Contrast, contrast
from pipeline.history.deprecations import Announced, Vanished, announced, vanished
from pipeline.history.runs import catalog, coverage, find_run
from pipeline.history.selectors import in_history, named, side, unknown
from pipeline.history.timeline import ModelDetails, Timeline, model_details, timelines
from pipeline.history.types import Coverage, Event, Run
from pipeline.history.watch import WITHIN, WatchReport, watch
from pipeline.maintenance import Check, DialectsOf, Pruned, Rebuilt
from pipeline.reports.report import build_report, mark_urgent
from pipeline.reports.types import Report
from pipeline.secret_refs import resolver
from pipeline.store import Store, scope_states, writing
from pipeline.store import write_backup as copy
from pipeline.store.catalog import Moment
from pipeline.store.changes import Window, window
from pipeline.sync.archives import Answers, in_directory, in_lines
from pipeline.sync.backfill import Backfill, backfill, whose
from pipeline.sync.run import fetch_and_read, sync

if TYPE_CHECKING:
    from pipeline.gateways.client import GatewayClient


When = datetime | str
"""A moment: a `datetime` (UTC unless it has a zone), or `2h`, `1d`, `3w` ago, a date, or a date and time."""


Globs = Sequence[str]
"""Globs of names; none means all."""


@dataclass(frozen=True, slots=True)
class Where:
    """The files of a home.

    Args:
        config_path: the config; None for a database alone.
        database_path: the database; None where the config says which.
    """

    config_path: Path | None
    database_path: Path | None = None

    def config(self) -> Config:
        """Read the config.

        Raises:
            ConfigError: there is none, or it cannot be used.
        """
        if self.config_path is None:
            raise ConfigError("stands alone, without a config: name its home", where=str(self.database_path))
        return configs.load(self.config_path)

    def known(self) -> Config | None:
        """Read the config, if there is one."""
        return self.config() if self.config_path and self.config_path.exists() else None

    def database(self) -> Path:
        """Give the database's file."""
        if self.database_path is not None:
            return self.database_path
        assert self.config_path
        known = self.known()
        return known.database if known else self.config_path.parent / "modelwatch.db"

    def watch(self) -> Watch:
        """Give the models that the config watches."""
        known = self.known()
        return known.watch if known else NO_WATCH

    def dialects(self) -> DialectsOf:
        """Give what finds the dialects in which a listing may have been read."""
        known = self.known()
        return maintenance.dialects_of(known.scopes if known else ())

    def read(self) -> Store:
        """Open the database to look."""
        return Store.read(self.database())

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """Open a database that is there to write, as the only one."""
        path = self.database()
        with writing(path, since=now(), must_exist=True) as store:
            yield store


def now() -> str:
    """Give the time now in ISO 8601, UTC."""
    return iso(datetime.now(UTC))


def time_of(when: When) -> str:
    """Read a moment; gives ISO 8601, UTC.

    Raises:
        QuestionError: it is none.
    """
    if isinstance(when, datetime):
        return iso(when)
    try:
        return parse_moment(when, datetime.now(UTC))
    except ValueError as error:
        raise QuestionError(str(error)) from error


def follower(config: Config) -> Resolve:
    """Give the function that follows the references of a config."""
    return resolver(config.path.parent)


def destinations_of(config: Config) -> tuple[Destination, ...]:
    """Return the destinations of a config, and its reports directory."""
    return all_destinations(config.reports, config.destinations)


def monitor_of(config: Config, *, dry_run: bool = False) -> AbstractContextManager[Monitor]:
    """Return what pings and writes metrics for one run of a config; a dry run does neither."""
    return run_monitor(
        ping=None if dry_run else config.ping,
        metrics=None if dry_run else config.metrics,
        database=config.database,
        resolve=follower(config),
    )


def fetcher(config: Config) -> Callable[[], GatewayClient]:
    """Give what makes the fetcher of a config, inside the event loop."""
    from pipeline.gateways.client import GatewayClient

    return lambda: GatewayClient(
        follower(config), user_agent=f"modelwatch/{__version__}", deadline=config.deadline
    )


_Done = TypeVar("_Done")


def check(known: Config, globs: Globs) -> dict[str, ScopeResult]:
    """Ask the scopes that match, and write nothing."""
    chosen = _chosen(known, globs)
    return _apart(lambda: fetch_and_read(chosen, {}, fetcher(known)).heard)


def run(known: Config, globs: Globs, *, reports: bool, dry_run: bool) -> Report:
    """Ask the scopes that match, record what they say, and report it."""
    chosen = _chosen(known, globs)

    def job(store: Store) -> Report:
        def owe() -> None:
            if reports and not dry_run:
                enqueue(store, destinations_of(known), known.watch, at=now())

        done = sync(chosen, store, fetcher(known), now, with_it=owe, everything=not globs)
        told = build_report(store, Window(done.snapshot - 1, done.snapshot), known.watch)
        if reports and not dry_run:
            send_due(store, destinations_of(known), known.watch, now, follower(known)).check()
        signs.finish(exit_status(scopes=done.scopes, failed=done.failed, held=done.held), told)
        return told

    def opened() -> Report:
        with Store.open_copy(known.database) if dry_run else writing(known.database, since=now()) as store:
            return job(store)

    with monitor_of(known, dry_run=dry_run) as signs:
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


@dataclass(frozen=True, slots=True)
class Deprecations:
    """Which models are announced to end, by day, and which went without notice, oldest first."""

    announced: tuple[Announced, ...]
    unannounced: tuple[Vanished, ...]


@dataclass(frozen=True, slots=True)
class Home:
    """A place with a config, a database and reports; made by `pipeline.home`.

    Nothing stays open between two questions, so it needs no closing and may be asked from any thread. Each
    question is answered from what the job has recorded; only `check` and `run` ask gateways. Times are given
    as `When`, and told as text in ISO 8601 UTC. What goes wrong is a `PipelineError`: `StoreError` where
    there is no database yet or it cannot be used, `ConfigError` for a config, `QuestionError` for a moment,
    scope or model that does not exist.

    Args:
        where: its files.
    """

    where: Where

    @property
    def config(self) -> Config:
        """The config, as the file says now.

        Raises:
            ConfigError: there is none, or it cannot be used.
        """
        return self.where.config()

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.where.database()

    def check(self, *scopes: str) -> dict[str, ScopeResult]:
        """Ask every scope, or those that match one of the globs, and write nothing; what each said, by name.

        The `answer` of each is `Told`, with the listing, or a `FetchError`.
        """
        return check(self.config, scopes)

    def run(self, *scopes: str, reports: bool = True, dry_run: bool = False) -> Report:
        """Ask every scope, or those that match one of the globs, record what they say, and report it.

        A scope that fails or is held stops nothing: `coverage` of the report says which, and why.

        Args:
            scopes: globs of scopes.
            reports: write the report files too, where there is news.
            dry_run: compare only; nothing is written.

        Raises:
            Locked: another run is under way.
            DeliveryError: a report cannot be written; what was heard is recorded.
        """
        return run(self.config, scopes, reports=reports, dry_run=dry_run)

    def import_(
        self,
        scope: str,
        answers: Answers | Path | str,
        *,
        dialect: str | None = None,
        url: str | None = None,
        time_field: str | None = None,
    ) -> Backfill:
        """Bring saved answers into the history of a scope, oldest first.

        Args:
            scope: `gateway/name`; one that the config does not have needs a `dialect`, or `auto`.
            answers: a directory, a `.jsonl` file, or what `pipeline.saved.in_git` gives.
            dialect: how they are written; None as the config has it.
            url: where they came from, for a gateway that is not known.
            time_field: where in an answer its time is, if not in the name of its file.

        Raises:
            SavedError: there are none, or they are older than what is known of the scope.
        """
        known = self.where.known()
        wanted, asked = whose(known.scopes if known else (), self.database, scope, dialect=dialect, url=url)
        found = answers if isinstance(answers, Answers) else saved(Path(answers), time_field)
        with writing(self.database, since=now()) as store:
            done = backfill(wanted, found.oldest_first, store, asked=asked)
            store.checkpoint()
        return done

    def changes(
        self, *, since: When | None = None, scopes: Globs = (), models: Globs = ()
    ) -> tuple[Event, ...]:
        """Give what changed, oldest first; what concerns a watched model may be `urgent`."""
        start = None if since is None else time_of(since)
        with self.where.read() as store:
            events = mark_urgent(find_events(store, window(store, since=start)), self.where.watch())
        found = (replace(each, scopes=tuple(s for s in each.scopes if matches(s, scopes))) for each in events)
        return tuple(each for each in found if each.scopes and matches(each.model, models))

    def models(self, *globs: str, at: When | None = None, scopes: Globs = ()) -> list[dict[str, Any]]:
        """Give what is offered, now or at a moment: a row for each gateway and model.

        A row has gateway, model, owned_by, created, scopes and groups (names), and records (the distinct
        bodies, as JSON text).
        """
        with self.where.read() as store:
            then = Moment(at=None if at is None else in_history(store, time_of(at)))
            offered = catalog(store, lambda scope: matches(scope, scopes), then)
        return [row for row in offered if matches(row["model"], globs)]

    def scopes(self) -> tuple[Coverage, ...]:
        """Give every scope, by name: how many models it is offered, and whether it is well."""
        with self.where.read() as store:
            return coverage(store)

    def last_run(self) -> Run | None:
        """Give the last run; None when there was none."""
        with self.where.read() as store:
            return find_run(store)

    def show(self, model: str, *, scopes: Globs = ()) -> list[ModelDetails]:
        """Give what is known of a model, by gateway; nothing where nobody was ever offered it."""
        with self.where.read() as store:
            return model_details(store, model, lambda scope: matches(scope, scopes))

    def history(self, model: str, *, scopes: Globs = ()) -> tuple[Timeline, ...]:
        """Give the story of a model, or of those that a glob matches; scopes with the same story together.

        Raises:
            QuestionError: nobody was ever offered such a model.
        """
        with self.where.read() as store:
            names = named(store, model)
            if not names:
                raise QuestionError(unknown(store, model))
            return tuple(
                s for name in names for s in timelines(store, name, lambda scope: matches(scope, scopes))
            )

    def diff(self, before: When, after: When = "now") -> Contrast:
        """Compare what was offered at two moments, or to two scopes.

        Each side is a moment, or as text what `modelwatch diff` takes: `now`, `#123` (a snapshot),
        `aihubmix/prod`, a gateway, a glob of scopes, `aihubmix/prod@2026-05-01`.
        """
        now = datetime.now(UTC)
        texts = [iso(each) if isinstance(each, datetime) else each for each in (before, after)]
        with self.where.read() as store:
            try:
                return contrast(store, *(side(store, text, now) for text in texts))
            except LookupError as error:
                raise QuestionError(str(error.args[0])) from error

    def matrix(self, *scopes: str) -> list[Matrix]:
        """Give, for each gateway, its models and the scopes that they are offered to now."""
        with self.where.read() as store:
            return matrices(store, lambda known: matches(known.scope, scopes))

    def same(self, *scopes: str) -> list[Alike]:
        """Give the sets of scopes that are offered exactly the same list."""
        with self.where.read() as store:
            return alike(store, lambda known: matches(known.scope, scopes))

    def lifecycle(self, *, days: int = WITHIN) -> Deprecations:
        """Give what is announced to end in so many days, or should have, and what went in as many."""
        now = datetime.now(UTC)
        with self.where.read() as store:
            to_come = announced(store, today=now.date(), until=now.date() + timedelta(days=days))
            gone = vanished(store, since=iso(now - timedelta(days=days)))
        return Deprecations(tuple(to_come), tuple(gone))

    def watch(self, *models: str, scopes: Globs = (), since: When = "7d", days: int = WITHIN) -> WatchReport:
        """Say how models stand that somebody depends on.

        Args:
            models: ids and globs; none means those of the config.
            scopes: globs of the scopes that matter; none means those of the config.
            since: prices are compared with those of this time.
            days: an end is urgent when it is so many days away, or fewer.

        Raises:
            QuestionError: there are no models to watch.
        """
        known = self.where.watch()
        wanted = Watch(models or known.models, tuple(scopes) or known.scopes)
        if not wanted.models:
            raise QuestionError("nothing is watched: name models, or write them under [watch] in the config")
        with self.where.read() as store:
            today = datetime.now(UTC).date()
            return watch(store, wanted, since=time_of(since), today=today, days=days)

    def verify(self) -> list[Check]:
        """Check the database against itself; each check has the problems that it found."""
        with self.where.read() as store:
            return list(maintenance.verify(store, self.where.dialects()))

    def rebuild(self) -> Rebuilt:
        """Derive again what follows from the answers; says what was corrected."""
        with self.where.opened() as store:
            return maintenance.rebuild(store, self.where.dialects())

    def prune(self, *, keep: timedelta) -> Pruned:
        """Drop history that is older; what is told of the time since stays the same."""
        with self.where.opened() as store:
            return maintenance.prune(store, self.where.dialects(), bound=iso(datetime.now(UTC) - keep))

    def backup(self, file: Path | str, *, overwrite: bool = False) -> int:
        """Write a copy of the database, whole though a run may be under way; gives its size in bytes."""
        return copy(self.database, Path(file), overwrite=overwrite)

    def forget(self, *scopes: str) -> dict[str, int]:
        """Drop the scopes that match one of the globs, and all that only they needed; rows by table.

        Raises:
            QuestionError: none matches.
        """
        with self.where.opened() as store:
            names = [name for name in scope_states(store) if matches(name, scopes)] if scopes else []
            if not names:
                raise QuestionError(f"no scope matches {' or '.join(scopes)}")
            return dict(maintenance.forget(store, sorted(names)))


def home(place: Path | str = "data", *, config: Path | str | None = None) -> Home:
    """Give a home, by its directory, or a database alone, by its file.

    Args:
        place: a directory with `modelwatch.toml` and what it names; or a database file.
        config: another config file.
    """
    path = Path(place)
    if path.is_file():
        return Home(Where(None if config is None else Path(config), path))
    return Home(Where(path / "modelwatch.toml" if config is None else Path(config)))
