"""Markdown that the documentation takes from the program: its commands, stored queries, tables and views."""

from __future__ import annotations

from collections.abc import Iterable

import click

from pipeline.browse.descriptions import DESCRIPTIONS, schema_entries
from pipeline.browse.queries import QUERIES
from pipeline.cli.app import modelwatch
from pipeline.lake.tables import TABLES

_WIDTH = 100


def commands() -> str:
    """Return every command's `--help` as Markdown."""
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
    """Return a Markdown table of the stored queries and their parameters."""
    rows = [
        (f"`{query.name}`", query.title, " ".join(f"`{name}`" for name in query.params)) for query in QUERIES
    ]
    return f"\n{_table(('query', 'what it answers', 'asks for'), rows)}\n\n"


def tables() -> str:
    """Return Markdown tables of the database's tables, with their columns, and of its views."""
    entries = schema_entries()
    tables = [
        (
            f"`{entry.name}`",
            DESCRIPTIONS[entry.name].text,
            " ".join(column + "→" * (column in entry.references) for column in entry.columns),
        )
        for entry in entries
        if entry.is_table
    ]
    views = [(f"`{entry.name}`", DESCRIPTIONS[entry.name].text) for entry in entries if not entry.is_table]
    headings = ("table", "what a row is", "columns (→ points at another table)")
    return f"\n{_table(headings, tables)}\n\n{_table(('view', 'what it shows'), views)}\n\n"


def exported_tables() -> str:
    """Return a Markdown section for each table of an export, with its columns."""
    parts = []
    for name, table in TABLES.items():
        rows = [(f"`{each}`", column.type, column.text) for each, column in table.columns.items()]
        parts.append(f"\n### {name}\n\n{table.text}\n\n{_table(('column', 'type', 'meaning'), rows)}\n")
    return "".join(parts) + "\n"


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = (f"| {' | '.join(row)} |" for row in (headings, *rows))
    heading, *lines = cells
    return "\n".join((heading, "|" + "---|" * len(headings), *lines))
