"""Files that the config names: no pipe, device or large file holds a run, and each is named."""

import json
import os
import time

import pytest
from support.e2e import Job, Reply, Scripted, listed

from pipeline import user_files
from pipeline.secret_refs import LONGEST_SECRET, resolver

SOON = 20.0
"""Seconds in which a busy machine ends a run that does not wait."""


FILES = "type = 'files'\ndirectory = 'd'\ntemplates = {}"


@pytest.fixture
def job(tmp_path):
    job = Job(tmp_path / "home")
    job.home.mkdir()
    os.mkfifo(job.home / "pipe")
    (job.home / "directory").mkdir()
    (job.home / "loop").symlink_to("loop")
    (job.home / "large").write_bytes(b"x" * (LONGEST_SECRET + 1))
    return job


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("file:pipe", "file: cannot be read; nothing was sent: It is no regular file"),
        ("file:/dev/zero", "file: cannot be read; nothing was sent: It is no regular file"),
        ("file:directory", "file: cannot be read; nothing was sent: Is a directory"),
        ("file:loop", "file: cannot be read; nothing was sent"),
        ("file:large", "file: cannot be read; nothing was sent: It has more than 65,536 bytes"),
        ("file:a\0b", "file: cannot be read; nothing was sent: embedded null byte"),
        (f"file:{'k' * 5000}", "file: cannot be read; nothing was sent: File name too long"),
        ("file:~nobody-of-that-name/key", "file: cannot be read; nothing was sent: No such file"),
        ("env:LARGE", "env:LARGE gives more than 65,536 letters; nothing was sent"),
        ("command:head -c 70000 /dev/zero", "command: gives more than 65,536 letters; nothing was sent"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_secret_that_cannot_be_read_fails_its_scope_only(job, command, reference, problem):
    job.env["LARGE"] = "x" * (LONGEST_SECRET + 1)
    with Scripted(lambda _: Reply(listed("lyra"))) as server:
        job.configure("deadline = 2\n")
        job.asks(server.url, scopes={"bad": f"key = {json.dumps(reference)}", "good": ""})
        began = time.monotonic()
        done = job.quick(command)
    assert time.monotonic() - began < SOON
    assert done.code == 3
    assert problem in done.output
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "path", ["pipe", "/dev/zero", "/dev/full", "directory", "a\0b", "~no-such-user/x", "k" * 300]
)
@pytest.mark.parametrize(
    "place",
    [
        "[gateways.local]\nurl = 'http://127.0.0.1:9'\nkeys = {}",
        "[gateways.local]\nurl = 'http://127.0.0.1:9'\nscopes.a = {{}}\n[watch]\nfile = {}",
        "[gateways.a]\nurl = 'http://a'\nscopes.a = {{}}\n[destinations.a]\n" + FILES,
    ],
    ids=["keys", "watch list", "templates"],
)
def test_a_file_that_cannot_be_read_is_an_error_of_the_config(job, place, path):
    if path == "directory" and "templates" in place:
        pytest.skip("templates are in a directory")
    job.configure(place.format(json.dumps(path)))
    began = time.monotonic()
    done = job.quick("status")
    assert time.monotonic() - began < SOON
    assert done.code == 78
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("key", ["database", "reports"])
@pytest.mark.parametrize("path", ["a\0b", "~nobody-of-that-name/x"])
def test_a_path_that_cannot_be_is_an_error_of_the_config(job, key, path):
    job.configure(f"{key} = {json.dumps(path)}\n")
    job.asks("http://127.0.0.1:9")
    done = job.quick("run")
    assert done.code == 78
    assert f": {key}: " in done.stderr


@pytest.mark.parametrize("name", ["pipe", "large"])
def test_a_template_that_cannot_be_read_is_replaced_by_the_built_in_one(job, name):
    folder = job.home / "templates"
    folder.mkdir()
    if name == "pipe":
        os.mkfifo(folder / "text.j2")
    else:
        (folder / "text.j2").write_bytes(b"x" * 2_000_000)
    with Scripted(lambda _: Reply(listed("lyra"))) as server:
        job.asks(server.url)
        job.configure(
            job.config.read_text() + "[destinations.mails]\ntype = 'eml'\ndirectory = 'mails'\nempty = true\n"
            "from = 'w@example.com'\nto = 'me@example.com'\ntemplates = 'templates'\n"
        )
        done = job.quick("run")
    assert "text.j2: cannot be read: It" in done.stderr
    assert list((job.home / "mails").iterdir())


def test_a_secret_of_the_longest_length_is_read(job):
    (job.home / "large").write_bytes(b"x" * LONGEST_SECRET)
    assert resolver(job.home)("file:large").reveal() == "x" * LONGEST_SECRET
    assert user_files.read(job.home / "large", LONGEST_SECRET) == b"x" * LONGEST_SECRET
