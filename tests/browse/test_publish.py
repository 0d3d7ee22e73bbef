"""`modelwatch publish`: no private data, written in one step, and served by any Datasette."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.browsing import page_by_command
from support.e2e import Job, Reply, Scripted, listed
from support.fakes import Script, scope

from pipeline.browse import publish as publishing
from pipeline.browse.publish import publish
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
    """A home whose database has private data of every kind."""
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


def test_no_file_has_private_data(job: Job, tmp_path: Path) -> None:
    """Nor in unused pages of the database."""
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
        assert copy.execute("select count(error_class), count(reason) from sightings").fetchone() == (1, 0)
        assert copy.execute("select count(*) from reasons").fetchone() == (0,)
        assert copy.execute("select name, group_name from scopes order by id").fetchall() == [
            ("acme/prod", "vip"),
            ("acme/test", None),
        ]


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ('cookie = "env:ACME_PLACE"', 401),
        ('cookie = "env:ACME_PLACE", user_id = 7, dialect = "user-models"', 403),
        ('key = "env:ACME_PLACE"', 401),
        ('headers = { X-Org = "env:ACME_PLACE" }', 401),
        ('params = { token = "env:ACME_PLACE" }', 200),
    ],
)
def test_no_file_says_where_a_secret_is_kept_whether_a_gateway_takes_or_refuses_it(
    tmp_path: Path, scope: str, status: int
) -> None:
    job = Job(tmp_path / "home", {"ACME_PLACE": "a-secret-of-acme"})
    with Scripted(lambda _: Reply(listed("lyra"), status)) as server:
        job.asks(server.url, attempts=1, scopes={"prod": scope})
        assert job.quick("run").code == (0 if status == 200 else 4)
    assert job.quick("publish", str(tmp_path / "public")).code == 0
    assert not [name for name, body in content(tmp_path / "public").items() if b"ACME_PLACE" in body]


def test_the_copy_has_the_whole_history_and_the_original_is_unchanged(job: Job, tmp_path: Path) -> None:
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


def test_the_printed_command_serves_the_directory(job: Job, tmp_path: Path) -> None:
    done = job.quick("publish", str(tmp_path / "public"))
    old, new = [line for line in done.stdout.splitlines() if "datasette serve" in line]
    assert (" -c " in old, " -c " in new) == (False, True)
    (database,) = json.loads(page_by_command(tmp_path / "public", old, "/-/databases.json"))
    assert (database["name"], database["is_mutable"]) == ("modelwatch", False)
    assert "models that are offered now" in page_by_command(tmp_path / "public", old, "/modelwatch/offers")
    assert json.loads(page_by_command(tmp_path / "public", old, "/modelwatch/what_changed.json?_shape=array"))
    assert "<feed " in page_by_command(tmp_path / "public", old, "/modelwatch/change_log.atom")


def test_an_earlier_publication_is_replaced(job: Job, tmp_path: Path) -> None:
    target = tmp_path / "public"
    assert job.quick("publish", str(target)).code == 0
    with Store.open(job.database) as store:
        Script(store, runs=4).offers("acme/prod", "lyra", "nova").run()
    assert job.quick("publish", str(target)).code == 0
    with Store.read(target / "modelwatch.db") as store:
        assert {"name": "nova"} in store.rows("select name from models")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "public"}


@pytest.mark.parametrize("other", ["notes.txt", "published.json", "modelwatch.db"])
def test_a_directory_with_other_files_is_refused_and_unchanged(job: Job, tmp_path: Path, other: str) -> None:
    target = tmp_path / "public"
    target.mkdir()
    assert job.quick("publish", str(target)).code == 0
    if other != "notes.txt":
        for path in sorted(target.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    (target / other).write_text("{}")
    before = content(target)
    done = job.quick("publish", str(target))
    assert done.code == 74
    assert f"has {other}, which was not published" in done.stderr
    assert content(target) == before
    file = tmp_path / "file"
    file.touch()
    assert "is a file" in job.quick("publish", str(file)).stderr


def test_after_a_failure_the_earlier_publication_remains(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "public"
    publish(job.database, target)
    before = content(target)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for function in ("_write_other_files", "flush"):
        with monkeypatch.context() as patched:
            patched.setattr(publishing, function, fail)
            with pytest.raises(StoreError, match="the disk is full"):
                publish(job.database, target)
        assert content(target) == before
        assert {path.name for path in tmp_path.iterdir()} == {"home", "public"}


STEP = 5
"""Every so many system calls, the process is killed."""

KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.browse import publish as publishing
from pipeline.store import files

calls = int(sys.argv[3])

def counted(real):
    def call(*arguments, **named):
        global calls
        calls -= 1
        if calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    return call

for name in ("rename", "replace", "rmdir", "mkdir", "open"):
    setattr(os, name, counted(getattr(os, name)))
files._exchange = counted(files._exchange)
publishing.publish(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_process_killed_at_any_call_leaves_a_whole_directory_and_the_next_one_clears_its_draft(
    job: Job, tmp_path: Path
) -> None:
    target = tmp_path / "public"
    publish(job.database, target)
    old = content(target)
    with Store.open(job.database) as store:
        Script(store, runs=4).offers("acme/prod", "lyra", "nova").run()
        store.checkpoint()
    publish(job.database, tmp_path / "expected")
    new = content(tmp_path / "expected")
    found = set()
    for calls in range(1, 400, STEP):
        command = [sys.executable, "-c", KILLED, str(job.database), str(target), str(calls)]
        if not subprocess.run(command, check=False).returncode:
            break
        present = content(target)
        assert present.keys() in (old.keys(), new.keys())
        assert present["inspect.json"] in (old["inspect.json"], new["inspect.json"])
        assert json.loads(present["inspect.json"])["modelwatch"]["size"] == len(present["modelwatch.db"])
        found.add(present["inspect.json"])
    else:
        pytest.fail("each process was killed")
    assert found == {old["inspect.json"], new["inspect.json"]}
    publish(job.database, target)
    assert {path.name for path in tmp_path.iterdir()} == {"home", "public", "expected"}


def test_a_link_to_the_directory_is_followed(job: Job, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "public")
    for _ in range(2):
        publish(job.database, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert "modelwatch.db" in content(tmp_path / "public")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "public", "link"}


def test_a_published_copy_follows_the_umask(job: Job, tmp_path: Path) -> None:
    for umask, file, directory in ((0o022, 0o644, 0o755), (0o027, 0o640, 0o750)):
        before = os.umask(umask)
        try:
            publish(job.database, tmp_path / "public")
        finally:
            os.umask(before)
        for path in (tmp_path / "public", *(tmp_path / "public").rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) == (directory if path.is_dir() else file)


def test_without_a_database_publish_fails(tmp_path: Path) -> None:
    done = Job(tmp_path / "home").quick("publish", str(tmp_path / "public"))
    assert done.code == 74
    assert "there is no database yet" in done.stderr
    assert list(tmp_path.iterdir()) == []
