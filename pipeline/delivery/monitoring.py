"""Monitoring of a run: pings when it starts and ends, and the metrics file when it is over."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.text import printable
from pipeline.core.times import minute
from pipeline.core.types import Kind, Resolve
from pipeline.delivery.types import PING_TIMEOUT, MonitoringFailure, Ping, RunHealth
from pipeline.errors import Locked, PipelineError, QuestionError, StoreError
from pipeline.reports.console import report_lines
from pipeline.reports.report import build_report
from pipeline.reports.types import Report
from pipeline.store import Store
from pipeline.store.coverage import count_failures, count_scopes_now, coverage
from pipeline.store.outbox import unsent
from pipeline.store.runs import find_run, last_success
from pipeline.store.windows import Window

if TYPE_CHECKING:
    from pipeline.delivery.pings import Pings

_LOG = logging.getLogger("modelwatch")

_USAGE, _INTERRUPTED = 2, 130

MOST_SCOPES = 1000
"""So many scopes have metrics of their own: a monitoring keeps each series in memory."""


@contextmanager
def run_monitor(
    *, ping: Ping | None, metrics: Path | None, database: Path, resolve: Resolve
) -> Iterator[Monitor]:
    """Monitor the run in the block; an exception passes through.

    Args:
        ping: the check to ping.
        metrics: the file to write the metrics to.
        database: the file that the metrics are read from.
        resolve: resolves the reference to the check's URL.
    """
    monitor = Monitor(ping, metrics, database, resolve)
    monitor.start()
    try:
        yield monitor
    except BaseException as error:
        monitor.fail(error)
        raise
    monitor.end()


class Monitor:
    """The pings and metrics of one run; raises nothing, and waits at most for the timeout of a ping.

    It is `active` if a ping or a metrics file is configured; otherwise it does nothing.
    """

    def __init__(self, ping: Ping | None, metrics: Path | None, database: Path, resolve: Resolve) -> None:
        self.active = bool(ping or metrics)
        self._pings = _pings(ping, resolve) if ping else None
        self._timeout = ping.timeout if ping else PING_TIMEOUT
        self._database = database
        self._metrics = metrics
        self._exit_status = 0
        self._report: Report | None = None
        self._failures: Sequence[str] = ()

    def start(self) -> None:
        """Ping that the run starts; returns at once."""
        if self._pings:
            self._pings.start()

    def finish(self, exit_status: int, report: Report, failures: Sequence[str] = ()) -> None:
        """Set the result of the run, which `end` reports; `failures` are the lines on failed deliveries."""
        self._exit_status, self._report, self._failures = exit_status, report, failures

    def end(self) -> None:
        """Report that the run ended, with the result that `finish` set."""
        if not self.active:
            return
        lines = [f"the run exited with {self._exit_status}"]
        if self._report:
            lines = [f"{lines[0]}, {minute(self._report.run.started_at)} UTC", *report_lines(self._report)]
        lines += map(printable, self._failures)
        self._end(self._exit_status, "\n".join(lines), self._metrics, _log_failure)

    def fail(self, error: BaseException) -> None:
        """Report that the run ended with an error."""
        exit_status = _exit_status(error)
        # The text of a foreign exception may hold secrets.
        message = error.message if isinstance(error, PipelineError) else type(error).__name__
        lines = (f"the run exited with {exit_status}", *map(printable, message.splitlines()))
        # If another run holds the lock, that run writes the metrics.
        metrics = None if isinstance(error, Locked) else self._metrics
        self._end(exit_status, "\n".join(lines), metrics, _log_failure)

    def interrupt(self, exit_status: int) -> None:
        """Report that the run is being stopped, from within a signal handler.

        The work is done in another thread: the interrupted code may hold locks that are needed here.
        """
        arguments = (exit_status, f"the run was stopped: {exit_status}", self._metrics, _ignore)
        thread = threading.Thread(target=self._end, args=arguments, kwargs={"retry": False}, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # no thread can be started, and the run must stop
        thread.join(self._timeout)

    def _end(
        self,
        exit_status: int,
        summary: str,
        metrics: Path | None,
        on_failure: Callable[[MonitoringFailure], None],
        *,
        retry: bool = True,
    ) -> None:
        try:
            if metrics:
                self._write(metrics, exit_status, on_failure)
            failure = self._pings.end(exit_status, summary, retry=retry) if self._pings else None
        except KeyboardInterrupt:
            return  # the run is done: only the wait for its ping ends
        if failure:
            on_failure(failure)

    def _write(self, path: Path, exit_status: int, on_failure: Callable[[MonitoringFailure], None]) -> None:
        from pipeline.delivery.prometheus import metrics_text, write_metrics

        def failed(why: str, *, permanent: bool) -> None:
            text = f"{path}: the metrics cannot be written: {why}"
            on_failure(MonitoringFailure(text, permanent))

        try:
            with Store.read(self._database) as store:
                content = metrics_text(run_health(store, exit_status, self._report))
            write_metrics(path, content)
        except OSError as error:
            cure = "create its directory, and let the job's user write to it"
            failed(f"{error.strerror}: {cure}", permanent=True)
        except StoreError as error:
            # Temporary: the run has reported it already, or another run holds the file.
            failed(error.message, permanent=False)
        except Exception as error:  # noqa: BLE001 - a defect here must not change how a run ends
            failed(f"{type(error).__name__}: {error}", permanent=True)


def _pings(ping: Ping, resolve: Resolve) -> Pings:
    from pipeline.delivery.pings import Pings

    return Pings(ping, resolve)


def run_health(store: Store, exit_status: int, report: Report | None = None) -> RunHealth:
    """Return the state of the job.

    Args:
        store: an open database.
        exit_status: that of the run that just ended.
        report: the report of that run; None to build it from the database.
    """
    newest = find_run(store)
    run = None if newest and newest.status == "imported" else newest
    if run and (report is None or report.run.snapshot != run.snapshot):
        report = build_report(store, Window(run.snapshot - 1, run.snapshot))
    scopes = count_scopes_now(store)
    return RunHealth(
        exit_status=exit_status,
        run=run,
        last_success=last_success(store),
        changes=report.totals if run and report else dict.fromkeys(map(str, Kind), 0),
        coverage=coverage(store) if sum(each.asked for each in scopes) <= MOST_SCOPES else None,
        scopes=scopes,
        failures=count_failures(store),
        unsent=sum(unsent(store).values()),
    )


def _exit_status(error: BaseException) -> int:
    """Return the exit status of the command; click's errors have the attribute `exit_code` too."""
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(error, QuestionError):
        return _USAGE  # the command shows it as a usage error
    status = getattr(error, "exit_code", None)
    return status if isinstance(status, int) else PipelineError.exit_code


def _log_failure(failure: MonitoringFailure) -> None:
    """Log a failure: a permanent one as a warning, a temporary one as a warning only on a terminal.

    The check itself raises an alarm after a temporary failure, but not if it was never pinged.
    """
    shown = failure.permanent or sys.stderr.isatty()
    _LOG.log(logging.WARNING if shown else logging.INFO, "%s", failure.message)


def _ignore(_failure: MonitoringFailure) -> None:
    """Do nothing: a signal handler must not log."""
