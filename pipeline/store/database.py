"""Turn every error of SQLite into one that says what to do.

Open the file, read it and write it, all or nothing.

The lock beside a database: one process at a time runs the job.

Open a database to write: as the only one, and settled at the end.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.errors import Locked, StoreError
from pipeline.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from sqlite_utils import Database


PATIENCE_MS = 30_000
"""So long another program that writes is waited for."""


@contextmanager
def translated(path: Path, *, lost: str = "nothing was written") -> Iterator[None]:
    """Turn what SQLite and the system say of a file into a `StoreError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_cure(error).format(lost=lost), path=path) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = _CURES["FULL"].format(lost=lost) if full else f"cannot be used: {error.strerror or error}"
        raise StoreError(cure, path=path) from error


_CURES = {
    "FULL": "the disk is full; {lost}: free some space and run again",
    "READONLY": "cannot be written: see who owns the file and its directory",
    "CANTOPEN": "cannot be opened: see that its directory exists and can be written",
    "BUSY": f"another program kept it locked for {PATIENCE_MS // 1000} s; {{lost}}: run again",
    "LOCKED": f"another program kept it locked for {PATIENCE_MS // 1000} s; {{lost}}: run again",
    "NOTADB": "is no SQLite database: name another file as `database`",
    "IOERR": "cannot be read or written: see that it is a file, and that its disk is well",
    "CORRUPT": "is damaged: restore it from a copy",
}


def _cure(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "SQLITE_").split("_")[1]
    said = str(error).replace("{", "{{").replace("}", "}}")
    return _CURES.get(name, f"SQLite says: {said}")


APPLICATION_ID = 0x6D6F6477
"""`modw`: marks the file as ours, in SQLite's header."""


_LARGE_INDEXES = (
    "listing_records_record",
    "field_changes_change",
    "field_changes_field",
    "records_owned_by",
)


_SET = "modelwatch"


class Store:
    """An open database; made by `Store.open` to write or `Store.read` to look."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self._file: os.stat_result | None = None

    @cached_property
    def db(self) -> Database:
        """The same connection, for what sqlite-utils does better than SQL."""
        from sqlite_utils import Database

        return Database(self.connection, recursive_triggers=False, execute_plugins=False)

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """Open to write, making the file and bringing its schema up to date; None is a database in memory.

        Raises:
            StoreError: it cannot be made, is no database of ours, or is newer than this program.
        """
        where = path or Path(":memory:")
        with translated(where):
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
            store = cls(_connect(str(where)), where)
            with store._closed_on_error():
                store._refuse_strangers()
                store._set_up()
                store._file = path.stat() if path else None
            return store

    @classmethod
    def read(cls, path: Path, *, any_age: bool = False) -> Self:
        """Open to look, never to write; with `any_age` also what an older program has left.

        Raises:
            StoreError: there is no such file yet, or it is no database of ours, or newer than this program.
        """
        if not path.exists():
            raise StoreError("there is no database yet: `modelwatch run` makes it", path=path)
        with translated(path):
            # The last one to close a WAL file tidies up beside it, if it may; in a read-only place the file
            # is at rest, and nobody may write beside it.
            tidy = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
            store = cls(
                _connect(f"{path.absolute().as_uri()}?mode={'rw' if tidy else 'ro&immutable=1'}"), path
            )
            with store._closed_on_error():
                store.connection.execute("pragma query_only = on")
                store._refuse_strangers()
                if store._pending() and not any_age:
                    raise StoreError(
                        "was made by an older modelwatch: any `modelwatch run` brings it up to date",
                        path=path,
                    )
            return store

    @classmethod
    def rehearse(cls, path: Path) -> Self:
        """Open a copy in memory of what is at `path`, if anything: writes go nowhere.

        Raises:
            StoreError: it is no database of ours, or newer than this program.
        """
        store = cls(_connect(":memory:"), path)
        if path.exists():
            with cls.read(path, any_age=True) as source, translated(path):
                source.connection.backup(store.connection)
        with translated(path):
            store._set_up()
        return store

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def _refuse_strangers(self) -> None:
        (application_id,) = self.connection.execute("pragma application_id").fetchone()
        (tables,) = self.connection.execute("select count(*) from sqlite_master").fetchone()
        if tables and application_id != APPLICATION_ID:
            raise StoreError("is another program's database: name another file as `database`", path=self.path)
        known = {migration.__name__ for migration in MIGRATIONS}
        newer = [name for name in self._applied() if name not in known]
        if newer:
            raise StoreError(
                f"was written by a newer modelwatch (it has {', '.join(newer)}): upgrade this one",
                path=self.path,
            )

    def _applied(self) -> list[str]:
        if not self.rows("select 1 from sqlite_master where name = '_sqlite_migrations'"):
            return []
        sql = "select name from _sqlite_migrations where migration_set = :set order by id"
        return [row["name"] for row in self.rows(sql, {"set": _SET})]

    def _pending(self) -> bool:
        return {migration.__name__ for migration in MIGRATIONS} > set(self._applied())

    def _set_up(self) -> None:
        self.connection.execute("pragma cache_size = -65536")
        if self._pending():
            self._migrate()
        self.connection.execute("pragma foreign_keys = on")

    def _migrate(self) -> None:
        from sqlite_utils import Migrations

        self.connection.execute("pragma journal_mode = wal")
        is_new = not self._applied()
        migrations = Migrations(_SET)
        for step, migration in enumerate(MIGRATIONS):
            # The first step makes every table in its present form; the others are for older databases.
            migrations(name=migration.__name__)(_pass_over if is_new and step else migration)
        # A table can only be made anew while links are not enforced; they are checked at the end.
        # See https://www.sqlite.org/lang_altertable.html#otheralter
        self.connection.execute("pragma foreign_keys = off")
        with self.transaction():
            self.connection.execute(f"pragma application_id = {APPLICATION_ID}")
            migrations.apply(self.db)
            self.refuse_dangling()

    def refuse_dangling(self) -> None:
        """Raise `StoreError` if a foreign key leads to no row."""
        dangling = self.rows("pragma foreign_key_check")
        if dangling:
            raise StoreError(
                f"has rows in {dangling[0]['table']} that refer to missing rows; nothing was written:"
                " restore a backup",
                path=self.path,
            )

    def _refuse_if_removed(self) -> None:
        """SQLite would go on writing into a file that has no name any more."""
        if self._file and not (self.path.exists() and os.path.samestat(self._file, self.path.stat())):
            raise StoreError(
                "was removed or replaced meanwhile; nothing was written: run again", path=self.path
            )

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """Write all or nothing; with `keep=False` look at what a write would give, and take it back."""
        with translated(self.path):
            self._refuse_if_removed()
            self.connection.execute("begin immediate")
            try:
                yield
                self.connection.execute("commit" if keep else "rollback")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("rollback")
                raise

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Write much, all or nothing: links are checked, and the large indexes made, at the end."""
        self.connection.execute("pragma foreign_keys = off")
        try:
            with self.transaction():
                indexes = self.rows(
                    "select name, sql from sqlite_master where name in (select value from json_each(:large))",
                    {"large": json.dumps(_LARGE_INDEXES)},
                )
                for index in indexes:
                    self.connection.execute(f"drop index {index['name']}")
                yield
                for index in indexes:
                    self.connection.execute(index["sql"])
                self.refuse_dangling()
        finally:
            self.connection.execute("pragma foreign_keys = on")

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Ask with named parameters; each row as a dict by column name."""
        with translated(self.path):
            found = self.connection.execute(sql, parameters or {})
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found]

    def stream(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """Ask with named parameters; each row as a tuple, read as it is asked for."""
        with translated(self.path):
            yield from self.connection.execute(sql, dict(parameters or {}))

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Look at one moment for as long as the block runs, whatever others write meanwhile."""
        with translated(self.path):
            self.connection.execute("begin")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                self.connection.execute("rollback")

    def settle(self) -> None:
        """Move what was written into the main file, so that a copy of it alone is complete."""
        with translated(self.path, lost="what was recorded is kept"):
            self.connection.execute("pragma optimize").fetchall()
            self.connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def _pass_over(_db: Database) -> None:
    """Do nothing: a new database is created in its present form."""


def _connect(where: str) -> sqlite3.Connection:
    return sqlite3.connect(
        where, uri=where.startswith("file:"), timeout=PATIENCE_MS / 1000, isolation_level=None
    )


@contextmanager
def lock(path: Path, *, since: str) -> Iterator[None]:
    """Hold the lock beside a database for as long as the block runs; it goes with the process.

    Args:
        path: the database.
        since: the time now, in ISO 8601, for whoever comes second.

    Raises:
        Locked: another run holds it; says which and since when.
    """
    file = path.with_name(path.name + ".lock")
    with translated(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(descriptor, file)
        with translated(file):
            os.truncate(descriptor, 0)
            os.write(descriptor, f"pid {os.getpid()}, since {since}\n".encode())
        yield
        os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "it has just started"
        raise Locked(f"another run holds the lock ({holder}): wait for it to end", path=file) from None


@contextmanager
def writing(path: Path, *, since: str, there: bool = False) -> Iterator[Store]:
    """Open a database to write, with its lock; what was written in the block is settled at its end.

    Args:
        path: the database.
        since: the time now, in ISO 8601, for whoever comes second.
        there: it must be there already, and a database of ours.

    Raises:
        Locked: another run holds the lock.
        StoreError: it cannot be used, or is not there.
    """
    if there:
        Store.read(path, any_age=True).close()
    with lock(path, since=since), Store.open(path) as store:
        yield store
        store.settle()
