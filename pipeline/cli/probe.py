"""The command `probe`: request one list several times and show the fields that differ without a change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import click
from msgspec.structs import asdict

from pipeline.api import FieldDifference, Home, ProbeResult, ScopeProbe
from pipeline.cli.options import LOG, Name, logged, with_home
from pipeline.cli.terminal import Column, progress, raw, table
from pipeline.core.canonical import pretty
from pipeline.core.text import count, printable
from pipeline.errors import exit_status

_MOST_ROWS = 40


_MOST_NAMES = 5


_LONGEST_VALUE = 32


_BARE_KEY = re.compile(r"^[A-Za-z0-9_-]+$")
"""A key that needs no quotes; see https://toml.io/en/v1.0.0#keys."""


@click.command()
@with_home
@logged
@click.argument("gateway", type=Name("gateways"))
@click.option(
    "--scope", "name", type=Name("scopes"), help="Ask as this scope.  [default: the gateway's first]"
)
@click.option(
    "--times", type=click.IntRange(min=2), default=3, show_default=True, help="The number of requests."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def probe(
    home: Home, gateway: str, *, name: str | None, times: int, as_json: bool, quiet: bool, verbose: int
) -> int:
    """Request a gateway's list several times in a row and show the fields that differ.

    Prints the config lines that keep these fields out of reports. No database is read or written.
    """
    del verbose
    with progress(times, quiet=quiet) as bar:
        found = home.probe(gateway, scope=name, times=times, on_answer=bar.step)
    if as_json:
        raw(pretty(probe_value(found)))
    elif not quiet and found.result:
        _print_probe(found, found.result)
    numbers: dict[str, list[str]] = {}
    for number, error in found.failures.items():
        numbers.setdefault(error.message, []).append(str(number))
    for message, failed in numbers.items():
        LOG.warning("%s: answer %s of %d: %s", found.scope.name, ", ".join(failed), times, message)
    return exit_status(scopes=times, failed=len(found.failures))


def probe_value(found: ScopeProbe) -> dict[str, Any]:
    """Return a probe as JSON values; `config` holds whole settings, with the paths already in the config."""
    return {
        "scope": found.scope.name,
        "gateway": found.scope.gateway.name,
        "dialect": found.read.name,
        "dialect_source": found.dialect_source,
        "times": found.times,
        "errors": [
            {"answer": number, "class": type(error).__name__, "message": error.message}
            for number, error in found.failures.items()
        ],
        "incomplete": found.incomplete,
        "probe": asdict(found.result) if found.result else None,
        "config": found.settings,
    }


def _print_probe(found: ScopeProbe, result: ProbeResult) -> None:
    click.echo(_heading(found, result))
    for line in _remarks(found, result):
        click.echo(line)
    if result.differences:
        click.echo()
        _print_differences(result)
        click.echo()
    for line in _advice(found, result):
        click.echo(line)


_DIALECT_SOURCES = {
    "config": "set in the config",
    "address": "recognised by its address",
    "answer": "recognised by its answer",
    "default": "the default",
}


def _heading(found: ScopeProbe, result: ProbeResult) -> str:
    least, most = min(result.sizes), max(result.sizes)
    models = count(most, "model") if least == most else f"{least} to {most} models"
    answered = len(result.sizes)
    failed = f", answered {answered} times" if answered < found.times else ""
    dialect = f"dialect {found.read.name} ({_DIALECT_SOURCES[found.dialect_source]})"
    return f"{found.scope.name}, asked {found.times} times{failed}: {models}, {dialect}"


def _remarks(found: ScopeProbe, result: ProbeResult) -> Iterator[str]:
    if not (result.flapping or result.order_differs or result.differences):
        yield "the answers are equal"
    if found.incomplete:
        yield found.incomplete
    if result.flapping:
        yield f"some answers lack these models: {_names(result.flapping)}"
        confirm = found.scope.thresholds.confirm
        advice = f"raise `confirm` (now {confirm}) or `confirm_after`"
        yield f"  if reports show removals that did not happen, {advice}"
    if result.order_differs:
        yield "the order of the models differs, which is never reported"


_COLUMNS = (
    Column("field"),
    Column("models", right=True, spare=2),
    Column("values", right=True, spare=3),
    Column("examples", folds=True, spare=1),
    Column("treatment", folds=True),
)


def _print_differences(result: ProbeResult) -> None:
    rows = [
        (each.path, each.models, each.values, " | ".join(map(_example, each.examples)), _treatment(each))
        for each in result.differences[:_MOST_ROWS]
    ]
    table(_COLUMNS, rows)
    more = len(result.differences) - _MOST_ROWS
    if more > 0:
        click.echo(f"and {more} more: --json has all")


def _example(text: str | None) -> str:
    if text is None:
        return "(none)"
    safe = printable(text)
    return safe if len(safe) <= _LONGEST_VALUE else safe[: _LONGEST_VALUE - 1] + "…"


_SETTLED = {
    "noise": "ignored: in noise",
    "sets": "sorted: in sets",
    "time": "ignored: the time of the request",
    "copy": "ignored: one of several rows with the same id",
}


def _treatment(each: FieldDifference) -> str:
    if each.settled_by:
        return _SETTLED[each.settled_by]
    if not each.is_nameable:
        return "no path can name it"
    if each.only_order:
        return "add to sets: only the order differs"
    return f"add to noise, although its class is {each.category}" if each.important else "add to noise"


def _advice(found: ScopeProbe, result: ProbeResult) -> Iterator[str]:
    settings = found.settings
    if result.differences and not settings and not result.left:
        yield "nothing to add: the dialect and the config handle every difference"
    if settings:
        yield "write this to the config, in place of the same keys:"
        yield ""
        yield f"[gateways.{_toml_key(found.scope.gateway.name)}]"
        yield from (f"{name} = {_toml_array(paths)}" for name, paths in settings.items())
        yield ""
    important = [each.path for each in result.differences if each.path in result.noise and each.important]
    if important:
        yield f"check first: changes of noise are never reported, and readers rely on {_names(important)}"
    if settings and not result.left:
        yield "with these settings the answers are equal"
    if result.left:
        even = "even with these settings the answers" if settings else "the answers"
        yield f"{even} differ in {_names(result.left)}"


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(map(printable, names[:_MOST_NAMES])) + (f" and {more} more" if more > 0 else "")


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.match(name) else json.dumps(name, ensure_ascii=False)


def _toml_array(paths: Sequence[str]) -> str:
    # `printable` writes unsafe characters as `\uXXXX`, which is an escape of TOML's basic strings too.
    return f"[{', '.join(printable(json.dumps(path, ensure_ascii=False)) for path in paths)}]"
