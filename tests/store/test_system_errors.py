"""Errors of the system and of SQLite about a database, each with what to do."""

import errno
import fcntl
import os

import pytest

from pipeline.errors import StoreError
from pipeline.store.database import store_errors
from pipeline.store.lock import lock


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full; nothing was written: free some space"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOLCK, "on a file system without locks: put the database on a local disk"),
        (errno.EOPNOTSUPP, "on a file system without locks"),
        (errno.EPERM, "cannot be used: Operation not permitted"),
    ],
)
def test_an_error_of_the_system_says_what_to_do(tmp_path, code, words):
    with pytest.raises(StoreError, match=words), store_errors(tmp_path / "modelwatch.db"):
        raise OSError(code, os.strerror(code))


@pytest.mark.parametrize("call", ["flock", "fcntl"])
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, call, code):
    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, call, fails)
    with (
        pytest.raises(StoreError, match="file system without locks"),
        lock(tmp_path / "modelwatch.db", since="2026-09-01T00:00:00Z", create=True),
    ):
        pass
