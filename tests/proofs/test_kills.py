"""A run or an import killed at any point leaves a valid database, and the next one completes the history."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.e2e import Job, Scripted
from support.fakes import rows_of
from support.proving import (
    SETTLED,
    World,
    current_bodies,
    home,
    problems,
    recorded_events,
    reported_events,
    settle,
    stray_files,
)

from pipeline.store import Store

pytestmark = pytest.mark.proofs


RUNS_KILLED, IMPORTS_KILLED = 10, 8
"""The kills in each of two cases; test_faults.py has two hundred others, of every command."""

ATTEMPTS = 60
"""The maximum of attempts, since some processes end before they are killed."""


def durations(job: Job, world: World) -> tuple[float, float]:
    """Return the seconds of a run until its first request, and until its end."""
    world.asked.clear()
    began = time.monotonic()
    process = job.start("run")
    assert world.asked.wait(30)
    until_asked = time.monotonic() - began
    process.communicate(timeout=30)
    return until_asked, time.monotonic() - began


def killed(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a process after some seconds; return whether it was still running."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("seed", [11, 12])
def test_a_run_killed_at_any_point_loses_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    world = World(chance)
    with Scripted(world.answer) as server:
        job, reference = home(tmp_path / "home", server.url), home(tmp_path / "reference", server.url)
        assert job.quick("run").code == 0
        until_asked, until_ended = durations(reference, world)
        kills = 0
        for number in range(ATTEMPTS):
            if kills == RUNS_KILLED:
                break
            world.turns()
            world.asked.clear()
            process = job.start("run")
            if number % 3:
                assert world.asked.wait(30)
                kills += killed(process, chance.uniform(0, until_ended - until_asked))
            else:
                kills += killed(process, chance.uniform(0, until_ended))
            assert problems(job.database) == []
            first, second = settle(job, reference)
            assert first == second
            assert current_bodies(job.database) == current_bodies(reference.database)
        assert kills == RUNS_KILLED, "too few processes were killed"
        assert (
            recorded_events(job.database) == recorded_events(reference.database) == reported_events(reference)
        )
        assert reported_events(job) == reported_events(reference)
        assert stray_files(job) == []
        assert problems(job.database) == []


IMPORT = """
from functools import partial
import sqlite_utils
from pipeline.sync import backfill
backfill.backfill = partial(backfill.backfill, batch=3)
from pipeline import api
from pipeline.cli import import_
from pipeline.cli.app import main
print("ready", flush=True)
main()
"""


def save(directory: Path, chance: random.Random) -> Path:
    """Save the answers of forty days in a directory, and return it."""
    directory.mkdir()
    world = World(chance)
    for day in range(40):
        world.turns()
        content = b"<html>" if day % 13 == 7 else world.body("one")
        (directory / f"2025-{9 + day // 28:02}-{1 + day % 28:02}.json").write_bytes(content)
    return directory


def importing(job: Job, source: Path) -> subprocess.Popen[str]:
    """Start an import with small transactions, and wait until its modules are loaded."""
    words = ["import", "acme/old", str(source), "--dialect", "openai", "--home", str(job.home)]
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORT, *words],
        env=job.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("seed", [21, 22])
def test_an_import_killed_at_any_point_can_be_completed(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source = save(tmp_path / "saved", chance)
    reference = Job(tmp_path / "reference")
    began = time.monotonic()
    importing(reference, source).communicate(timeout=30)
    usual = time.monotonic() - began
    attempt = kills = 0
    job = Job(tmp_path / "home 0")
    for _ in range(ATTEMPTS):
        if kills == IMPORTS_KILLED:
            break
        process = importing(job, source)
        kills += killed(process, chance.uniform(0, usual / 2))
        assert problems(job.database) == []
        if process.returncode in SETTLED or chance.random() < 0.2:
            complete(job, source, reference)
            attempt += 1
            job = Job(tmp_path / f"home {attempt}")
    complete(job, source, reference)
    assert kills == IMPORTS_KILLED, "too few processes were killed"


def complete(job: Job, source: Path, reference: Job) -> None:
    """Complete an import; its rows must be those of an import that was not killed."""
    assert job.quick("import", "acme/old", str(source), "--dialect", "openai").code in SETTLED
    with Store.read(job.database) as store, Store.read(reference.database) as other:
        mine, others = rows_of(store), rows_of(other)
    assert mine.pop("_sqlite_migrations")[0]["name"] == others.pop("_sqlite_migrations")[0]["name"]
    assert mine == others
    assert problems(job.database) == []
