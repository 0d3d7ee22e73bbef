"""A full disk, files that may not be written, a home that goes: one line, nothing half-written."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli.test_bad_input import can_mount, in_private
from support.e2e import Done, Job, Question, Reply, Scripted, ended, one_line
from support.proving import (
    KEYS,
    SETTLED,
    World,
    current_bodies,
    home,
    problems,
    recorded_events,
    reported_events,
    stray_files,
)

pytestmark = pytest.mark.proofs

NOBODY = 65534
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root can become another user, with setpriv(1)",
)
needs_mount = pytest.mark.skipif(
    not can_mount(), reason="needs unshare(1) and the right to mount a small disk"
)


@pytest.fixture
def world() -> World:
    return World(random.Random(31))


@pytest.fixture
def server(world: World) -> Iterator[Scripted]:
    with Scripted(world.answer) as scripted:
        yield scripted


def script(job: Job, text: str, *, private: bool = False) -> Done:
    """Run a shell script as a process of the job."""
    words = ["sh", "-c", text]
    with subprocess.Popen(
        in_private(*words) if private else words,
        env=job.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        return ended(process)


@needs_mount
@pytest.mark.parametrize("seed", range(12))
def test_a_disk_may_be_full_at_any_moment(tmp_path: Path, server: Scripted, world: World, seed: int) -> None:
    """With any room left the run is made or says that the disk is full; with space again nothing is lost."""
    chance = random.Random(seed)
    job, twin = home(tmp_path / "home", server.url), home(tmp_path / "twin", server.url)
    for each in (job, twin):
        assert each.quick("run").code == 0
    world.turns()
    world.failing.clear()
    for key in KEYS:
        world.lists[key] |= {f"m{number}": 0 for number in range(1000, 1000 + chance.randrange(200))}
    room = chance.choice([0, 4, 8, chance.randrange(500)])
    disk, saved = tmp_path / "disk", tmp_path / "saved"
    disk.mkdir()
    there = Job(disk, job.env)
    done = script(
        there,
        f"""
        mount -t tmpfs -o size=16m none {disk} && cp -r {job.home}/. {disk} || exit 99
        used=$(df -k --output=used {disk} | tail -n 1)
        mount -o remount,size=$((used + {room}))k {disk} || exit 99
        {shlex.join(there.command("run"))}
        code=$?
        cp -r {disk} {saved}
        exit $code
        """,
        private=True,
    )
    if done.code not in SETTLED:
        assert done.code in {6, 74}
        # What is held or fails may have been told before there was no room left.
        *told_before, error = done.stderr.splitlines(keepends=True)
        assert all(" since " in line for line in told_before)
        one_line(replace(done, stderr=error), done.code, str(disk))
        assert "full" in done.stderr or "No space left" in done.stderr
    shutil.rmtree(job.home)
    shutil.copytree(saved, job.home)
    assert problems(job.database) == []
    assert stray_files(job) == []
    for _ in range(3):
        assert {job.quick("run").code, twin.quick("run").code} <= SETTLED
    assert current_bodies(job.database) == current_bodies(twin.database)
    assert (
        recorded_events(job.database)
        == recorded_events(twin.database)
        == reported_events(job)
        == reported_events(twin)
    )
    assert problems(job.database) == []


def as_nobody(job: Job, *arguments: str) -> Done:
    """Run the command as a user who may read everything, Python among it, and write what is its own."""
    process = subprocess.Popen(
        [
            *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
            *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
            *job.command(*arguments),
        ],
        env=job.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        return ended(process)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that everybody can get to: those of pytest are closed to others."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@needs_root
@pytest.mark.parametrize("closed", ["directory", "database", "lock", "reports"])
def test_what_may_not_be_written_is_told(
    open_path: Path, server: Scripted, world: World, closed: str
) -> None:
    """Another user's file or directory costs one line and leaves all as it was; reading goes on."""
    job = home(open_path / "home", server.url)
    assert job.quick("run").code == 0
    world.lists["one"]["new"] = 0
    everything = [job.home, *job.home.rglob("*")]
    for path in everything:
        os.chown(path, NOBODY, NOBODY)
    shut = {
        "directory": job.home,
        "database": job.database,
        "lock": job.home / "modelwatch.db.lock",
        "reports": job.reports,
    }[closed]
    os.chown(shut, 0, 0)
    shut.chmod(0o555 if shut.is_dir() else 0o444)
    before = current_bodies(job.database)
    reports = job.written()
    done = as_nobody(job, "run")
    if closed == "reports":
        one_line(done, 6, str(job.reports), "it goes with the next run")
    else:
        one_line(done, 74, str(shut), "modelwatch.db")
        assert current_bodies(job.database) == before
    assert job.written() == reports
    assert problems(job.database) == []
    assert as_nobody(job, "status").code == 0
    os.chown(shut, NOBODY, NOBODY)
    shut.chmod(0o755 if shut.is_dir() else 0o644)
    for _ in range(2):
        done = as_nobody(job, "run")
        assert done.code in SETTLED, done
    assert problems(job.database) == []
    assert recorded_events(job.database) == reported_events(job)


def test_a_home_that_was_removed_is_told(tmp_path: Path, server: Scripted) -> None:
    """Without its directory the config is missing; nothing is made in its place."""
    job = home(tmp_path / "home", server.url)
    shutil.rmtree(job.home)
    one_line(job.run("run"), 78, str(job.config))
    assert not job.home.exists()


def test_a_home_may_be_removed_while_a_run_asks(tmp_path: Path, world: World) -> None:
    """The run ends in one line, the home stays away, and one that is put in its place is as good as new."""
    job = Job(tmp_path / "home")

    def answer(question: Question) -> Reply:
        shutil.rmtree(job.home, ignore_errors=True)
        return world.answer(question)

    with Scripted(answer) as server:
        job = home(tmp_path / "home", server.url)
        done = job.run("run")
    one_line(done, 74, str(job.home), "removed")
    assert not job.home.exists()
    with Scripted(world.answer) as server:
        job = home(tmp_path / "home", server.url)
        assert job.run("run").code == 0
    assert problems(job.database) == []
