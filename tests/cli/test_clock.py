"""A clock that is set back, jumps ahead or stands still: runs stay in the order in which they happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.e2e import Job, Reply, Scripted, listed
from support.proving import problems

OFFERED = {"now": b""}


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A home that asks for what is offered now, and tells removals at once."""
    with Scripted(lambda _: Reply(OFFERED["now"])) as server:
        made = Job(tmp_path / "home")
        made.asks(server.url, confirm=1, max_loss=1.0)
        yield made


def runs(job: Job, *history: tuple[str, str]) -> None:
    """Let runs be made, each at a time by the clock and with a letter for each model offered."""
    for at, models in history:
        OFFERED["now"] = listed(*models)
        assert job.quick("run", at=at).code == 0


def told(job: Job, *options: str) -> list[tuple[str, str]]:
    """Give what `changes` tells, in its order."""
    found = job.quick("changes", "--json", *options, at="2026-05-01T12:00:00Z").json()
    return [(change["kind"], change["model"]) for change in found]


ALL = [("added", "b"), ("removed", "a"), ("returned", "a")]
CLOCKS = {
    "set back": [
        "2026-05-01T08:00:00Z",
        "2026-05-01T09:00:00Z",
        "2026-04-01T09:00:00Z",
        "2026-05-01T10:00:00Z",
    ],
    "ahead by a year": [
        "2026-05-01T08:00:00Z",
        "2026-05-01T09:00:00Z",
        "2027-05-01T09:00:00Z",
        "2026-05-01T10:00:00Z",
    ],
    "standing still": ["2026-05-01T08:00:00Z"] * 4,
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_what_happened_is_told_in_its_order(job: Job, clock: str) -> None:
    """Whatever the clock said, a model was added, another removed and then returned."""
    runs(job, *zip(CLOCKS[clock], ("a", "ab", "b", "ba"), strict=True))
    assert told(job, "--all") == ALL
    assert {row["model"] for row in job.quick("models", "--json").json()} == {"a", "b"}
    assert problems(job.database) == []


@pytest.mark.parametrize("clock", CLOCKS)
def test_each_run_has_its_report(job: Job, clock: str) -> None:
    """Runs that began in one second, or at a time of the past, do not write over each other's reports."""
    runs(job, *zip(CLOCKS[clock], ("a", "ab", "b", "ba"), strict=True))
    assert len(job.written()) == 2 * 4
    assert [change["kind"] for change in job.latest()["changes"]] == ["returned"]
    (returned,) = job.latest()["changes"]
    assert returned["away_seconds"] >= 0


def test_since_begins_with_the_first_run_that_was_not_before(job: Job) -> None:
    """What followed such a run is told too, though a clock that was set back called it earlier."""
    runs(job, *zip(CLOCKS["set back"], ("a", "ab", "b", "ba"), strict=True))
    assert told(job, "--since", "2026-05-01T08:30:00Z") == ALL
    assert told(job, "--since", "2026-05-01T09:30:00Z") == [("returned", "a")]


def test_a_year_ahead_does_not_hide_what_follows(job: Job) -> None:
    """`--since` finds the run of the far future and what came after it; `status` speaks of the last run."""
    runs(job, *zip(CLOCKS["ahead by a year"], ("a", "ab", "b", "ba"), strict=True))
    assert told(job, "--since", "2026-05-01T09:30:00Z") == ALL[1:]
    assert "2026-05-01 10:00" in job.quick("status", at="2026-05-01T12:00:00Z").stdout
    assert "2027" not in job.quick("status", at="2026-05-01T12:00:00Z").stdout


def test_a_failure_does_not_last_less_than_no_time(job: Job) -> None:
    """A scope that failed at a time of the future and has recovered was away for no time."""
    runs(job, ("2026-05-01T08:00:00Z", "a"))
    OFFERED["now"] = b"<html>"
    assert job.quick("run", at="2027-05-01T08:00:00Z").code == 4
    runs(job, ("2026-05-01T09:00:00Z", "a"))
    (recovery,) = job.latest()["recoveries"]
    assert (recovery["was"], recovery["seconds"]) == ("failed", 0)
    assert problems(job.database) == []
