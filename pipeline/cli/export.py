"""The command `export`: the history in files of other formats."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.api import Home
from pipeline.cli.options import with_home
from pipeline.core.text import count, file_size


@click.command()
@with_home
@click.option(
    "--parquet",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Write Parquet files to this directory.",
)
def export(home: Home, *, target: Path) -> None:
    """Export the history as Parquet files, for DuckDB, Polars, Spark and other programs.

    The files are in DIR, by table and month. A later export to the same directory writes only what has
    changed. A directory with other files is refused.
    """
    done = home.export_parquet(target)
    size = f"{count(done.files, 'file')}, {file_size(done.size)}"
    if not done.files:
        click.echo(f"{target}: there is no run yet")
    elif done.written or done.removed:
        removed = f", {len(done.removed)} removed" if done.removed else ""
        click.echo(f"{target}: {size}; {len(done.written)} written{removed}")
    else:
        click.echo(f"{target}: {size}; nothing has changed")
