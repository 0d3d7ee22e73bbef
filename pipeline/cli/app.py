"""The command and its error handling; what each command does is in the modules beside this one."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from keyword import iskeyword

import click

from pipeline import __version__

_COMMANDS = {
    "init": "setup",
    "check": "run",
    "sync": "run",
    "run": "run",
    "report": "reports",
    "send": "reports",
    "outbox": "reports",
    "changes": "catalog",
    "models": "catalog",
    "scopes": "catalog",
    "status": "catalog",
    "show": "model",
    "history": "history",
    "diff": "compare",
    "matrix": "compare",
    "same": "compare",
    "deprecations": "history",
    "watch": "watch",
    "probe": "model",
    "import": "import_",
    "accept": "run",
    "verify": "maintenance",
    "rebuild": "maintenance",
    "prune": "maintenance",
    "backup": "maintenance",
    "forget": "maintenance",
    "rename": "maintenance",
    "browse": "browse",
    "datasette-config": "browse",
    "publish": "browse",
    "schedule": "setup",
    "demo": "demo",
    "gateway": "demo",
}


class _Commands(click.Group):
    """Loads a command's module when it is asked for, so that `--help` and `--version` are instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command: click.Command = getattr(import_module(f"pipeline.cli.{module}"), name)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="modelwatch %(version)s")
def modelwatch() -> None:
    """Watch which models your LLM gateways really offer, and what changes.

    Exit codes: 0 done; 1 there are changes, or a watched model needs attention (only with --exit-code);
    2 wrong usage; 3 some scopes failed; 4 all scopes failed; 5 an answer is held; 6 a report could not be
    written; 65 saved answers cannot be imported; 74 the database cannot be used; 75 another run holds the
    lock; 78 the config cannot be used.
    """


def main() -> None:
    """Run the command; every error of ours is one line on stderr and its own exit code."""
    from pipeline.errors import PipelineError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a letter shows its number; that must not end a run.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = modelwatch.main(standalone_mode=False)
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
    sys.exit(code if isinstance(code, int) else 0)
