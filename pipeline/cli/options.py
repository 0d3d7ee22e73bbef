"""What the commands share: where things are, the clock, the log, and how times are written.

Read the words that say what to compare, or when, as a command line has them.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from pipeline.core.text import printable
from pipeline.core.times import iso, moment
from pipeline.errors import QuestionError
from pipeline.history import selectors
from pipeline.history.compare import Side
from pipeline.store import Store

LOG = logging.getLogger("modelwatch")


@dataclass(frozen=True, slots=True)
class Place:
    """Where config, database and reports live, as the options and the environment say."""

    home: Path
    config: Path


def now() -> str:
    """Give the time now in ISO 8601, UTC."""
    return iso(datetime.now(UTC))


class Time(click.ParamType[str]):
    """A moment: `2h`, `1d`, `3w` ago, or a date, or a date and time (UTC unless it names its zone)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read the moment; gives ISO 8601, UTC."""
        try:
            return moment(value, datetime.now(UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def placed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where things are, and hand them on as one `Place`."""

    @click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="MODELWATCH_HOME",
        default=Path("data"),
        show_default=True,
        help="Where config, database and reports live.  [env: MODELWATCH_HOME]",
    )
    @click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The config file.  [default: modelwatch.toml in the home]",
    )
    @wraps(command)
    def with_place(*, home: Path, config: Path | None, **options: Any) -> Any:
        return command(place=Place(home, config or home / "modelwatch.toml"), **options)

    return with_place


def logged(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a job that asks gateways: how much it says, and in what form."""

    @click.option("--quiet", "-q", is_flag=True, help="Say nothing at all; the exit code tells.")
    @click.option("--verbose", "-v", count=True, help="Tell of each scope; twice: of each request.")
    @click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
    @wraps(command)
    def with_log(*, quiet: bool, verbose: int, log_format: str, **options: Any) -> Any:
        _set_up_log(quiet=quiet, verbose=verbose, as_json=log_format == "json")
        return command(quiet=quiet, verbose=verbose, **options)

    return with_log


def _set_up_log(*, quiet: bool, verbose: int, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _PlainLines())
    level = logging.CRITICAL + 1 if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    LOG.handlers[:] = [handler]
    LOG.propagate = False
    LOG.setLevel(level)
    # What libraries say of requests shows addresses and reasons as they came: we have lines of our own.
    for name in ("httpx", "stamina"):
        library = logging.getLogger(name)
        library.propagate = False
        library.setLevel(logging.CRITICAL + 1)


class _PlainLines(logging.Formatter):
    """One line for each record, which no text of a gateway can break or steer."""

    def format(self, record: logging.LogRecord) -> str:
        return f"modelwatch: {printable(record.getMessage(), longest=2000)}"


class _JsonLines(logging.Formatter):
    """A line of JSON for each record: at, level, message, and the fields given as `extra={"fields": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = printable(record.getMessage(), longest=2000)
        value = {"at": at, "level": record.levelname.lower(), "message": message}
        return json.dumps(value | getattr(record, "fields", {}), ensure_ascii=False)


def side(store: Store, word: str) -> Side:
    """Read one side: a time, a snapshot, scopes, or scopes at one of them.

    Raises:
        UsageError: it is none of these, or more than one.
    """
    with _used():
        return selectors.side(store, word, datetime.now(UTC))


def in_history(store: Store, at: str) -> str:
    """Give a time back if anything was known then.

    Raises:
        UsageError: it is before the history began.
    """
    with _used():
        return selectors.in_history(store, at)


@contextmanager
def _used() -> Iterator[None]:
    try:
        yield
    except QuestionError as error:
        raise click.UsageError(error.message) from error
