"""Play the script: move the clock, change the gateway, and run the real job."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from pipeline import api
from pipeline.core.times import iso
from pipeline.demo.directory import clear, refuse_foreign_files, write_config
from pipeline.demo.script import ENDS_AFTER, INTERVAL, KEYS, RUNS, SCENES, Stage
from pipeline.history.types import Coverage, Event
from pipeline.reports.console import event_lines, incident_lines, recovery_lines, report_lines, scopes_text
from pipeline.reports.types import Report
from pipeline.simulator import Gateway

_MOST_EVENTS = 3
"""So many events of one run are printed."""


class Step(Struct, frozen=True):
    """A run with news, or after a scene.

    Args:
        at: when it began (ISO 8601 UTC).
        scene: what changed at the gateway before it; None for nothing.
        lines: what modelwatch reports.
    """

    at: str
    scene: str | None
    lines: tuple[str, ...]


class _Clock(Struct):
    """The time in the script, for both gateway and job."""

    at: datetime

    def timestamp(self) -> float:
        return self.at.timestamp()

    def now(self) -> str:
        return iso(self.at)


def play(directory: Path, *, until: datetime, runs: int = RUNS) -> Generator[Step]:
    """Play the script; yield each step when it is done.

    Args:
        directory: where config, database and reports go; those of an earlier demo are removed.
        until: when the last run begins, UTC.
        runs: how many runs to play.

    Raises:
        ConfigError: the directory has files of somebody's own, or cannot be written.
        Locked: a run is under way there.
    """
    refuse_foreign_files(directory)
    clock = _Clock(until - (runs - 1) * INTERVAL)
    with (
        api.home(directory, clock=clock.now).locked() as home,
        Gateway(control=False, clock=clock.timestamp) as gateway,
    ):
        clear(directory)
        stage = Stage(
            gateway,
            {alias: f"sk-{secrets.token_hex(16)}" for alias in KEYS},
            (until + ENDS_AFTER).date().isoformat(),
        )
        write_config(directory, url=gateway.url, secrets=stage.secrets)
        for number in range(runs):
            scene = SCENES.get(number)
            if scene:
                scene.play(stage)
            result = home.run()
            result.deliveries.check()
            if scene or result.deliveries.written:
                lines = _first_lines(home.scopes()) if number == 0 else _lines(result.report)
                yield Step(result.report.run.started_at, scene.text if scene else None, tuple(lines))
            clock.at += INTERVAL


def _first_lines(coverage: Iterable[Coverage]) -> Iterator[str]:
    """Yield how many models each group of scopes is offered at first."""
    groups: dict[str, list[Coverage]] = {}
    for scope in coverage:
        offer = f"{scope.models} models, " + (f"group {scope.group}" if scope.group else "without a key")
        groups.setdefault(offer, []).append(scope)
    for offer, scopes in groups.items():
        yield f"{scopes_text(scopes[0].gateway, tuple(scope.scope for scope in scopes), ())}: {offer}"


def _lines(report: Report) -> Iterator[str]:
    """Yield a report in a few lines."""
    lines = [
        *_event_lines(report.events),
        *recovery_lines(report.recoveries),
        *incident_lines(report.coverage),
    ]
    yield from lines or report_lines(report)


def _event_lines(events: Sequence[Event]) -> Iterator[str]:
    """Yield the first events, each with its scopes where they differ from those of the line above."""
    blocks = [[line.removeprefix("  ") for line in event_lines([event], quiet_too=True)] for event in events]
    width = max((len(first) for _, first, *_ in blocks[:_MOST_EVENTS]), default=0)
    above = ""
    for event, (_, first, *details) in zip(events[:_MOST_EVENTS], blocks, strict=False):
        scopes = scopes_text(event.gateway, event.scopes, event.groups)
        yield first if scopes == above else f"{first:{width}}   {scopes}"
        yield from details
        above = scopes
    if len(events) > _MOST_EVENTS:
        yield f"… and {len(events) - _MOST_EVENTS} more"
