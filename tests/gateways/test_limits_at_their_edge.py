"""Limits of requests: what is just within them passes, and the next step does not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import brotli
import pytest
from support.e2e import Job, Question, Reply, Scripted, listed

from pipeline.gateways import client

LIST = listed("lyra", "vega")


@pytest.fixture(autouse=True, params=["httpx", "wide"])
def connections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test over both transports."""
    monkeypatch.setattr(client, "MANY_SCOPES", 1 if request.param == "wide" else 1000)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home")


def error(job: Job) -> str | None:
    """Return the error of the only scope after a run."""
    job.quick("run", "-q")
    (row,) = job.quick("scopes", "--json").json()
    return row["error"] and row["error"]["message"]


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate", "br"])
@pytest.mark.parametrize("more", [-1, 0])
def test_a_body_of_exactly_the_largest_size_is_read(job: Job, encoding: str, more: int) -> None:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}.get(encoding, bytes)
    reply = Reply(pack(LIST), headers=(("Content-Encoding", encoding),))
    with Scripted(lambda _: reply) as server:
        job.asks(server.url, max_body=len(LIST) + more, attempts=1)
        found = error(job)
    assert (found is None) == (more == 0)
    assert found is None or f"larger than {len(LIST) - 1:,} bytes" in found


@pytest.mark.parametrize("hops", [3, 4])
def test_three_redirects_are_followed(job: Job, hops: int) -> None:
    def answer(asked: Question) -> Reply:
        number = int(asked.path.rpartition("=")[2]) if "=" in asked.path else 0
        if number == hops:
            return Reply(LIST)
        return Reply(status=307, headers=(("Location", f"/v1/models?hop={number + 1}"),))

    with Scripted(answer) as server:
        job.asks(server.url, attempts=1)
        found = error(job)
        assert len(server.requests) == 4
    assert (found is None) == (hops == 3)


@pytest.mark.parametrize(("wait", "asked"), [("0", 3), ("1", 1)])
def test_a_wait_of_exactly_the_longest_is_waited_for(job: Job, wait: str, asked: int) -> None:
    with Scripted(lambda _: Reply(status=429, headers=(("Retry-After", wait),))) as server:
        job.asks(server.url, attempts=3, max_wait=0)
        assert error(job)
        assert len(server.requests) == asked


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_there_are_exactly_as_many_attempts_as_allowed(job: Job, attempts: int) -> None:
    with Scripted(lambda _: Reply(status=502)) as server:
        job.asks(server.url, attempts=attempts)
        assert error(job)
        assert len(server.requests) == attempts


@pytest.mark.parametrize("failures", [1, 2])
def test_an_answer_at_the_last_attempt_counts(job: Job, failures: int) -> None:
    replies = iter([Reply(status=502)] * failures + [Reply(LIST)] * 2)
    with Scripted(lambda _: next(replies)) as server:
        job.asks(server.url, attempts=2)
        found = error(job)
    assert (found is None) == (failures == 1)


@pytest.mark.parametrize("length", [7, 8])
def test_a_secret_of_eight_letters_is_masked_in_bodies(job: Job, length: int) -> None:
    job.env["KEY"] = "k3yk3yk3y"[:length]
    quoted = f"asked as {job.env['KEY']}"
    with Scripted(lambda _: Reply(listed("lyra", note=quoted))) as server:
        job.asks(server.url, scopes={"one": 'key = "env:KEY"'})
        assert error(job) is None
    assert (b"asked as ***" in job.database.read_bytes()) == (length == 8)
