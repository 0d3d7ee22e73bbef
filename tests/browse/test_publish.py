"""A copy to hand out: what is private is not in it, it is whole or not there, and any Datasette serves it."""

from __future__ import annotations

import json
import shlex
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.e2e import TIMEOUT, Job
from support.fakes import Script, scope

from pipeline.browse import publish
from pipeline.browse import publish as publishing
from pipeline.errors import StoreError, Unreachable
from pipeline.store import Store

PRIVATE = (
    "env:ACME_PROD",
    "the reset by 10.0.0.7",
    "W/etag-of-acme",
    "me:pass@",
    "to/nobody-else",
    "ACME_TEST",
)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A home whose database has everything that nobody else should see."""
    job = Job(tmp_path / "home")
    job.home.mkdir()
    with Store.open(job.database) as store:
        script = Script(store).has(scope("acme/prod", group="vip")).offers("acme/prod", "lyra", "vega")
        script.offers("acme/test", "lyra").run()
        script.fails("acme/test", Unreachable("the reset by 10.0.0.7")).drops("acme/prod", "vega").run(
            times=3
        )
        with store.transaction():
            for statement in (
                "update scopes set etag = 'W/etag-of-acme', fingerprint = 'f', last_modified = 'then'",
                "update gateways set url = 'https://me:pass@acme.example:8443/v1?key=1'",
                "insert into destinations (name, reported_at, token) values ('boss', 'now', 'token-of-boss')",
                """insert into deliveries
                   (name, destination, recipient, until, message_id, state, attempts, error)
                   select 'one', id, 'boss@example.com', 1, 'mail', 'refused', 1, 'no such user'
                   from destinations""",
            ):
                store.connection.execute(statement)
        store.checkpoint()
    return job


def content(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def served(directory: Path, line: str, path: str, program: tuple[str, ...] = (sys.executable, "-m")) -> str:
    """Ask for a page of the directory with the very command that was printed."""
    words = [*program, *shlex.split(line), "--get", path]
    ran = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_what_is_private_is_in_no_file(job: Job, tmp_path: Path) -> None:
    """References to secrets, error texts, servers' marks and deliveries are gone, from unused pages too."""
    with Store.read(job.database) as store:
        assert [row["key_hint"] for row in store.rows("select key_hint from scopes")] == [
            "env:ACME_PROD",
            "env:ACME_TEST",
        ]
    target = tmp_path / "public"
    assert job.quick("publish", str(target)).code == 0
    for name, body in content(target).items():
        assert not [text for text in PRIVATE if text.encode() in body], name
    with closing(sqlite3.connect(target / "modelwatch.db")) as copy:
        assert copy.execute("select url from gateways").fetchall() == [("https://acme.example:8443/v1",)]
        assert copy.execute("select count(*), count(error_class), count(error) from sightings").fetchone()[
            1:
        ] == (1, 0)
        assert copy.execute("select name, group_name from scopes order by id").fetchall() == [
            ("acme/prod", "vip"),
            ("acme/test", None),
        ]


def test_the_history_is_whole(job: Job, tmp_path: Path) -> None:
    """All that is told is there, found by its words, with statistics, and the original is as it was."""
    before = job.database.read_bytes()
    assert job.quick("publish", str(tmp_path / "public")).code == 0
    assert job.database.read_bytes() == before
    file = tmp_path / "public" / "modelwatch.db"
    with Store.read(job.database) as one, Store.read(file) as other:
        for table in ("models", "records", "listings", "snapshots", "changes", "change_log", "offers"):
            query = f"select * from {table}"
            assert one.rows(query) == other.rows(query), table
        assert other.rows("select name from models_fts where models_fts match 'vega'") == [{"name": "vega"}]
        assert other.rows("select count(*) > 0 as some from sqlite_stat1") == [{"some": 1}]
        assert other.rows("pragma journal_mode") == [{"journal_mode": "delete"}]
        assert other.rows("pragma integrity_check") == [{"integrity_check": "ok"}]
    inspected = json.loads((file.parent / "inspect.json").read_bytes())["modelwatch"]
    assert inspected["size"] == file.stat().st_size
    assert inspected["tables"]["models"] == {"count": 2}


def test_it_is_served_by_the_printed_command(job: Job, tmp_path: Path) -> None:
    """In the directory itself, by a plain Datasette, unchangeable, with the counts that were taken before."""
    done = job.quick("publish", str(tmp_path / "public"))
    old, new = [line for line in done.stdout.splitlines() if "datasette serve" in line]
    assert (" -c " in old, " -c " in new) == (False, True)
    (database,) = json.loads(served(tmp_path / "public", old, "/-/databases.json"))
    assert (database["name"], database["is_mutable"]) == ("modelwatch", False)
    assert "What is offered now" in served(tmp_path / "public", old, "/modelwatch/offers")
    assert json.loads(served(tmp_path / "public", old, "/modelwatch/what_changed.json?_shape=array"))
    assert "<feed " in served(tmp_path / "public", old, "/modelwatch/change_log.atom")


def test_it_is_published_again_in_place(job: Job, tmp_path: Path) -> None:
    """What was published is replaced as a whole; nothing is left beside it."""
    target = tmp_path / "public"
    assert job.quick("publish", str(target)).code == 0
    with Store.open(job.database) as store:
        Script(store, runs=4).offers("acme/prod", "lyra", "nova").run()
    assert job.quick("publish", str(target)).code == 0
    with Store.read(target / "modelwatch.db") as store:
        assert {"name": "nova"} in store.rows("select name from models")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "public"}


@pytest.mark.parametrize("stranger", ["notes.txt", "published.json", "modelwatch.db"])
def test_what_it_did_not_write_it_leaves_alone(job: Job, tmp_path: Path, stranger: str) -> None:
    """A directory with anything else in it is refused by name; an empty one is taken."""
    target = tmp_path / "public"
    target.mkdir()
    assert job.quick("publish", str(target)).code == 0
    if stranger != "notes.txt":
        for path in sorted(target.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    (target / stranger).write_text("{}")
    before = content(target)
    done = job.quick("publish", str(target))
    assert done.code == 74
    assert f"has {stranger}, which was not published" in done.stderr
    assert content(target) == before
    file = tmp_path / "file"
    file.touch()
    assert "is a file" in job.quick("publish", str(file)).stderr


def test_half_a_copy_never_looks_whole(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it fails on the way, what was published before is still there, and nothing else is."""
    target = tmp_path / "public"
    publish(job.database, target)
    before = content(target)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("_beside", "sync"):
        with monkeypatch.context() as patched:
            patched.setattr(publishing, step, fail)
            with pytest.raises(StoreError, match="the disk is full"):
                publish(job.database, target)
        assert content(target) == before
        assert {path.name for path in tmp_path.iterdir()} == {"home", "public"}


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.browse import publishing
publishing._swap = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
publishing.publish(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_one_leaves_nothing_that_others_can_read(job: Job, tmp_path: Path) -> None:
    """The directory itself is not there; what is left is hidden, and the next one is made all the same."""
    target = tmp_path / "public"
    ran = subprocess.run([sys.executable, "-c", KILLED, str(job.database), str(target)], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert not target.exists()
    assert job.quick("publish", str(target)).code == 0


def test_without_a_database_nothing_is_published(tmp_path: Path) -> None:
    """Before the first run there is nothing to hand out, and no directory is made."""
    done = Job(tmp_path / "home").quick("publish", str(tmp_path / "public"))
    assert done.code == 74
    assert "there is no database yet" in done.stderr
    assert list(tmp_path.iterdir()) == []
