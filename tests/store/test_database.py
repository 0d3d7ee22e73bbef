"""The database file: opening it, the errors it raises, read-only access and the lock."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from support.fakes import Script, rows_of

from pipeline.errors import Locked, StoreError
from pipeline.store import Store, database, lock, writing
from pipeline.store.database import APPLICATION_ID, BUSY_TIMEOUT_MS

NOW = "2026-09-20T06:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a database in a directory that does not exist yet."""
    return tmp_path / "data" / "watch.db"


def filled(path: Path, *, runs: int = 2) -> Path:
    """Create a database with a little history."""
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", *(f"model-{n}" for n in range(40)))
        script.run(times=runs)
        store.checkpoint()
    return path


@contextmanager
def refused(path: Path, *cure: str) -> Iterator[None]:
    """Expect an error that names the file and says what to do."""
    with pytest.raises(StoreError) as found:
        yield
    assert found.value.path == path
    assert str(found.value).startswith(f"{path}: ")
    for words in cure:
        assert words in str(found.value)


def test_opening_to_write_creates_the_directory_and_a_marked_file(path: Path) -> None:
    with Store.open(path) as store:
        assert store.rows("pragma application_id") == [{"application_id": APPLICATION_ID}]
        assert store.rows("pragma journal_mode") == [{"journal_mode": "wal"}]
        assert store.rows("pragma foreign_keys") == [{"foreign_keys": 1}]
    assert path.exists()


@pytest.mark.parametrize("default", ["off", "normal", "extra"])
def test_each_commit_waits_for_the_disk_whatever_the_library_does_by_default(
    path: Path, monkeypatch: pytest.MonkeyPatch, default: str
) -> None:
    """Some builds of SQLite commit to a write-ahead log without a flush: SQLITE_DEFAULT_WAL_SYNCHRONOUS."""
    connect = database._connect

    def connect_as_built(where: str) -> sqlite3.Connection:
        connection = connect(where)
        connection.execute(f"pragma synchronous = {default}")
        return connection

    monkeypatch.setattr(database, "_connect", connect_as_built)
    for _ in range(2):
        with Store.open(path) as store:
            assert store.rows("pragma synchronous") == [{"synchronous": 2}]


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Store.open(path) as store:
        assert Script(store).offers("acme/prod", "lyra").run().snapshot == 1


def test_opening_again_changes_nothing(path: Path) -> None:
    with Store.read(filled(path)) as store:
        before = rows_of(store)
    with Store.open(path) as store:
        assert rows_of(store) == before


def test_reading_does_not_create_a_missing_file(path: Path) -> None:
    with refused(path, "there is no database yet", "`modelwatch run` creates it"):
        Store.read(path)
    assert not path.parent.exists()


@pytest.mark.parametrize("opening", [Store.open, Store.read, Store.open_copy])
def test_a_file_that_is_not_a_database_is_refused_and_unchanged(path: Path, opening: object) -> None:
    assert callable(opening)
    path.parent.mkdir()
    path.write_text("gateway,model\nacme,lyra\n" * 100)
    with refused(path, "is not an SQLite database", "name another file"):
        opening(path)
    assert path.read_text() == "gateway,model\nacme,lyra\n" * 100


@pytest.mark.parametrize("opening", [Store.open, Store.read, Store.open_copy])
def test_another_programs_database_is_refused_and_unchanged(path: Path, opening: object) -> None:
    assert callable(opening)
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as stranger:
        stranger.executescript("create table songs (title text); insert into songs values ('Lyra');")
    before = path.read_bytes()
    with refused(path, "is another program's database", "name another file"):
        opening(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("opening", [Store.open, Store.read, Store.open_copy])
def test_a_newer_schema_is_refused_with_the_name_of_its_migration(path: Path, opening: object) -> None:
    assert callable(opening)
    with closing(sqlite3.connect(filled(path))) as newer, newer:
        newer.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at) values ('modelwatch', ?, ?)",
            ["colour_of_models", NOW],
        )
    with refused(path, "newer modelwatch", "colour_of_models", "upgrade"):
        opening(path)


def test_reading_an_older_schema_names_the_command_that_migrates_it(path: Path) -> None:
    with closing(sqlite3.connect(filled(path))) as older, older:
        older.execute("delete from _sqlite_migrations")
    with refused(path, "older modelwatch", "`modelwatch run` migrates it"):
        Store.read(path)


def test_a_damaged_file_is_refused(path: Path) -> None:
    content = bytearray(filled(path, runs=1).read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with refused(path, "is damaged", "restore it from a backup"), Store.open(path) as store:
        rows_of(store)


def test_a_truncated_file_is_refused(path: Path) -> None:
    content = filled(path, runs=1).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with refused(path, "is damaged"), Store.open(path) as store:
        rows_of(store)


def test_a_directory_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with refused(path, "cannot be opened"):
        Store.open(path)
    with refused(path):
        Store.read(path)


def test_a_directory_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with refused(tmp_path / "data" / "watch.db", "cannot be used"):
        Store.open(tmp_path / "data" / "watch.db")


def test_a_database_opened_to_read_cannot_be_written(path: Path) -> None:
    with Store.read(filled(path)) as store, refused(path, "cannot be written"), store.transaction():
        store.connection.execute("delete from snapshots")


def test_a_reader_and_a_writer_do_not_wait_for_each_other(path: Path) -> None:
    with Store.open(filled(path)) as writer, Store.read(path) as reader:
        script = Script(writer).offers("acme/prod", "lyra")
        script.run()
        assert reader.rows("select max(id) as newest from snapshots") == [{"newest": 3}]
        with writer.transaction():
            writer.connection.execute("update snapshots set name = 'half done'")
            assert reader.rows("select count(*) as found from snapshots where name = 'half done'") == [
                {"found": 0}
            ]


def newest(store: Store) -> int:
    """Return the number of the newest run."""
    (row,) = store.rows("select max(id) as newest from snapshots")
    return int(row["newest"])


def test_a_steady_read_sees_one_state_while_runs_are_written_beside_it(path: Path) -> None:
    with Store.open(filled(path)) as writer, Store.read(path) as reader:
        script = Script(writer).offers("acme/prod", "lyra")
        with reader.read_transaction():
            before = rows_of(reader)
            script.run(times=2)
            assert (newest(reader), newest(writer)) == (2, 4)
            assert rows_of(reader) == before
        assert newest(reader) == 4


def test_a_steady_read_sees_what_was_written_until_its_first_query(path: Path) -> None:
    with Store.open(filled(path)) as writer, Store.read(path) as reader:
        script = Script(writer).offers("acme/prod", "lyra")
        script.run()
        with reader.read_transaction():
            assert newest(reader) == 3
            script.run()
            assert newest(reader) == 3
        assert newest(reader) == 4


def test_a_steady_read_ends_with_its_block_also_by_an_error(path: Path) -> None:
    with Store.open(filled(path)) as writer, Store.read(path) as reader:
        with suppress(ZeroDivisionError), reader.read_transaction():
            assert newest(reader) == 2
            raise ZeroDivisionError
        Script(writer).offers("acme/prod", "lyra").run()
        assert newest(reader) == 3


def test_a_checkpoint_beside_a_steady_read_does_not_wait_and_a_later_one_is_complete(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    with Store.open(filled(path)) as writer, Store.read(path) as reader:
        script = Script(writer).offers("acme/prod", "lyra")
        with reader.read_transaction():
            assert newest(reader) == 2
            script.run()
            began = time.monotonic()
            writer.checkpoint()
            assert time.monotonic() - began < BUSY_TIMEOUT_MS / 2000
            assert log.stat().st_size > 0
            assert newest(reader) == 2
        script.run()
        writer.checkpoint()
        assert (log.stat().st_size, newest(reader)) == (0, 4)


AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from pipeline.errors import StoreError
from pipeline.store import Store, write_backup

path, target = map(Path, sys.argv[1:])
if os.getuid() == 0:  # permission bits do not stop root
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
COUNT = "select count(*) as runs from snapshots"
try:
    with Store.read(path) as store:
        print(store.rows(COUNT))
    write_backup(path, target, overwrite=False)
    with Store.read(target) as store:
        print(store.rows(COUNT))
    with Store.open(path) as store, store.transaction():
        store.connection.execute("delete from snapshots")
except StoreError as error:
    print(error)
"""


def read_as_another_user(directory: Path) -> list[str]:
    """Return what another user, who may not write to the directory, reads there; the lines it prints."""
    for file in directory.iterdir():
        file.chmod(0o444)
    directory.chmod(0o555)
    with TemporaryDirectory() as name:
        backups = Path(name)
        backups.chmod(0o777)
        command = [
            sys.executable,
            "-c",
            AS_ANOTHER_USER,
            str(directory / "watch.db"),
            str(backups / "copy.db"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    directory.chmod(0o700)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_read_only_place_can_be_read_and_backed_up_but_not_written() -> None:
    with TemporaryDirectory() as name:
        path = filled(Path(name) / "watch.db")
        *read, refusal = read_as_another_user(path.parent)
    assert read == ["[{'runs': 2}]"] * 2
    assert refusal.startswith(f"{path}: cannot be ")


def test_a_reader_without_write_permission_reads_the_log_of_a_run_under_way() -> None:
    with TemporaryDirectory() as name, Store.open(filled(Path(name) / "watch.db")) as writer:
        Script(writer).offers("acme/prod", "lyra").run()
        assert writer.path.with_name("watch.db-wal").stat().st_size > 0
        *read, refusal = read_as_another_user(writer.path.parent)
        assert read == ["[{'runs': 3}]"] * 2
        assert refusal.startswith(f"{writer.path}: cannot be ")


def test_a_log_that_cannot_be_read_is_refused_instead_of_skipped() -> None:
    """After a loss of power the log is there without its index, which only a writer can create."""
    with TemporaryDirectory() as name, TemporaryDirectory() as other:
        with Store.open(filled(Path(name) / "watch.db")) as writer:
            Script(writer).offers("acme/prod", "lyra").run()
            for ending in ("", "-wal"):
                shutil.copyfile(f"{writer.path}{ending}", Path(other) / f"watch.db{ending}")
        (refusal,) = read_as_another_user(Path(other))
        path = Path(other) / "watch.db"
        assert refusal.startswith(f"{path}: has changes in its -wal file")
        with Store.read(path) as store:
            assert store.rows("select count(*) as runs from snapshots") == [{"runs": 3}]


def test_after_a_checkpoint_the_file_alone_is_complete(path: Path, tmp_path: Path) -> None:
    with Store.open(path) as store:
        Script(store).offers("acme/prod", "lyra").run()
        store.checkpoint()
        copy = tmp_path / "copy.db"
        copy.write_bytes(path.read_bytes())
        before = rows_of(store)
    with Store.read(copy) as store:
        assert rows_of(store) == before


def test_after_a_checkpoint_the_log_is_empty(path: Path) -> None:
    with Store.open(path) as store:
        Script(store).offers("acme/prod", "lyra").run()
        store.checkpoint()
        assert path.with_name("watch.db-wal").stat().st_size == 0


def test_a_reader_with_an_open_transaction_delays_no_checkpoint(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as reader, Store.open(path) as store:
        reader.execute("begin")
        assert reader.execute("select count(*) from snapshots").fetchone() == (2,)
        Script(store).offers("acme/prod", "lyra").run()
        # The least that a wait would take is the whole timeout, half a minute.
        began = time.monotonic()
        store.checkpoint()
        assert time.monotonic() - began < BUSY_TIMEOUT_MS / 2000
        assert path.with_name("watch.db-wal").stat().st_size > 0
        reader.execute("rollback")
        store.checkpoint()
        assert path.with_name("watch.db-wal").stat().st_size == 0


def test_a_copy_in_memory_leaves_the_file_as_it_is(path: Path) -> None:
    before = filled(path).read_bytes()
    with Store.open_copy(path) as store:
        Script(store).offers("acme/prod", "lyra").run()
        assert store.rows("select count(*) as runs from snapshots") == [{"runs": 3}]
    assert path.read_bytes() == before


def test_a_copy_in_memory_needs_no_file(path: Path) -> None:
    with Store.open_copy(path) as store:
        assert Script(store).offers("acme/prod", "lyra").run().snapshot == 1
    assert not path.parent.exists()


def test_a_second_process_learns_who_holds_the_lock_and_since_when(path: Path) -> None:
    with lock(path, since=NOW):
        with pytest.raises(Locked) as found, lock(path, since="later"):
            pass
        assert found.value.exit_code == 75
        assert found.value.path == path.with_name("watch.db.lock")
        assert f"pid {os.getpid()}, since {NOW}" in str(found.value)
    with lock(path, since=NOW):
        pass


HOLDER = """
import sys
from pathlib import Path
from pipeline.store import lock

with lock(Path(sys.argv[1]), since="2026-09-20T05:00:00Z"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_process_is_released(path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(Locked, match=rf"pid {other.pid}, since 2026-09-20T05:00:00Z"),
            lock(path, since=NOW),
        ):
            pass
        other.kill()
    with lock(path, since=NOW):
        pass


def test_a_lock_may_be_held_before_its_holder_is_written(path: Path) -> None:
    path.parent.mkdir()
    with path.with_name("watch.db.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Locked, match=r"it has just started.*wait for it to end"), lock(path, since=NOW):
            pass


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_lock_is_that_of_the_file_by_whatever_name(path: Path, tmp_path: Path, link: Any) -> None:
    filled(path)
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other.db"
    link(path, other)
    with (
        lock(path, since=NOW),
        pytest.raises(Locked, match="another run holds the lock"),
        lock(other, since=NOW),
    ):
        pass
    with (
        lock(other, since=NOW),
        pytest.raises(Locked, match="another run holds the lock"),
        lock(path, since=NOW),
    ):
        pass
    with lock(other, since=NOW):
        pass


def test_the_lock_leaves_those_of_sqlite_alone(path: Path) -> None:
    filled(path)
    with lock(path, since=NOW), Store.open(path) as store, store.transaction():
        with lock(path.with_name("another.db"), since=NOW, create=True):
            pass
        with closing(sqlite3.connect(path, timeout=0)) as other:
            assert other.execute("select count(*) from snapshots").fetchone() == (2,)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("begin immediate")


def test_the_lock_of_a_database_that_does_not_exist_creates_none(path: Path) -> None:
    with lock(path, since=NOW):
        assert not path.exists()


def test_a_database_with_a_history_gets_a_marker_after_its_first_run(path: Path) -> None:
    with writing(path, since=NOW) as store:
        Script(store).offers("acme/prod", "lyra").run()
    assert (
        path.parent / ".watch.db.history"
    ).read_text() == f"watch.db has a history since {NOW} or earlier.\n"


def test_a_database_without_a_run_gets_no_marker(path: Path) -> None:
    with writing(path, since=NOW):
        pass
    assert not (path.parent / ".watch.db.history").exists()


def test_an_error_releases_the_lock(path: Path) -> None:
    with pytest.raises(LookupError), lock(path, since=NOW):
        raise LookupError
    with lock(path, since=NOW):
        pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_the_note_of_a_lock_fails_its_start_but_not_work_that_is_done(
    path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = mock.Mock(side_effect=OSError(code, os.strerror(code)))
    with lock(path, since="2026-09-19T00:00:00Z"):
        monkeypatch.setattr(os, "truncate", failing)
    with pytest.raises(StoreError), lock(path, since="2026-09-19T00:00:00Z"):
        pass


def test_a_lock_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with (
        refused(tmp_path / "data" / "watch.db.lock", "cannot be used"),
        lock(tmp_path / "data" / "watch.db", since=NOW),
    ):
        pass


CRASH = """
import os, sys
from pathlib import Path
from pipeline.store import Store

store = Store.open(Path(sys.argv[1]))
with store.transaction():
    store.connection.execute("update records set body = '{}'")
    store.connection.execute("delete from listing_records")
    os._exit(9)
"""


def test_a_killed_transaction_has_written_nothing(path: Path) -> None:
    with Store.read(filled(path)) as store:
        before = rows_of(store)
    died = subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False)
    assert died.returncode == 9
    with Store.open(path) as store:
        assert rows_of(store) == before
