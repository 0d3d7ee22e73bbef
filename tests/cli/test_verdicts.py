"""`status --exit-code` for health checks, and the last line of `verify`."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.e2e import Job, usage_error

from pipeline.errors import FetchError, StoreError
from pipeline.simulator import Gateway


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_status_exits_with_1_only_when_asked_and_something_is_not_healthy(
    tmp_path: Path, form: tuple[str, ...]
) -> None:
    job = Job(tmp_path)

    def codes() -> list[int]:
        return [job.quick("status", *form, *option).code for option in ((), ("--exit-code",))]

    with Gateway() as one:
        one.offers("lyra", "vega", to="default")
        job.asks(one.url, attempts=1)
        assert job.quick("run").code == 0
        assert codes() == [0, 0]
        one.drops("lyra", "vega")
        one.offers("other", to="default")
        job.configure(
            job.config.read_text("utf-8").replace(
                "[gateways.local]", "[gateways.local]\nmax_loss = 0.1\nfloor = 0"
            )
        )
        job.quick("run")
        assert codes() == [0, 1]
    other = Job(tmp_path / "failing")
    other.asks("http://127.0.0.1:9", attempts=1)
    assert other.quick("run").code == FetchError.exit_code + 1
    assert [other.quick("status", *form, *option).code for option in ((), ("--exit-code",))] == [0, 1]


def test_a_refused_report_is_not_healthy_and_a_pending_removal_is(past: Job, tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    shutil.copytree(past.home, job.home)
    assert job.quick("status", "--exit-code").code == 0
    with closing(sqlite3.connect(job.database)) as database, database:
        database.execute("update deliveries set state = 'refused', sent_at = null where id = 1")
    assert job.quick("status", "--exit-code").code == 1


def test_verify_ends_with_a_verdict(past: Job, tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    shutil.copytree(past.home, job.home)
    lines = job.quick("verify").stdout.splitlines()
    assert lines[-1] == f"no problem in {len(lines) - 1} checks: the database is sound"
    with closing(sqlite3.connect(job.database)) as database, database:
        database.execute("update listings set size = 99 where id = 1")
    done = job.quick("verify")
    assert done.code == StoreError.exit_code
    assert done.stdout.splitlines()[-1].startswith("1 problem; what to do: ")


def test_with_since_the_status_is_that_of_a_job_that_has_stopped_too(tmp_path: Path) -> None:
    job = Job(tmp_path)
    with Gateway() as one:
        one.offers("lyra")
        job.asks(one.url)
        assert job.quick("run", at="2026-05-01T06:00:00Z").code == 0
    asked = ("status", "--exit-code", "--since", "3h")
    assert job.quick(*asked, at="2026-05-01T08:59:00Z").code == 0
    assert job.quick(*asked, at="2026-05-01T09:01:00Z").code == 1
    assert job.quick("status", "--exit-code", at="2026-06-01T09:01:00Z").code == 0
    assert "--since needs --exit-code" in usage_error(job, "status", "--since", "3h")
