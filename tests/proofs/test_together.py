"""Several processes on one database: two runs, another program that locks it, and a reading Datasette."""

from __future__ import annotations

import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.e2e import Done, Job, Question, Reply, Scripted, ended, one_line
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

pytestmark = pytest.mark.proofs

SHORT_TIMEOUT = """
from pipeline.store import database
database.BUSY_TIMEOUT_MS = 200
from pipeline.cli.app import main
main()
"""


def test_of_two_runs_at_once_one_exits_with_75_and_each_change_is_reported_once(tmp_path: Path) -> None:
    world = World(random.Random(41))
    both = threading.Barrier(2)
    may_answer = threading.Event()

    def answer(question: Question) -> Reply:
        may_answer.wait(30)
        return world.answer(question)

    with Scripted(answer) as server:
        job, reference = home(tmp_path / "home", server.url), home(tmp_path / "reference", server.url)
        may_answer.set()
        assert (job.quick("run").code, reference.quick("run").code) == (0, 0)
        for _ in range(10):
            world.turns()
            may_answer.clear()
            first, second = _run_two(job, both, may_answer)
            completed, rejected = (first, second) if second.code == 75 else (second, first)
            assert completed.code in SETTLED
            one_line(rejected, 75, str(job.database), "another run holds the lock", "wait for it")
            settle(job, reference)
            assert current_bodies(job.database) == current_bodies(reference.database)
    assert problems(job.database) == []
    assert (
        recorded_events(job.database)
        == recorded_events(reference.database)
        == reported_events(job)
        == reported_events(reference)
    )
    assert stray_files(job) == []


def _run_two(job: Job, both: threading.Barrier, may_answer: threading.Event) -> tuple[Done, Done]:
    """Start two runs at once; the gateway answers only after one has exited."""
    processes = [job.start("run"), job.start("run")]
    found: dict[int, Done] = {}

    def wait(number: int) -> None:
        both.wait(30)
        found[number] = ended(processes[number])
        may_answer.set()

    threads = [threading.Thread(target=wait, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found[0], found[1]


@pytest.mark.parametrize("words", [("run",), ("sync",), ("report",), ("accept", "*")])
def test_a_lock_of_another_program_times_out_in_one_line_and_nothing_is_written(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Once the lock is released, the next run completes the history."""
    world = World(random.Random(42))
    with Scripted(world.answer) as server:
        job = home(tmp_path / "home", server.url)
        assert job.quick("run").code == 0
        for offered in world.lists.values():
            for model in sorted(offered)[1:]:
                del offered[model]
        assert job.quick("sync").code == 5
        before = current_bodies(job.database), job.written()
        with closing(sqlite3.connect(job.database, isolation_level=None)) as other:
            other.execute("begin immediate")
            process = subprocess.Popen(
                [sys.executable, "-c", SHORT_TIMEOUT, *words, "--home", str(job.home)],
                env=job.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
            with process:
                one_line(ended(process), 74, str(job.database), "kept it locked", "nothing was written")
            assert (current_bodies(job.database), job.written()) == before
            other.execute("rollback")
        assert job.run(*words).code in SETTLED
        assert settle(job) == [0]
    assert problems(job.database) == []
    assert recorded_events(job.database) == reported_events(job)


@contextmanager
def datasette(database: Path) -> Iterator[str]:
    """Serve a database by Datasette; yield its URL once it responds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "datasette", "serve", str(database), "--port", str(port)]
    with (database.parent / "datasette.log").open("wb") as log:
        server = subprocess.Popen([*words, "--setting", "sql_time_limit_ms", "20000"], stdout=log, stderr=log)
    try:
        for _ in range(300):
            assert server.poll() is None, (database.parent / "datasette.log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/versions.json", timeout=5).close()
            except urllib.error.URLError:
                time.sleep(0.1)
            else:
                break
        yield f"http://127.0.0.1:{port}/{database.stem}"
    finally:
        server.terminate()
        server.wait(30)


PAGES = (
    "",
    "/catalog",
    "/change_log",
    "/health",
    "/scopes",
    "/sightings",
    "/records.json",
    "/models?_sort=name",
)


def test_datasette_reads_pages_while_runs_write_without_errors_on_either_side(tmp_path: Path) -> None:
    world = World(random.Random(43))
    stop = threading.Event()
    read: list[int] = []
    failed: list[str] = []

    def browse(base: str) -> None:
        while not stop.is_set():
            for page in PAGES:
                try:
                    with urllib.request.urlopen(f"{base}{page}", timeout=30) as answer:
                        read.append(len(answer.read()))
                except urllib.error.URLError as error:
                    failed.append(f"{page}: {error}")

    with Scripted(world.answer) as server:
        job = home(tmp_path / "home", server.url)
        assert job.quick("run").code == 0
        with datasette(job.database) as base:
            readers = [threading.Thread(target=browse, args=(base,)) for _ in range(2)]
            for reader in readers:
                reader.start()
            done = []
            for _ in range(12):
                world.turns()
                done.append(job.run("run"))
            stop.set()
            for reader in readers:
                reader.join()
    assert failed == []
    assert len(read) > len(PAGES)
    assert {each.code for each in done} <= SETTLED
    assert not [each for each in done if "locked" in each.stderr or "Traceback" in each.stderr]
    assert problems(job.database) == []
