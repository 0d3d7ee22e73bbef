"""A full disk, files without write permission, a removed home: one line on stderr, nothing half-written."""

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
from support.e2e import Done, Job, Question, Reply, Scripted, ended, one_line
from support.mounts import can_mount, with_own_mounts
from support.proving import (
    KEYS,
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

pytestmark = pytest.mark.proofs

OTHER_USER = 65534
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="needs root and setpriv(1)",
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
    """Run a shell script in the environment of the job."""
    words = ["sh", "-c", text]
    with subprocess.Popen(
        with_own_mounts(*words) if private else words,
        env=job.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        return ended(process)


@needs_mount
@pytest.mark.parametrize("seed", range(12))
def test_a_full_disk_at_any_point_loses_nothing(
    tmp_path: Path, server: Scripted, world: World, seed: int
) -> None:
    """With any space left, the run succeeds or reports the full disk; later runs complete the history."""
    chance = random.Random(seed)
    job, reference = home(tmp_path / "home", server.url), home(tmp_path / "reference", server.url)
    for each in (job, reference):
        assert each.quick("run").code == 0
    world.turns()
    world.failing.clear()
    for key in KEYS:
        world.lists[key] |= {f"m{number}": 0 for number in range(1000, 1000 + chance.randrange(200))}
    room = chance.choice([0, 4, 8, chance.randrange(500)])
    disk, saved = tmp_path / "disk", tmp_path / "saved"
    disk.mkdir()
    on_disk = Job(disk, job.env)
    done = script(
        on_disk,
        f"""
        mount -t tmpfs -o size=16m none {disk} && cp -r {job.home}/. {disk} || exit 99
        used=$(df -k --output=used {disk} | tail -n 1)
        mount -o remount,size=$((used + {room}))k {disk} || exit 99
        {shlex.join(on_disk.command("run"))}
        code=$?
        cp -r {disk} {saved}
        exit $code
        """,
        private=True,
    )
    if done.code not in SETTLED:
        assert done.code in {6, 74}
        # Held and failing scopes may have been printed before the disk was full.
        *printed_before, error = done.stderr.splitlines(keepends=True)
        assert all(" since " in line for line in printed_before)
        one_line(replace(done, stderr=error), done.code, str(disk))
        assert "full" in done.stderr or "No space left" in done.stderr
    shutil.rmtree(job.home)
    shutil.copytree(saved, job.home)
    assert problems(job.database) == []
    assert stray_files(job) == []
    settle(job, reference)
    assert current_bodies(job.database) == current_bodies(reference.database)
    assert (
        recorded_events(job.database)
        == recorded_events(reference.database)
        == reported_events(job)
        == reported_events(reference)
    )
    assert problems(job.database) == []


def as_other_user(job: Job, *arguments: str) -> Done:
    """Run the command as a user who may read every file, such as Python, and write only its own."""
    process = subprocess.Popen(
        [
            *("setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"),
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
    """A directory that every user can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@needs_root
@pytest.mark.parametrize("closed", ["directory", "database", "lock", "reports"])
def test_a_file_without_write_permission_is_one_line_and_changes_nothing(
    open_path: Path, server: Scripted, world: World, closed: str
) -> None:
    """Commands that only read still work."""
    job = home(open_path / "home", server.url)
    assert job.quick("run").code == 0
    world.lists["one"]["new"] = 0
    for path in [job.home, *job.home.rglob("*")]:
        os.chown(path, OTHER_USER, OTHER_USER)
    read_only = {
        "directory": job.home,
        "database": job.database,
        "lock": job.home / "modelwatch.db.lock",
        "reports": job.reports,
    }[closed]
    os.chown(read_only, 0, 0)
    read_only.chmod(0o555 if read_only.is_dir() else 0o444)
    before = current_bodies(job.database)
    reports = job.written()
    done = as_other_user(job, "run")
    if closed == "reports":
        one_line(done, 6, str(job.reports), "the next run tries again")
    else:
        one_line(done, 74, str(read_only), "modelwatch.db")
        assert current_bodies(job.database) == before
    assert job.written() == reports
    assert problems(job.database) == []
    assert as_other_user(job, "status").code == 0
    os.chown(read_only, OTHER_USER, OTHER_USER)
    read_only.chmod(0o755 if read_only.is_dir() else 0o644)
    for _ in range(2):
        done = as_other_user(job, "run")
        assert done.code in SETTLED, done
    assert problems(job.database) == []
    assert recorded_events(job.database) == reported_events(job)


def test_a_removed_home_is_a_missing_config_and_is_not_created(tmp_path: Path, server: Scripted) -> None:
    job = home(tmp_path / "home", server.url)
    shutil.rmtree(job.home)
    one_line(job.run("run"), 78, str(job.config))
    assert not job.home.exists()


def test_a_home_removed_during_a_run_is_one_line(tmp_path: Path, world: World) -> None:
    """The home is not created again, and a new one in its place works."""
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
