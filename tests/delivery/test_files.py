"""Files that are written whole or not at all."""

import os
import stat
from unittest import mock

import pytest

from pipeline.delivery.files import atomic_write, write_files
from pipeline.errors import DeliveryError


def test_a_write_that_fails_leaves_the_file_and_no_draft(tmp_path):
    path = tmp_path / "latest.csv"
    path.write_bytes(b"before")
    with mock.patch("os.fsync", side_effect=OSError("full")), pytest.raises(OSError, match="full"):
        atomic_write(path, b"after")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"latest.csv": b"before"}


@pytest.mark.parametrize("shared", [False, True])
def test_the_mode_follows_the_umask_unless_it_is_set(tmp_path, shared):
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "follows", b"", shared=shared)
        atomic_write(tmp_path / "set", b"", mode=0o644, shared=shared)
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert modes == {"follows": 0o640, "set": 0o644}


def test_only_durable_writes_wait_for_the_disk(tmp_path):
    with mock.patch("os.fsync") as fsync:
        atomic_write(tmp_path / "metrics", b"", durable=False)
        assert not fsync.called
        atomic_write(tmp_path / "report", b"")
    assert fsync.call_count == 1


def test_drafts_of_a_killed_run_are_removed(tmp_path):
    (tmp_path / ".20260101T000000Z.csv.draft").write_text("at,kind")
    assert write_files(tmp_path, {"a.csv": "at\r\n"}) == [tmp_path / "a.csv"]
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a.csv": b"at\r\n"}


def test_a_directory_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DeliveryError, match=r"file: the report cannot be written: File exists"):
        write_files(tmp_path / "file", {"a": ""})
