"""Answers that a second process reads and parses are recorded as those that one process does all with."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.fakes import body, moment, row, rows_of, scope

from pipeline.core.types import Scope
from pipeline.errors import SavedError
from pipeline.store import Store
from pipeline.sync import read_ahead
from pipeline.sync.archives import SavedAnswer
from pipeline.sync.backfill import BackfillTotals, backfill

AUTO = scope("acme/old")
FIXED = replace(AUTO, gateway=replace(AUTO.gateway, dialect="one-api"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def answers() -> list[SavedAnswer]:
    """Return lists that change, stay, lose models, come back, cannot be read, and share a second."""
    lists = [["a", "b", "c"], ["a", "b", "c"], ["b", "c", "d"], [], ["b", "c", "d"], ["b"], ["b"], ["b", "e"]]
    found = [
        SavedAnswer(moment(number), body(*map(row, models), took=number), f"answer {number}")
        for number, models in enumerate(lists * 3)
    ]
    found[5] = replace(found[5], body=b"<html>")
    found[9] = replace(found[9], body=b'{"error": {"message": "no"}}')
    found[12] = replace(found[12], body=body(*map(row, "bcd"), has_more=False, total=9))
    # Another dialect, whose list is held: the next answer is requested in the one before it.
    found[19] = replace(found[19], body=b'{"data": [{"model_id": "y", "types": "llm"}]}')
    return [*found, replace(found[-1], body=body(row("z")))]


def recorded(
    tmp_path: Path, who: Scope, saved: Iterator[SavedAnswer], *, processes: int, times: int = 1
) -> tuple[object, list[BackfillTotals]]:
    """Import answers into a new database; return its rows and the totals."""
    with Store.open(tmp_path / f"{processes}.db") as store:
        totals = [backfill(who, saved, store, processes=processes) for _ in range(times)]
        return rows(store), totals


def rows(store: Store) -> object:
    """Return all rows, but for the times at which the database was set up."""
    return {name: found for name, found in rows_of(store).items() if name != "_sqlite_migrations"}


@pytest.mark.parametrize("who", [AUTO, FIXED], ids=["auto", "one-api"])
def test_both_ways_write_the_same_rows_and_count_the_same(tmp_path: Path, who: Scope) -> None:
    one = recorded(tmp_path, who, iter(answers()), processes=1)
    two = recorded(tmp_path, who, iter(answers()), processes=2)
    assert two == one
    assert one[1][0].unreadable
    assert one[1][0].repeated == 1


def test_an_import_that_was_cut_off_is_continued_in_both_ways(tmp_path: Path) -> None:
    found = {}
    for processes in (1, 2):
        with Store.open(tmp_path / f"{processes}.db") as store:
            backfill(AUTO, iter(answers()[:11]), store, processes=processes)
            totals = backfill(AUTO, iter(answers()), store, processes=processes)
            found[processes] = rows(store), totals
    assert found[2] == found[1]
    assert found[1][1].known == 9


@pytest.mark.parametrize("after", [0, 1, 7, 24])
def test_the_rest_is_read_here_where_the_other_process_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    one = recorded(tmp_path, AUTO, iter(answers()), processes=1)
    encoded = read_ahead._encoded

    def killed(*arguments: object) -> Iterator[bytes]:
        for number, each in enumerate(encoded(*arguments)):  # type: ignore[arg-type]
            if number == after:
                os.kill(os.getpid(), signal.SIGKILL)
            yield each

    monkeypatch.setattr(read_ahead, "_encoded", killed)
    assert recorded(tmp_path, AUTO, iter(answers()), processes=2) == one


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_all_is_read_here_where_no_other_process_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    one = recorded(tmp_path, AUTO, iter(answers()), processes=1)

    def fails() -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, call, fails)
    assert recorded(tmp_path, AUTO, iter(answers()), processes=2) == one


def test_the_rest_is_read_here_where_the_other_process_has_no_memory_to_send_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = recorded(tmp_path, AUTO, iter(answers()), processes=1)

    def fails(_sender: object) -> None:
        raise MemoryError

    monkeypatch.setattr(read_ahead._Sender, "_block", fails)
    monkeypatch.setattr(read_ahead, "_MAX_WAITING", 1)
    assert recorded(tmp_path, AUTO, iter(answers()), processes=2) == one


def test_an_import_ends_well_where_the_system_waits_for_ended_processes(tmp_path: Path) -> None:
    one = recorded(tmp_path, AUTO, iter(answers()), processes=1)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert recorded(tmp_path, AUTO, iter(answers()), processes=2) == one
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_no_pipe_takes_the_last_files_that_may_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(os, "sysconf", lambda _name: 10)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("there is another process"))
    recorded(tmp_path, AUTO, iter(answers()), processes=2)
    assert set(Path("/proc/self/fd").iterdir()) <= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_only_this_process_handles_a_signal_that_comes_while_the_other_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    handled = tmp_path / "handled"
    fork = os.fork

    def interrupted() -> int:
        child = fork()
        os.kill(os.getpid(), number)
        return child

    def handle(*_: object) -> None:
        with handled.open("a") as file:
            file.write(f"{os.getpid()}\n")

    monkeypatch.setattr(os, "fork", interrupted)
    before = signal.signal(number, handle)
    try:
        recorded(tmp_path, AUTO, iter(answers()), processes=2)
    finally:
        signal.signal(number, before)
    assert handled.read_text("utf-8").split() == [str(os.getpid())]


def test_an_error_of_the_source_is_raised_here(tmp_path: Path) -> None:
    def broken() -> Iterator[SavedAnswer]:
        yield from answers()[:3]
        raise SavedError("cannot be read", where="answer 3")

    with (
        Store.open(tmp_path / "one.db") as store,
        pytest.raises(SavedError, match="answer 3: cannot be read"),
    ):
        backfill(AUTO, broken(), store, processes=2)


def test_records_are_sent_once_until_they_take_too_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = recorded(tmp_path, AUTO, iter(answers()), processes=1)
    monkeypatch.setattr(read_ahead, "_MAX_KEPT", 100)
    assert recorded(tmp_path, AUTO, iter(answers()), processes=2) == one


def test_the_other_process_has_no_file_of_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    encoded = read_ahead._encoded

    def looking(*arguments: object) -> Iterator[bytes]:
        links = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.exists()]
        seen.write_text("\n".join(map(str, links[3:])))
        yield from encoded(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(read_ahead, "_encoded", looking)
    recorded(tmp_path, AUTO, iter(answers()), processes=2)
    opened = seen.read_text().splitlines()
    assert opened
    assert [each for each in opened if ".db" in each or "lock" in each] == []


def test_few_answers_and_a_process_with_threads_need_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr("sys.platform", "linux")
    assert read_ahead.processes_for(read_ahead.LEAST) == 2
    assert read_ahead.processes_for(read_ahead.LEAST - 1) == 1
    monkeypatch.setattr("threading.active_count", lambda: 2)
    assert read_ahead.processes_for(1000) == 1
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert read_ahead.processes_for(1000) == 1
