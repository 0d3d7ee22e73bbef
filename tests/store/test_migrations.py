"""A database of an older release is brought up to date whole, or stays as it was."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import TESTS, releases

from pipeline.errors import StoreError
from pipeline.maintenance import dialects_of, verify
from pipeline.store import Store, database
from pipeline.store.schema import MIGRATIONS, initial

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
def test_a_database_of_every_release_opens(release: str, tmp_path: Path) -> None:
    """Its history is there, it stands every check, and its schema is that of a new database."""
    path = releases.made(release, tmp_path / "old.db")
    with Store.open(path) as store:
        assert [p for check in verify(store, dialects_of(())) for p in check.problems] == []
        assert store.rows("select count(*) as runs from snapshots") == [{"runs": 3}]
    with Store.open(tmp_path / "new.db"):
        pass
    assert schema(path) == schema(tmp_path / "new.db"), "run `python tests/releases.py`, or write a migration"


def test_the_newest_release_is_kept() -> None:
    """Each migration leaves the text of a database as it made it."""
    assert {migration.__name__ for migration in MIGRATIONS} == set(ALL)


def broken(stop: Any) -> tuple[Any, ...]:
    """Give migrations of which the second stops half-way."""

    def second(db: Any) -> None:
        db.execute("create table half (id integer primary key) strict")
        db.execute("update scopes set name = name || ' half'")
        stop()
        db.execute("create table whole (id integer primary key) strict")

    return initial, second


def fail() -> None:
    raise sqlite3.OperationalError("half-way")


def test_a_migration_that_fails_leaves_the_old_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is written, and the program of before goes on with the file."""
    path = releases.made("initial", tmp_path / "old.db")
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
import test_migrations as tests
from pipeline.store import Store, database
database.MIGRATIONS = tests.broken(lambda: os.kill(os.getpid(), 9))
Store.open(Path(sys.argv[1]))
"""


def test_a_migration_that_is_killed_leaves_the_old_schema(tmp_path: Path) -> None:
    """A process that ends in the middle of it leaves the file as it was, for whoever opens it next."""
    path = releases.made("initial", tmp_path / "old.db")
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


def test_a_newer_database_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a newer program has brought up to date is not touched by an older one."""
    path = releases.made("initial", tmp_path / "old.db")
    monkeypatch.setattr(database, "MIGRATIONS", broken(lambda: None))
    Store.open(path).close()
    monkeypatch.setattr(database, "MIGRATIONS", MIGRATIONS)
    before = content(path)
    for opened in (Store.open, Store.read, Store.rehearse):
        with pytest.raises(StoreError, match=r"newer modelwatch \(it has second\): upgrade"):
            opened(path)
    assert content(path) == before
