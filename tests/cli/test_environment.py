"""Runs in odd environments: no home, no place for temporary files, small limits, variables that are junk."""

import os
import sys

import pytest
from support.e2e import Done, Job, Reply, Scripted, ended, listed


@pytest.fixture
def server():
    with Scripted(lambda _: Reply(listed("a", "b"))) as server:
        yield server


@pytest.fixture
def job(tmp_path, server):
    job = Job(tmp_path / "home")
    job.asks(server.url)
    return job


def limited(job, limit, *arguments):
    """Run a command under a limit of the shell."""
    import subprocess

    return ended(
        subprocess.Popen(
            ["/bin/sh", "-c", f'{limit}; exec "$@"', "sh", *job.command(*arguments)],
            env=job.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
    )


@pytest.mark.parametrize(
    ("limit", "code", "words"),
    [
        ("ulimit -n 20", 0, ""),
        ("ulimit -n 10", 71, "modelwatch: too many open files: raise the limit (`ulimit -n`)"),
        ("ulimit -f 100", 74, "ulimit -f"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="limits differ")
def test_a_small_limit_is_kept_or_named(job, limit, code, words):
    done = limited(job, limit, "run")
    assert done.code == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": "/nowhere"},
        {"TMPDIR": "/nowhere"},
        {"LC_ALL": "xx_YY.junk"},
        {"TZ": "junk/é"},
        {"NO_PROXY": "[::1],fd00::/8,http://[bad,%%%"},
        {"SSLKEYLOGFILE": "/dev/null/keys"},
        {"SSL_CERT_FILE": "/nowhere/ca.pem"},
    ],
)
@pytest.mark.parametrize("scopes", [1, 30])
def test_an_odd_variable_stops_no_run_of_plain_http(tmp_path, server, variables, scopes):
    job = Job(tmp_path / "odd", variables)
    job.asks(server.url, scopes={f"s{number}": "" for number in range(scopes)})
    done = job.run("run")
    assert (done.code, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("scopes", [1, 30])
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SSLKEYLOGFILE": "/dev/null/keys"}, "SSLKEYLOGFILE in the environment names a file"),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "the certificates of SSL_CERT_FILE or SSL_CERT_DIR"),
        ({"HTTPS_PROXY": "ftp://x"}, "HTTPS_PROXY in the environment is no proxy: write http://HOST:PORT"),
        ({"ALL_PROXY": "http://u:secret@h:p"}, "ALL_PROXY in the environment is no proxy"),
        ({"HTTPS_PROXY": "http://127.0.0.1:9"}, "Connection refused, through the proxy of the environment"),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.0/8,["}, "Connection refused: "),
    ],
)
def test_a_variable_that_prevents_tls_is_named(tmp_path, variables, words, scopes):
    job = Job(tmp_path / "odd", variables)
    job.asks("https://127.0.0.1:9", attempts=1, scopes={f"s{number}": "" for number in range(scopes)})
    done = job.run("run")
    assert done.code == 4
    assert words.rstrip(": ") in done.stderr
    assert ("through the proxy" in done.stderr) == ("through" in words)
    assert "secret" not in done.stderr
    skipped = "NO_PROXY in the environment: [ is skipped"
    assert (skipped in done.stderr) == ("[" in variables.get("NO_PROXY", ""))


MAIL = """
[destinations.mail]
type = "eml"
directory = "mails"
from = "a@example.com"
to = ["b@example.com"]
"""


@pytest.mark.parametrize("name", [b"\xff\xe9", "ünï 模".encode(), b"two\nlines", b"it's 100% \"?#"], ids=repr)
def test_a_home_of_any_name_records_reports_and_is_copied(tmp_path, server, name):
    job = Job(tmp_path / os.fsdecode(name))
    job.asks(server.url)
    job.configure(job.config.read_text() + MAIL)
    assert job.run("run") == Done(0, "", "")
    assert {path.suffix for path in job.reports.iterdir()} == {".csv", ".json"}
    assert len(list((job.home / "mails").iterdir())) == 1
    for words in (
        ("status",),
        ("outbox", "--all"),
        ("backup", str(job.home / "copy.db")),
        ("publish", str(job.home / "public")),
        ("verify",),
    ):
        done = job.run(*words)
        assert (done.code, done.stderr) == (0, ""), words
