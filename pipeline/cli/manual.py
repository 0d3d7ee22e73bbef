"""The manual page, from the help of the commands: https://man7.org/linux/man-pages/man7/groff_man.7.html."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from pipeline.cli.app import modelwatch


def manual() -> str:
    """Return the manual page in the macros of `man` of groff."""
    top = click.Context(modelwatch, info_name="modelwatch", **modelwatch.context_settings)
    summary = (modelwatch.help or "").partition("\n")[0]
    lines = [
        '.TH MODELWATCH 1 "" modelwatch',
        ".SH NAME",
        f"modelwatch \\- {_text(summary[:1].lower() + summary[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B modelwatch\n{_text(' '.join(modelwatch.collect_usage_pieces(top)))}",
        ".SH DESCRIPTION",
        *_paragraphs(modelwatch),
        ".SH OPTIONS",
        *_options(modelwatch, top),
        ".SH COMMANDS",
    ]
    for name in modelwatch.list_commands(top):
        command = modelwatch.get_command(top, name)
        assert command
        below = click.Context(command, info_name=name, parent=top)
        lines += [
            f".SS modelwatch {_text(name)}",
            f".B modelwatch {_text(name)}\n{_text(' '.join(command.collect_usage_pieces(below)))}",
            *_paragraphs(command),
            *_options(command, below),
        ]
    return "\n".join(lines) + "\n"


def _paragraphs(command: click.Command) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        is_kept = paragraph.startswith("\b\n")
        yield ".PP"
        if is_kept:
            yield ".nf"
            yield from map(_text, paragraph.removeprefix("\b\n").splitlines())
            yield ".fi"
        else:
            yield _text(" ".join(paragraph.split()))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    # Every command has --help.
    for parameter in command.params if context.parent else command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            names, text = record
            yield f".TP\n.B {_text(names)}"
            yield _text(" ".join(text.split()))


def _text(text: str) -> str:
    """Return a text in which no letter is a request of the formatter, or becomes another one."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    escaped = escaped.replace("^", "\\(ha").replace("~", "\\(ti").replace('"', "\\(dq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
