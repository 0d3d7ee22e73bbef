"""A database that was removed or emptied after it had a history, and one database under two names."""

from __future__ import annotations

import os
import shutil

import pytest
from support.e2e import Job, Reply, Scripted, listed, one_line

from pipeline.store import lock


@pytest.fixture
def job(tmp_path):
    """A home with two runs, and a backup."""
    job = Job(tmp_path / "home")
    with Scripted(lambda _: Reply(listed("crane", "heron"))) as server:
        job.asks(server.url)
        for _ in range(2):
            assert job.quick("run").code == 0
        assert job.quick("backup", str(tmp_path / "backup.db")).code == 0
        yield job


def lose(job, how):
    """Remove the database and its logs, or empty it."""
    for file in job.home.glob("modelwatch.db*"):
        if how == "missing" or file.name.endswith(("-wal", "-shm")):
            file.unlink()
        elif file == job.database:
            file.write_bytes(b"")


LOST = pytest.mark.parametrize("how", ["missing", "empty"])


@LOST
@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("sync",),
        ("run", "--dry-run"),
        ("models",),
        ("status",),
        ("send",),
        ("verify",),
        ("prune", "--keep", "1d"),
        ("import", "local/old", "SAVED", "--dialect", "openai"),
    ],
)
def test_a_lost_database_is_no_new_history(job, how, words, tmp_path):
    lose(job, how)
    saved = tmp_path / "saved.jsonl"
    saved.write_text('{"at": "2026-09-01T00:00:00Z", "body": {"data": [{"id": "crane"}]}}')
    words = [str(saved) if word == "SAVED" else word for word in words]
    before = sorted(job.home.iterdir())
    one_line(job.quick(*words), 74, f"is {how}, though it had a history", "restore it from a backup", "--new")
    assert [file for file in sorted(job.home.iterdir()) if file.name != "modelwatch.db.lock"] == [
        file for file in before if file.name != "modelwatch.db.lock"
    ]


@LOST
def test_a_restored_database_goes_on(job, how, tmp_path):
    lose(job, how)
    shutil.copyfile(tmp_path / "backup.db", job.database)
    done = job.quick("run", "-v")
    assert (done.code, "no changes" in done.stdout) == (0, True)


@LOST
def test_a_new_history_begins_on_request_and_is_guarded_as_well(job, how):
    lose(job, how)
    assert job.quick("run", "--new").code == 0
    assert "crane" in job.quick("models").stdout
    lose(job, how)
    one_line(job.quick("run"), 74, f"is {how}, though it had a history")


def test_a_new_history_is_refused_where_there_is_one(job):
    one_line(job.quick("run", "--new"), 74, "is not lost", "move it away")
    assert job.quick("status").code == 0


def test_another_database_of_the_same_home_is_a_new_history(job):
    job.configure(f'database = "other.db"\n{job.config.read_text()}')
    assert job.quick("run").code == 0


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_run_by_another_name_of_the_database_exits_with_75_during_a_run(job, tmp_path, link):
    other = Job(tmp_path / "other")
    other.home.mkdir()
    link(job.database, other.database)
    other.configure(job.config.read_text())
    with lock(job.database, since="2026-09-20T06:00:00Z"):
        for words in (("run",), ("rebuild",), ("prune", "--keep", "1d")):
            one_line(other.quick(*words), 75, "another run holds the lock")
    assert other.quick("run").code == 0
