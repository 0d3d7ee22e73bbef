"""A database of an older release is migrated completely, or not at all."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support import TESTS, releases
from support.releases import broken

from pipeline.errors import StoreError
from pipeline.maintenance import dialects_of, verify
from pipeline.store import Store, database
from pipeline.store.schema import MIGRATIONS

ALL = sorted(path.stem for path in releases.TEXTS.glob("*.sql"))


def schema(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        found = {sql for (sql,) in connection.execute("select sql from sqlite_master where sql is not null")}
    connection.close()
    return found


def content(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        found = list(connection.iterdump())
    connection.close()
    return found


@pytest.mark.parametrize("release", ALL)
def test_a_database_of_every_release_migrates_to_the_present_schema(release: str, tmp_path: Path) -> None:
    path = releases.create(release, tmp_path / "old.db")
    with Store.open(path) as store:
        assert [p for check in verify(store, dialects_of(())) for p in check.problems] == []
        assert store.rows("select count(*) as runs from snapshots") == [{"runs": 3}]
    with Store.open(tmp_path / "new.db"):
        pass
    assert schema(path) == schema(tmp_path / "new.db"), (
        "run `python -m support.releases`, or write a migration"
    )


def test_standard_names_keep_every_row(tmp_path: Path) -> None:
    path = releases.create("initial", tmp_path / "old.db")
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            update scopes set auth = 'nobody' where name = 'acme/test';
            insert into destinations values (7, 'boss', 2, '2026-05-01T00:00:00Z', 'token');
            insert into deliveries values (3, 'boss', 7, 'a@b', null, 2, null, 'sent', 1, null, null, null);
        """)
        before = {
            table: connection.execute(f"select * from {table} order by id").fetchall()
            for table in ("scopes", "destinations", "deliveries", "missing", "changes")
        }
        sightings = connection.execute(_SIGHTINGS.format("error", "")).fetchall()
        started_at = dict(connection.execute("select id, started_at from snapshots"))
    connection.close()
    with Store.open(path) as store:
        after = {
            table: [tuple(row.values()) for row in store.rows(f"select * from {table} order by id")]
            for table in before
        }
        assert store.rows("select name, auth from scopes order by id") == [
            {"name": "acme/prod", "auth": "key"},
            {"name": "acme/test", "auth": "anonymous"},
        ]
        join = "left join reasons on reasons.id = sightings.reason"
        found = store.rows(_SIGHTINGS.format("reasons.name as error", join))
        assert [tuple(row.values()) for row in found] == sightings
        (destination,) = store.rows("select * from destinations")
        assert (destination["reported_until"], destination["reported_at"]) == (2, "2026-05-01T00:00:00Z")
        assert {"flap_level"} <= store.rows("select * from missing")[0].keys()
        for constraint in ("CHECK", "NOT NULL"):
            value = "'nobody'" if constraint == "CHECK" else "null"
            with pytest.raises(StoreError, match=constraint), store.transaction():
                store.connection.execute(f"update scopes set auth = {value}")
        with pytest.raises(StoreError, match="FOREIGN KEY"), store.transaction():
            store.connection.execute("delete from scopes")
    renamed = [
        tuple("anonymous" if value == "nobody" else value for value in row) for row in before["scopes"]
    ]
    scopes = [(*row[:6], 0, *row[6:], None, None, None) for row in renamed]
    counted = [(*row, started_at[row[4]]) for row in before["missing"]]
    deliveries = [(*row, None) for row in before["deliveries"]]
    assert after == before | {"scopes": scopes, "missing": counted, "deliveries": deliveries}


_SIGHTINGS = """
    select sightings.id, snapshot, scope, outcome, listing, transition, since, error_class, {}
    from sightings {} order by sightings.id
"""


@pytest.mark.parametrize("release", ["initial", "standard_names"])
def test_a_scope_that_lists_groups_is_marked(release: str, tmp_path: Path) -> None:
    path = releases.create(release, tmp_path / "old.db")
    with sqlite3.connect(path) as connection:
        connection.execute("""
            update listings set reading = json_set(reading, '$.dialect', 'new-api-groups')
            where id = (select listing from scopes where name = 'acme/test')
        """)
    connection.close()
    with Store.open(path) as store:
        found = {row["name"]: row["lists_groups"] for row in store.rows("select * from scopes")}
    assert found == {"acme/prod": 0, "acme/test": 1}


def test_each_migration_has_the_text_of_a_database_of_its_release() -> None:
    assert {migration.__name__ for migration in MIGRATIONS} == set(ALL)


def fail() -> None:
    raise sqlite3.OperationalError("half-way")


def test_a_migration_that_fails_leaves_the_old_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = releases.create("initial", tmp_path / "old.db")
    before = content(path)
    monkeypatch.setattr(database, "MIGRATIONS", broken(fail))
    with pytest.raises(StoreError, match="half-way"):
        Store.open(path)
    assert content(path) == before
    monkeypatch.setattr(database, "MIGRATIONS", MIGRATIONS)
    with Store.open(path) as store:
        assert store.rows("select count(*) as scopes from scopes") == [{"scopes": 2}]


KILLED = """
import os, sys
from pathlib import Path
from support.releases import broken
from pipeline.store import Store, database
database.MIGRATIONS = broken(lambda: os.kill(os.getpid(), 9))
Store.open(Path(sys.argv[1]))
"""


def test_a_migration_that_is_killed_leaves_the_old_schema(tmp_path: Path) -> None:
    path = releases.create("initial", tmp_path / "old.db")
    before = content(path)
    here = TESTS
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], env={"PYTHONPATH": f"{here}:{here.parent}"}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert content(path) == before
    with Store.open(path) as store:
        assert store.rows("select name from scopes order by id") == [
            {"name": "acme/prod"},
            {"name": "acme/test"},
        ]


def test_a_newer_database_is_refused_and_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = releases.create("initial", tmp_path / "old.db")
    monkeypatch.setattr(database, "MIGRATIONS", broken(lambda: None))
    Store.open(path).close()
    monkeypatch.setattr(database, "MIGRATIONS", MIGRATIONS)
    before = content(path)
    for opened in (Store.open, Store.read, Store.open_copy):
        with pytest.raises(StoreError, match=r"newer modelwatch \(it has second\): upgrade"):
            opened(path)
    assert content(path) == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("command:pass show s3cret holds characters that no", "command: holds characters that no"),
        ("command:echo s3cret is empty is empty, so nothing", "command: is empty, so nothing"),
        (
            "file:/home/s3cret/key cannot be read; nothing was sent: /home/s3cret/key: No such file",
            "file: cannot be read; nothing was sent: No such file",
        ),
        (
            "failed 20 times, last: file:s3cret answered 500: no",
            "failed 20 times, last: file: answered 500: no",
        ),
        ("no answer from command:echo s3cret within 20 s", "no answer from command: within 20 s"),
        ("command:echo s3cret and more words, cut o…", "command: …"),
        ("file:s3cret: https://*** is down", "file: …"),
        (
            "u answered 401: is the sign-in in file:/s3cret valid? On",
            "u answered 401: is the sign-in in file: valid? On",
        ),
        # What quotes no reference.
        ("a command: for a key exited with 1; nothing", "a command: for a key exited with 1; nothing"),
        ("https://a.example/ answered 404: no file: x", "https://a.example/ answered 404: no file: x"),
        ("env:NAME is empty, so nothing was sent", "env:NAME is empty, so nothing was sent"),
    ],
)
def test_stored_errors_no_longer_quote_commands_and_files(tmp_path: Path, before: str, after: str) -> None:
    path = releases.create("unread_prices", tmp_path / "old.db")
    with sqlite3.connect(path) as connection:
        connection.execute("update sightings set error = ?, cure = ? where outcome = 'failed'", [before] * 2)
        connection.execute("insert into destinations values (7, 'boss', 2, '2026-05-01T00:00:00Z', 'token')")
        values = "(3, 'x', 7, 'a@b', null, 2, null, 'waiting', 1, null, null, ?, null)"
        connection.execute(f"insert into deliveries values {values}", [before])
    connection.close()
    with Store.open(path) as store:
        assert store.rows("select name, cure from reasons") == [{"name": after, "cure": after}]
        assert store.rows("select error from deliveries") == [{"error": after}]


def test_stored_recipients_and_hints_no_longer_quote_commands_and_files(tmp_path: Path) -> None:
    path = releases.create("unread_prices", tmp_path / "old.db")
    recipients = {
        1: ["file:/home/s3cret", "command:echo s3cret", "file:other", "env:NAME", "a@b"],
        2: ["file:other", "https://a.example/", "file:other"],
    }
    with sqlite3.connect(path) as connection:
        connection.execute("update scopes set key_hint = 'file:/home/s3cret' where name = 'acme/prod'")
        connection.execute("update scopes set key_hint = 'env:NAME' where name = 'acme/test'")
        connection.execute("insert into destinations values (7, 'boss', 2, '2026-05-01T00:00:00Z', 'token')")
        connection.executemany(
            "insert into deliveries (name, destination, recipient, until, state, attempts)"
            " values ('x', 7, ?, ?, 'sent', 1)",
            [(name, until) for until, names in recipients.items() for name in names],
        )
    connection.close()
    with Store.open(path) as store:
        found = [row["recipient"] for row in store.rows("select recipient from deliveries order by id")]
        hints = [row["key_hint"] for row in store.rows("select key_hint from scopes order by name")]
    assert found == [
        *("file:", "command:", "file: (2)", "env:NAME", "a@b"),
        *("file:", "https://a.example/", "file:"),
    ]
    assert hints == ["file:", "env:NAME"]
    assert b"s3cret" not in path.read_bytes()
