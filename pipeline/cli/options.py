"""What the commands share: the options that name the home, the log, and times as arguments."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline import api
from pipeline.api import Clock
from pipeline.core.shards import Shard, parse_shard
from pipeline.core.text import printable
from pipeline.core.times import parse_moment

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

MOMENTS = "2h, 3d (ago), yesterday, monday, or a date"
"""The help on a time."""

LOG = logging.getLogger("modelwatch")

_HOME = Path("data")

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Time(click.ParamType[str]):
    """A moment, as `core.times.parse_moment` reads it."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parse the moment; return ISO 8601 UTC."""
        try:
            return parse_moment(value, datetime.fromisoformat(clock()()))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def clock() -> Clock:
    """Return the clock of the running command: the one that `app.main` was called with, or the machine's."""
    found: Clock | None = click.get_current_context().obj
    return found or api.now


class Port(click.IntRange):
    """The number of a port; 0 stands for a free one."""

    name = "port"

    def __init__(self) -> None:
        super().__init__(0, 65535)


class ShardName(click.ParamType[Shard]):
    """A shard, as `core.shards.parse_shard` reads it."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """Parse the shard."""
        try:
            return value if isinstance(value, Shard) else parse_shard(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Name(click.ParamType[str]):
    """A text in which a shell completes the names of one kind.

    Args:
        kind: the attribute of `api.Names` that has them.
    """

    name = "text"

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin with the text; those in the line already are left out."""
        from click.shell_completion import CompletionItem

        home = api.home(ctx.params.get("directory") or _HOME, config=ctx.params.get("config"))
        given = ctx.params.get(param.name or "")
        used = {given} if isinstance(given, str) else set(given or ())
        names = getattr(home.names(), self._kind)
        return [
            CompletionItem(name)
            for name in names
            if name.startswith(incomplete) and name not in used and _is_plain(name)
        ]


def _is_plain(name: str) -> bool:
    """Return whether a shell takes a name as it is: gateways choose the ids of models."""
    return name[:1] != "-" and all(letter.isalnum() or letter in "._/:@+-" for letter in name)


def home_option(text: str) -> Callable[[_Function], _Function]:
    """Return the option that names the home, passed on as `directory`; `text` is its help."""
    return click.option(
        "--home",
        "directory",
        # What may not be read is an error of the database, which has the cure.
        type=click.Path(path_type=Path, file_okay=False, readable=False),
        envvar="MODELWATCH_HOME",
        default=_HOME,
        show_default=True,
        help=f"{text}  [env: MODELWATCH_HOME]",
    )


def with_home(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name home and config, and pass them to the command as `home`."""

    @home_option("The directory of config, database and reports.")
    @click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The config file.  [default: modelwatch.toml in the home]",
    )
    @wraps(command)
    def wrapper(*, directory: Path, config: Path | None, **options: Any) -> Any:
        home = api.home(directory, config=config, clock=clock())
        with home.explained():
            try:
                return command(home=home, **options)
            except (click.ClickException, click.Abort, click.exceptions.Exit) as end:
                ended: Exception = end
        raise ended

    return wrapper


new_option = click.option(
    "--new", is_flag=True, help="Begin a new history where the database is lost and has no backup."
)


def names_option(
    option: str, parameter: str, text: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return `--scope` or `--model`: names or globs, passed on as `parameter`; `text` begins its help."""
    names = Name(f"{option}s")
    return click.option(f"--{option}", parameter, type=names, multiple=True, help=f"{text}; may be repeated.")


def csv_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the options `--csv`, whose help is `text`, and `--bom`, passed on as `as_csv` and `bom`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--csv", "as_csv", is_flag=True, help=text)
        @click.option(
            "--bom", is_flag=True, help="With --csv: for Excel, with a byte order mark and guarded model ids."
        )
        @wraps(command)
        def wrapper(*, as_csv: bool, bom: bool, **options: Any) -> Any:
            if bom and not as_csv:
                raise click.UsageError("--bom needs --csv: it marks the CSV for Excel")
            return command(as_csv=as_csv, bom=bom, **options)

        return wrapper

    return add


def logged(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that asks gateways: how much it logs, and in which format."""

    @click.option("--quiet", "-q", is_flag=True, help="Print and log nothing; see the exit status.")
    @click.option("--verbose", "-v", count=True, help="Log each scope; twice: each request too.")
    @click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
    @wraps(command)
    def wrapper(*, quiet: bool, verbose: int, log_format: str, **options: Any) -> Any:
        _set_up_log(quiet=quiet, verbose=verbose, as_json=log_format == "json")
        return command(quiet=quiet, verbose=verbose, **options)

    return wrapper


def _set_up_log(*, quiet: bool, verbose: int, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    level = logging.CRITICAL + 1 if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    LOG.handlers[:] = [handler]
    LOG.propagate = False
    LOG.setLevel(level)
    # Their lines on requests hold URLs and server texts without redaction; the client logs its own.
    for name in ("httpx", "stamina"):
        library = logging.getLogger(name)
        library.propagate = False
        library.setLevel(logging.CRITICAL + 1)


class _TextFormatter(logging.Formatter):
    """One line for each record; control characters in a gateway's text are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        return f"modelwatch: {printable(record.getMessage(), longest=2000)}"


class _JsonFormatter(logging.Formatter):
    """One line of JSON for each record: at, level, message, and the members of `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = printable(record.getMessage(), longest=2000)
        value = {"at": at, "level": record.levelname.lower(), "message": message}
        return json.dumps(value | getattr(record, "fields", {}), ensure_ascii=False)
