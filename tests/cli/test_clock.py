"""A clock that is set back, jumps ahead or stands still: runs keep their order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.e2e import Job, Reply, Scripted, listed, one_line
from support.proving import problems

OFFERED = {"now": b""}


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A home that asks for `OFFERED`, and confirms removals at once."""
    with Scripted(lambda _: Reply(OFFERED["now"])) as server:
        made = Job(tmp_path / "home")
        made.asks(server.url, confirm=1, max_loss=1.0)
        yield made


def run_all(job: Job, *history: tuple[str, str]) -> None:
    """Run the job at each time; each letter is a model on offer."""
    for at, models in history:
        OFFERED["now"] = listed(*models)
        assert job.quick("run", at=at).code == 0


def changes_of(job: Job, *options: str) -> list[tuple[str, str]]:
    """Return the kind and model of each event that `changes` prints."""
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
def test_changes_keep_the_order_of_the_runs(job: Job, clock: str) -> None:
    run_all(job, *zip(CLOCKS[clock], ("a", "ab", "b", "ba"), strict=True))
    assert changes_of(job, "--all") == ALL
    assert {row["model"] for row in job.quick("models", "--json").json()} == {"a", "b"}
    assert problems(job.database) == []


@pytest.mark.parametrize("clock", CLOCKS)
def test_each_run_writes_its_own_report(job: Job, clock: str) -> None:
    """Also for runs that start in the same second, or at an earlier time than the last."""
    run_all(job, *zip(CLOCKS[clock], ("a", "ab", "b", "ba"), strict=True))
    assert len(job.written()) == 2 * 4
    assert [change["kind"] for change in job.latest()["changes"]] == ["returned"]
    (returned,) = job.latest()["changes"]
    assert returned["away_seconds"] >= 0


def test_since_starts_at_the_first_run_not_before_it(job: Job) -> None:
    """Later runs are included, also where a clock that was set back dated them earlier."""
    run_all(job, *zip(CLOCKS["set back"], ("a", "ab", "b", "ba"), strict=True))
    assert changes_of(job, "--since", "2026-05-01T08:30:00Z") == ALL
    assert changes_of(job, "--since", "2026-05-01T09:30:00Z") == [("returned", "a")]


def test_a_run_in_the_future_hides_no_later_run(job: Job) -> None:
    """`status` shows the last run, not the one with the latest time."""
    run_all(job, *zip(CLOCKS["ahead by a year"], ("a", "ab", "b", "ba"), strict=True))
    assert changes_of(job, "--since", "2026-05-01T09:30:00Z") == ALL[1:]
    assert "2026-05-01 10:00" in job.quick("status", at="2026-05-01T12:00:00Z").stdout
    assert "2027" not in job.quick("status", at="2026-05-01T12:00:00Z").stdout


def test_the_duration_of_a_failure_is_never_negative(job: Job) -> None:
    run_all(job, ("2026-05-01T08:00:00Z", "a"))
    OFFERED["now"] = b"<html>"
    assert job.quick("run", at="2027-05-01T08:00:00Z").code == 4
    run_all(job, ("2026-05-01T09:00:00Z", "a"))
    (recovery,) = job.latest()["recoveries"]
    assert (recovery["state"], recovery["seconds"]) == ("failed", 0)
    assert problems(job.database) == []


DAYS = [f"2026-05-{day:02}T08:00:00Z" for day in range(1, 10)]


def runs_of(job: Job) -> int:
    """Return the number of runs in the database."""
    with sqlite3.connect(job.database) as raw:
        ((count,),) = raw.execute("select count(*) from snapshots")
    raw.close()
    return int(count)


def test_prune_counts_from_the_newest_run(job: Job) -> None:
    run_all(job, *((at, models) for at, models in zip(DAYS, ("a", "ab", "b", "ba") * 3, strict=False)))
    done = job.quick("prune", "--keep", "20d", at="2026-05-29T08:00:00Z")
    assert (done.code, done.stdout.splitlines()[0]) == (0, "nothing is older than 2026-04-19 08:00")
    assert runs_of(job) == len(DAYS)


@pytest.mark.parametrize("clock", ["2036-05-09T08:00:00Z", "2027-05-09T08:00:00Z", "2026-07-09T08:00:00Z"])
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_prune_refuses_a_clock_that_is_far_ahead_of_the_newest_run(
    job: Job, clock: str, options: tuple[str, ...]
) -> None:
    run_all(job, *((at, "a") for at in DAYS))
    one_line(job.quick("prune", "--keep", "30d", *options, at=clock), 74, clock[:10], "nothing was dropped")
    assert runs_of(job) == len(DAYS)


@pytest.mark.parametrize("ahead", [1, 3])
def test_prune_refuses_where_the_newest_runs_were_recorded_by_a_wrong_clock(job: Job, ahead: int) -> None:
    run_all(job, *((at, "a") for at in DAYS))
    wrong = [f"2036-05-0{day}T08:00:00Z" for day in range(1, 1 + ahead)]
    run_all(job, *((at, "a") for at in wrong))
    one_line(job.quick("prune", "--keep", "30d", at=wrong[-1]), 74, "2036-05-01", "2026-05-09", "7 days")
    assert runs_of(job) == len(DAYS) + ahead
    # Also when the clock is right again.
    run_all(job, ("2026-05-10T08:00:00Z", "a"))
    assert job.quick("prune", "--keep", "30d", at="2026-05-10T08:00:00Z").code == 0
    assert runs_of(job) == len(DAYS) + ahead + 1


def test_prune_trusts_a_pause_when_runs_have_gone_on_after_it(job: Job) -> None:
    run_all(job, *((at, "a") for at in DAYS))
    run_all(job, *((f"2026-09-{day:02}T08:00:00Z", "a") for day in range(1, 10)))
    assert job.quick("prune", "--keep", "30d", at="2026-09-09T09:00:00Z").code == 0
    assert runs_of(job) < 2 * len(DAYS)


@pytest.mark.parametrize("back", ["06:15:00", "06:59:00"])
def test_a_daily_mail_goes_once_a_day_though_the_clock_is_set_back(job: Job, back: str) -> None:
    job.configure(
        job.config.read_text("utf-8")
        + '\n[destinations.mail]\ntype = "eml"\ndirectory = "mail"\nevery = "day"\nempty = true\n'
    )
    mails = job.home / "mail"
    times = ("2026-05-01T07:05:00Z", "2026-05-02T07:05:00Z", f"2026-05-02T{back}Z", "2026-05-02T07:10:00Z")
    run_all(job, *zip(times, ("a", "ab", "b", "ba"), strict=True))
    assert len(list(mails.glob("*.eml"))) == 1
    run_all(job, ("2026-05-03T07:05:00Z", "a"))
    assert len(list(mails.glob("*.eml"))) == 2
