"""Gateways over TLS: the certificate must be valid for the name, over both transports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from support.e2e import Job, Reply, Scripted, listed, one_line
from support.mailing import Certificates

from pipeline.gateways import client


@pytest.fixture(autouse=True, params=["httpx", "wide"])
def connections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test over both transports."""
    monkeypatch.setattr(client, "MANY_SCOPES", 1 if request.param == "wide" else 1000)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A home with a key."""
    return Job(tmp_path / "home", env={"PROD": "sk-prod-12345678"})


@pytest.fixture
def authority(job: Job, tmp_path: Path) -> Certificates:
    """An authority that the command trusts."""
    found = Certificates(trustme.CA())
    job.env["SSL_CERT_FILE"] = str(found.write(tmp_path / "ca.pem"))
    return found


def answer(_: object) -> Reply:
    """Answer with a list of two models."""
    return Reply(listed("crane", "heron"))


def test_a_gateway_over_tls_is_read(job: Job, authority: Certificates) -> None:
    with Scripted(answer, tls=authority.context()) as server:
        job.asks(server.url, scopes={"prod": 'key = "env:PROD"'})
        assert job.quick("run").code == 0
        assert [each.headers["Authorization"] for each in server.requests] == ["Bearer sk-prod-12345678"]
    assert {row["model"] for row in job.quick("models", "--csv").rows()} == {"crane", "heron"}


def refused(job: Job, server: Scripted, *words: str) -> None:
    """Expect that a gateway gets no request, hence no key, and why."""
    job.asks(server.url, attempts=1, scopes={"prod": 'key = "env:PROD"'})
    said = one_line(job.quick("run"), 4, "certificate")
    assert any(word in said for word in words), said
    assert server.requests == []


def test_a_certificate_of_an_unknown_authority_gets_no_key(job: Job, authority: Certificates) -> None:
    with Scripted(answer, tls=Certificates(trustme.CA()).context()) as server:
        refused(job, server, "unable to get local issuer", "self-signed", "unknown authority")


def test_a_certificate_for_another_name_gets_no_key(job: Job, authority: Certificates) -> None:
    with Scripted(answer, tls=authority.context("other.example")) as server:
        refused(job, server, "localhost", "mismatch")


def test_an_expired_certificate_gets_no_key(job: Job, authority: Certificates) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = authority.authority.issue_cert("localhost", not_after=yesterday)
    context = authority.context()
    expired.configure_cert(context)
    with Scripted(answer, tls=context) as server:
        refused(job, server, "expired")


def test_a_gateway_that_speaks_no_tls_gets_no_key(job: Job, authority: Certificates) -> None:
    with Scripted(answer) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        job.asks(url, attempts=1, scopes={"prod": 'key = "env:PROD"'})
        one_line(job.quick("run"), 4, "TLS")
        assert server.requests == []


def test_a_redirect_from_tls_to_none_takes_no_key_along(job: Job, authority: Certificates) -> None:
    with Scripted(answer) as plain:
        moved = Reply(status=302, headers=(("Location", f"{plain.url}/v1/models"),))
        with Scripted(lambda _: moved, tls=authority.context()) as server:
            job.asks(server.url, attempts=1, scopes={"prod": 'key = "env:PROD"'})
            assert job.quick("run").code == 4
        assert all("Authorization" not in each.headers for each in plain.requests)
