"""The Python interface: `Home` has every verb of the program as a method, and values as results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from pipeline import __version__
from pipeline import config as configs
from pipeline.config import Config
from pipeline.core.addresses import is_this_machine
from pipeline.core.masking import SHORTEST_IN_BODY
from pipeline.core.shards import Shard
from pipeline.core.text import choices, quoted
from pipeline.core.times import Schedule, iso, minute
from pipeline.core.types import KeyList, Resolve, Scope, Share, is_reference
from pipeline.core.watchlist import NO_WATCH, NameTest, Watch, matches, matches_pattern, matching_scopes
from pipeline.delivery.types import REPORTS
from pipeline.errors import (
    ConfigError,
    DeliveryError,
    FetchError,
    PipelineError,
    QuestionError,
    StoreError,
    Unresolved,
    exit_status,
)
from pipeline.history.availability import (
    NO_NEEDS,
    EqualScopes,
    Matrix,
    Needs,
    catalog,
    equal_scopes,
    matrices,
)
from pipeline.history.changes import find_events, select_events
from pipeline.history.compare import Comparison, compare
from pipeline.history.deprecations import Deprecations, find_deprecations
from pipeline.history.model import ModelDetails, lookups, model_details
from pipeline.history.selectors import (
    When,
    listing_test,
    parse_side,
    parse_time,
    report_window,
    require_history,
    require_order,
    require_scopes,
    scope_test,
    selected_scopes,
    unknown_model,
)
from pipeline.history.status import NotAsked, Status, find_status
from pipeline.history.timeline import Timeline, find_timelines
from pipeline.history.types import Coverage, Event, Run, ScopeCounts
from pipeline.history.watch import (
    SHUTDOWN_DAYS,
    WatchedModel,
    WatchReport,
    check_watched,
    unreported_absences,
)
from pipeline.reports.report import build_report, mark_urgent
from pipeline.secret_refs import COMMAND_TIMEOUT, Resolver, noting, resolver, secret_file
from pipeline.store import Store, lock, open_to_send, scope_states, working_copy, write_backup, writing
from pipeline.store.catalog import Moment, ScopeListing, history_start
from pipeline.store.coverage import count_scopes_now, coverage, exceptional_coverage, stream_coverage
from pipeline.store.database import store_errors
from pipeline.store.derivation import record_rules, recorded_rules, rules_of
from pipeline.store.files import atomic_write, clear_drafts, exposure, make_directory, write_private
from pipeline.store.groups import UserGroup, user_groups
from pipeline.store.models import model_names
from pipeline.store.mutes import Mute, add_mutes, end_mutes, mutes
from pipeline.store.outbox import Delivery, deliveries
from pipeline.store.runs import find_run
from pipeline.store.scopes import asked_keys, left_out_rows, scope_gateways, scope_groups
from pipeline.store.sites import SiteState, site_states
from pipeline.store.windows import Window, time_window

if TYPE_CHECKING:
    from pipeline.delivery.content import RenderedReport
    from pipeline.delivery.monitoring import Monitor
    from pipeline.delivery.preview import Preview, write_preview
    from pipeline.delivery.send import DeliverySummary, Sending
    from pipeline.delivery.trial import Trial
    from pipeline.delivery.types import Destination
    from pipeline.gateways.client import GatewayClient
    from pipeline.gateways.lookup import LookupResult, Verdict
    from pipeline.gateways.probe import FieldDifference, ProbeResult, ScopeProbe
    from pipeline.gateways.types import GroupGone, ListingAnswer, ScopeResult
    from pipeline.history.problems import RunProblems
    from pipeline.lake import Export
    from pipeline.maintenance import Check, Cure, DialectsOf, MergeResult, PruneResult, RebuildTotals
    from pipeline.reports.types import Report
    from pipeline.sync.archives import Answers, LeftOut, saved_answers
    from pipeline.sync.backfill import ImportResult
    from pipeline.sync.git_archive import in_git
    from pipeline.sync.record import RunTotals
    from pipeline.sync.run import Fetch, Results

__all__ = [
    "Acceptance",
    "Answers",
    "Check",
    "CheckResult",
    "Clock",
    "Cure",
    "Delivery",
    "DeliverySummary",
    "Export",
    "FieldDifference",
    "GroupGone",
    "Home",
    "ImportResult",
    "Interrupt",
    "JobNeeds",
    "LeftOut",
    "ListingAnswer",
    "LookupResult",
    "Merge",
    "MergeResult",
    "Moment",
    "Mute",
    "Names",
    "Needs",
    "NotAsked",
    "Preview",
    "ProbeResult",
    "RenderedReport",
    "RunObserver",
    "RunProblems",
    "RunResult",
    "ScopeListing",
    "ScopeProbe",
    "ScopeResult",
    "SiteState",
    "Status",
    "Trial",
    "UserGroup",
    "Verdict",
    "home",
    "in_git",
    "now",
    "saved_answers",
    "write_preview",
]

# A command that reads starts twice as fast without these packages: only the verbs that need them import them.
_LAZY = {
    "delivery.content": "RenderedReport",
    "delivery.preview": "Preview write_preview",
    "delivery.send": "DeliverySummary",
    "delivery.trial": "Trial",
    "gateways.lookup": "LookupResult Verdict",
    "gateways.probe": "FieldDifference ProbeResult ScopeProbe",
    "gateways.types": "GroupGone ListingAnswer ScopeResult",
    "history.problems": "RunProblems",
    "lake": "Export",
    "maintenance": "Check Cure MergeResult",
    "sync.archives": "Answers LeftOut saved_answers",
    "sync.backfill": "ImportResult",
    "sync.git_archive": "in_git",
}
_MODULES = {name: module for module, names in _LAZY.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a name at its first use; see https://peps.python.org/pep-0562/."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"pipeline.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


Clock = Callable[[], str]
"""Returns the time now, as text in ISO 8601 UTC."""

Globs = Sequence[str]
"""Globs of names; none means all."""

Interrupt = Callable[[int], None]
"""Reports that a run is being stopped, with its exit status; may be called by a signal handler."""

_T = TypeVar("_T")


def now() -> str:
    """Return the time now, in ISO 8601 UTC."""
    return iso(datetime.now(UTC))


class RunObserver:
    """Hooks that a run calls; these do nothing. A command overrides them to show progress."""

    def running(self, interrupt: Interrupt | None) -> AbstractContextManager[None]:
        """Return a context for the whole run; `interrupt` is None where nothing is monitored."""
        del interrupt
        return nullcontext()

    def fetching(self, scopes: int) -> AbstractContextManager[None]:
        """Return a context for the time in which so many scopes are fetched and recorded."""
        del scopes
        return nullcontext()

    def on_result(self, scope: Scope, result: ScopeResult) -> None:
        """Note the result of a scope."""

    def on_report(self, report: Report, absences: Sequence[WatchedModel]) -> None:
        """Note the report of the run, when it is recorded and before anything is sent."""

    def on_problems(self, problems: RunProblems) -> None:
        """Note the problems that are due, after `on_report`: each once, then once a day, and its end."""


_SILENT = RunObserver()


class CheckResult(Struct, frozen=True):
    """The answers of a check.

    Args:
        scopes: those that were asked; includes those made of a user's groups.
        results: by the name of the scope.
        missing: by destination, a line for each secret, program or library that it lacks, or why its server
            cannot be reached.
        fallbacks: a message for each scope whose key had a list of its own and now gets the anonymous one.
        parts: for each scope with a current listing whose answer may be one page of a list, why.
        short: the references of secrets that are too short to be masked in answers.
        exposed: a line for the config and for each file of a secret that other users may read or write.
    """

    scopes: tuple[Scope, ...]
    results: Mapping[str, ScopeResult]
    missing: Mapping[str, Sequence[str]]
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    short: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """The exit status of the command."""
        failed = sum(isinstance(each.answer, FetchError) for each in self.results.values())
        status = exit_status(
            scopes=len(self.results), failed=failed, held=len({*self.fallbacks, *self.parts})
        )
        return status or (DeliveryError.exit_code if self.missing else 0)


class RunResult(Struct, frozen=True):
    """The result of a run.

    Args:
        report: what changed, who recovered, and the state of every scope that was asked.
        totals: how many scopes answered, moved, are held or failed.
        absences: watched models that may be missing, though no report has them yet.
        deliveries: what became of the reports that were due.
    """

    report: Report
    totals: RunTotals
    absences: tuple[WatchedModel, ...]
    deliveries: DeliverySummary

    @property
    def template_problems(self) -> tuple[str, ...]:
        """The mistakes in the user's templates, each once; the built-in templates were used instead."""
        return tuple(dict.fromkeys(self.deliveries.problems))

    @property
    def exit_status(self) -> int:
        """The exit status of the command: for failed scopes, failed deliveries, held answers, or 0."""
        totals = self.totals
        if self.deliveries.incomplete and not totals.failed:
            return DeliveryError.exit_code
        return exit_status(scopes=totals.scopes, failed=totals.failed, held=totals.held)


class JobNeeds(Struct, frozen=True):
    """What a scheduled run needs beside its program and its home.

    Args:
        variables: the names of its `env:` references.
        files: the paths of its `file:` references, as written.
        has_commands: it has `command:` references.
        reports: the destinations with daily or weekly reports, and when they are due.
        local_servers: the gateways and mail servers that are on this machine.
        text: of the config, without the place of its schema on this machine.
        named_files: the files of keys and of watched models, as the config names them, and their texts.
    """

    variables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    has_commands: bool = False
    reports: tuple[tuple[str, Schedule], ...] = ()
    local_servers: tuple[str, ...] = ()
    text: str = ""
    named_files: tuple[tuple[str, str], ...] = ()


class Acceptance(Struct, frozen=True):
    """Held answers that were accepted: their scopes, the changes, and what became of the reports."""

    scopes: tuple[str, ...]
    events: tuple[Event, ...]
    deliveries: DeliverySummary


class Merge(Struct, frozen=True):
    """What joined the history by a merge, and what became of the reports; None where it is no news."""

    merged: MergeResult
    deliveries: DeliverySummary | None = None


class Names(Struct, frozen=True):
    """Names that exist, sorted: of models, scopes, gateways and destinations."""

    models: list[str]
    scopes: list[str]
    gateways: list[str]
    destinations: list[str]


class Home(Struct, frozen=True):
    """A directory with a config, a database and reports; made by `pipeline.home`.

    Nothing stays open between two calls: a home needs no closing and may be used from any thread. Only
    `check`, `run`, `sync`, `lookup` and `probe` ask gateways; every other answer comes from the database.
    Arguments that are times are of type `When`; times in results are ISO 8601 UTC. Errors are subclasses of
    `PipelineError`: `StoreError` where the database is missing or cannot be used, `ConfigError` for the
    config, `QuestionError` for a time, scope or model that does not exist.

    Args:
        directory: where config and database are, unless these are named.
        config_path: the config; None for a database alone.
        database_path: the database; None for the config's.
        clock: returns the time now.
        holds_lock: the database's lock is held already; see `locked`.
        config_required: the config was named, so it must exist.
    """

    directory: Path
    config_path: Path | None
    database_path: Path | None = None
    clock: Clock = now
    holds_lock: bool = False
    config_required: bool = False

    @property
    def config(self) -> Config:
        """The config, as the file is now.

        Raises:
            ConfigError: there is none, or it cannot be used.
        """
        return self._config_for(())

    def _config_for(self, scopes: Globs) -> Config:
        """Return the config; of keys files only the scopes that match one of some globs, if there are any."""
        if self.config_path is None:
            raise ConfigError("is a database without a config: name its home", where=str(self.database_path))
        config = configs.load(self.config_path, scopes)
        return replace(config, database=self.database_path) if self.database_path else config

    @property
    def optional_config(self) -> Config | None:
        """The config; None where there is none.

        Raises:
            ConfigError: it cannot be used, or it was named and does not exist.
        """
        # False where this user may not look: the database names the cause.
        exists = self.config_path is not None and os.access(self.config_path, os.F_OK)
        return self.config if exists or self.config_required else None

    @property
    def database(self) -> Path:
        """The database's file."""
        if self.database_path is not None:
            return self.database_path
        config = self.optional_config
        return config.database if config else self.directory / "modelwatch.db"

    @property
    def watch_list(self) -> Watch:
        """The models that the config watches."""
        config = self.optional_config
        return config.watch if config else NO_WATCH

    @property
    def share(self) -> Share:
        """Who may read what is written, beside its owner."""
        config = self.optional_config
        return config.share if config else Share.OWNER

    def job_needs(self) -> JobNeeds | None:
        """Return what a scheduled run needs; None without a config.

        Raises:
            ConfigError: the config cannot be used.
        """
        config = self.optional_config
        if config is None:
            return None
        values = (config.scopes, config.key_lists, config.destinations, config.ping)
        found = dict.fromkeys(_references(values))
        parts = [reference.partition(":") for reference in found]
        reports = tuple(
            (each.name, each.schedule) for each in config.destinations if each.schedule.every != "run"
        )
        servers = [urlsplit(gateway.url).hostname or "" for gateway in config.gateways]
        servers += [getattr(each.channel, "server", "") for each in config.destinations]
        text = config.path.read_text("utf-8")
        names = configs.named_files(text, config.path)
        lines = text.splitlines(keepends=True)
        return JobNeeds(
            variables=tuple(rest for kind, _, rest in parts if kind == "env"),
            files=tuple(rest for kind, _, rest in parts if kind == "file"),
            has_commands=any(kind == "command" for kind, _, _ in parts),
            reports=reports,
            local_servers=tuple(dict.fromkeys(filter(is_this_machine, servers))),
            text="".join(line for line in lines if not line.startswith("#:schema ")),
            named_files=tuple((name, self._text_beside(config, name)) for name in names),
        )

    @staticmethod
    def _text_beside(config: Config, name: str) -> str:
        """Return the text of a file that the config names."""
        return (config.path.parent / Path(name).expanduser()).read_text("utf-8-sig").replace("\r\n", "\n")

    def require_no_config(self) -> None:
        """Raise an error if there is a config already.

        Raises:
            ConfigError: it names the file.
        """
        if self.config_path and os.access(self.config_path, os.F_OK):
            raise ConfigError("exists: edit it, or overwrite it with --force", where=str(self.config_path))

    def parse_config(self, text: str) -> Config:
        """Return the values of a config that is not written yet.

        Raises:
            ConfigError: it cannot be used.
        """
        assert self.config_path, "a database alone has no config"
        return configs.parse(text, self.config_path)

    def absent_secret(self, reference: str) -> Path | None:
        """Return the path of the file that a reference `file:PATH` names, if it does not exist; else None."""
        assert self.config_path, "a database alone has no config"
        path = secret_file(reference, self.config_path.absolute().parent)
        return path if reference.startswith("file:") and not os.access(path, os.F_OK) else None

    def store_secret(self, reference: str, secret: str) -> Path:
        """Write a secret into the new file of a reference `file:PATH`, for its owner only; return its path.

        Raises:
            ConfigError: the file exists or cannot be written.
        """
        assert self.config_path, "a database alone has no config"
        path = secret_file(reference, self.config_path.absolute().parent)
        try:
            make_directory(path.parent, Share.OWNER)
            write_private(path, secret.encode() + b"\n")
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror}", where=str(path)) from error
        return path

    def write_config(self, text: str, *, overwrite: bool = False) -> Path:
        """Validate the text of a config, and write it, all or nothing; return its path.

        Its first line leads editors to the JSON Schema.

        Raises:
            ConfigError: the text is invalid, or the file exists or cannot be written.
        """
        assert self.config_path, "a database alone has no config"
        path = Path(os.path.realpath(self.config_path))
        try:
            if not overwrite:
                self.require_no_config()
            share = configs.parse(text, self.config_path).share
            make_directory(path.parent, share)
            clear_drafts(path.parent)
            atomic_write(path, f"{configs.schema_line(path)}\n{text}".encode(), share=share)
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror}", where=str(self.config_path)) from error
        return self.config_path

    @contextmanager
    def locked(self) -> Iterator[Home]:
        """Hold the database's lock for the block, and yield a home to use in it: no other run gets between.

        Raises:
            Locked: another run holds the lock.
        """
        with lock(self.database, since=self.clock(), share=self.share):
            yield replace(self, holds_lock=True)

    # Runs.

    def check(
        self,
        *scopes: str,
        on_scopes: Callable[[int], None] = lambda _number: None,
        on_result: Callable[[Scope, ScopeResult], None] = lambda _scope, _result: None,
    ) -> CheckResult:
        """Ask every scope once, or those that match a glob, and try every destination; send nothing.

        A destination is tried as far as it can be without a message: its secrets, program or library, then a
        connection to its server with the sign-in.

        Args:
            scopes: globs of scopes.
            on_scopes: called with the number of scopes before the first is asked.
            on_result: called for each scope when its result is there.

        Raises:
            ConfigError: the config, or a list of keys that it names, cannot be used.
            QuestionError: a glob matches no scope.
        """
        return self._check(self._config_for(scopes), scopes, on_scopes, on_result)

    def check_text(self, text: str) -> CheckResult:
        """Check, as `check` does, the text of a config that is not written yet.

        Raises:
            ConfigError: it cannot be used.
        """
        config = self.parse_config(text)
        return self._check(config, (), lambda _number: None, lambda _scope, _result: None)

    def _check(
        self,
        config: Config,
        scopes: Globs,
        on_scopes: Callable[[int], None],
        on_result: Callable[[Scope, ScopeResult], None],
    ) -> CheckResult:
        from pipeline.sync.decide import first_answer_error
        from pipeline.sync.run import fetch_once

        resolver = _run_resolver(config)
        asked = self._asked(config, scopes, resolver)
        on_scopes(len(asked))
        used: dict[str, int] = {}
        resolve = noting(resolver, used)
        make_client = client_factory(config, _peers(config, asked) if scopes else asked, resolve)
        found = _in_event_loop(lambda: fetch_once(asked, make_client, on_result))
        lacking = _unready(config.destinations, resolve)
        fallbacks, parts, known = self._holds(found, config.database, only=bool(scopes))
        results = {
            name: result
            if (error := first_answer_error(result.answer, known.get(name))) is None
            else replace(result, answer=error)
            for name, result in found.results.items()
        }
        short = tuple(each for each, letters in used.items() if 0 < letters < SHORTEST_IN_BODY)
        exposed = tuple(_exposed_files(config, used))
        return CheckResult(found.scopes, results, lacking, fallbacks, parts, short, exposed)

    def _holds(
        self, found: Results, database: Path, *, only: bool
    ) -> tuple[dict[str, str], dict[str, str], dict[str, int | None]]:
        """Return a message for each scope whose key now gets the anonymous list, or whose list may be a part.

        The third value has the current listings of scopes; without a history, there are none. `only` those of
        the scopes that were asked are read.
        """
        from pipeline.sync.cache import RunCache
        from pipeline.sync.decide import find_fallbacks, find_parts

        if not os.access(database, os.F_OK):
            return {}, {}, {}
        try:
            with Store.read(database) as store:
                cache = RunCache(store, found.scopes if only else None)
                arguments = (found.results, found.scopes, cache.states, cache)
                listings = {name: state.listing for name, state in cache.states.items()}
                return find_fallbacks(*arguments), find_parts(*arguments), listings
        except StoreError:
            # A check of keys does not need the history; the run reports what is wrong with it.
            return {}, {}, {}

    def sync(
        self,
        *scopes: str,
        shard: Shard | None = None,
        dry_run: bool = False,
        new: bool = False,
        observer: RunObserver = _SILENT,
    ) -> RunResult:
        """Ask every scope, or those that match a glob, and record the answers; report nothing. See `run`."""
        return self.run(*scopes, shard=shard, reports=False, dry_run=dry_run, new=new, observer=observer)

    def run(
        self,
        *scopes: str,
        shard: Shard | None = None,
        reports: bool = True,
        dry_run: bool = False,
        new: bool = False,
        observer: RunObserver = _SILENT,
    ) -> RunResult:
        """Ask every scope, or those that match a glob, record the answers, and send the reports that are due.

        A scope that fails or is held stops no other: `report.coverage` has the state of each. A report that
        cannot be delivered stays in the outbox: see `deliveries` of the result.

        Args:
            scopes: globs of scopes.
            shard: ask only the scopes of this shard; those of others stay as they are.
            reports: write and send reports.
            dry_run: compare only; nothing is written or sent.
            new: begin a new history where the database is lost.
            observer: called as the run proceeds.

        Raises:
            ConfigError: the config, or a list of keys without recorded scopes, cannot be used.
            Locked: another run holds the lock.
            QuestionError: a glob matches no scope.
        """
        config = self._config_for(scopes)
        if not config.gateways:
            raise ConfigError(configs.NO_GATEWAY, where=str(config.path))
        with (
            run_monitor(config, dry_run=dry_run) as monitor,
            observer.running(monitor.interrupt if monitor.active else None),
        ):
            result = _in_event_loop(
                lambda: self._record_and_send(
                    config,
                    scopes,
                    shard,
                    deliver=reports and not dry_run,
                    dry_run=dry_run,
                    new=new,
                    observer=observer,
                )
            )
            monitor.finish(result.exit_status, result.report, result.deliveries.failures())
        return result

    def _record_and_send(
        self,
        config: Config,
        globs: Globs,
        shard: Shard | None,
        *,
        deliver: bool,
        dry_run: bool,
        new: bool,
        observer: RunObserver,
    ) -> RunResult:
        """Ask scopes and record the answers, under the lock; then send the reports that are due."""
        from pipeline.delivery.outbox import enqueue
        from pipeline.delivery.send import DeliverySummary
        from pipeline.history.problems import find_problems
        from pipeline.sync.run import sync

        destinations, watched, resolve = destinations_of(config), config.watch, _run_resolver(config)
        writing = self._write(config, must_exist=False, new=new)
        with Store.open_copy(config.database) if dry_run else writing as store:
            self._derive_again(store, config)
            scopes = self._asked(config, globs, resolve, store=store, shard=shard)
            peers = _peers(config, scopes) if globs and not shard else scopes
            left_out_before = left_out_rows(store)

            def enqueue_reports() -> None:
                if deliver:
                    enqueue(store, destinations, watched, at=self.clock())

            with observer.fetching(len(scopes)):
                totals = sync(
                    scopes,
                    store,
                    client_factory(config, peers, resolve),
                    self.clock,
                    observer.on_result,
                    before_commit=enqueue_reports,
                    all_scopes=not globs,
                    shard=shard,
                    fetch=_fetch(config, peers),
                )
            report = build_report(store, Window(totals.snapshot - 1, totals.snapshot), watched)
            absences = unreported_absences(store, watched)
            observer.on_report(report, absences)
            observer.on_problems(
                find_problems(
                    store,
                    report.run,
                    report.coverage,
                    absences,
                    events=report.events,
                    recoveries=report.recoveries,
                    left_out_before=left_out_before,
                    watch=watched,
                )
            )
            sending = self._write_due(store, config) if deliver else None
            if sending:
                sending.summary.problems += self._remove_old_reports(store, config, at=report.run.started_at)
        sent = self._send(sending, config) if sending else DeliverySummary()
        return RunResult(report, totals, absences, sent)

    def _asked(
        self,
        config: Config,
        globs: Globs,
        resolver: Resolver,
        *,
        store: Store | None = None,
        shard: Shard | None = None,
    ) -> tuple[Scope, ...]:
        """Return the scopes to ask, with those of lists of keys, in the order of their gateways.

        Args:
            config: the config, loaded for these globs.
            globs: globs of scopes; all without one.
            resolver: reads the lists.
            store: has the scopes that are asked as before where a list cannot be had; None to raise an error.
            shard: leave out the scopes of others.

        Raises:
            ConfigError: a list cannot be had, and there are no such scopes.
            QuestionError: a glob matches no scope.
        """
        found = [*config.scopes]
        for key_list in config.key_lists:
            found += _of_list(config, key_list, globs, resolver, store, shard)
        if config.key_lists:
            order = {gateway.name: number for number, gateway in enumerate(config.gateways)}
            found.sort(key=lambda scope: order[scope.gateway.name])
        try:
            chosen = matching_scopes(found, globs)
        except QuestionError:
            whole = self.config  # the error names what there is
            known = [*whole.scopes]
            for key_list in whole.key_lists:
                known += _of_list(whole, key_list, (), resolver, store)
            chosen = matching_scopes(known, globs)
        return tuple(each for each in chosen if each.name in shard) if shard else chosen

    def accept(self, *scopes: str) -> Acceptance:
        """Accept the held answers of scopes that match a glob, and send the reports that are due.

        Raises:
            QuestionError: nothing is held for any of them, or none is named.
        """
        from pipeline.sync.accept import accept, dialect_of_scopes, held_scopes

        config = self.config
        with self._write(config) as store:
            held = held_scopes(store, scopes)
            snapshot = accept(store, held, dialect_of_scopes(config.gateways, config.scopes), at=self.clock())
            found = find_events(store, Window(snapshot - 1, snapshot), watch=config.watch)
            events = mark_urgent(found, config.watch)
            sending = self._enqueue_and_write(store, config)
        return Acceptance(tuple(held), events, self._send(sending, config))

    def import_(
        self,
        scope: str,
        answers: Answers | Path | str,
        *,
        dialect: str | None = None,
        url: str | None = None,
        time_field: str | None = None,
        new: bool = False,
        on_answer: Callable[[], None] = lambda: None,
    ) -> ImportResult:
        """Record saved answers in the history of a scope, oldest first.

        Args:
            scope: `gateway/name`; one that is not in the config needs a `dialect`, or `auto`.
            answers: a directory, a `.jsonl` file, or what `in_git` returns. Answers from the future or before
                2020 are left out.
            dialect: how they are written; None for the config's.
            url: where they came from, for an unknown gateway.
            time_field: the path in an answer to its time; None where file names or lines have the times.
            new: begin a new history where the database is lost.
            on_answer: called after each answer.

        Raises:
            QuestionError: the answers cannot be of this scope.
            SavedError: there are none, or they are older than the recorded history of the scope.
        """
        from pipeline.sync.archives import Answers, saved_answers
        from pipeline.sync.backfill import import_answers, target_scope
        from pipeline.sync.read_ahead import ReadAhead, processes_for

        config = self.optional_config
        target, asked = target_scope(
            config.scopes if config else (),
            self.database,
            scope,
            dialect=dialect,
            url=url,
            key_lists=config.key_lists if config else (),
        )
        if not isinstance(answers, Answers):
            answers = saved_answers(Path(answers), time_field, now=self.clock())
        with ReadAhead(target, answers.oldest_first, processes=processes_for(answers.count)) as ahead:
            if not self.database.exists():
                # The answers are read while the database is made.
                ahead.start()
            with self._write(config, must_exist=False, new=new) as store:
                if config:
                    self._derive_again(store, config)
                return import_answers(target, answers, ahead, store, lambda _answer: on_answer(), asked=asked)

    # Reports.

    def report(self, *, since: When | None = None, until: When | None = None) -> DeliverySummary:
        """Write a report as CSV and JSON into the reports directory.

        Args:
            since: where it begins; None for the end of the last report, which also writes `latest.*`.
            until: where it ends; None for the last run. Ignored without `since`.

        Raises:
            DeliveryError: a file cannot be written.
            QuestionError: there was no run in that time.
        """
        from pipeline.delivery.files import write_window
        from pipeline.delivery.send import DeliverySummary
        from pipeline.delivery.types import REPORTS

        config = self.config
        with self._write(config) as store:
            if since is None:
                return self._enqueue_and_write(store, config, only=REPORTS).summary
            period = report_window(store, since=self._time(since), until=self._optional_time(until))
            written = write_window(store, config.reports, period, watch=config.watch, share=config.share)
            return DeliverySummary(written)

    def render(
        self,
        form: str,
        *,
        since: When = "1d",
        until: When | None = None,
        to: str | None = None,
        language: str | None = None,
        bom: bool = False,
    ) -> RenderedReport:
        """Render a report as csv, json, html, md or txt; write nothing.

        Args:
            form: one of these.
            since: where it begins.
            until: where it ends; None for the last run.
            to: the name of a destination of the config, for its filter, language and templates.
            language: instead of the destination's.
            bom: CSV is for Excel; see `write_csv`.

        Raises:
            QuestionError: there is no such destination, or there was no run in that time.
        """
        from pipeline.delivery.content import render_window
        from pipeline.delivery.types import Destination, Files

        destination = self._destination(to) if to else Destination("", Files(self.directory))
        if language:
            destination = replace(destination, language=language)
        if bom:
            destination = replace(destination, bom=True)
        with self._read() as store:
            period = report_window(store, since=self._time(since), until=self._optional_time(until))
            return render_window(store, period, form, destination, self.watch_list)

    def send(self, *, to: str | None = None) -> DeliverySummary:
        """Send the reports that are due, to all destinations or the named one.

        Raises:
            QuestionError: there is no such destination.
        """
        config = self.config
        if to:
            self._destination(to)
        with self._write(config) as store:
            sending = self._enqueue_and_write(store, config, only=to)
        return self._send(sending, config)

    def send_test(self, *, to: str | None = None) -> tuple[Trial, ...]:
        """Send a small sample of made-up changes now, to all destinations of the config or the named one.

        Nothing is recorded; neither schedules nor filters count.

        Raises:
            QuestionError: there is no such destination, or none at all.
        """
        from pipeline.delivery.trial import send_sample
        from pipeline.sync.sample import record_sample

        config = self.config
        destinations = (self._destination(to),) if to else config.destinations
        if not destinations:
            raise QuestionError("the config has no destination: add one, as `[destinations.team]`")
        resolve = secret_resolver(config)
        with Store.open(None) as store:
            window = record_sample(store, self.clock())
            return tuple(
                trial for each in destinations for trial in send_sample(store, window, each, resolve)
            )

    def preview(self, *, to: str | None = None) -> tuple[Preview, ...]:
        """Return what `send` would send now; nothing is sent or written.

        Raises:
            QuestionError: there is no such destination.
        """
        from pipeline.delivery.preview import preview

        config = self.config
        if to:
            self._destination(to)
        with Store.open_copy(config.database) as store:
            return preview(store, destinations_of(config), config.watch, at=self.clock(), only=to)

    def outbox(self, *, include_sent: bool = False) -> list[Delivery]:
        """Return the deliveries that wait or were refused, oldest first; with `include_sent` all of them."""
        with self._read() as store:
            return deliveries(store, *(() if include_sent else ("waiting", "refused")))

    def retry(self, *numbers: int) -> tuple[list[Delivery], DeliverySummary]:
        """Make unsent deliveries due by their numbers, and send what is due; return those that changed.

        Raises:
            QuestionError: a number is unknown, or its report is sent already.
        """
        from pipeline.delivery.outbox import retry
        from pipeline.delivery.send import DeliverySummary

        config = self.config
        with self._write(config) as store:
            changed = retry(store, numbers)
            if not changed:
                return changed, DeliverySummary()
            sending = self._write_due(store, config)
        return changed, self._send(sending, config)

    def drop(self, *numbers: int) -> list[Delivery]:
        """Give up unsent deliveries by their numbers; return those that changed.

        Raises:
            QuestionError: a number is unknown, or its report is sent or dropped already.
        """
        from pipeline.delivery.outbox import drop

        with self._write() as store:
            return drop(store, numbers)

    def mute(self, *, scopes: Globs = (), models: Globs = (), until: str) -> tuple[Mute, ...]:
        """Mute the problems of scopes and the changes of models until a time; return all mutes in force.

        A mute of the same name or glob is replaced.

        Args:
            scopes: names of scopes, and globs of them.
            models: ids of models, and globs of them.
            until: ISO 8601 UTC.

        Raises:
            QuestionError: the time has passed, or a name or glob matches nothing that was ever asked or
                listed.
        """
        at = self.clock()
        if until <= at:
            raise QuestionError(f"{minute(until)} UTC has passed: a mute must end in the future")
        with self._write() as store:
            scope_test(store, tuple(scopes))
            known = model_names(store) if models else ()
            for model in models:
                if not any(matches_pattern(model, name) for name in known):
                    raise QuestionError(unknown_model(store, model))
            with store.transaction():
                add_mutes(store, "scope", scopes, at=at, until=until)
                add_mutes(store, "model", models, at=at, until=until)
            return mutes(store, at).all

    def unmute(self, *, scopes: Globs = (), models: Globs = ()) -> tuple[Mute, ...]:
        """End mutes by their names or globs, as they were written; return those that ended.

        Raises:
            QuestionError: one of them is not muted.
        """
        at = self.clock()
        wanted = {*(("scope", each) for each in scopes), *(("model", each) for each in models)}
        with self._write() as store:
            found = [each for each in mutes(store, at).all if (each.kind, each.pattern) in wanted]
            lacking = wanted - {(each.kind, each.pattern) for each in found}
            if lacking:
                kind, pattern = min(lacking)
                raise QuestionError(f"no {kind} {pattern!r} is muted: `modelwatch mute` lists what is")
            with store.transaction():
                end_mutes(store, found, at=at)
        return tuple(found)

    def mutes(self) -> tuple[Mute, ...]:
        """Return the mutes in force."""
        with self._read() as store:
            return mutes(store, self.clock()).all

    # The history.

    def changes(
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        scopes: Globs = (),
        models: Globs = (),
        kinds: Sequence[str] = (),
    ) -> tuple[Event, ...]:
        """Return the events, oldest first; an event of a watched model may be `urgent`.

        Args:
            since: leave out earlier events.
            until: leave out the events of this time and later.
            scopes: globs of scopes; an event names the matching scopes only.
            models: globs of model ids.
            kinds: `added`, `removed`, `returned`, `changed`, `shape`; none means all.

        Raises:
            QuestionError: a time is no time, `until` is not after `since`, or a glob matches no scope.
        """
        start, end = self._optional_time(since), self._optional_time(until)
        require_order(start, end)
        with self._read() as store:
            require_scopes(store, scopes)
            watch = self.watch_list
            events = mark_urgent(
                find_events(store, time_window(store, since=start, until=end), watch=watch), watch
            )
            groups = scope_groups(store)
        return select_events(events, scopes=scopes, models=models, kinds=kinds, groups=groups)

    def models(
        self,
        *globs: str,
        at: When | None = None,
        scopes: Globs = (),
        owners: Globs = (),
        needs: Needs = NO_NEEDS,
    ) -> list[dict[str, Any]]:
        """Return the models on offer, now or at a moment: one row for each gateway and model.

        A row has gateway, model, owned_by, created, scopes and groups (names), records (the distinct bodies,
        as JSON text), and facts (of each record: what is known, its `more_prices` and its `scopes`).

        Raises:
            QuestionError: `at` is no time or before the history, or a glob matches no scope.
        """
        with self._read() as store:
            only = scope_test(store, scopes)
            moment = Moment(at=None if at is None else require_history(store, self._time(at)))
            rows = catalog(store, only, moment, needs)
        return [
            row for row in rows if matches(row["model"], globs) and matches(row["owned_by"] or "", owners)
        ]

    def scopes(self, *, exceptional: bool = False) -> tuple[Coverage, ...]:
        """Return every scope, by name, with its number of models and its state.

        With `exceptional`, only those that are held, failing or new, or have pending removals.
        """
        with self._read() as store:
            return exceptional_coverage(store) if exceptional else coverage(store)

    @contextmanager
    def each_scope(self) -> Iterator[Iterator[Coverage]]:
        """Yield what `scopes` returns one by one: for many scopes."""
        with self._read() as store:
            yield stream_coverage(store)

    def scope_counts(self) -> tuple[ScopeCounts, ...]:
        """Return the number of scopes in each state, by gateway."""
        with self._read() as store:
            return count_scopes_now(store)

    def groups(self) -> tuple[UserGroup, ...]:
        """Return the groups of all users whose scopes list them, by user and group."""
        with self._read() as store:
            return user_groups(store)

    def last_run(self) -> Run | None:
        """Return the last run; None before the first."""
        with self._read() as store:
            return find_run(store)

    def status(self) -> Status:
        """Return the last run, the scopes in trouble, and the number of undelivered reports."""
        with self._read() as store:
            return find_status(store, lambda: self.watch_list, at=self.clock())

    def show(self, model: str, *, scopes: Globs = (), unlisted: bool = False) -> list[ModelDetails]:
        """Return the details of a model, one value for each gateway.

        Args:
            model: the id, as the gateway writes it.
            scopes: globs of scopes.
            unlisted: allow a model that no scope was ever offered.

        Raises:
            QuestionError: no scope was ever offered the model, or a glob matches no scope.
        """
        with self._read() as store:
            found = model_details(store, model, scope_test(store, scopes), unlisted=unlisted)
            if not found:
                raise QuestionError(unknown_model(store, model))
            return found

    def lookup(
        self, model: str, *, scopes: Globs = (), on_answer: Callable[[], None] = lambda: None
    ) -> dict[str, LookupResult]:
        """Request a model at its own address, as each scope of the config; return the results by scope.

        Gateways without addresses of single models are not asked; those that never listed the model are.

        Args:
            model: the id, as the gateway writes it.
            scopes: globs of scopes.
            on_answer: called after each answer or failure.

        Raises:
            QuestionError: a glob matches no scope.
        """
        from pipeline.gateways.lookup import lookup

        config = self._config_for(scopes)
        resolver = _run_resolver(config)
        details = self.show(model, scopes=scopes, unlisted=True)
        offered = {offer.coverage.scope.partition("/")[0] for at in details for offer in at.scopes}
        asked = [*config.scopes]
        for key_list in config.key_lists:
            if key_list.gateway.name in offered:
                asked += _of_list(config, key_list, scopes, resolver)
        with self._read() as store:
            wanted = list(lookups(asked, scope_states(store), details))
        return _in_event_loop(lambda: lookup(wanted, client_factory(config, asked, resolver), on_answer))

    def history(self, model: str, *, scopes: Globs = (), at_most: int | None = None) -> tuple[Timeline, ...]:
        """Return the timelines of a model, or of the models that a glob matches.

        Scopes with equal timelines share one.

        Args:
            model: an id, or a glob of ids.
            scopes: globs of scopes.
            at_most: refuse a glob that matches more models.

        Raises:
            QuestionError: no scope was ever offered such a model, or a glob matches no scope.
        """
        with self._read() as store:
            return find_timelines(store, model, scopes=scopes, at_most=at_most)

    def diff(self, before: When, after: When = "now") -> Comparison:
        """Compare the models on offer at two moments, or of two scopes.

        Each side is a moment, or a text as `modelwatch diff` takes it: `now`, `#123` (a snapshot),
        `aihubmix/prod`, a gateway, a glob of scopes, `aihubmix/prod@2026-05-01`.

        Raises:
            QuestionError: a side is none of these, or the two cannot be compared.
        """
        now = self._now()
        with self._read() as store:
            return compare(store, *(parse_side(store, side, now) for side in (before, after)))

    def matrix(self, *scopes: str, gateway: str | None = None) -> list[Matrix]:
        """Return, for each gateway, its models and the scopes that are offered each of them now.

        Raises:
            QuestionError: there is no such gateway, or a glob matches no scope.
        """
        with self._read() as store:
            return matrices(store, listing_test(store, scopes, gateway))

    def same(self, *scopes: str, gateway: str | None = None) -> list[EqualScopes]:
        """Return the sets of scopes with equal lists.

        Raises:
            QuestionError: there is no such gateway, or a glob matches no scope.
        """
        with self._read() as store:
            return equal_scopes(store, listing_test(store, scopes, gateway))

    def deprecations(self, *, days: int = SHUTDOWN_DAYS) -> Deprecations:
        """Return the shutdowns announced for the next `days` days, and the recent removals without notice."""
        with self._read() as store:
            return find_deprecations(store, now=self._now(), days=days)

    def watch(
        self, *models: str, scopes: Globs = (), since: When = "7d", days: int = SHUTDOWN_DAYS
    ) -> WatchReport:
        """Check the watched models: missing, retiring, repriced or OK.

        Args:
            models: ids and globs; none means those of the config.
            scopes: globs of the scopes that matter; none means those of the config.
            since: report prices that changed after this time.
            days: a shutdown at most this many days away is urgent.

        Raises:
            QuestionError: no models are watched, or a glob matches no scope.
        """
        configured = self.watch_list
        watched = Watch(
            models or configured.models, tuple(scopes) or configured.scopes, configured.thresholds
        )
        if not watched.models:
            config = self.config_path or "the config"
            raise QuestionError(
                f"nothing is watched: name models, or write `[watch]` and `models = [...]` into {config}"
            )
        with self._read() as store:
            require_scopes(store, scopes)
            return check_watched(
                store,
                watched,
                since=self._time(since),
                today=self._now().date(),
                days=days,
            )

    def probe(
        self,
        gateway: str,
        *,
        scope: str | None = None,
        times: int = 3,
        on_answer: Callable[[], None] = lambda: None,
    ) -> ScopeProbe:
        """Request a gateway's list several times in a row and compare the answers; write nothing.

        Args:
            gateway: its name in the config.
            scope: the scope to ask as, with or without its gateway; None for the gateway's first.
            times: the number of requests.
            on_answer: called after each answer or failure.

        Raises:
            QuestionError: the config has no such gateway or scope.
        """
        from pipeline.gateways.probe import probe_scope, probed_scope

        name = scope if scope is None or "/" in scope else f"{gateway}/{scope}"
        config = self._config_for(() if name is None else (name,))
        resolver = _run_resolver(config)
        own = [each for each in config.scopes if each.gateway.name == gateway and name in (None, each.name)]
        lists = [each for each in config.key_lists if each.gateway.name == gateway and not own]
        listed = [scope for each in lists for scope in _of_list(config, each, (), resolver)]
        if not own and name:
            config = self.config  # the error names what there is
        asked = (*config.scopes, *listed)
        probed = probed_scope(asked, gateway, scope)
        make_client = client_factory(config, asked, resolver)
        return _in_event_loop(lambda: probe_scope(probed, times, make_client, on_answer))

    # Maintenance.

    def verify(self) -> Iterator[Check]:
        """Check the database against itself; yield each check with its problems when it is done."""
        from pipeline import maintenance

        with self._read() as store:
            yield from maintenance.verify(store, self._dialects())

    def rebuild(self) -> RebuildTotals:
        """Derive changes, facts, permissions and pointers again from the answers; return the corrections."""
        from pipeline import maintenance

        with self._write() as store:
            return maintenance.rebuild(store, self._dialects())

    def prune(self, *, keep: timedelta, dry_run: bool = False, vacuum: bool = True) -> PruneResult:
        """Drop history older than `keep`; reports on the time since stay the same.

        Args:
            keep: the age, at the time of the newest run.
            dry_run: count what would be dropped; write nothing.
            vacuum: return the freed space to the disk.

        Raises:
            StoreError: the clock is far ahead of the runs.
        """
        from pipeline import maintenance

        with self.explained(), Store.open_copy(self.database) if dry_run else self._write() as store:
            vacuum = vacuum and not dry_run
            bound = maintenance.prune_bound(store, keep, self.clock())
            return maintenance.prune(store, self._dialects(), bound=bound, vacuum=vacuum)

    def backup(self, file: Path | str, *, overwrite: bool = False) -> int:
        """Write a consistent copy of the database, also during a run; return its size in bytes."""
        return write_backup(self.database, Path(file), overwrite=overwrite, share=self.share)

    def merge(self, other: Path | str, site: str, *, report: bool = False) -> Merge:
        """Let what the database of another site recorded since the last merge join the history.

        The names of its scopes begin with that of the site: `tokyo:aihubmix/prod`. Nothing is written where
        all of it is known already, and never to the other database.

        Args:
            other: the other database, or a backup of it; it may be in use.
            site: the name of the site.
            report: what joins is news for the destinations of the config, and what is due is sent; otherwise
                it is history only.

        Raises:
            QuestionError: `site` is not a valid name.
            StoreError: the other database cannot be used, or does not continue what was merged of the site.
        """
        from pipeline import maintenance

        maintenance.require_site_name(site)
        config = self.config if report else None
        database, dialects, other = self.database, self._dialects(), Path(other)
        with self.explained(), working_copy(other, database, share=self.share) as copy:
            theirs = maintenance.OtherDatabase(other, copy)
            if os.access(database, os.F_OK):
                with Store.read(database, allow_old=True, allow_empty=True) as store:
                    known = maintenance.merged_already(store, theirs, site)
                if known:
                    return Merge(known)
            with self._write(config, must_exist=False) as store:
                merged = maintenance.merge(store, theirs, site, dialects, at=self.clock(), report=report)
                sending = self._enqueue_and_write(store, config) if config else None
        return Merge(merged, self._send(sending, config) if config and sending else None)

    def sites(self) -> tuple[SiteState, ...]:
        """Return the sites whose databases were merged, by name."""
        with self._read() as store:
            return site_states(store)

    def scope_names(self, *globs: str) -> list[str]:
        """Return the names of the scopes in the history that match one of some globs.

        Raises:
            QuestionError: there is no glob, or one matches no scope.
        """
        with Store.read(self.database, allow_old=True) as store:
            return selected_scopes(store, globs)

    def names(self) -> Names:
        """Return the names that the config and the history have, to complete a text with; writes nothing.

        What cannot be read has no names.
        """
        config, models, scopes = None, list[str](), dict[str, str]()
        with suppress(PipelineError):
            config = self.optional_config
        with suppress(PipelineError), Store.glance(self.database) as store, store_errors(self.database):
            scopes = scope_gateways(store)
            models = model_names(store)
        for scope in config.scopes if config else ():
            scopes[scope.name] = scope.gateway.name
        gateways = {each.name for each in config.gateways} if config else set()
        return Names(
            models=models,
            scopes=sorted(scopes),
            gateways=sorted(gateways.union(scopes.values())),
            destinations=sorted((REPORTS, *(each.name for each in config.destinations)) if config else ()),
        )

    def forget(self, *scopes: str) -> dict[str, int]:
        """Drop the scopes that match one of some globs, and all that only they needed; return rows by table.

        Raises:
            QuestionError: there is no glob, or one matches no scope.
        """
        from pipeline import maintenance

        with self._write() as store:
            return dict(maintenance.forget(store, selected_scopes(store, scopes), self._dialects()))

    def rename(self, old: str, new: str) -> list[tuple[str, str]]:
        """Rename a scope, or a gateway with all its scopes; return each scope's old and new name.

        Raises:
            QuestionError: `old` is unknown, or `new` is taken, is no name, or is of another gateway.
        """
        from pipeline import maintenance

        with self._write() as store:
            return maintenance.rename(store, old, new)

    # The browser.

    def datasette_config(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """Return the configuration with which Datasette shows the database.

        Args:
            names: the host names that the server answers to, beside those of this machine and addresses.
        """
        from pipeline.browse.datasette import configuration

        with self._read() as store:
            return configuration(store, self.database.stem, self.watch_list.models, names)

    def is_immutable(self) -> bool:
        """Return whether the database can only be read as a file that nobody changes."""
        with self._read() as store:
            return store.is_immutable

    def write_datasette_config(
        self, file: Path | None = None, names: Sequence[str] = (), *, overwrite: bool = False
    ) -> Path:
        """Write that configuration, all or nothing, into a file or beside the database; return its path."""
        from pipeline.browse.datasette import check_path
        from pipeline.core.canonical import pretty

        content = pretty(self.datasette_config(names)).encode()
        check_path(self.database.absolute())
        file = file or self.database.with_name("datasette.yaml")
        with store_errors(file):
            if file.exists() and not overwrite:
                raise StoreError("exists: name another file, or add --force", path=file)
            clear_drafts(file.absolute().parent)
            atomic_write(file.absolute(), content, share=self.share)
        return file

    def publish(self, directory: Path | str, names: Sequence[str] = ()) -> int:
        """Write a copy of the database without what is private, ready to serve; return its size in bytes.

        Args:
            directory: it is replaced where it has an earlier publication.
            names: the only host names that a server of it answers to, beside addresses; none for any.
        """
        from pipeline.browse.publish import publish

        return publish(self.database, Path(directory), names)

    def export_parquet(self, directory: Path | str) -> Export:
        """Write the history as Parquet files by table and month, or those that changed since the last export.

        Args:
            directory: a new or empty one, or that of an earlier export.

        Raises:
            MissingPart: pyarrow is not installed.
            StoreError: the directory has other files, or it cannot be written.
        """
        from pipeline.lake import write_dataset

        with self._read() as store:
            return write_dataset(store, Path(directory), self.share)

    def _now(self) -> datetime:
        return datetime.fromisoformat(self.clock())

    def _time(self, when: When) -> str:
        return parse_time(when, self._now())

    def _optional_time(self, when: When | None) -> str | None:
        return None if when is None else self._time(when)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Translate any unexpected error in the block to a `StoreError`, if the database is damaged.

        A damaged value may raise any error where it is used, so the database is verified then. An error that
        comes from a sound database is a fault of the program and stays as it is.
        """
        try:
            yield
        except PipelineError:
            raise
        except Exception as error:
            damage = self._damage()
            if damage is None:
                raise
            raise damage from error

    def _damage(self) -> StoreError | None:
        from pipeline.maintenance.damage import find_damage

        try:
            path = self.database
            return find_damage(path, self._dialects()) if path.is_file() else None
        except (PipelineError, OSError):
            return None

    @contextmanager
    def _read(self) -> Iterator[Store]:
        """Open the database to read."""
        with self.explained(), Store.read(self.database) as store:
            yield store

    @contextmanager
    def _write(
        self, config: Config | None = None, *, must_exist: bool = True, new: bool = False
    ) -> Iterator[Store]:
        """Open the database to write, under its lock; `config` saves reading it again."""
        path = config.database if config else self.database
        share = config.share if config else self.share
        with self.explained():
            if not self.holds_lock:
                with writing(path, since=self.clock(), must_exist=must_exist, new=new, share=share) as store:
                    yield store
                return
            with Store.open(path, share=share) as store:
                yield store
                store.checkpoint()

    def _derive_again(self, store: Store, config: Config) -> None:
        """Derive classes and facts again if the rules of the program or the config have changed.

        Without this, the next run would report the change of rules as changes at the gateways.
        """
        rules = rules_of(config.gateways)
        if recorded_rules(store) == rules:
            return
        if history_start(store):
            from pipeline import maintenance

            maintenance.rebuild(store, maintenance.dialects_of(config.gateways, config.scopes))
        record_rules(store, rules)

    def _enqueue_and_write(self, store: Store, config: Config, only: str | None = None) -> Sending:
        """Enqueue the reports that are due, and write those for directories; `_send` sends the others."""
        from pipeline.delivery.outbox import enqueue

        with store.transaction():
            enqueue(store, destinations_of(config), config.watch, at=self.clock())
        return self._write_due(store, config, only=only)

    def _write_due(self, store: Store, config: Config, only: str | None = None) -> Sending:
        """Write the reports that are due into directories, under the lock of the database."""
        from pipeline.delivery.send import Sending

        found = Sending(destinations_of(config), config.watch, self.clock, secret_resolver(config), only=only)
        found.write(store)
        return found

    def _remove_old_reports(self, store: Store, config: Config, *, at: str) -> list[str]:
        """Remove the reports that are older than `keep_reports`; return what failed."""
        from pipeline.delivery.retention import remove_old_reports

        def bound() -> str:
            from pipeline.maintenance import prune_bound

            return prune_bound(store, timedelta(seconds=config.keep_reports), at)

        return remove_old_reports(
            store, destinations_of(config), keep=config.keep_reports, at=at, bound=bound
        )

    def _send(self, sending: Sending, config: Config) -> DeliverySummary:
        """Send the reports that are due to the other destinations; no lock is held meanwhile."""
        with open_to_send(config.database) as store:
            return sending.send(store)

    def _destination(self, name: str) -> Destination:
        known = {each.name: each for each in destinations_of(self.config)}
        if name not in known:
            raise QuestionError(
                f"no destination is named {quoted(name)}: {choices(name, known, none='there is none')}"
            )
        return known[name]

    def _dialects(self) -> DialectsOf:
        """Return what finds the dialects in which a listing may have been read."""
        from pipeline import maintenance

        config = self.optional_config
        return maintenance.dialects_of(*((config.gateways, config.scopes) if config else ((),)))


def home(place: Path | str = "data", *, config: Path | str | None = None, clock: Clock = now) -> Home:
    """Return a home, by its directory, or a database alone, by its file.

    Args:
        place: a directory with `modelwatch.toml` and what it names; or a database file.
        config: another config file, which must exist before it is used.
        clock: returns the time now, as text in ISO 8601 UTC.
    """
    path = Path(place)
    config_path = None if config is None else Path(config)
    if os.access(path, os.F_OK) and path.is_file():
        return Home(path.parent, config_path, path, clock, config_required=config is not None)
    default = path / "modelwatch.toml"
    return Home(path, config_path or default, clock=clock, config_required=config is not None)


def secret_resolver(config: Config) -> Resolve:
    """Return the function that resolves a config's references to secrets."""
    return resolver(config.path.parent)


def _exposed_files(config: Config, references: Iterable[str]) -> Iterator[str]:
    """Yield a line for the config, and for each file of a secret, that other users may read or write."""
    files = {secret_file(each, config.path.parent) for each in references if each.startswith("file:")}
    # The words of a command may be secret; anything else in the config is not.
    has_words = any(each.startswith("command:") for each in references)
    for path, is_secret in [(config.path, has_words), *((file, True) for file in sorted(files))]:
        others = exposure(path, is_secret=is_secret)
        if others:
            yield f"{path}: {others}"


def _references(value: object) -> Iterator[str]:
    """Yield the references to secrets in values of a config."""
    if is_reference(value):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _references(each)
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _references(getattr(value, name))


def _run_resolver(config: Config) -> Resolver:
    """Return the function that resolves references while gateways are asked; it reads a list of keys once."""
    # The event loop ends when its threads do, so that the commands in them must not outlast the run.
    return resolver(config.path.parent, timeout=min(COMMAND_TIMEOUT, config.deadline))


def _peers(config: Config, asked: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """Return the scopes that are asked, and all others that the config was read for.

    A gateway may send the secret of one in an answer to another.
    """
    return tuple({each.name: each for each in (*config.scopes, *asked)}.values())


def _of_list(
    config: Config,
    key_list: KeyList,
    globs: Globs,
    resolver: Resolver,
    store: Store | None = None,
    shard: Shard | None = None,
) -> list[Scope]:
    """Return the scopes of a list of keys that match a glob and are in a shard; see `Home._asked`."""
    from pipeline.sync.listed import listed_scopes

    name, wanted = key_list.gateway.name, NameTest(globs)
    if wanted.names_of(name) == frozenset():
        return []
    others = [scope for scope in config.scopes if scope.gateway.name == name]
    known = asked_keys(store, name) if store else {}
    for other in others:
        known.pop(other.name, None)
    where = f"{config.path}: gateways.{name}.keys"
    table = None
    try:
        table = resolver.keys(key_list.reference)
    except Unresolved as error:
        if not known:
            raise ConfigError(error.message, where=where) from None

    def is_wanted(scope: str) -> bool:
        return scope in wanted and (shard is None or scope in shard)

    found = list(listed_scopes(key_list, table, known, is_wanted))
    clash = next(configs.name_clashes((*others, *found)), None)
    if clash:
        raise ConfigError(clash, where=where)
    return found


def client_factory(config: Config, scopes: Iterable[Scope], resolve: Resolve) -> Callable[[], GatewayClient]:
    """Return the function that makes a client with a config's settings, inside the event loop.

    Args:
        config: the config.
        scopes: those whose secrets are masked in the answers of their gateway; see `_peers`.
        resolve: resolves their references.
    """
    from pipeline.gateways.client import GatewayClient

    return lambda: GatewayClient(
        resolve,
        user_agent=f"modelwatch/{__version__}",
        deadline=config.deadline,
        scopes=scopes,
    )


def _fetch(config: Config, peers: tuple[Scope, ...]) -> Fetch | None:
    """Return what lets the workers of a config's engine fetch; None for this process; see `_peers`."""
    if config.engine.kind == "local":
        return None
    from pipeline.sync.fleet import Fleet, fetch_by_workers

    fleet = Fleet(config.engine, config.path.parent, config.deadline, peers)
    return lambda scopes, cache, on_result: fetch_by_workers(scopes, cache, fleet, on_result)


def _unready(destinations: Iterable[Destination], resolve: Resolve) -> dict[str, list[str]]:
    """Return what destinations lack, or why their servers cannot be reached, by name; side by side."""
    from concurrent.futures import ThreadPoolExecutor

    from pipeline.delivery.channels import missing, reach

    def problems(destination: Destination) -> list[str]:
        lacking = missing(destination.channel, resolve)
        if lacking:
            return lacking
        reason = reach(destination.channel, resolve)
        return [reason] if reason else []

    destinations = tuple(destinations)
    with ThreadPoolExecutor(max(1, min(len(destinations), _CHECKS_AT_ONCE))) as threads:
        found = threads.map(problems, destinations)
        return {each.name: lines for each, lines in zip(destinations, found, strict=True) if lines}


_CHECKS_AT_ONCE = 8
"""The destinations that `check` tries at the same time."""


def destinations_of(config: Config) -> tuple[Destination, ...]:
    """Return the destinations of a config, and its reports directory."""
    from pipeline.delivery.send import all_destinations

    return all_destinations(config.reports, config.destinations, config.share)


def run_monitor(config: Config, *, dry_run: bool = False) -> AbstractContextManager[Monitor]:
    """Return what pings and writes metrics for one run of a config; a dry run does neither."""
    from pipeline.delivery import monitoring

    return monitoring.run_monitor(
        ping=None if dry_run else config.ping,
        metrics=None if dry_run else config.metrics,
        database=config.database,
        resolve=secret_resolver(config),
    )


def _in_event_loop(work: Callable[[], _T]) -> _T:
    """Call a function that starts an event loop, also where one is running, as in a notebook."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1, "modelwatch") as thread:
        return thread.submit(work).result()
