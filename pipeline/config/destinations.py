"""Read where reports go: the tables `[destinations.NAME]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import time
from pathlib import Path
from typing import TypeVar

from pipeline.config.channels import CHANNELS, channel
from pipeline.config.keys import bad_name, is_name
from pipeline.config.toml import Table
from pipeline.config.watched import scope_globs
from pipeline.destinations import LANGUAGES, Destination, Filter, Rhythm
from pipeline.reports.brief import Severity
from pipeline.types import Scope

RESERVED = frozenset({"reports", "nobody"})
"""What the outbox calls the directory of the reports, and what is told to nobody."""

_COMMON = frozenset(
    {"type", "scopes", "groups", "owners", "models", "severity", "every", "at", "on", "zone"}
) | {
    "language",
    "empty",
    "templates",
}
_EVERY = ("run", "day", "week")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_Choice = TypeVar("_Choice", bound=str)


def destinations(table: Table, scopes: Sequence[Scope]) -> tuple[Destination, ...]:
    """Read the table `[destinations]`, in the file's order.

    Raises:
        ConfigError: names the file, the line or key, and what to write.
    """
    return tuple(_destination(name, below, scopes) for name, below in table.tables())


def _destination(name: str, table: Table, scopes: Sequence[Scope]) -> Destination:
    if not is_name(name):
        table.fail(bad_name())
    if name in RESERVED:
        table.fail("is a name that modelwatch uses itself: give it another")
    kind = _one_of(table, "type", tuple(CHANNELS), None)
    table.only(_COMMON | CHANNELS[kind])
    return Destination(
        name=name,
        channel=channel(kind, table),
        filter=_filter(table, scopes),
        rhythm=_rhythm(table),
        language=_one_of(table, "language", LANGUAGES, "en"),
        empty=table.flag("empty"),
        templates=_templates(table),
    )


def _filter(table: Table, scopes: Sequence[Scope]) -> Filter:
    return Filter(
        scopes=scope_globs(table, scopes),
        groups=table.texts("groups", '["vip", "team-*"]'),
        owners=table.texts("owners", '["openai", "anthropic"]'),
        models=table.texts("models", '["gpt-*", "claude-*"]'),
        severity=Severity(_one_of(table, "severity", tuple(Severity), Severity.NOTABLE)),
    )


def _rhythm(table: Table) -> Rhythm:
    every = _one_of(table, "every", _EVERY, "run")
    for key in ("at", "on", "zone"):
        if key in table and (every == "run" or (key == "on" and every == "day")):
            fitting = '"week"' if key == "on" else '"day" or "week"'
            table.fail(
                f'means nothing beside every = "{every}": write every = {fitting}, or leave it out', key
            )
    on = _DAYS.index(_one_of(table, "on", _DAYS, "monday"))
    return Rhythm(every, _at(table), on, _zone(table))


def _at(table: Table) -> time:
    value = table.values.get("at", time(7))
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found:
        return time(int(found[1]), int(found[2]))
    if not isinstance(value, time):
        table.fail('is no time of day: write e.g. "07:30"', "at")
    return value.replace(second=0, microsecond=0)


def _zone(table: Table) -> str:
    from zoneinfo import ZoneInfo

    name = table.text("zone") or "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        table.fail(f'{name!r} is no time zone: write e.g. "Europe/Berlin" or "UTC"', "zone")
    return name


def _templates(table: Table) -> Path | None:
    if table.text("templates") is None:
        return None
    path = table.file("templates", "")
    if not path.is_dir():
        table.fail(f"there is no directory {path}", "templates")
    return path


def _one_of(table: Table, key: str, choices: Sequence[_Choice], default: _Choice | None) -> _Choice:
    value = table.text(key)
    if value is None and default is not None:
        return default
    found = next((choice for choice in choices if choice == value), None)
    if found is None:
        quoted = ", ".join(f'"{choice}"' for choice in choices)
        what = f"has no {key}: write" if value is None else f"{value!r} is not known: use"
        table.fail(f"{what} one of {quoted}", *([] if value is None else [key]))
    return found
