"""The parts of the documentation that are made from the program itself."""

from __future__ import annotations

from collections.abc import Iterator

import click

from pipeline.browse.descriptions import SHOWN
from pipeline.browse.queries import QUERIES
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


def queries() -> str:
    """Give every stored query with its parameters, as Markdown."""
    rows = [
        f"| `{query.name}` | {query.title} | {' '.join(f'`{name}`' for name in query.params)} |"
        for query in QUERIES
    ]
    return "\n".join(["", "| query | what it answers | asks for |", "|---|---|---|", *rows, "", ""])


def tables() -> str:
    """Give every table with its columns, and every view, as Markdown."""
    with Store.open(None) as store:
        return "\n" + "\n".join(_tables(store)) + "\n\n"


def _tables(store: Store) -> Iterator[str]:
    yield "| table | what a row is | columns (→ points at another table) |"
    yield "|---|---|---|"
    for name in _named(store, "table"):
        points = {
            key["from"]: key["table"]
            for key in store.rows("select * from pragma_foreign_key_list(:table)", {"table": name})
        }
        columns = store.rows("select name from pragma_table_info(:table)", {"table": name})
        spelled = [column["name"] + ("→" if column["name"] in points else "") for column in columns]
        yield f"| `{name}` | {SHOWN[name].says} | {' '.join(spelled)} |"
    yield "\n| view | what it shows |\n|---|---|"
    for name in _named(store, "view"):
        yield f"| `{name}` | {SHOWN[name].says} |"


def _named(store: Store, kind: str) -> list[str]:
    sql = "select name from sqlite_master where type = :type order by rowid"
    return [row["name"] for row in store.rows(sql, {"type": kind}) if row["name"] in SHOWN]
