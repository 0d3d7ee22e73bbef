"""The commands to try things with: demo, gateway."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from pipeline import __version__

_UNBROKEN = 500


@click.command()
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="MODELWATCH_HOME",
    default=Path("data"),
    show_default=True,
    help="The demo is left in the directory `demo` in it.  [env: MODELWATCH_HOME]",
)
def demo(*, home: Path) -> None:
    """See it at work: three weeks at a made-up gateway, in a few seconds, with nothing to set up."""
    from pipeline.demo import Shell, closing_lines, opening_lines, play, step_lines
    from pipeline.demo.directory import DATABASE
    from pipeline.secret_refs import resolver
    from pipeline.store import Store

    # The demo's gateway is on this machine; a proxy would look for it on its own.
    os.environ["no_proxy"] = "127.0.0.1"
    directory = home / "demo"
    # A minute ago: what `changes` finds later on is what it finds now.
    until = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    width = shutil.get_terminal_size((_UNBROKEN, 0)).columns
    agent, told = f"modelwatch/{__version__}", 0
    with closing(play(directory, until=until, resolver=resolver, user_agent=agent)) as steps:
        for step in steps:
            _echo(() if told else opening_lines())
            _echo(step_lines(step, width=width))
            told += 1
    shell = Shell(_program(), _sql(), str(_near(directory)))
    with Store.read(directory / DATABASE) as store:
        _echo(closing_lines(store, shell, told=told, now=datetime.now(UTC)))


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _program() -> str:
    """Say how to start this program again from here: by its launcher, its name or its path."""
    root = Path(__file__).resolve().parents[2]
    if Path(sys.prefix).resolve() == root / ".venv":
        return shlex.quote(str(_near(root / "cron" / "modelwatch")))
    started = Path(sys.argv[0])
    if started.name != "modelwatch":
        return f"{shlex.quote(sys.executable)} -m pipeline"
    found = shutil.which(started.name)
    return started.name if found and Path(found).samefile(started) else shlex.quote(str(_near(started)))


def _sql() -> str:
    """Say how to start a program that asks SQLite files: the usual one, or the one that is always with us."""
    return "sqlite3" if shutil.which("sqlite3") else f"{shlex.quote(sys.executable)} -m sqlite_utils"


def _near(path: Path) -> Path:
    """Write a path relative to the working directory where it is inside."""
    absolute, here = path.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path


@click.command()
@click.option("--port", default=8900, show_default=True, help="The port on loopback; 0 takes a free one.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve the recorded answers of this directory, a step at each POST /replay/next.",
)
def gateway(*, port: int, replay: Path | None) -> None:
    """Start a reference gateway: a real server of the documented contract, with faults on request."""
    from pipeline.simulator import Gateway, Replay, describe, sample

    try:
        served = Gateway(port, replay=Replay(replay) if replay else None)
        served.start()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"port {port} cannot be used: {error.strerror}; name another --port"
        ) from error
    if replay:
        click.echo(f"{served.url}/v1/models serves {replay}; a step at each POST {served.url}/replay/next")
    else:
        sample(served)
        click.echo(describe(served))
    try:
        served.wait()
    except KeyboardInterrupt:
        served.stop()
