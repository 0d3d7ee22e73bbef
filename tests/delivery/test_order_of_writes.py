"""Files are on the disk under their names before the database says that they were delivered."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Reply, Scripted, listed

from pipeline.delivery import send

Call = tuple[str, Any]
"""`fsync` with the file (device and inode), `rename` with file, directory and name, `mark` with a status."""


def identity(place: int | str | os.PathLike[str]) -> tuple[int, int]:
    """Return what a file is, whatever its name."""
    found = os.stat(place)  # noqa: PTH116 - also of a descriptor
    return found.st_dev, found.st_ino


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Record the calls that make files last, and the results of deliveries."""
    found: list[Call] = []
    real_fsync, real_record = os.fsync, send.record_result

    def fsync(descriptor: int) -> None:
        found.append(("fsync", identity(descriptor)))
        real_fsync(descriptor)

    def renaming(real: Callable[..., None]) -> Callable[..., None]:
        def rename(source: Any, target: Any, **more: Any) -> None:
            found.append(("rename", (identity(source), identity(Path(target).parent), Path(target).name)))
            real(source, target, **more)

        return rename

    def record_result(*arguments: Any, **more: Any) -> Any:
        found.append(("mark", None))
        return real_record(*arguments, **more)

    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, renaming(getattr(os, name)))
    monkeypatch.setattr(send, "record_result", record_result)
    return found


def lasting(calls: list[Call], at: int) -> bool:
    """Return whether its file is synced before a rename, and its directory between that and the next mark."""
    file, directory, _ = calls[at][1]
    end = next((n for n, (kind, _) in enumerate(calls) if n > at and kind == "mark"), len(calls))
    return ("fsync", file) in calls[:at] and ("fsync", directory) in calls[at:end]


DESTINATIONS = """
[destinations.mails]
type = "eml"
directory = "mails"
from = "watch@example.com"
to = ["ann@example.com"]
[destinations.site]
type = "files"
directory = "site"
forms = ["html", "atom"]
"""


def test_reports_mails_and_files_are_synced_before_and_after_their_renaming_and_before_they_count_as_sent(
    tmp_path: Path, calls: list[Call]
) -> None:
    job = Job(tmp_path / "home")
    lists = iter([listed("a"), listed("a", "b")])
    with Scripted(lambda _: Reply(next(lists))) as server:
        job.asks(server.url)
        job.configure(job.config.read_text("utf-8") + DESTINATIONS)
        assert job.quick("run", at="2026-05-01T06:00:00Z").code == 0
        calls.clear()
        assert job.quick("run", at="2026-05-01T08:00:00Z").code == 0
    renamed = {calls[n][1][2]: n for n, (kind, _) in enumerate(calls) if kind == "rename"}
    kinds = {name.rpartition(".")[2] for name in renamed}
    assert {"csv", "json", "eml", "html", "atom"} <= kinds, renamed
    assert [name for name, n in renamed.items() if not lasting(calls, n)] == []
    assert [kind for kind, _ in calls].count("mark") == 3
