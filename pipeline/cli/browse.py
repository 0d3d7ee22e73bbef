"""The commands that show the database in a browser: browse, datasette-config and publish."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import click

from pipeline.api import Home
from pipeline.browse.datasette import (
    ALL_ADDRESSES,
    LOOPBACK,
    Address,
    command,
    major_version,
    openable,
    serve,
)
from pipeline.browse.publish import command as published_command
from pipeline.cli.options import Port, with_home
from pipeline.core.canonical import pretty
from pipeline.core.text import file_size
from pipeline.errors import MissingPart, PortError, StoreError
from pipeline.extras import command_to_add

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PUBLIC_WARNING = (
    "modelwatch: whoever reaches this port sees the whole database: models, prices, names of scopes and "
    "groups, where secrets are kept (not the secrets), who gets reports, why requests failed"
)


def _name_option(text: str) -> Callable[[_Function], _Function]:
    return click.option("--name", "names", multiple=True, metavar="HOST", help=text)


_answers_to = _name_option("Answer to this host name too, as behind a proxy; may be repeated.")

_IMMUTABLE = (
    "modelwatch: nothing can be written beside the database: its present state is shown; "
    "start again after the next run"
)


@click.command()
@with_home
@click.option("--port", type=Port(), default=8001, show_default=True, help="0 takes a free one.")
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
@click.option("--public", is_flag=True, help="Listen on all addresses: whoever reaches the port sees all.")
@_answers_to
@click.option("--sql", is_flag=True, help="With --public: allow queries of the visitor's own.")
def browse(home: Home, *, port: int, opens: bool, public: bool, names: tuple[str, ...], sql: bool) -> None:
    """Show the database in a browser, with Datasette.

    Datasette only reads; runs may write meanwhile. With --public other machines see everything in the
    database: models and prices, names of scopes and groups, where secrets are kept (not the secrets), who
    gets reports, why requests failed. To hand out a copy without these, see `modelwatch publish`.
    """
    major = major_version()
    if major is None:
        raise MissingPart(f"Datasette is not installed: run `{command_to_add('datasette', 'browse')}`")
    config = pretty(home.datasette_config(names))
    address = _free_address(ALL_ADDRESSES if public else LOOPBACK, port)
    if public:
        click.echo(_PUBLIC_WARNING, err=True)
    click.echo(f"http://{LOOPBACK}:{address.port} – press Ctrl-C to stop")
    immutable = home.is_immutable()
    if immutable:
        click.echo(_IMMUTABLE, err=True)
    with ExitStack() as stack:
        database, path = _temporary(home.database, config, stack)
        serve(
            database,
            path,
            address,
            major=major,
            opens=opens,
            sql=sql or not public,
            immutable=immutable,
        )


def _temporary(database: Path, config: str, stack: ExitStack) -> tuple[Path, Path]:
    """Write the configuration into a temporary directory of the stack; return what to serve, and its path."""
    try:
        path = Path(stack.enter_context(TemporaryDirectory(prefix="modelwatch-"))) / "datasette.yaml"
        path.write_text(config, "utf-8")
        return openable(database, path.parent), path
    except OSError as error:
        why = f"cannot be written: {error.strerror}: name a directory with space in $TMPDIR"
        raise StoreError(why, path=Path(error.filename or "the temporary directory")) from error


def _free_address(host: str, port: int) -> Address:
    try:
        return Address(host, port).free()
    except OSError as error:
        raise PortError(port, error) from error


@click.command("datasette-config")
@with_home
@click.option(
    "--output", type=click.Path(path_type=Path), help="[default: datasette.yaml beside the database]"
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@_answers_to
def datasette_config(home: Home, *, output: Path | None, force: bool, names: tuple[str, ...]) -> None:
    """Write the configuration for a Datasette of your own, and print how to start it."""
    database = home.database
    file = home.write_datasette_config(output, names, overwrite=force)
    click.echo(f"wrote {file}; start Datasette 0.65 with\n")
    click.echo(f"  {command(database, file, major=0)}\n\nand Datasette 1.0 with\n")
    click.echo(f"  {command(database, file, major=1)}")


@click.command()
@with_home
@click.argument("target", type=click.Path(path_type=Path), metavar="DIR")
@_name_option("Have its server answer to this host name and addresses only; may be repeated.")
def publish(home: Home, target: Path, *, names: tuple[str, ...]) -> None:
    """Write a copy of the database that is safe to hand out, to the directory DIR.

    Any Datasette can serve it. The copy does not have where secrets are kept, why requests failed, the
    validators of servers, and where reports went. It has the names of scopes and groups. A copy published
    there before is replaced; a directory with other files is refused.
    """
    size = home.publish(target, names)
    click.echo(f"{target}: {file_size(size)}; serve it from there with\n")
    click.echo(
        f"  {published_command(0)}\n\nwhich is Datasette 0.65, or with 1.0\n\n  {published_command(1)}"
    )
