"""Digests of several runs: what happened between is named, and each model counts once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Question, Reply, Scripted, listing
from support.plays import BEGIN

from pipeline.core.times import iso

Record = dict[str, Any]


class Digest:
    """A home that asks two scopes of a gateway, hour after hour; the second may have other records."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.hours = 0
        self.records: dict[str, Record] = {
            f"m{n}": {"id": f"m{n}", "context_length": 128_000, "pricing": {"prompt": "0.000002"}}
            for n in range(10)
        }
        self.late: dict[str, Record] | None = None

    def answer(self, question: Question) -> Reply:
        """Return the list of a scope."""
        is_late = self.late is not None and "key-of-batch" in question.headers.get("Authorization", "")
        found = self.late if is_late and self.late is not None else self.records
        return Reply(listing(found.values()))

    def run(self, times: int = 1) -> None:
        """Run so many times, each an hour after the last."""
        for _ in range(times):
            self.job.quick("run", at=iso(BEGIN + timedelta(hours=self.hours)))
            self.hours += 1

    def text(self) -> str:
        """Return the report of all runs but the first, in single spaces."""
        since, now = iso(BEGIN + timedelta(minutes=1)), iso(BEGIN + timedelta(hours=self.hours))
        return " ".join(self.job.quick("report", "--since", since, "--as", "txt", at=now).stdout.split())


@pytest.fixture
def digest(tmp_path: Path) -> Iterator[Digest]:
    job = Job(tmp_path / "home", env={"PROD": "key-of-prod", "BATCH": "key-of-batch"})
    job.configure('[watch]\nmodels = ["m0"]\n')
    made = Digest(job)
    with Scripted(made.answer) as server:
        scopes = {"prod": 'key = "env:PROD"', "batch": 'key = "env:BATCH"'}
        job.asks(server.url, scopes=scopes, confirm_after="2h", dialect="openrouter")
        made.run()
        yield made


def test_a_model_that_was_gone_and_has_another_price_has_both_in_a_digest(digest: Digest) -> None:
    gone = digest.records.pop("m0")
    digest.run(9)
    digest.records["m0"] = gone
    digest.run(2)
    gone["pricing"] = {"prompt": "0.000003"}
    digest.run()
    text = digest.text()
    assert "Price increase for local/batch, local/prod; also missing for a time" in text
    assert "missing from 2 Mar 09:00 to 2 Mar 18:00 UTC (9 h)" in text
    assert "the result of" not in text
    assert "1 price increase · 1 returned" in text


def test_one_absence_and_return_has_its_times_and_is_no_coming_and_going(digest: Digest) -> None:
    gone = digest.records.pop("m1")
    digest.run(9)
    digest.records["m1"] = gone
    digest.run(1)
    text = digest.text()
    assert "Returned for local/batch, local/prod after 9 h" in text
    assert "missing from 2 Mar 09:00 to 2 Mar 18:00 UTC (9 h)" in text
    assert "oming and going" not in text
    digest.records.pop("m1")
    digest.run(4)
    digest.records["m1"] = gone
    digest.run(1)
    assert "Coming and going" in digest.text()


def test_a_model_counts_once_whatever_scopes_share_its_change(digest: Digest) -> None:
    digest.late = {name: dict(record) for name, record in digest.records.items()}
    digest.records["m0"]["pricing"] = {"prompt": "0.000003"}
    digest.run()
    # The other scope has the price later, beside a change of its own.
    digest.late["m0"] |= {"pricing": {"prompt": "0.000003"}, "context_length": 64_000}
    digest.run()
    text = digest.text()
    assert "2 price increases" not in text
    assert "1 price increase · 1 model with lower limits" in text
    assert "m0: price increase (local/batch), +1 model with lower limits" not in text
    assert "Price increase for local/batch; also lower limits" in text


def test_a_model_with_a_shutdown_date_and_a_lower_limit_is_counted_under_both(digest: Digest) -> None:
    digest.records["m0"] |= {"expiration_date": "2026-04-01", "context_length": 64_000}
    digest.run()
    text = digest.text()
    assert "Shutdown date announced for local/batch, local/prod; also lower limits" in text
    assert "1 shutdown date announced · 1 model with lower limits" in text
