"""The commands to try the program with: demo and gateway."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import click

from pipeline import api
from pipeline.cli.options import Port, clock, home_option
from pipeline.cli.terminal import program_words, relative_path
from pipeline.demo import Shell, closing_lines, opening_lines, play, step_lines
from pipeline.errors import PortError
from pipeline.simulator import Gateway, Replay, describe, sample

_UNLIMITED_WIDTH = 500


@click.command()
@home_option("The demo is left in the directory `demo` in it.")
def demo(*, directory: Path) -> None:
    """Watch three weeks at a made-up gateway, in a few seconds.

    Nothing needs to be set up.
    """
    # The demo's gateway is on this machine; a proxy cannot reach it.
    os.environ["no_proxy"] = "127.0.0.1"
    directory /= "demo"
    now = datetime.fromisoformat(clock()())
    # A minute ago, so that `changes --since` finds the same runs a little later.
    until = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    width = shutil.get_terminal_size((_UNLIMITED_WIDTH, 0)).columns
    count = 0
    with closing(play(directory, until=until)) as steps:
        for count, step in enumerate(steps, 1):
            _echo(opening_lines() if count == 1 else ())
            _echo(step_lines(step, width=width))
    shell = Shell(program_words(), _sql(), str(relative_path(directory)))
    _echo(closing_lines(api.home(directory, clock=clock()), shell, steps=count))


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _sql() -> str:
    """Return how to start a program for SQLite files: sqlite3, or sqlite-utils, which is always installed."""
    return "sqlite3" if shutil.which("sqlite3") else f"{shlex.quote(sys.executable)} -m sqlite_utils"


@click.command()
@click.option(
    "--port", type=Port(), default=8900, show_default=True, help="The port on loopback; 0 takes a free one."
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve the recorded answers of this directory, one step for each POST /replay/next.",
)
def gateway(*, port: int, replay: Path | None) -> None:
    """Start a reference gateway on this machine, with faults on request."""
    try:
        server = Gateway(port, replay=Replay(replay) if replay else None)
        server.start()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise PortError(port, error) from error
    if replay:
        click.echo(f"{server.url}/v1/models serves {replay}; a step at each POST {server.url}/replay/next")
    else:
        sample(server)
        click.echo(describe(server))
    try:
        server.wait()
    except KeyboardInterrupt:
        server.stop()
