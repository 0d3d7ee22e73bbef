"""The commands that show the database in a browser: browse, datasette-config, publish."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import Place, placed
from pipeline.cli.run import database_of, watch_of
from pipeline.errors import StoreError

if TYPE_CHECKING:
    from pipeline.browse import Address


_INSTALL = "Datasette is not installed: pip install 'modelwatch[browse]'"


@click.command()
@placed
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8001, show_default=True, help="0: any free one."
)
@click.option("--open", "shows", is_flag=True, help="Open it in the browser.")
@click.option(
    "--public", is_flag=True, help="Let other machines in: whoever reaches the port sees everything."
)
def browse(place: Place, *, port: int, shows: bool, public: bool) -> None:
    """Show the database in a browser, with Datasette: read-only, while the job goes on writing.

    With --public other machines see all that is in the database: models and prices, names of scopes and
    groups, where secrets are kept (not the secrets), who gets reports, why requests failed. To hand
    something out there is `modelwatch publish`.
    """
    from pipeline.browse import major, serve

    release = major()
    if release is None:
        raise click.ClickException(_INSTALL)
    database = database_of(place)
    text = _configuration(place, database)
    address = _address(port, public=public)
    if public:
        click.echo(
            "modelwatch: whoever reaches this port sees the whole database: models, prices, names of scopes "
            "and groups, where secrets are kept (not the secrets), who gets reports, why requests failed",
            err=True,
        )
    with TemporaryDirectory(prefix="modelwatch-") as directory:
        config = Path(directory) / "datasette.yaml"
        config.write_text(text, "utf-8")
        serve(database, config, address, release=release, shows=shows)


def _address(port: int, *, public: bool) -> Address:
    from pipeline.browse.datasette import EVERYWHERE, LOOPBACK, Address

    try:
        return Address(EVERYWHERE if public else LOOPBACK, port).free()
    except OSError as error:
        says = f"port {port} cannot be had ({error.strerror}): name another with --port, 0 takes a free one"
        raise click.UsageError(says) from error


def _configuration(place: Place, database: Path) -> str:
    from pipeline.browse import configuration
    from pipeline.core.canonical import pretty
    from pipeline.store import Store

    with Store.read(database) as store:
        return pretty(configuration(store, database.stem, watch_of(place).models))


@click.command("datasette-config")
@placed
@click.option(
    "--output", type=click.Path(path_type=Path), help="[default: datasette.yaml beside the database]"
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def datasette_config(place: Place, *, output: Path | None, force: bool) -> None:
    """Write Datasette's configuration for a Datasette of your own, and print how to start it."""
    from pipeline.browse import command
    from pipeline.store.database import translated

    database = database_of(place)
    text = _configuration(place, database)
    file = output or database.with_name("datasette.yaml")
    if file.exists() and not force:
        raise StoreError("is there already: name another file, or say --force", path=file)
    with translated(file):
        file.write_text(text, "utf-8")
    click.echo(f"wrote {file}; start Datasette 0.65 with\n")
    click.echo(f"  {command(database, file, release=0)}\n\nand Datasette 1.0 with\n")
    click.echo(f"  {command(database, file, release=1)}")


@click.command()
@placed
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
def publish(place: Place, directory: Path) -> None:
    """Write a copy that is safe to hand out to the directory DIR, for any Datasette to serve.

    Not in it: where secrets are kept, why requests failed, what servers called their answers, where reports
    went. Names of scopes and groups are in it. What was published there before is replaced; anything else
    is left alone.
    """
    from pipeline.browse import publish as write
    from pipeline.browse.publish import command

    size = write(database_of(place), directory)
    click.echo(f"{directory}: {size / 1_000_000:,.1f} MB; serve it from there with\n")
    click.echo(f"  {command(0)}\n\nwhich is Datasette 0.65, or with 1.0\n\n  {command(1)}")
