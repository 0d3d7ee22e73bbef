"""Who gets an answer from the browser's server, and how much a query may take."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from support.browsing import browse_server, record_special_names
from support.e2e import Job

from pipeline.browse.plugins.guard import (
    LARGEST_RESULT,
    LONGEST_PATTERN,
    LONGEST_VALUE,
    MOST_FACETS,
    MOST_MEMORY,
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A home with a small history."""
    return record_special_names(Job(tmp_path_factory.mktemp("guard") / "home"))


@pytest.fixture(scope="module")
def base(job: Job) -> Iterator[str]:
    """The URL of a server that answers to one name."""
    with server(job, "--name", "Models.example") as (found, _):
        yield found


@contextmanager
def server(job: Job, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start `modelwatch browse`; what it prints about refused queries is read, so that it never waits."""
    with browse_server(job, *arguments) as (base, process):
        assert process.stdout
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield base, process


def ask(base: str, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Return the status and text of a request; `Host` is what the headers say."""
    address = urlsplit(base)
    with_host = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    for name, value in with_host.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def query(base: str, sql: str) -> tuple[int, str]:
    """Return the status and text of a query of the visitor's own."""
    return ask(base, f"/modelwatch.json?{urlencode({'sql': sql})}", Host="localhost")


PATHS = pytest.mark.parametrize(
    "path", ["/", "/modelwatch/models.json", "/-/modelwatch/000000000000/times.js", "/-/versions"]
)


@PATHS
@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:8001",
        "localhost.attacker.example",
        "127.0.0.1.attacker.example",
        "",
    ],
)
def test_a_request_for_another_name_gets_400_and_nothing_else(base: str, path: str, host: str) -> None:
    status, text = ask(base, path, Host=host)
    assert status == 400
    assert "crane" not in text
    assert "modelwatch browse --name NAME" in text


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST:8001",
        "[::1]:8001",
        "192.0.2.7:80",
        "models.example",
        "models.example.:443",
    ],
)
def test_this_machine_addresses_and_names_of_the_config_are_answered(base: str, host: str) -> None:
    assert ask(base, "/modelwatch/models.json", Host=host)[0] == 200


def test_a_request_without_a_host_gets_400(base: str) -> None:
    assert ask(base, "/")[0] == 400


@pytest.mark.parametrize("path", ["/modelwatch/cheapest", "/modelwatch", "/modelwatch/models"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_only_reading_methods_are_served(base: str, path: str, method: str) -> None:
    assert ask(base, path, method=method, Host="localhost")[0] == 405


_NUMBERS = "with recursive n(x) as (select 1 union all select x + 1 from n)"


@pytest.mark.parametrize(
    "sql",
    [
        "select randomblob(1000000000)",
        "select zeroblob(900000000)",
        f"{_NUMBERS} select hex(randomblob({LONGEST_VALUE // 3})) from n limit 100",
        f"{_NUMBERS} select count(*) from n",
        f"{_NUMBERS} select count(distinct randomblob(900000)) from n",
        "select fts3_tokenizer('simple')",
        "select load_extension('x')",
    ],
)
def test_a_query_that_takes_too_much_is_an_error_and_the_server_goes_on(base: str, sql: str) -> None:
    status, _ = query(base, sql)
    assert status in (400, 500)
    assert query(base, "select 1 as one")[0] == 200


def test_the_memory_of_a_server_stays_within_its_limits(job: Job) -> None:
    with server(job) as (base, process):
        before = peak(process)
        for sql in (
            "select randomblob(1000000000)",
            f"{_NUMBERS} select hex(randomblob({LONGEST_VALUE // 3})) from n limit 300",
            f"{_NUMBERS} select x, randomblob(900000) from n order by 2",
        ):
            query(base, sql)
        assert peak(process) - before < 1.5 * (MOST_MEMORY + LARGEST_RESULT)


def peak(process: subprocess.Popen[str]) -> int:
    """Return the peak memory of a process in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("facet", ["_facet=name", "_facet=id", "_facet_date=name"])
def test_a_page_has_a_bounded_number_of_facets(base: str, facet: str) -> None:
    path = "/modelwatch/models.json?_facet_size=5&"
    few, many = ("&".join([facet] * number) for number in (MOST_FACETS, MOST_FACETS + 1))
    assert ask(base, path + few, Host="localhost")[0] == 200
    assert ask(base, path + many, Host="localhost")[0] == 400


@pytest.mark.parametrize("how", ["contains", "like", "glob", "notlike"])
def test_a_filter_has_a_pattern_of_a_bounded_length(base: str, how: str) -> None:
    pattern = "a" * LONGEST_PATTERN
    status, text = ask(base, f"/modelwatch/records.json?body__{how}={pattern}b", Host="localhost")
    assert (status, "pattern too complex" in text) == (400, True)
    assert ask(base, f"/modelwatch/records.json?body__{how}=crane", Host="localhost")[0] == 200


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("cross-site", "no-cors", "image", 400),
        ("cross-site", "cors", "empty", 400),
        ("cross-site", "navigate", "iframe", 400),
        ("cross-site", "navigate", "document", 200),
        ("same-origin", "cors", "empty", 200),
        ("none", "navigate", "document", 200),
    ],
)
def test_a_page_of_another_site_may_lead_here_and_load_nothing(
    base: str, site: str, mode: str, dest: str, status: int
) -> None:
    headers = {"Host": "localhost", "Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
    assert ask(base, "/modelwatch.json?sql=select+1", **headers)[0] == status


def test_a_public_server_allows_no_query_of_a_visitor_unless_asked(job: Job) -> None:
    with server(job, "--public") as (base, _):
        assert query(base, "select 1")[0] == 403
        assert ask(base, "/modelwatch/cheapest.json", Host="localhost")[0] == 200
        assert ask(base, "/", Host="localhost")[0] == 200
    with server(job, "--public", "--sql") as (base, _):
        assert query(base, "select 1")[0] == 200


def test_a_published_copy_answers_to_any_name_unless_it_has_one(job: Job, tmp_path: Path) -> None:
    for names in ((), ("--name", "models.example")):
        target = tmp_path / "copy"
        assert job.quick("publish", str(target), *names).code == 0
        config = json.loads((target / "datasette.yaml").read_text())
        assert config["plugins"]["modelwatch"].get("names") == (["models.example"] if names else None)
