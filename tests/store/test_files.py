"""Files that are written whole or not at all, for their owner unless others are let in."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest

from pipeline.core.types import Share
from pipeline.delivery.files import write_files
from pipeline.errors import DeliveryError
from pipeline.store import files
from pipeline.store.files import (
    atomic_write,
    clear_drafts,
    create_file,
    draft_directory,
    draft_file,
    exposure,
    make_directory,
    replace_directory,
)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the umask for a block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize(("share", "expected"), [("owner", 0o700), ("group", 0o750), ("all", 0o755)])
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_directories_are_created_for_those_that_share_names(
    tmp_path: Path, share: str, expected: int, mask: int
) -> None:
    with umask(mask):
        make_directory(tmp_path / "one" / "two", Share(share))
        make_directory(tmp_path / "one" / "two", Share(share))
    assert (mode(tmp_path / "one"), mode(tmp_path / "one" / "two")) == (expected, expected)


def test_directories_without_share_follow_the_umask(tmp_path: Path) -> None:
    with umask(0o027):
        make_directory(tmp_path / "one" / "two", None)
    assert (mode(tmp_path / "one"), mode(tmp_path / "one" / "two")) == (0o750, 0o750)


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    make_directory(tmp_path, Share.ALL)
    assert mode(tmp_path) == 0o711


@pytest.mark.parametrize(
    ("directory", "expected"),
    [(0o700, 0o600), (0o750, 0o640), (0o755, 0o644), (0o710, 0o600), (0o775, 0o644), (0o1777, 0o644)],
)
def test_a_new_file_is_as_readable_as_its_directory(tmp_path: Path, directory: int, expected: int) -> None:
    tmp_path.chmod(directory)
    with umask(0o022):
        create_file(tmp_path / "file", Share.OWNER)
        atomic_write(tmp_path / "written", b"", share=Share.OWNER)
    assert (mode(tmp_path / "file"), mode(tmp_path / "written")) == (expected, expected)


@pytest.mark.parametrize(("share", "expected"), [("owner", 0o600), ("group", 0o640), ("all", 0o644)])
@pytest.mark.parametrize(("directory", "mask"), [(0o755, 0o077), (0o700, 0o000), (0o700, 0o077)])
def test_a_new_file_is_private_where_umask_or_directory_are_and_open_to_those_that_share_names(
    tmp_path: Path, share: str, expected: int, directory: int, mask: int
) -> None:
    tmp_path.chmod(directory)
    with umask(mask):
        create_file(tmp_path / "file", Share(share))
    assert mode(tmp_path / "file") == expected


def test_a_new_file_without_share_follows_the_umask(tmp_path: Path) -> None:
    with umask(0o026):
        create_file(tmp_path / "file", None)
        atomic_write(tmp_path / "written", b"", share=None)
    assert (mode(tmp_path / "file"), mode(tmp_path / "written")) == (0o640, 0o640)


@pytest.mark.parametrize("share", [None, Share.OWNER, Share.ALL])
@pytest.mark.parametrize("before", [0o600, 0o640, 0o664])
def test_a_file_keeps_its_mode(tmp_path: Path, share: Share | None, before: int) -> None:
    path = tmp_path / "latest.csv"
    path.write_bytes(b"before")
    path.chmod(before)
    create_file(path, share)
    assert path.read_bytes() == b"before"
    atomic_write(path, b"after", share=share)
    assert (path.read_bytes(), mode(path)) == (b"after", before)


def test_a_draft_is_private_from_its_first_byte(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with umask(0), draft_file(tmp_path / "report", Share.OWNER) as (draft, _):
        assert mode(draft) == 0o600
        with draft_directory(tmp_path / "public") as directory:
            assert mode(directory) == 0o700
    assert names(tmp_path) == []


def test_a_write_that_fails_leaves_the_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "latest.csv"
    path.write_bytes(b"before")
    with mock.patch("os.fsync", side_effect=OSError("full")), pytest.raises(OSError, match="full"):
        atomic_write(path, b"after", share=None)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"latest.csv": b"before"}


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "target"
    path.mkdir() if kind == "directory" else os.mkfifo(path)
    before = path.stat()
    with pytest.raises(OSError, match=r"Is a directory|no regular file"):
        atomic_write(path, b"", share=None)
    assert os.path.samestat(path.stat(), before)


def test_a_durable_write_flushes_the_file_before_and_the_directory_after_it_is_renamed(
    tmp_path: Path,
) -> None:
    flushed: list[tuple[str, bool]] = []
    path = tmp_path / "report"

    def fsync(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        flushed.append((kind, path.exists()))

    with mock.patch("os.fsync", fsync):
        atomic_write(tmp_path / "metrics", b"", share=None, durable=False)
        assert flushed == []
        atomic_write(path, b"", share=None)
    assert flushed == [("file", False), ("directory", True)]


def test_a_new_directory_is_flushed_into_the_one_above_it(tmp_path: Path) -> None:
    with mock.patch.object(files, "flush") as flush:
        make_directory(tmp_path / "one" / "two", Share.OWNER)
    assert [call.args[0] for call in flush.call_args_list] == [tmp_path, tmp_path / "one"]


def test_a_directory_whose_file_system_cannot_flush_it_is_written(tmp_path: Path) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        real(descriptor)

    with mock.patch("os.fsync", fsync):
        atomic_write(tmp_path / "report", b"", share=None)
    assert names(tmp_path) == ["report"]


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.core.types import Share
from pipeline.store.files import draft_directory, draft_file
target = Path(sys.argv[2])
with draft_file(target, Share.OWNER) if sys.argv[1] == "file" else draft_directory(target) as draft:
    if sys.argv[1] == "directory":
        (draft / "modelwatch.db").write_text("private")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_the_draft_of_a_killed_process_is_cleared(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", KILLED, kind, str(tmp_path / "latest.csv")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    [left] = names(tmp_path)
    (tmp_path / f"{left}-journal").touch()
    clear_drafts(tmp_path)
    if kind == "directory":
        clear_drafts(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_the_draft_of_a_living_process_is_not_cleared(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    with draft_file(target, None) if kind == "file" else draft_directory(target):
        before = names(tmp_path)
        clear_drafts(tmp_path)
        assert names(tmp_path) == before != []


@pytest.mark.parametrize(
    "name", [".notes.draft", ".report.0123abcd.drafts", "report.0123abcd.draft", ".a.0123ABCD.draft"]
)
def test_files_of_others_are_not_cleared(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / ".link.0123abcd.draft").symlink_to(tmp_path / name)
    clear_drafts(tmp_path)
    assert names(tmp_path) == sorted([name, ".link.0123abcd.draft"])


def test_a_draft_that_another_process_cleared_at_its_birth_is_made_again(tmp_path: Path) -> None:
    real, seen = files._lock, list[int]()

    def lock(descriptor: int) -> bool:
        if not seen:
            clear_drafts(tmp_path)
        seen.append(descriptor)
        return real(descriptor)

    with mock.patch.object(files, "_lock", lock):
        atomic_write(tmp_path / "report", b"whole", share=None)
    assert (len(seen), (tmp_path / "report").read_bytes(), names(tmp_path)) == (2, b"whole", ["report"])


def test_reports_clear_the_drafts_of_killed_runs(tmp_path: Path) -> None:
    (tmp_path / ".20260101T000000Z.csv.0123abcd.draft").write_text("at,kind")
    assert write_files(tmp_path, {"a.csv": "at\r\n"}, share=None) == [tmp_path / "a.csv"]
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a.csv": b"at\r\n"}


def test_a_directory_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeliveryError, match=r"file: the report cannot be written: File exists"):
        write_files(tmp_path / "file", {"a": ""}, share=None)


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_directory_replaces_another(tmp_path: Path, *, exchanges: bool) -> None:
    target = tmp_path / "public"
    for content in ("old", "new"):
        with draft_directory(target) as draft:
            (draft / "file").write_text(content)
            with mock.patch.object(files, "_exchange", files._exchange if exchanges else lambda *_: False):
                replace_directory(draft, target)
        assert (target / "file").read_text() == content
        assert names(tmp_path) == ["public"]


def test_a_directory_that_cannot_be_replaced_remains(tmp_path: Path) -> None:
    target = tmp_path / "public"
    target.mkdir()
    (target / "file").write_text("old")
    with mock.patch.object(files, "_exchange", return_value=False), pytest.raises(FileNotFoundError):
        replace_directory(tmp_path / "missing", target)
    with pytest.raises(FileNotFoundError):
        replace_directory(tmp_path / "missing", target)
    assert ((target / "file").read_text(), names(tmp_path)) == ("old", ["public"])


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user can enter, unlike those of pytest."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("file", "is_secret", "expected"),
    [
        (0o600, True, None),
        (0o644, True, "other users may read it: chmod go-r "),
        (0o604, True, "other users may read it: chmod go-r "),
        (0o646, True, "other users may write it: chmod go-w "),
        (0o644, False, None),
        (0o666, False, "other users may write it: chmod go-w "),
    ],
)
def test_a_file_that_others_may_read_or_write_is_named_with_its_cure(
    open_path: Path, file: int, *, is_secret: bool, expected: str | None
) -> None:
    path = open_path / "one key"
    path.touch()
    path.chmod(file)
    assert exposure(path, is_secret=is_secret) == (expected and f"{expected}'{path}'")


def test_a_file_in_a_directory_that_others_may_not_enter_is_not_exposed(open_path: Path) -> None:
    path = open_path / "closed" / "keys" / "key"
    path.parent.mkdir(parents=True)
    path.touch()
    path.chmod(0o666)
    assert exposure(path, is_secret=True)
    path.parent.parent.chmod(0o700)
    assert exposure(path, is_secret=True) is None


@pytest.mark.parametrize("error", [PermissionError, OSError])
def test_a_draft_that_cannot_be_removed_does_not_fail_what_is_written(
    tmp_path: Path, error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report"
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", mock.Mock(side_effect=error(5, "Input/output error")))
        atomic_write(target, b"whole", share=None)
    assert target.read_bytes() == b"whole"
