"""Old reports are removed after `keep_reports`, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from support.e2e import Job

from pipeline.simulator import Gateway

DAYS = "2026-05-01", "2026-05-08", "2026-05-15", "2026-05-22"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as gateway:
        yield gateway


@pytest.fixture
def job(tmp_path: Path, gateway: Gateway) -> Job:
    job = Job(tmp_path / "home")
    job.configure('keep_reports = "10d"\n[destinations.www]\ntype = "files"\ndirectory = "www"\n')
    job.asks(gateway.url, attempts=1)
    return job


def run(job: Job, gateway: Gateway, day: str) -> str:
    """Make a change, and run the job on a day; return what it logs."""
    gateway.offers(f"model-{day}")
    done = job.quick("run", at=f"{day}T06:00:00Z")
    assert (done.code, done.stdout) == (0, "")
    return done.stderr


def reported(directory: Path) -> list[str]:
    """Return the days of the reports in a directory."""
    return sorted({path.name[:8] for path in directory.iterdir() if path.name[0] == "2"})


def test_reports_are_removed_when_they_are_older_than_the_config_says(job: Job, gateway: Gateway) -> None:
    for day in DAYS:
        assert run(job, gateway, day) == ""
    for directory in (job.reports, job.home / "www"):
        assert reported(directory) == ["20260515", "20260522"]
        assert {"latest.csv", "latest.json"} <= {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("text", ['"0"', "0", '"90d"', '"999999999d"'])
def test_reports_stay_for_ever_or_as_long_as_they_are_not_old(job: Job, gateway: Gateway, text: str) -> None:
    job.configure(job.config.read_text().replace('"10d"', text))
    for day in DAYS:
        run(job, gateway, day)
    assert reported(job.reports) == [day.replace("-", "") for day in DAYS]


def test_reports_stay_for_ninety_days_by_default(job: Job, gateway: Gateway) -> None:
    job.configure(job.config.read_text().replace('keep_reports = "10d"\n', ""))
    for day in ("2026-01-01", "2026-01-31", "2026-03-02", "2026-04-01", "2026-04-02"):
        run(job, gateway, day)
    assert reported(job.reports) == ["20260131", "20260302", "20260401", "20260402"]


def test_nothing_is_removed_that_the_program_did_not_write(job: Job, gateway: Gateway) -> None:
    run(job, gateway, DAYS[0])
    own = job.reports / "20260501T060000Z.csv"
    kept = [
        *("notes.csv", "20260501.csv", "x20260501T060000Z.csv", "20260501T060000Z.csv.bak", "latest.csv"),
        *("20260501T060000Z.txt", "20260501T060000Z-2.md", "20260199T060000Z.csv", "20260501T060000Z-a.csv"),
    ]
    for name in kept:
        (job.reports / name).write_text("mine")
    (job.reports / "20260401T060000Z.json").mkdir()
    outside = job.home / "outside.csv"
    outside.write_text("mine")
    (job.reports / "20260402T060000Z.csv").symlink_to(outside)
    (job.reports / "20260403T060000Z.csv").symlink_to(own)
    for name in ("20260401T060000Z--20260404T060000Z.json", "20260404T060000Z-17.csv"):
        (job.reports / name).write_text("a report of ours")
    for day in DAYS[1:]:
        run(job, gateway, day)
    names = {path.name for path in job.reports.iterdir()}
    links = {"20260401T060000Z.json", "20260402T060000Z.csv", "20260403T060000Z.csv"}
    assert {*kept, *links} <= names
    assert outside.read_text() == "mine"
    assert "20260404T060000Z-17.csv" not in names
    assert "20260401T060000Z--20260404T060000Z.json" not in names
    assert own.name not in names


def test_a_report_that_waits_in_the_outbox_stays(job: Job, gateway: Gateway) -> None:
    job.configure(
        f'{job.config.read_text()}\n[destinations.chat]\ntype = "webhook"\nurl = "http://127.0.0.1:9"\n'
    )
    for day in DAYS:
        gateway.offers(f"model-{day}")
        assert job.quick("run", at=f"{day}T06:00:00Z").code == 6
    assert reported(job.reports) == [day.replace("-", "") for day in DAYS]
    job.quick(
        "outbox",
        *(word for each in job.quick("outbox", "--json").json() for word in ("--drop", str(each["id"]))),
    )
    job.quick("run", at="2026-05-23T06:00:00Z")
    assert reported(job.reports) == ["20260515", "20260522"]


def test_a_clock_that_is_far_ahead_removes_nothing(job: Job, gateway: Gateway) -> None:
    for day in (*DAYS[:2], "2027-05-01"):
        assert run(job, gateway, day) == ""
    assert reported(job.reports) == ["20260501", "20260508", "20270501"]
    run(job, gateway, "2026-05-15")
    assert reported(job.reports) == ["20260508", "20260515", "20270501"]


def test_only_a_run_that_reports_removes_them(job: Job, gateway: Gateway) -> None:
    run(job, gateway, DAYS[0])
    run(job, gateway, DAYS[1])
    for words in (("sync",), ("run", "--dry-run"), ("report", "--since", "1w"), ("status",)):
        job.quick(*words, at=f"{DAYS[3]}T06:00:00Z")
    assert reported(job.reports)[0] == "20260501"


def test_a_directory_that_cannot_be_changed_is_named_once_a_day_and_stops_nothing(
    job: Job, gateway: Gateway
) -> None:
    run(job, gateway, DAYS[0])
    run(job, gateway, DAYS[1])
    with mock.patch(
        "pipeline.delivery.retention._remove_file", side_effect=PermissionError(13, "Permission denied")
    ):
        logged = run(job, gateway, DAYS[2])
        assert (
            f"{job.reports}: old reports cannot be removed: Permission denied: let the job's user" in logged
        )
        assert logged.count("\n") == 2, "one line for each directory"
        assert job.quick("run", at=f"{DAYS[2]}T07:00:00Z").stderr == ""
        assert "cannot be removed" in job.quick("run", at="2026-05-16T07:00:00Z").stderr
    assert job.quick("run", at="2026-05-16T08:00:00Z").code == 0
    assert reported(job.reports) == ["20260508", "20260515"]
