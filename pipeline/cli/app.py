"""The command `modelwatch`: the table of its commands, and how errors become exit statuses."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from importlib import import_module
from keyword import iskeyword
from typing import NamedTuple

import click

from pipeline import __version__


class _Entry(NamedTuple):
    """A command: its module in this package, and its line in `--help`."""

    module: str
    help: str


_COMMANDS = {
    "init": _Entry("setup", "Write a commented config that works without any key."),
    "check": _Entry("run", "Validate the config, ask every scope once, suggest fixes."),
    "sync": _Entry("run", "Ask every scope and record the answers, without reports."),
    "run": _Entry("run", "Ask every scope, record, and send the due reports."),
    "report": _Entry("reports", "Write the report of what changed, or print it with --as."),
    "send": _Entry("reports", "Send the reports that are due."),
    "outbox": _Entry("reports", "Show unsent reports; retry or drop them."),
    "changes": _Entry("catalog", "Show what changed, oldest first."),
    "models": _Entry("catalog", "Show the models on offer, now or at a time."),
    "scopes": _Entry("catalog", "Show every scope: its key, number of models and state."),
    "status": _Entry("catalog", "Show the last run, and which scopes are held or failing."),
    "show": _Entry("model", "Show one model at every gateway."),
    "history": _Entry("history", "Show the timeline of a model."),
    "diff": _Entry("compare", "Compare two moments, or two scopes."),
    "matrix": _Entry("availability", "Show models that only some scopes are offered."),
    "same": _Entry("availability", "Show scopes with equal lists."),
    "deprecations": _Entry("deprecations", "Show announced shutdowns, and removals without notice."),
    "watch": _Entry("watch", "Check watched models: missing, retiring, repriced or OK."),
    "probe": _Entry("probe", "Show the fields that differ from answer to answer."),
    "import": _Entry("import_", "Import saved answers into the history of a scope."),
    "accept": _Entry("run", "Accept the held answers of scopes at once."),
    "verify": _Entry("maintenance", "Check the database against itself."),
    "rebuild": _Entry("maintenance", "Derive changes and facts again from the answers."),
    "prune": _Entry("maintenance", "Drop old history."),
    "backup": _Entry("maintenance", "Write a consistent copy of the database to a file."),
    "forget": _Entry("maintenance", "Drop scopes and all that only they needed."),
    "rename": _Entry("maintenance", "Rename a scope or a gateway, and keep the history."),
    "browse": _Entry("browse", "Show the database in a browser, with Datasette."),
    "datasette-config": _Entry("browse", "Write the configuration for a Datasette of your own."),
    "publish": _Entry("browse", "Write a copy of the database that is safe to hand out."),
    "schedule": _Entry("schedule", "Print a schedule for cron, systemd, Kubernetes or GitHub."),
    "demo": _Entry("demo", "Watch a made-up gateway for three weeks, in seconds."),
    "gateway": _Entry("demo", "Start a reference gateway, with faults on request."),
}


_OPTIONS = frozenset({"help", "version"})
"""Options of the program that people try as commands."""


_AFTER_COMMAND = frozenset({"--config", "--home"})
"""Options of commands that people write before the command."""


class _Commands(click.Group):
    """The commands; the module of one is imported when it is called, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command: click.Command = getattr(import_module(f"pipeline.cli.{entry.module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in _COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        name = args[0].partition("=")[0] if args else ""
        if name in _AFTER_COMMAND:
            ctx.fail(f"The option '{name}' follows the command: modelwatch run {name} …")
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and name[:1].isalnum():
            from difflib import get_close_matches

            near = [f"--{name}"] if name in _OPTIONS else get_close_matches(name, _COMMANDS, n=1)
            ctx.fail(f"No such command '{name}'.{f' Did you mean {near[0]}?' if near else ''}")
        return super().resolve_command(ctx, args)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="modelwatch %(version)s")
def modelwatch() -> None:
    """Watch which models your LLM gateways really offer, and what changes.

    Exit statuses: 0 done; 1 there are changes, or a watched model needs attention (only with --exit-code);
    2 wrong usage; 3 some scopes failed; 4 all scopes failed; 5 an answer is held; 6 a report could not be
    written or sent; 65 saved answers cannot be imported; 69 a part of the program is missing; 71 a port
    cannot be used; 74 the database cannot be used; 75 another run holds the lock; 78 the config cannot be
    used.
    """


def main(clock: Callable[[], str] | None = None) -> None:
    """Run the command and exit; an error of ours is one line on stderr and its own exit status.

    Args:
        clock: returns the time, as text in ISO 8601 UTC; None for the machine's clock.
    """
    from pipeline.errors import PipelineError, QuestionError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal cannot show must not end a run.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = modelwatch.main(standalone_mode=False, obj=clock)
    except QuestionError as error:
        usage_error = click.UsageError(error.message)
        usage_error.show()
        sys.exit(usage_error.exit_code)
    except PipelineError as error:
        for line in error.message.splitlines():
            click.echo(f"modelwatch: {line}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)
