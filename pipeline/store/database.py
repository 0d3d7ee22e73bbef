"""The database file: open it to read or to write, transactions, and translation of errors."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.core.types import Share
from pipeline.errors import StoreError
from pipeline.store.files import create_file, make_directory
from pipeline.store.marker import refuse_lost
from pipeline.store.schema import MIGRATIONS
from pipeline.store.search import FILLING, REFILL

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x6D6F6477
"""`modw`, in the header of the file: https://www.sqlite.org/pragma.html#pragma_application_id"""

BUSY_TIMEOUT_MS = 30_000
"""How long to wait for another program that writes: https://www.sqlite.org/c3ref/busy_timeout.html"""

SENDING_TIMEOUT_MS = 240_000
"""How long the result of a delivery waits for others that write: they may derive a whole history again."""

_MIGRATION_SET = "modelwatch"

_LARGE_INDEXES = (
    "listing_records_record",
    "field_changes_field",
    "records_owned_by",
    "changes_kind",
    "changes_before",
    "changes_after",
)

_GROWING_INDEXES = ("field_changes_change", "changes_model", "changes_transition")
"""Indexes that are needed while many rows are written, so that a tenth of their pages stays empty."""


class Store:
    """An open database; made by `Store.open` to write or `Store.read` to read."""

    def __init__(self, connection: sqlite3.Connection, path: Path, *, is_immutable: bool = False) -> None:
        self.connection = connection
        self.path = path
        self.is_immutable = is_immutable
        """Whether it is read as a file that nobody changes: SQLite could write no log beside it."""
        self._file: os.stat_result | None = None

    @cached_property
    def db(self) -> Database:
        """The same connection, wrapped by sqlite-utils.

        See https://sqlite-utils.datasette.io/en/stable/python-api.html.
        """
        from sqlite_utils import Database

        return Database(self.connection, recursive_triggers=False, execute_plugins=False)

    @classmethod
    def open(cls, path: Path | None, *, share: Share = Share.OWNER) -> Self:
        """Open to write; create the file and migrate its schema as needed.

        Args:
            path: the file; None for a database in memory.
            share: who may read a new file and new directories, beside their owner.

        Raises:
            StoreError: it cannot be created, is not a database of ours, or is newer than this program.
        """
        where = path or Path(":memory:")
        with store_errors(where):
            if path:
                # SQLite would create it as the umask says; its logs have the mode of the database.
                database = Path(os.path.realpath(path))
                make_directory(database.parent, share)
                create_file(database, share)
            store = cls(_connect(str(where)), where)
            with store._closed_on_error():
                store._refuse_foreign()
                store._set_up()
                store._file = path.stat() if path else None
            return store

    @classmethod
    def read(cls, path: Path, *, allow_old: bool = False, allow_empty: bool = False) -> Self:
        """Open to read.

        Args:
            path: the file.
            allow_old: open also a database that needs a migration.
            allow_empty: open also a file without tables, as a run leaves that is killed at its start.

        Raises:
            StoreError: there is no such file, it is not a database of ours, it is of another release, or it
                has lost its history.
        """
        _refuse_unreadable(path)
        with store_errors(path):
            connection, is_immutable = _connect_to_read(path)
            store = cls(connection, path, is_immutable=is_immutable)
            with store._closed_on_error():
                store.connection.execute("pragma query_only = on")
                store._refuse_foreign()
                is_empty = not store.rows("select 1 from sqlite_master limit 1")
                if is_empty and not allow_empty:
                    raise StoreError("is empty: `modelwatch run` creates the database in it", path=path)
                if not is_empty and not allow_old and store._pending():
                    raise StoreError(
                        "was made by an older modelwatch: `modelwatch run` migrates it",
                        path=path,
                    )
            return store

    @classmethod
    def glance(cls, path: Path) -> Self:
        """Open to read the file alone, without its write-ahead log; write, lock and wait for nothing.

        The newest changes may be missing, and reads during a checkpoint may fail.

        Raises:
            StoreError: there is no such file, or it is not a database of ours.
        """
        with store_errors(path):
            store = cls(_connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1"), path, is_immutable=True)
            with store._closed_on_error():
                store._refuse_foreign()
            return store

    @classmethod
    def open_copy(cls, path: Path) -> Self:
        """Open a copy in memory of the database at `path`, or an empty one; the file stays as it is.

        Raises:
            StoreError: it is not a database of ours, it is newer than this program, or it has lost its
                history.
        """
        refuse_lost(path)
        store = cls(_connect(":memory:"), path)
        if path.exists():
            with cls.read(path, allow_old=True, allow_empty=True) as source, store_errors(path):
                source.connection.backup(store.connection)
        with store_errors(path):
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
        """Close the connection."""
        self.connection.close()

    def _refuse_foreign(self) -> None:
        """Raise `StoreError` for a database of another program, or of a newer release of this one."""
        (application_id,) = self.connection.execute("pragma application_id").fetchone()
        (tables,) = self.connection.execute("select count(*) from sqlite_master").fetchone()
        if tables and application_id != APPLICATION_ID:
            raise StoreError(
                "is another program's database: name another file (`database` in the config)", path=self.path
            )
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
        return [row["name"] for row in self.rows(sql, {"set": _MIGRATION_SET})]

    def _pending(self) -> bool:
        return {migration.__name__ for migration in MIGRATIONS} > set(self._applied())

    def _set_up(self) -> None:
        # A commit survives a loss of power: https://www.sqlite.org/pragma.html#pragma_synchronous
        self.connection.execute("pragma synchronous = full")
        self.connection.execute("pragma cache_size = -65536")
        if self._pending():
            self._migrate()
        self.connection.execute("pragma foreign_keys = on")

    def _migrate(self) -> None:
        from sqlite_utils import Migrations

        self.connection.execute("pragma journal_mode = wal")
        is_new = not self._applied()
        migrations = Migrations(_MIGRATION_SET)
        for step, migration in enumerate(MIGRATIONS):
            # The first step creates the present schema; the others are for older databases.
            migrations(name=migration.__name__)(_skip if is_new and step else migration)
        # A table can only be replaced while foreign keys are not enforced; they are checked at the end:
        # https://www.sqlite.org/lang_altertable.html#otheralter
        self.connection.execute("pragma foreign_keys = off")
        with self.transaction():
            self.connection.execute(f"pragma application_id = {APPLICATION_ID}")
            migrations.apply(self.db)
            self.check_foreign_keys()
        if not is_new:
            self._free_space()

    def _free_space(self) -> None:
        """Return the space to the disk that a migration has freed, where it is half of the file."""
        ((free, pages),) = self.connection.execute(
            "select freelist_count, page_count from pragma_freelist_count, pragma_page_count"
        ).fetchall()
        if 2 * free > pages:
            # The database is as good without it, where the disk has no space for a copy.
            with suppress(sqlite3.Error):
                self.connection.execute("vacuum")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all or nothing.

        The write lock is taken at the beginning: an upgrade from a read lock fails at once under contention.
        https://www.sqlite.org/lang_transaction.html#deferred_immediate_and_exclusive_transactions

        Raises:
            StoreError: nothing was written.
        """
        with store_errors(self.path):
            self._refuse_if_replaced()
            self.connection.execute("begin immediate")
            try:
                yield
                self.connection.execute("commit")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("rollback")
                raise

    def _refuse_if_replaced(self) -> None:
        """Raise `StoreError` if the path leads to another file now: SQLite would write to the old one.

        See https://www.sqlite.org/howtocorrupt.html.
        """
        if self._file and not (self.path.exists() and os.path.samestat(self._file, self.path.stat())):
            raise StoreError(
                "was removed or replaced meanwhile; nothing was written: run again", path=self.path
            )

    @contextmanager
    def bulk_load(self) -> Iterator[None]:
        """Write many rows, all or nothing; check keys, and fill large indexes and the search, at the end."""
        # The pragma has no effect inside a transaction: https://www.sqlite.org/pragma.html#pragma_foreign_keys
        self.connection.execute("pragma foreign_keys = off")
        try:
            with self.transaction():
                dropped = self.rows(
                    """
                    select type, name, sql from sqlite_master
                    where name in (select value from json_each(:names))
                    """,
                    {"names": json.dumps([*_LARGE_INDEXES, *FILLING])},
                )
                for each in dropped:
                    self.connection.execute(f"drop {each['type']} {each['name']}")
                yield
                # The search and packing first: indexes take the pages that they leave free.
                packing = (f"reindex {index}" for index in _GROWING_INDEXES)
                for statement in (*REFILL, *packing, *(each["sql"] for each in dropped)):
                    self.connection.execute(statement)
                self.check_foreign_keys()
        finally:
            self.connection.execute("pragma foreign_keys = on")

    def check_foreign_keys(self) -> None:
        """Raise `StoreError` if a foreign key leads to no row."""
        dangling = self.rows("pragma foreign_key_check")
        if dangling:
            raise StoreError(
                f"has rows in {dangling[0]['table']} that refer to missing rows; nothing was written:"
                " restore it from a backup",
                path=self.path,
            )

    @contextmanager
    def read_transaction(self) -> Iterator[None]:
        """Read one state of the database until the end of the block, whatever others write meanwhile.

        See https://www.sqlite.org/isolation.html.
        """
        with store_errors(self.path):
            self.connection.execute("begin")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                self.connection.execute("rollback")

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Query with named parameters; return each row as a dict by column name."""
        with store_errors(self.path):
            found = self.connection.execute(sql, parameters or {})
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found]

    def stream(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """Query with named parameters; yield each row as a tuple."""
        with store_errors(self.path):
            # `yield from` would close the cursor, which fails where an error has closed the connection.
            for row in self.connection.execute(sql, dict(parameters or {})):  # noqa: UP028 - see above
                yield row

    def damage(self, table: str, row: int, message: str) -> StoreError:
        """Return the error of a row that is not as it was written."""
        return StoreError(
            f"is damaged in {table} {row} ({message}): restore it from a backup;"
            " `modelwatch verify` shows all",
            path=self.path,
        )

    def wait_for_others(self, milliseconds: int) -> None:
        """Wait up to so long for other programs that write, instead of `BUSY_TIMEOUT_MS`."""
        self.connection.execute(f"pragma busy_timeout = {milliseconds:d}")

    def checkpoint(self) -> None:
        """Move the write-ahead log into the main file, so that a copy of that file alone is complete.

        While another program reads, what can be moved is moved without waiting, and the rest by the next run.
        See https://www.sqlite.org/pragma.html#pragma_wal_checkpoint.
        """
        with store_errors(self.path, effect="what was recorded is kept"):
            self.connection.execute("pragma optimize").fetchall()
            self.try_checkpoint()

    def try_checkpoint(self) -> None:
        """Move what can be moved of the write-ahead log into the main file, without waiting for readers."""
        self.wait_for_others(0)
        try:
            self.connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        finally:
            self.wait_for_others(BUSY_TIMEOUT_MS)


def _skip(_db: Database) -> None:
    """Do nothing, since a new database is created with the present schema."""


def _connect(where: str) -> sqlite3.Connection:
    return sqlite3.connect(
        where, uri=where.startswith("file:"), timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None
    )


def _refuse_unreadable(path: Path) -> None:
    """Raise `StoreError` for a database that is missing, has lost its history, or is closed to this user."""
    try:
        refuse_lost(path)
        path.stat()
        closed = not os.access(path, os.R_OK)
    except FileNotFoundError:
        create = "there is no database yet: `modelwatch run` creates it"
        message = f"{create}, or name another home by --home or MODELWATCH_HOME"
        raise StoreError(message, path=path) from None
    except PermissionError:
        closed = True
    except OSError as error:
        raise StoreError(f"cannot be used: {error.strerror}", path=path) from error
    if closed:
        raise StoreError(
            "this user may not read it: run the command as its owner, or let the owner share it:"
            ' `share = "group"` or `"all"` in the config for new files, chmod for those that are there',
            path=path,
        )


def _connect_to_read(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Connect so that a write-ahead log is read too; return also whether as an immutable file.

    With write permission, SQLite opens the file as usual; the last connection removes the log. Without it,
    or on a full disk, SQLite reads the log if it can. `immutable` skips the log, so it is for a database
    without a log only. There it is needed: SQLite would create a log that the owner could not write to, see
    https://www.sqlite.org/wal.html#read_only_databases
    """
    uri = path.absolute().as_uri()
    log = path.with_name(f"{path.name}-wal")
    if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
        connection = _connect(f"{uri}?mode=rw")
        try:
            connection.execute("select 1 from sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            if not _is_full(path) or (log.exists() and log.stat().st_size):
                raise
        else:
            return connection, False
    if log.exists():
        connection = _connect(f"{uri}?mode=ro")
        try:
            connection.execute("select 1 from sqlite_master").fetchone()
        except sqlite3.Error as error:
            connection.close()
            if not isinstance(error, sqlite3.OperationalError):
                raise
            if log.exists() and log.stat().st_size:
                raise StoreError(
                    "has changes in its -wal file, which cannot be read without write permission:"
                    " run the command as the owner of the database",
                    path=path,
                ) from None
        else:
            return connection, False
    return _connect(f"{uri}?mode=ro&immutable=1"), True


@contextmanager
def store_errors(path: Path, *, effect: str = "nothing was written") -> Iterator[None]:
    """Translate errors of SQLite and the system about a file to a `StoreError` that says what to do.

    `effect` is the part of the message about what was written.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_cure(error).format(effect=effect, message=error), path=path) from error
    except OSError as error:
        cure = _CURES_OF_SYSTEM.get(error.errno or 0, f"cannot be used: {error.strerror or error}")
        raise StoreError(cure.replace("{effect}", effect), path=path) from error


_BUSY = f"another program kept it locked for {BUSY_TIMEOUT_MS // 1000} s; {{effect}}: run again"

_NO_LOCKS = "is on a file system without locks: put the database on a local disk, with `database`"

_CURES = {
    "FULL": "the disk is full; {effect}: free some space and run again",
    "READONLY": "cannot be written: check the owner of the file and its directory",
    "CANTOPEN": "cannot be opened: check that its directory exists and can be written",
    "BUSY": _BUSY,
    "LOCKED": _BUSY,
    "NOTADB": "is not an SQLite database: name another file (`database` in the config)",
    "IOERR": "cannot be read or written: check that it is a file, that the disk works, and that no limit on"
    " the size of files (`ulimit -f`) is reached",
    "IOERR_LOCK": _NO_LOCKS,
    "NOMEM": "needs more memory than there is: see `ulimit -v`",
    "CORRUPT": "is damaged: restore it from a backup",
    "ERROR": "has tables or values that cannot be read ({message}): `modelwatch verify` shows what to do",
    "": "has text that is not UTF-8: `modelwatch verify` shows where",
}
"""What to do, by the name of SQLite's primary result code: https://www.sqlite.org/rescode.html"""


def _is_full(path: Path) -> bool:
    """Return whether the disk of a file has no block or no file left for this user."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return not disk.f_bavail or bool(disk.f_files and not disk.f_favail)


_CURES_OF_SYSTEM = {
    errno.ENOSPC: _CURES["FULL"],
    errno.EDQUOT: _CURES["FULL"],
    errno.EFBIG: "would be larger than files may be here; {effect}: see `ulimit -f`",
    errno.EMFILE: "cannot be opened, since too many files are open: raise `ulimit -n`",
    errno.ENFILE: "cannot be opened, since too many files are open on this machine",
    errno.ENOLCK: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
    errno.ENOTSUP: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
}
"""What to do, by the error of the system: https://man7.org/linux/man-pages/man2/fcntl.2.html"""


def _cure(error: sqlite3.Error) -> str:
    # The error of a text that cannot be decoded is made by Python, and has no code.
    full_name = getattr(error, "sqlite_errorname", "").partition("_")[2]
    name = full_name if full_name in _CURES else full_name.partition("_")[0]
    if not name and "decode" not in str(error):
        name = "UNKNOWN"
    return _CURES.get(name, "SQLite: {message}")
