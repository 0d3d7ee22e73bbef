"""What a probe found: as a table with the lines for the config, and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click

from pipeline.cli.terminal import table
from pipeline.core.text import printable
from pipeline.core.types import Scope
from pipeline.errors import FetchError
from pipeline.gateways.dialects import AUTO, DEFAULT, Dialect
from pipeline.gateways.probe import GRAVE, Difference, Probe

_MOST_ROWS = 40


_MOST_NAMES = 5


_LONGEST_VALUE = 32


_BARE = re.compile(r"^[A-Za-z0-9_-]+$")


_SETTLED = {
    "noise": "left out already: noise",
    "sets": "put in order already: sets",
    "time": "left out already: it is the moment of asking",
    "copy": "no difference as read: one of several rows of one id is kept",
}


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """A probe of a scope, and in which dialects it was asked and read; None where too few answers came."""

    scope: Scope
    asked: Dialect
    read: Dialect
    times: int
    probe: Probe | None


def probe_value(told: ProbeAnswer, failures: Mapping[int, FetchError]) -> dict[str, Any]:
    """Give a probe as plain values; `config` has whole lines, with what the gateway's table has already."""
    probe = told.probe
    return {
        "scope": told.scope.name,
        "gateway": told.scope.gateway.name,
        "dialect": told.read.name,
        "known_by": _known_by(told),
        "asked": told.times,
        "errors": [
            {"answer": number, "class": type(error).__name__, "message": error.message}
            for number, error in failures.items()
        ],
        "probe": asdict(probe) if probe else None,
        "config": _settings(told.scope, probe) if probe else {},
    }


def print_probe(told: ProbeAnswer) -> None:
    """Print a probe."""
    if told.probe is None:
        return
    click.echo(_heading(told, told.probe))
    for line in _remarks(told.scope, told.probe):
        click.echo(line)
    if told.probe.differences:
        click.echo()
        _table(told.probe)
        click.echo()
    for line in _advice(told.scope, told.probe):
        click.echo(line)


def _known_by(told: ProbeAnswer) -> str:
    if told.scope.gateway.dialect != AUTO:
        return "config"
    if told.asked.name != DEFAULT:
        return "address"
    return "answer" if told.read.name != DEFAULT else "default"


def _heading(told: ProbeAnswer, probe: Probe) -> str:
    least, most = min(probe.sizes), max(probe.sizes)
    models = f"{most} model{'' if most == 1 else 's'}" if least == most else f"{least} to {most} models"
    known_by = {
        "config": "as the config says",
        "address": "known by its address",
        "answer": "known by its answer",
        "default": "the default",
    }
    compared = len(probe.sizes)
    failed = f", answered {compared} times" if compared < told.times else ""
    heading = f"{told.scope.name}, asked {told.times} times{failed}: {models}"
    return f"{heading}, read as {told.read.name} ({known_by[_known_by(told)]})"


def _remarks(scope: Scope, probe: Probe) -> Iterator[str]:
    if not (probe.flapping or probe.order_differs or probe.differences):
        yield "nothing differs between the answers"
    if probe.flapping:
        named = ", ".join(map(printable, probe.flapping[:_MOST_NAMES]))
        more = len(probe.flapping) - _MOST_NAMES
        yield f"the list flaps: not in every answer {'is' if len(probe.flapping) == 1 else 'are'} {named}" + (
            f" and {more} more" if more > 0 else ""
        )
        yield f"  if removals are told that are none, raise `confirm` ({scope.thresholds.confirm} now)"
    if probe.order_differs:
        yield "the models come in another order, which does not matter"


def _table(probe: Probe) -> None:
    rows = [
        (
            each.path,
            each.models,
            each.values,
            " | ".join(map(_example, each.examples)),
            _verdict(each),
        )
        for each in probe.differences[:_MOST_ROWS]
    ]
    columns = ("field", "models", "values", "for example", "what of it")
    table(columns, rows, right=("models", "values"))
    more = len(probe.differences) - _MOST_ROWS
    if more > 0:
        click.echo(f"and {more} more: --json has all")


def _example(text: str | None) -> str:
    if text is None:
        return "(none)"
    safe = printable(text)
    return safe if len(safe) <= _LONGEST_VALUE else safe[: _LONGEST_VALUE - 1] + "…"


def _verdict(each: Difference) -> str:
    if each.settled_by:
        return _SETTLED[each.settled_by]
    if not each.is_nameable:
        return "no path can name it"
    if each.only_order:
        return "only another order: to sets"
    return f"to noise, though it is of {each.category}" if each.category in GRAVE else "to noise"


def _advice(scope: Scope, probe: Probe) -> Iterator[str]:
    settings = _settings(scope, probe)
    if probe.differences and not settings and not probe.left:
        yield "nothing to add: all of this is dealt with already"
    if settings:
        yield "to put into the config, in place of such lines there:"
        yield ""
        yield f"[gateways.{_key(scope.gateway.name)}]"
        yield from (f"{name} = {_array(paths)}" for name, paths in settings.items())
        yield ""
    grave = [each for each in probe.differences if each.path in probe.noise and each.category in GRAVE]
    if grave:
        named = ", ".join(printable(each.path) for each in grave[:_MOST_NAMES])
        yield f"look first: of a field left out no change is told, and people count on {named}"
    if settings and not probe.left:
        yield "read so, the answers are the same"
    if probe.left:
        even_so = "even so the answers differ" if settings else "the answers differ as they are read"
        yield f"{even_so}, in {', '.join(map(printable, probe.left[:_MOST_NAMES]))}"


def _settings(scope: Scope, probe: Probe) -> dict[str, list[str]]:
    own = scope.gateway.spelling
    new = {"noise": (own.noise, probe.noise), "sets": (own.sets, probe.sets)}
    return {name: [*has, *adds] for name, (has, adds) in new.items() if adds}


def _key(name: str) -> str:
    return name if _BARE.match(name) else json.dumps(name, ensure_ascii=False)


def _array(paths: list[str]) -> str:
    # What is not safe to print is written as `\uXXXX`, which is how TOML has it too.
    return f"[{', '.join(printable(json.dumps(path, ensure_ascii=False)) for path in paths)}]"
