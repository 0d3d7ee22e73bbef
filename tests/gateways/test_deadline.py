"""No gateway, and no command for a secret, holds a run beyond its `deadline`, however slowly it answers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.dripping import BODY, HEADERS, TLS, Dripping
from support.e2e import Job

DEADLINE = 0.5
"""Seconds for a run."""

SOON = 8.0
"""Seconds in which a busy machine ends a run that may take half a second."""

SCOPES = {
    "one key": {"prod": 'key = "env:KEY"'},
    "a sign-in": {"me": 'username = "ann", password = "env:KEY"'},
    "many keys": {f"k{number}": 'key = "env:KEY"' for number in range(25)},
}

FOUND = BODY.replace(b"500 No", b"200 OK")


@pytest.mark.parametrize("scopes", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize(
    ("scheme", "begins", "each"),
    [
        ("http", HEADERS, b"a"),
        ("http", FOUND, b"a"),
        ("http", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("http", b"", b""),
        ("https", TLS, b"\0"),
        ("https", b"", b""),
    ],
)
def test_a_gateway_that_drips_is_left_at_the_deadline(
    tmp_path: Path, scopes: dict[str, str], scheme: str, begins: bytes, each: bytes
) -> None:
    job = Job(tmp_path / "home", {"KEY": "sk-0123456789"})
    job.configure(f"deadline = {DEADLINE}\n")
    with Dripping(begins, each) as server:
        job.asks(f"{scheme}://127.0.0.1:{server.port}", scopes=scopes, timeout=60)
        began = time.monotonic()
        assert job.quick("sync", "--quiet").code == 4
        assert time.monotonic() - began < SOON
        assert server.is_left(SOON)


@pytest.mark.parametrize(
    "scope",
    [
        'key = "command:sleep 60"',
        'username = "ann", password = "command:sleep 60"',
        'headers.X-Own = "command:yes"',
    ],
)
def test_a_command_that_hangs_is_stopped_at_the_deadline(tmp_path: Path, scope: str) -> None:
    job = Job(tmp_path / "home")
    job.configure(f"deadline = {DEADLINE}\n")
    # More than there are threads to wait for commands.
    job.asks(
        "http://127.0.0.1:9",
        scopes={f"s{number}": scope.replace("60", f"{number}60") for number in range(1, 40)},
    )
    began = time.monotonic()
    assert job.quick("sync", "--quiet").code == 4
    assert time.monotonic() - began < SOON
