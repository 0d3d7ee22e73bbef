"""The command `modelwatch`: the table of its commands, and how errors become exit statuses."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pipeline import __version__
from pipeline.cli import COMPLETE_VARIABLE
from pipeline.cli.streams import Stream, has_colours, tolerant_streams
from pipeline.errors import HELD_EXIT, STREAM_EXIT, PortError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class _Entry(NamedTuple):
    """A command: its module in this package, its line in `--help`, and whether it writes more than output."""

    module: str
    help: str
    writes: bool = False


_PURPOSES = {
    "Set up": {
        "init": _Entry("setup", "Ask for a gateway, keys and mail, and write the config.", writes=True),
        "check": _Entry("run", "Validate the config, ask every scope once, suggest fixes."),
        "schedule": _Entry("schedule", "Print a schedule for cron, systemd, Kubernetes or GitHub."),
        "import": _Entry("import_", "Import saved answers into the history of a scope.", writes=True),
        "probe": _Entry("probe", "Show the fields that differ from answer to answer."),
        "completion": _Entry("completion", "Print the completion script of your shell."),
        "demo": _Entry("demo", "Watch a made-up gateway for three weeks, in seconds.", writes=True),
        "gateway": _Entry("demo", "Start a reference gateway, with faults on request."),
    },
    "Run": {
        "run": _Entry("run", "Ask every scope, record, and send the due reports.", writes=True),
        "sync": _Entry("run", "Ask every scope and record the answers, without reports.", writes=True),
        "accept": _Entry("run", "Accept the held answers of scopes at once.", writes=True),
    },
    "Look": {
        "status": _Entry("catalog", "Show the last run, and which scopes are held or failing."),
        "mute": _Entry("mute", "Keep a known problem or a model out of alarms for a time.", writes=True),
        "watch": _Entry("watch", "Check watched models: missing, retiring, repriced or OK."),
        "models": _Entry("catalog", "List models with prices and limits; filter and sort them."),
        "show": _Entry("model", "Show one model at every gateway."),
        "scopes": _Entry("catalog", "Show every scope: its key, number of models and state."),
        "matrix": _Entry("availability", "Show models that only some scopes are offered."),
        "same": _Entry("availability", "Show scopes with equal lists."),
    },
    "Ask the past": {
        "changes": _Entry("catalog", "Show what changed, oldest first."),
        "history": _Entry("history", "Show the timeline of a model."),
        "diff": _Entry("compare", "Compare two moments, or two scopes."),
        "deprecations": _Entry("deprecations", "Show announced shutdowns, and removals without notice."),
    },
    "Share": {
        "report": _Entry("reports", "Write the report of what changed, or print it with --as.", writes=True),
        "send": _Entry("reports", "Send the reports that are due.", writes=True),
        "outbox": _Entry("reports", "Show unsent reports; retry or drop them.", writes=True),
        "browse": _Entry("browse", "Show the database in a browser, with Datasette."),
        "publish": _Entry("browse", "Write a copy of the database that is safe to hand out.", writes=True),
        "export": _Entry("export", "Export the history as Parquet files.", writes=True),
        "datasette-config": _Entry("browse", "Write the config for a Datasette of your own.", writes=True),
    },
    "Care": {
        "verify": _Entry("maintenance", "Check the database against itself."),
        "backup": _Entry("maintenance", "Write a consistent copy of the database to a file.", writes=True),
        "merge": _Entry("maintenance", "Let the history of another site join this one.", writes=True),
        "rebuild": _Entry("maintenance", "Derive changes and facts again from the answers.", writes=True),
        "prune": _Entry("maintenance", "Drop old history.", writes=True),
        "forget": _Entry("maintenance", "Drop scopes and all that only they needed.", writes=True),
        "rename": _Entry("maintenance", "Rename a scope or a gateway, and keep the history.", writes=True),
    },
}
"""The commands by purpose, in the order of `--help`."""

_COMMANDS = {name: entry for entries in _PURPOSES.values() for name, entry in entries.items()}


_VERBOSE = frozenset({"-v", "-vv", "--verbose"})

_INTERRUPTED = 130

_ALLOCATIONS = 100_000
"""Containers that may be allocated before garbage is collected: some ten megabytes."""

_OPTIONS = frozenset({"help", "version"})
"""Options of the program that people try as commands."""


_FOR_COMMANDS = ("home", "config")
"""Options of commands that may also stand before the command."""

_EXIT_STATUSES = (
    ("0", "done"),
    ("1", "only with --exit-code: something changed or needs attention"),
    ("2", "wrong usage"),
    ("3", "some scopes failed"),
    ("4", "all scopes failed"),
    ("5", "an answer is held"),
    ("6", "a report could not be written or sent"),
    ("65", "saved answers cannot be imported"),
    ("69", "a part of the program is missing"),
    ("71", "a port cannot be used, or memory or open files run out"),
    ("73", "standard output or error cannot be written"),
    ("74", "the database cannot be used"),
    ("75", "another run holds the lock"),
    ("78", "the config cannot be used"),
)


class _Formatter(click.HelpFormatter):
    """Writes help with bold headings, on a terminal with colours."""

    def write_heading(self, heading: str) -> None:
        super().write_heading(click.style(heading, bold=True) if has_colours() else heading)


class _Context(click.Context):
    formatter_class = _Formatter


class _Commands(click.Group):
    """The commands; the module of one is imported when it is called, so that `--help` is instant."""

    context_class = _Context

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command: click.Command = getattr(import_module(f"pipeline.cli.{entry.module}"), name)
        command.context_class = _Context
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click would take an `EOFError` of it for Ctrl-D at a question."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise ExceptionGroup("the end of a file", [error]) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by purpose, then the options."""
        # All sections begin their second column at the same place.
        widest = max(map(len, _COMMANDS))
        for purpose, entries in _PURPOSES.items():
            with formatter.section(purpose):
                formatter.write_dl([(name.ljust(widest), entry.help) for name, entry in entries.items()])
        click.Command.format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Exit statuses"):
            formatter.write_dl(_EXIT_STATUSES)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, *rest = args
        if name not in _COMMANDS and name[:1].isalnum() and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = [f"--{name}"] if name in _OPTIONS else get_close_matches(name, _COMMANDS, n=1)
            ctx.fail(f"No such command '{name}'.{f' Did you mean {near[0]}?' if near else ''}")
        given = [
            word for key in _FOR_COMMANDS if ctx.params.get(key) for word in (f"--{key}", ctx.params[key])
        ]
        return super().resolve_command(ctx, [name, *given, *rest])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin with a text, without importing them, or options of the program."""
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=entry.help)
            for name, entry in _COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(file_okay=False, readable=False),
    help="The directory of config, database and reports.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, readable=False),
    help="The config file.",
)
@click.version_option(__version__, message="modelwatch %(version)s")
@click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, help="Show the traceback of an unexpected error."
)
def modelwatch(**_for_commands: str | None) -> None:
    """Watch which models your LLM gateways really offer, and what changes.

    Try it with `modelwatch demo`; begin with `modelwatch init`.
    """


def main(clock: Callable[[], str] | None = None) -> None:
    """Run the command and exit; an error of ours is one line on stderr and its own exit status.

    Args:
        clock: returns the time, as text in ISO 8601 UTC; None for the machine's clock.
    """
    _start_fast()
    with tolerant_streams() as (output, error):
        asked = os.environ.get(COMPLETE_VARIABLE)
        status = _complete(asked) if asked else _run(clock)
        sys.stdout.flush()
        sys.stderr.flush()
        status = _after_faults(status, output, error)
    sys.exit(status)


def _complete(instruction: str) -> int:
    """Answer a shell that completes a line; return the exit status."""
    from pipeline.cli.completion import complete

    complete(instruction, modelwatch)
    return 0


def _start_fast() -> None:
    """Spare a short run what would take a quarter of its time."""
    # By default, garbage is looked for a hundred times while modules load, and in all of them at the end.
    gc.set_threshold(_ALLOCATIONS)
    atexit.register(gc.freeze)
    # httpx has a command line of its own, which loads rich and Pygments; it does without where it cannot.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


def _run(clock: Callable[[], str] | None) -> int:
    """Run the command; return the exit status."""
    from pipeline.errors import PipelineError, QuestionError

    try:
        status = modelwatch.main(standalone_mode=False, obj=clock)
    except QuestionError as error:
        usage_error = click.UsageError(error.message)
        usage_error.show()
        status = usage_error.exit_code
    except PipelineError as error:
        for line in error.message.splitlines():
            click.echo(f"modelwatch: {line}", err=True)
        status = error.exit_code
    except click.exceptions.Exit as end:
        status = end.exit_code
    except click.Abort:
        status = _INTERRUPTED
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort
        from pipeline.core.faults import cause

        error = cause(error)
        status = _exhausted(error) or _damaged(error) or _unexpected(error)
    return status if isinstance(status, int) else 0


def _exhausted(error: Exception) -> int:
    """Print which resource of the system an error is about; return its exit status, 0 for any other error."""
    match error:
        case MemoryError():
            text = "there is not enough memory: see `ulimit -v`"
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            text = "too many open files: raise the limit (`ulimit -n`)"
        case RuntimeError() if "start new thread" in str(error):
            text = "no thread can be started: raise `ulimit -u`"
        case _:
            return 0
    # A loop of asyncio that could not be made complains when it is dropped.
    sys.unraisablehook = lambda _: None
    warnings.simplefilter("ignore")
    click.echo(f"modelwatch: {text}", err=True)
    return PortError.exit_code


def _damaged(error: Exception) -> int:
    """Print which compiled module is damaged, if an import failed so; return its exit status, else 0.

    Python writes it without a check, so that a full disk or a limit cuts it off:
    https://github.com/python/cpython/blob/3.11/Lib/importlib/_bootstrap_external.py
    """
    import traceback

    from pipeline.errors import MissingPart

    last = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-2:]
    if not last or last[0].f_code.co_name != "get_code" or not last[0].f_locals.get("bytecode_path"):
        return 0
    directory, name = os.path.split(last[0].f_locals["bytecode_path"])
    click.echo(
        f"modelwatch: {directory}: has a damaged file ({name}), as after a full disk: "
        "remove this directory, which Python makes anew",
        err=True,
    )
    return MissingPart.exit_code


def _unexpected(error: Exception) -> int:
    """Print the class and place of an error that is a fault of this program; return its exit status.

    Its message may hold anything, a secret too, so it is shown with `-v` only.
    """
    import traceback

    from pipeline.core.faults import describe
    from pipeline.errors import PipelineError

    if not _VERBOSE.isdisjoint(sys.argv[1:]):
        traceback.print_exception(error)
    click.echo(
        f"modelwatch: {describe(error)}, a fault of modelwatch: report it with what -v shows",
        err=True,
    )
    return PipelineError.exit_code


def _after_faults(status: int, output: Stream, error: Stream) -> int:
    """Report standard streams that could not be written, where there is a place; return the exit status.

    A command that only reads ends quietly where the reader of its pipe has seen enough.
    """
    writes = any(_COMMANDS[name].writes for name in sys.argv[1:] if name in _COMMANDS)
    broken = [each for each in (output, error) if each.fault and (writes or not each.lost_its_reader)]
    if not broken:
        return status
    done = status <= HELD_EXIT and status != click.UsageError.exit_code
    if error not in broken:
        click.echo(f"modelwatch: {broken[0].message(done=done)}", err=True)
    elif output not in broken and not output.is_used:
        click.echo(f"modelwatch: {broken[0].message(done=done)}")
    return STREAM_EXIT if done else status
