"""The parts of the documentation that are made from the program itself."""

from __future__ import annotations

from collections.abc import Iterator

import click

from pipeline.cli.app import modelwatch
from pipeline.store import Store

_WIDTH = 100


def commands() -> str:
    """Give every command's `--help` as Markdown."""
    context = click.Context(
        modelwatch, info_name="modelwatch", terminal_width=_WIDTH, help_option_names=["-h", "--help"]
    )
    parts = [_help(modelwatch, context)]
    for name in modelwatch.list_commands(context):
        command = modelwatch.get_command(context, name)
        assert command
        below = click.Context(command, info_name=name, parent=context, terminal_width=_WIDTH)
        parts.append(f"### modelwatch {name}\n\n{_help(command, below)}")
    return "\n" + "\n".join(parts) + "\n"


def _help(command: click.Command, context: click.Context) -> str:
    return f"```\n{command.get_help(context)}\n```\n"


def tables() -> str:
    """Give every table with its columns, and every view, as Markdown."""
    with Store.open(None) as store:
        return "\n" + "\n".join(_tables(store)) + "\n\n"


def _tables(store: Store) -> Iterator[str]:
    yield "| table | columns (→ points at another table) |"
    yield "|---|---|"
    named = "select name from sqlite_master where type = :type and substr(name, 1, 1) <> '_' order by rowid"
    for row in store.rows(named, {"type": "table"}):
        points = {
            key["from"]: key["table"]
            for key in store.rows("select * from pragma_foreign_key_list(:table)", {"table": row["name"]})
        }
        columns = store.rows("select name from pragma_table_info(:table)", {"table": row["name"]})
        spelled = [column["name"] + ("→" if column["name"] in points else "") for column in columns]
        yield f"| `{row['name']}` | {' '.join(spelled)} |"
    views = " · ".join(f"`{row['name']}`" for row in store.rows(named, {"type": "view"}))
    yield f"\nViews: {views}."
