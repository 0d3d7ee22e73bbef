"""Both releases of Datasette, installed by pip, show the database and a published copy."""

from __future__ import annotations

import csv
import io
import json
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.browsing import ATOM, SPECIAL, fetch, record_special_names
from support.e2e import TIMEOUT, Job

from pipeline.browse.descriptions import DESCRIPTIONS
from pipeline.browse.queries import QUERIES

pytestmark = pytest.mark.proofs

RELEASES = ("datasette>=0.65.2,<1", "datasette==1.0a41")


@pytest.fixture(scope="module", params=RELEASES)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One release of Datasette in a virtual environment of its own."""
    venv = tmp_path_factory.mktemp("datasette")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run(
        [venv / "bin" / "pip", "install", "--quiet", request.param], check=True, capture_output=True
    )
    return venv / "bin" / "datasette"


@contextmanager
def serving(program: Path, line: str, directory: Path) -> Iterator[str]:
    """Run a printed command in a directory; yield the URL of the database once it responds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name, *words = shlex.split(line)
    assert name == "datasette"
    with (directory.parent / "log").open("wb") as log:
        command = [program, *words, "--port", str(port)]
        server = subprocess.Popen(command, cwd=directory, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(TIMEOUT * 10):
            assert server.poll() is None, (directory.parent / "log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/versions.json").close()
            except urllib.error.URLError:
                time.sleep(0.1)
            else:
                break
        yield f"http://127.0.0.1:{port}/modelwatch"
    finally:
        server.terminate()
        server.wait(TIMEOUT)


def printed(job: Job, program: Path, *words: str) -> str:
    """Run a command that prints how to start Datasette; return the line for this release."""
    done = job.quick(*words)
    assert done.code == 0, done.stderr
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    old, new = [line for line in done.stdout.splitlines() if "datasette serve" in line]
    return (old if " 0." in version else new).strip()


def check_all_pages(base: str) -> None:
    """Assert that every page, and the CSV, JSON and feed of stored queries, are correct."""
    for path in ("", *(f"/{name}" for name in DESCRIPTIONS), *(f"/{query.name}" for query in QUERIES)):
        shown = fetch(base, path)
        assert "<script>alert(1)" not in shown, path
    assert DESCRIPTIONS["offers"].text.partition(":")[0] in fetch(base, "/offers")
    assert json.loads(fetch(base, "/offers.json", _search="drop", _shape="array"))
    for query in QUERIES:
        rows = json.loads(fetch(base, f"/{query.name}.json", _shape="array"))
        assert len(rows) == len(list(csv.DictReader(io.StringIO(fetch(base, f"/{query.name}.csv")))))
    changed = json.loads(fetch(base, "/what_changed.json", _shape="array"))
    assert set(SPECIAL) <= {row["model"] for row in changed}
    feed = ET.fromstring(fetch(base, "/what_changed.atom"))
    assert len(feed.findall(f"{ATOM}entry")) == len(changed)


def test_the_printed_command_serves_the_database(program: Path, tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with serving(program, printed(job, program, "datasette-config"), job.home) as base:
        check_all_pages(base)


def test_the_printed_command_serves_a_published_copy_without_this_program(
    program: Path, tmp_path: Path
) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    line = printed(job, program, "publish", str(tmp_path / "public"))
    with serving(program, line, tmp_path / "public") as base:
        check_all_pages(base)
        found = json.loads(fetch(base.rpartition("/")[0], "/-/databases.json"))
        (database,) = found["databases"] if isinstance(found, dict) else found
        assert (database["name"], database["is_mutable"]) == ("modelwatch", False)
