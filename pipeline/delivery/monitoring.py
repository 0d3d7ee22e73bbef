"""Signs of life round a run, for the command and for Python; nothing is loaded where none are wanted.

Give signs of life round a run: pings when it begins and ends, and the metrics' file when it is over.

Say how the job stands after a run, from what is recorded.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pipeline.core.text import printable
from pipeline.core.times import minute
from pipeline.core.types import Kind, Resolve
from pipeline.delivery.types import PATIENCE, MonitoringFailure, Ping, RunHealth
from pipeline.errors import Locked, PipelineError, StoreError
from pipeline.history.runs import coverage, find_run, unsent
from pipeline.reports.console import report_lines
from pipeline.reports.report import Report, build_report
from pipeline.store import Store
from pipeline.store.changes import Window

_LOG = logging.getLogger("modelwatch")


class Monitor(Protocol):
    """Is told how a run went."""

    def over(self, exit_status: int, told: Report) -> None:
        """Say how the run went."""

    def cut(self, exit_status: int) -> None:
        """Say that the run is being stopped; may be called by the handler of a signal."""


class _NoMonitor:
    def over(self, exit_status: int, told: Report) -> None:
        """Nobody wants to know."""

    def cut(self, exit_status: int) -> None:
        """Nobody wants to know."""


@contextmanager
def run_monitor(
    *, ping: Ping | None, metrics: Path | None, database: Path, resolve: Resolve
) -> Iterator[Monitor]:
    """Give signs of life while the block runs and when it ends; none where nothing is configured."""
    if not (ping or metrics):
        yield _NoMonitor()
        return
    with monitored(RunMonitor(ping, metrics, database, resolve, _tell)) as signals:
        yield signals


def _tell(failure: MonitoringFailure) -> None:
    """Say that a sign could not be given.

    A ping that did not arrive is told by whoever waits for it, so cron need not mail it too. But what never
    can arrive is told always, for a check that was never pinged stays silent.
    """
    told = failure.lasting or sys.stderr.isatty()
    _LOG.log(logging.WARNING if told else logging.INFO, "%s", failure.message)


def run_health(store: Store, exit_status: int, told: Report | None = None) -> RunHealth:
    """Give how the job stands.

    Args:
        store: an open database.
        exit_status: what the run that is over leaves with.
        told: the report of that run; without one its changes are read from the database.
    """
    newest = find_run(store)
    run = None if newest and newest.status == "imported" else newest
    if run and (told is None or told.run.snapshot != run.snapshot):
        told = build_report(store, Window(run.snapshot - 1, run.snapshot))
    return RunHealth(
        exit_status=exit_status,
        run=run,
        last_success=_last_success(store),
        changes=told.totals if run and told else dict.fromkeys(map(str, Kind), 0),
        coverage=coverage(store),
        unsent=sum(unsent(store).values()),
    )


def _last_success(store: Store) -> str | None:
    # An accepted hold asked nobody, and an import heard nobody.
    rows = store.rows(
        "select finished_at from snapshots where scopes > 0 and status = 'done' and failed = 0 and held = 0"
        " order by id desc limit 1"
    )
    return rows[0]["finished_at"] if rows else None


Tell = Callable[[MonitoringFailure], None]
"""Is told of a sign that could not be given."""


_INTERRUPTED = 130


@contextmanager
def monitored(signals: RunMonitor) -> Iterator[RunMonitor]:
    """Say that a run begins, and, however the block ends, how it ended; an error goes on as it came."""
    signals.begin()
    try:
        yield signals
    except BaseException as error:
        signals.failed(error)
        raise
    signals.end()


class RunMonitor:
    """The signs of one run. Nothing here raises, and nothing takes longer than the pings' time-out."""

    def __init__(
        self, ping: Ping | None, metrics: Path | None, database: Path, resolve: Resolve, tell: Tell
    ) -> None:
        from pipeline.delivery.pings import Pings

        self._pings = Pings(ping, resolve) if ping else None
        self._patience = ping.timeout if ping else PATIENCE
        self._database = database
        self._metrics = metrics
        self._tell = tell
        self._exit_status = 0
        self._told: Report | None = None

    def begin(self) -> None:
        """Say that the run begins; does not wait."""
        if self._pings:
            self._pings.start()

    def over(self, exit_status: int, told: Report) -> None:
        """Remember how the run went; it is said when it has ended."""
        self._exit_status, self._told = exit_status, told

    def end(self) -> None:
        """Say that the run ended as it was told to have gone."""
        words = [f"the run ended with {self._exit_status}"]
        if self._told:
            words = [f"{words[0]}, {minute(self._told.run.started_at)} UTC", *report_lines(self._told)]
        self._end(self._exit_status, "\n".join(words), self._metrics, self._tell)

    def failed(self, error: BaseException) -> None:
        """Say that the run ended with an error."""
        status = _exit_status(error)
        # What others say of themselves may hold anything.
        message = error.message if isinstance(error, PipelineError) else type(error).__name__
        what = map(printable, message.splitlines())
        # The run that holds the lock writes the file.
        metrics = None if isinstance(error, Locked) else self._metrics
        self._end(status, "\n".join((f"the run ended with {status}", *what)), metrics, self._tell)

    def cut(self, exit_status: int) -> None:
        """Say that the run is told to stop, from within the handler of a signal.

        All of it is done beside: what was interrupted may hold what it would wait for.
        """
        words = f"the run was stopped: {exit_status}"
        arguments = (exit_status, words, self._metrics, _to_nobody)
        thread = threading.Thread(target=self._end, args=arguments, kwargs={"again": False}, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # No room for a thread: the run is to stop, and nobody can be told.
            return
        thread.join(self._patience)

    def _end(
        self, exit_status: int, words: str, metrics: Path | None, tell: Tell, *, again: bool = True
    ) -> None:
        try:
            if metrics:
                self._write(metrics, exit_status, tell)
            failure = self._pings.end(exit_status, words, again=again) if self._pings else None
        except KeyboardInterrupt:
            # What the run did is done: whoever does not want to wait for its ping need not.
            return
        if failure:
            tell(failure)

    def _write(self, file: Path, exit_status: int, tell: Tell) -> None:
        from pipeline.delivery.prometheus import metrics_text, write_metrics

        try:
            with Store.read(self._database) as store:
                content = metrics_text(run_health(store, exit_status, self._told))
            write_metrics(file, content)
        except OSError as error:
            cure = "see that its directory is there, and that the job's user may write to it"
            tell(_unwritten(file, f"{error.strerror}: {cure}", lasting=True))
        except StoreError as error:
            # The run has said so itself, or it is another's doing.
            tell(_unwritten(file, error.message, lasting=False))
        except Exception as error:  # noqa: BLE001 - no mistake of ours may change how a run ends
            tell(_unwritten(file, f"{type(error).__name__}: {error}", lasting=True))


def _exit_status(error: BaseException) -> int:
    """Give what the command leaves with; click's errors say it as ours do."""
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    status = getattr(error, "exit_code", None)
    return status if isinstance(status, int) else 1


def _unwritten(file: Path, why: str, *, lasting: bool) -> MonitoringFailure:
    return MonitoringFailure(f"{file}: the metrics cannot be written: {why}", lasting)


def _to_nobody(_failure: MonitoringFailure) -> None:
    """In the handler of a signal nothing can be said."""
