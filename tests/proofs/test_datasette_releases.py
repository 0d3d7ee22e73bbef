"""Both releases of Datasette, installed as a user installs them, show the database and a published copy."""

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
from browse.test_datasette import ATOM, HOSTILE, history, page
from support.e2e import TIMEOUT, Job

from pipeline.browse.descriptions import SHOWN
from pipeline.browse.queries import QUERIES

pytestmark = pytest.mark.proofs

RELEASES = ("datasette>=0.65.2,<1", "datasette==1.0a41")


@pytest.fixture(scope="module", params=RELEASES)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One release of Datasette, and nothing else, in an environment of its own."""
    venv = tmp_path_factory.mktemp("datasette")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run(
        [venv / "bin" / "pip", "install", "--quiet", request.param], check=True, capture_output=True
    )
    return venv / "bin" / "datasette"


@contextmanager
def serving(program: Path, line: str, directory: Path) -> Iterator[str]:
    """Run a printed command line in a directory; gives the address of the database once it answers."""
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
    """Run a command that prints how to start Datasette; gives the line that is for this release."""
    done = job.quick(*words)
    assert done.code == 0, done.stderr
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    old, new = [line for line in done.stdout.splitlines() if "datasette serve" in line]
    return (old if " 0." in version else new).strip()


def walked(base: str) -> None:
    """Look at every page, and at what the stored queries give by their endings."""
    for path in ("", *(f"/{name}" for name in SHOWN), *(f"/{query.name}" for query in QUERIES)):
        shown = page(base, path)
        assert "<script>alert(1)" not in shown, path
    assert SHOWN["offers"].says.partition(":")[0] in page(base, "/offers")
    assert json.loads(page(base, "/offers.json", _search="drop", _shape="array"))
    for query in QUERIES:
        rows = json.loads(page(base, f"/{query.name}.json", _shape="array"))
        assert len(rows) == len(list(csv.DictReader(io.StringIO(page(base, f"/{query.name}.csv")))))
    changed = json.loads(page(base, "/what_changed.json", _shape="array"))
    assert set(HOSTILE) <= {row["model"] for row in changed}
    feed = ET.fromstring(page(base, "/what_changed.atom"))
    assert len(feed.findall(f"{ATOM}entry")) == len(changed)


def test_the_printed_command_serves_the_database(program: Path, tmp_path: Path) -> None:
    """With the written configuration every page is there, harmlessly, in either release."""
    job = history(Job(tmp_path / "home"))
    with serving(program, printed(job, program, "datasette-config"), job.home) as base:
        walked(base)


def test_the_printed_command_serves_a_published_copy(program: Path, tmp_path: Path) -> None:
    """Where nothing of this program is installed, the directory is all that is needed."""
    job = history(Job(tmp_path / "home"))
    line = printed(job, program, "publish", str(tmp_path / "public"))
    with serving(program, line, tmp_path / "public") as base:
        walked(base)
        told = json.loads(page(base.rpartition("/")[0], "/-/databases.json"))
        (database,) = told["databases"] if isinstance(told, dict) else told
        assert (database["name"], database["is_mutable"]) == ("modelwatch", False)
