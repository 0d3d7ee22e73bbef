"""Give signs of life round a run: pings when it begins and ends, and the metrics' file when it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import Config
from pipeline.errors import Locked, PipelineError, StoreError
from pipeline.reports import Report
from pipeline.reports.as_text import minute, report_lines
from pipeline.reports.display import shown
from pipeline.signals import prometheus
from pipeline.signals.pings import Pings
from pipeline.signs import PATIENCE, Failure
from pipeline.store import Store
from pipeline.types import Resolve
from pipeline.vitals import vitals

Tell = Callable[[Failure], None]
"""Is told of a sign that could not be given."""

_INTERRUPTED = 130


@contextmanager
def signalling(config: Config, resolve: Resolve, tell: Tell) -> Iterator[Signals]:
    """Say that a run begins, and, however the block ends, how it ended; an error goes on as it came.

    Args:
        config: says where to ping, and what file to write.
        resolve: gives the secret that a reference leads to.
        tell: is told what went wrong, a line for the ping and one for the file at most.
    """
    signals = Signals(config, resolve, tell)
    signals.begin()
    try:
        yield signals
    except BaseException as error:
        signals.failed(error)
        raise
    signals.end()


class Signals:
    """The signs of one run. Nothing here raises, and nothing takes longer than the pings' time-out."""

    def __init__(self, config: Config, resolve: Resolve, tell: Tell) -> None:
        self._pings = Pings(config.ping, resolve) if config.ping else None
        self._patience = config.ping.timeout if config.ping else PATIENCE
        self._database = config.database
        self._metrics = config.metrics
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
        what = map(shown, message.splitlines())
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
        try:
            with Store.read(self._database) as store:
                content = prometheus.text(vitals(store, exit_status, self._told))
            prometheus.write(file, content)
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


def _unwritten(file: Path, why: str, *, lasting: bool) -> Failure:
    return Failure(f"{file}: the metrics cannot be written: {why}", lasting)


def _to_nobody(_failure: Failure) -> None:
    """In the handler of a signal nothing can be said."""
