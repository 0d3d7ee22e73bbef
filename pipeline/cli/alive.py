"""Signs of life round a run, for the command and for Python; nothing is loaded where none are wanted."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pipeline.cli.common import LOG
from pipeline.cli.references import follower

if TYPE_CHECKING:  # a run without signs needs none of it
    from pipeline.config import Config
    from pipeline.reports import Report
    from pipeline.signs import Failure

_BY_SIGNAL = 128


class Signs(Protocol):
    """Is told how a run went."""

    def over(self, exit_status: int, told: Report) -> None:
        """Say how the run went."""

    def cut(self, exit_status: int) -> None:
        """Say that the run is being stopped; may be called by the handler of a signal."""


class _None:
    def over(self, exit_status: int, told: Report) -> None:
        """Nobody wants to know."""

    def cut(self, exit_status: int) -> None:
        """Nobody wants to know."""


@contextmanager
def signs(config: Config, *, dry_run: bool = False) -> Iterator[Signs]:
    """Give signs of life while the block runs and when it ends; a dry run gives none."""
    if dry_run or not (config.ping or config.metrics):
        yield _None()
        return
    from pipeline.signalling import signalling

    with signalling(config, follower(config), _tell) as signals:
        yield signals


@contextmanager
def terminable(signals: Signs) -> Iterator[None]:
    """Let SIGTERM end the program as ever, after the signs are given; a second one does not wait."""
    here = threading.current_thread() is threading.main_thread()
    if isinstance(signals, _None) or not here or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        signals.cut(_BY_SIGNAL + number)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _tell(failure: Failure) -> None:
    """Say that a sign could not be given.

    A ping that did not arrive is told by whoever waits for it, so cron need not mail it too. But what never
    can arrive is told always, for a check that was never pinged stays silent.
    """
    told = failure.lasting or sys.stderr.isatty()
    LOG.log(logging.WARNING if told else logging.INFO, "%s", failure.message)
