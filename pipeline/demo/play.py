"""Play the script: move the clock, let the scene happen, run the real job, ask the database what it says."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline import config
from pipeline.config import Config
from pipeline.core.types import Resolve
from pipeline.delivery.send import all_destinations, enqueue_and_send
from pipeline.demo.directory import DATABASE, clear, furnish, refuse_strangers
from pipeline.demo.script import INTERVAL, KEYS, RUNS, SCENES, Stage
from pipeline.gateways.client import GatewayClient
from pipeline.history.runs import any_news
from pipeline.history.types import Coverage, Event
from pipeline.reports.console import event_lines, recovery_lines, report_lines, incident_lines, scopes_text
from pipeline.reports.report import build_report
from pipeline.reports.types import Report
from pipeline.simulator import Gateway
from pipeline.store import Store, lock
from pipeline.store.changes import Window
from pipeline.sync.run import sync

_MOST = 3
"""So many events of one run are told one by one."""


@dataclass(frozen=True, slots=True)
class Step:
    """A run worth telling of.

    Args:
        at: when it began, in ISO 8601 UTC.
        scene: what had happened at the gateway just before; None when nothing had.
        said: what modelwatch says of it.
    """

    at: str
    scene: str | None
    said: tuple[str, ...]


@dataclass(slots=True)
class _Clock:
    """The time in the script; gateway and job both look at this one."""

    at: datetime

    def seconds(self) -> float:
        return self.at.timestamp()

    def now(self) -> str:
        return self.at.strftime("%Y-%m-%dT%H:%M:%SZ")


def play(
    directory: Path, *, until: datetime, resolver: Callable[[Path], Resolve], user_agent: str
) -> Generator[Step]:
    """Play the whole script; gives the steps worth telling, each as soon as it is done.

    Args:
        directory: where config, database and reports go; what an earlier demo left there is removed.
        until: when the last run begins, UTC.
        resolver: gives the function that follows references to secrets, for a config's directory.
        user_agent: how the job introduces itself to the gateway.

    Raises:
        ConfigError: the directory holds what no demo has written, or cannot be written.
        StoreError: the same of the database, or another run is at work there.
    """
    refuse_strangers(directory)
    clock = _Clock(until - (RUNS - 1) * INTERVAL)
    with (
        lock(directory / DATABASE, since=clock.now()),
        Gateway(control=False, clock=clock.seconds) as gateway,
    ):
        clear(directory)
        stage = Stage(gateway, {alias: f"sk-{secrets.token_hex(16)}" for alias in KEYS})
        loaded = config.load(furnish(directory, url=gateway.url, secrets=stage.secrets))
        resolve = resolver(directory)
        with Store.open(loaded.database) as store:
            yield from _steps(stage, store, loaded, resolve, user_agent, clock)
            store.checkpoint()


def _steps(
    stage: Stage, store: Store, loaded: Config, resolve: Resolve, user_agent: str, clock: _Clock
) -> Iterator[Step]:
    for number in range(RUNS):
        scene = SCENES.get(number)
        if scene:
            scene.happens(stage)
        done = sync(loaded.scopes, store, lambda: GatewayClient(resolve, user_agent=user_agent), clock.now)
        destinations = all_destinations(loaded.reports, loaded.destinations)
        enqueue_and_send(store, destinations, loaded.watch, clock.now, resolve).check()
        window = Window(done.snapshot - 1, done.snapshot)
        if scene or any_news(store, window):
            report = build_report(store, window)
            said = _sizes(report) if number == 0 else _said(report)
            yield Step(report.run.started_at, scene.text if scene else None, tuple(said))
        clock.at += INTERVAL


def _said(report: Report) -> Iterator[str]:
    """Say a report's events and troubles in few lines."""
    told = [
        *_events(report.events),
        *recovery_lines(report.recoveries),
        *incident_lines(report.coverage),
    ]
    yield from told or report_lines(report)


def _events(events: Sequence[Event]) -> Iterator[str]:
    """Give the first events, with the scopes behind them where those are others than in the line above."""
    told = [[line.removeprefix("  ") for line in event_lines([event], quiet_too=True)] for event in events]
    width = max((len(first) for _, first, *_ in told[:_MOST]), default=0)
    above = ""
    for event, (_, first, *more) in zip(events[:_MOST], told, strict=False):
        scopes = scopes_text(event.gateway, event.scopes, event.groups)
        yield first if scopes == above else f"{first:{width}}   {scopes}"
        yield from more
        above = scopes
    if len(events) > _MOST:
        yield f"… and {len(events) - _MOST} more"


def _sizes(report: Report) -> Iterator[str]:
    """Say what everyone is offered at first."""
    shared: dict[str, list[Coverage]] = {}
    for scope in report.coverage:
        offered = f"{scope.models} models, " + (f"group {scope.group}" if scope.group else "without a key")
        shared.setdefault(offered, []).append(scope)
    for offered, scopes in shared.items():
        yield f"{scopes_text(scopes[0].gateway, tuple(scope.scope for scope in scopes), ())}: {offered}"
