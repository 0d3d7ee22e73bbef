"""Wrong answers, databases and disks: one line each, the right exit status, nothing half-written."""

import json
import shlex
import socket
import sqlite3
import subprocess
import threading
from decimal import Decimal

import pytest
from support.e2e import Job, Reply, Scripted, ended, listed, listing, one_line
from support.mounts import can_mount, with_own_mounts

from pipeline.simulator import Gateway
from pipeline.store import database

FIRST = ("alpha", "beta", "gamma")


@pytest.fixture
def gateway():
    """A gateway that offers everyone the same list, and knows two keys."""
    with Gateway() as gateway:
        gateway.offers(*FIRST)
        gateway.key("sk-good-12345678")
        gateway.key("sk-sick-12345678")
        yield gateway


@pytest.fixture
def job(tmp_path, gateway):
    """A home with two scopes; only `sick` fails."""
    job = Job(tmp_path / "home", {"GOOD": "sk-good-12345678", "SICK": "sk-sick-12345678"})
    job.asks(
        gateway.url,
        attempts=1,
        timeout=2.0,
        max_body=8_000_000,
        scopes={"good": 'key = "env:GOOD"', "sick": 'key = "env:SICK"'},
    )
    return job


def sizes(job):
    """Return the number of models of each scope."""
    return {row["scope"][6:]: row["models"] for row in job.quick("scopes", "--json").json()}


def sound(path):
    """Return whether a database passes the checks of its pages and its foreign keys."""
    connection = sqlite3.connect(path)
    try:
        (verdict,) = connection.execute("pragma integrity_check").fetchone()
        return (verdict, connection.execute("pragma foreign_key_check").fetchall()) == ("ok", [])
    finally:
        connection.close()


ANSWERS = {
    "reset": {},
    "closed": {},
    "latency": {"seconds": 60},
    "truncated": {},
    "short-chunked": {},
    "throttled": {},
    "unavailable": {"retry_after": 3600},
    "broken": {},
    "refused": {},
    "html": {},
    "unsuccessful": {},
    "error": {},
    "null": {},
    "missing": {},
    "shape": {},
    "garbage": {},
    "huge": {"megabytes": 40},
    "deep": {},
    "bomb": {"megabytes": 40},
    "redirect": {"to": "http://127.0.0.1:9/"},
    "status": {"code": 418},
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_a_bad_answer_fails_its_own_scope_only(gateway, job, fault):
    """Exit status 3 and one line; the failed scope keeps its list, and the other scope gets its new one."""
    assert job.quick("run").code == 0
    gateway.offers("new")
    gateway.fails(fault, who="sk-sick-12345678", **ANSWERS[fault])
    done = job.quick("run")
    one_line(done, 3, "modelwatch: local/sick: failing since ")
    assert sizes(job) == {"good": 4, "sick": 3}
    assert sound(job.database)
    gateway.heals()
    assert job.quick("run").code == 0
    assert sizes(job) == {"good": 4, "sick": 4}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"true",
        b"17",
        b'"models"',
        b"[[]]",
        b"{}",
        b'{"data": {}}',
        b'{"data": [[]]}',
        b'{"data": [{"id": 7}]}',
        b'{"data": [{"id": ""}, {"id": " "}]}',
        b'{"data": [{"name": "alpha"}]}',
        b'{"data": [{"id": "alpha"}]',
        b'{"data": [{"id": "alpha"}]}}',
        b'{"data": [{"id": "alpha"}]} {"data": []}',
        b'{"data": "alpha"}',
        b'{"error": {}, "success": false}',
        b'{"error": "\\u0000\\ud800"}',
        b'{"error": [1, {"a": null}], "data": []}',
        b"\xff\xfe{\x00}\x00",
        b"\x00" * 64,
        b"\x1f\x8b\x08\x00garbage",
        b"<!DOCTYPE html><title>Just a moment\xe2\x80\xa6</title>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        b"data: {}\n\ndata: [DONE]\n\n",
        b'{"data": [' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"]}",
        b'{"data": [{"id": "alpha", "n": ' + b"[" * 5_000 + b"]" * 5_000 + b"}]}",
    ],
    ids=range(28),
)
def test_a_body_that_is_no_list_is_one_line_and_keeps_the_last_list(tmp_path, body):
    replies = iter((Reply(listed(*FIRST)), Reply(body)))
    job = Job(tmp_path / "home")
    with Scripted(lambda _: next(replies)) as server:
        job.asks(server.url, attempts=1)
        assert job.quick("run").code == 0
        one_line(job.quick("run"), 4, "local/public: failing since ")
    (scope,) = job.quick("scopes", "--json").json()
    assert (scope["models"], scope["error"]["class"]) == (3, "Unreadable")


@pytest.mark.parametrize(
    ("body", "models"),
    [
        (b'\xef\xbb\xbf{"data": [{"id": "a"}]}', 1),
        (b'{"data": [{"id": "a", "n": NaN, "m": -Infinity}]}', 1),
        (b'{"data": [{"id": "a"}, {"id": "a"}, {"id": ""}, null, 3, {"id": "b"}]}', 2),
        (b'{"data": [{"id": "a", "n": 1}, {"id": "a", "n": 2}]}', 1),
        (b'{"data": [{"id": "a"}, {"id": "A"}, {"id": "a "}, {"id": "\xc3\xa4"}, {"id": "a\xcc\x88"}]}', 5),
        (b'{"data": [{"id": "a", "n": ' + b"9" * 5000 + b"}]}", 1),
        (b'{"data": [{"id": "a", "n": 1e999999}, {"id": "b", "n": 1e-999999}]}', 2),
        (b'{"data": [{"id": "caf\xe9"}]}', 1),
        (b'{"data": [{"id": "a", "": "", "a.b": 1, "a": {"b": 2}, "x": {"": [{}]}}]}', 1),
        (b'{"data": [{"id": "a", "created": 99999999999999999999, "owned_by": {"x": 1}}]}', 1),
        (b'{"data": [{"id": "a", "created": -1e30, "permission": [null, 3, {"group": []}]}]}', 1),
        (b'{"data": [{"id": "a", "permission": {"id": 1}, "root": [], "parent": false}]}', 1),
        (json.dumps({"data": [{"id": "x" * 256, "k" * 256: "v" * 100_000}]}).encode(), 1),
    ],
    ids=range(13),
)
def test_an_odd_list_is_recorded_and_reported(tmp_path, body, models):
    replies = iter((Reply(body), Reply(body.replace(b'"a"', b'"a", "extra": [1e400, 0.1]', 1))))
    job = Job(tmp_path / "home")
    with Scripted(lambda _: next(replies)) as server:
        job.asks(server.url, attempts=1)
        for _ in range(2):
            assert (job.quick("run").code, sizes(job)) == (0, {"public": models})
    for command in (("changes", "--all"), ("changes", "--csv"), ("models",), ("scopes",), ("status",)):
        assert job.quick(*command).code == 0
    for command in ("changes", "models"):
        done = job.quick(command, "--json")
        assert done.code == 0
        json.loads(done.stdout, parse_constant=pytest.fail)
    job.latest()
    assert sound(job.database)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("12345678901234567891", "12345678901234567892"),
        ("0.12345678901234567891", "0.12345678901234567892"),
        ("1e5000", "2e5000"),
        ("1e-5000", "2e-5000"),
    ],
)
def test_numbers_keep_every_digit(tmp_path, before, after):
    """Also in the twentieth digit, and beyond the range of a float."""
    bodies = (b'{"data": [{"id": "a", "price": %b}]}' % number.encode() for number in (before, after))
    job = Job(tmp_path / "home")
    with Scripted(lambda _: Reply(next(bodies))) as server:
        job.asks(server.url)
        job.quick("run")
        assert job.quick("run").code == 0
    (row,) = job.latest_rows()
    assert (Decimal(row["before"]), Decimal(row["after"])) == (Decimal(before), Decimal(after))
    text = (job.reports / "latest.json").read_text()
    report = json.loads(text, parse_float=Decimal, parse_constant=pytest.fail)
    ((field,),) = (change["fields"] for change in report["changes"])
    assert (field["before"], field["after"]) == (Decimal(before), Decimal(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [({"a.b": 1}, {"a": {"b": 1}}), ({"a": [{"b": 1}]}, {"a": {"0": {"b": 1}}})],
    ids=["dots", "numbers"],
)
def test_records_with_equal_paths_and_different_structure_differ(tmp_path, before, after):
    bodies = iter((listed("m", **before), listed("m", **after)))
    job = Job(tmp_path / "home")
    with Scripted(lambda _: Reply(next(bodies))) as server:
        job.asks(server.url)
        job.quick("run")
        assert job.quick("run", "--exit-code").code == 1
    assert job.latest_rows()
    assert job.latest()["changes"][0]["fields"]


@pytest.mark.parametrize("name", ["plain", "größe", "a.b", "0", "", 'qu"ote', "a[0]", "*"])
def test_a_field_that_one_model_gains_is_reported_whatever_its_name(tmp_path, name):
    """Another model has the field already, so it is no change of shape."""
    had, has_not = {"id": "a", name: 1}, {"id": "b"}
    bodies = iter((listing([had, has_not]), listing([had, {"id": "b", name: 1}]), listing([had, has_not])))
    job = Job(tmp_path / "home")
    with Scripted(lambda _: Reply(next(bodies))) as server:
        job.asks(server.url)
        for code in (0, 1, 1):
            assert job.quick("run", "--exit-code").code == code
    changes = job.quick("changes", "--json").json()
    assert [(change["kind"], change["model"], change["quiet"]) for change in changes] == [
        ("changed", "b", False),
        ("changed", "b", False),
    ]


def test_a_list_of_megabytes_is_recorded_and_compared(tmp_path):
    models = [f"vendor/model-{number:05}" for number in range(2000)]
    replies = iter((listed(*models, notes="n" * 2000), listed(*models[1:], notes="n" * 2000)))
    job = Job(tmp_path / "home")
    with Scripted(lambda _: Reply(next(replies))) as server:
        job.asks(server.url, confirm=1)
        assert job.quick("run").code == 0
        assert job.quick("run", "--exit-code").code == 1
    assert sizes(job) == {"public": 1999}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9",
        "http://gateway.invalid",
        "http://a..b",
        "http://xn--zz-",
        f"http://{'a' * 64}.example",
        "https://127.0.0.1:{port}",
    ],
)
def test_an_unreachable_gateway_is_one_line(gateway, job, url):
    """No listener, no such name, an invalid name, no TLS."""
    job.asks(url.format(port=gateway.url.rpartition(":")[2]), name="away", attempts=1, timeout=5)
    one_line(job.quick("run"), 3, "away/public: failing since ", "cannot be ")
    assert sizes(job)["good"] == 3


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Pad: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header: \x01\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    ],
    ids=range(11),
)
def test_an_answer_that_is_no_http_is_one_line(job, said):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=speak)
        thread.start()
        job.asks(f"http://127.0.0.1:{server.getsockname()[1]}", name="odd", attempts=1, timeout=5)
        done = job.quick("run")
        thread.join()
    one_line(done, 3, "odd/public: failing since ", "cannot be reached")
    assert sizes(job)["good"] == 3


def test_scopes_with_the_same_failure_share_a_line(gateway, job):
    job.asks("http://127.0.0.1:9", name="away", attempts=1, scopes={f"s{n}": "" for n in range(20)})
    one_line(job.quick("run"), 3, "away: 20 scopes: failing since ")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_store_that_cannot_be_read_is_named_in_one_line(job, tmp_path, content):
    store = tmp_path / "certificates.pem"
    if content:
        store.write_text(content)
    job.env["SSL_CERT_FILE"] = str(store)
    job.asks("https://localhost:9", name="away", attempts=1)
    one_line(job.quick("run"), 3, "SSL_CERT_FILE")


def test_a_directory_of_certificates_that_does_not_exist_is_named_in_one_line(job):
    job.env["SSL_CERT_DIR"] = "/dev/null/certificates"
    job.asks("https://localhost:9", name="away", attempts=1)
    one_line(job.quick("run"), 3, "SSL_CERT_DIR cannot be read")


def test_a_run_waits_for_a_locked_database_and_then_fails_with_74(gateway, job, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    job.quick("run")
    gateway.offers("new")
    other = sqlite3.connect(job.database, isolation_level=None)
    try:
        other.execute("begin immediate")
        one_line(job.quick("run"), 74, str(job.database), "kept it locked", "run again")
    finally:
        other.close()
    assert sizes(job) == {"good": 3, "sick": 3}
    assert job.quick("run").code == 0
    assert sizes(job) == {"good": 4, "sick": 4}


def test_a_run_waits_for_a_short_lock(gateway, job):
    """Such as that of a Datasette plug-in."""
    job.quick("run")
    gateway.offers("new")
    other = sqlite3.connect(job.database, isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    release = threading.Timer(0.2, other.execute, ("rollback",))
    release.start()
    try:
        assert job.quick("run").code == 0
    finally:
        release.join()
        other.close()
    assert sizes(job) == {"good": 4, "sick": 4}


def test_a_database_that_is_a_directory_is_one_line(job):
    job.database.mkdir()
    one_line(job.quick("run"), 74, str(job.database), "Is a directory")
    for command in ("changes", "status", "report"):
        one_line(job.quick(command), 74, str(job.database))


@pytest.mark.parametrize(
    "content",
    [b"name,key\n" * 500, b"name,key\nprod,env:PROD\n", b"SQLite format 3\x00" + b"\xff" * 4080],
    ids=["text", "short text", "header"],
)
def test_a_file_that_is_no_database_is_left_alone(job, content):
    job.database.write_bytes(content)
    for command in ("run", "changes", "models", "scopes", "status", "report"):
        one_line(job.quick(command), 74, str(job.database))
    one_line(job.quick("run", "--dry-run"), 74, str(job.database))
    assert job.database.read_bytes() == content


def test_an_empty_file_becomes_the_database(job):
    """As after `touch`; there is nothing to read before the first run."""
    job.database.touch()
    for command in ("status", "verify", "rebuild", "backup copy.db", "forget a/b --yes", "rename a/b a/c"):
        one_line(job.quick(*command.split()), 74, f"{job.database}: is empty: `modelwatch run` creates")
    assert job.quick("run", "--dry-run").code == 0
    assert job.quick("run").code == 0
    assert sizes(job) == {"good": 3, "sick": 3}


def test_another_programs_database_is_left_alone(job):
    connection = sqlite3.connect(job.database)
    with connection:
        connection.execute("create table bookmarks (url text)")
    connection.close()
    before = job.database.read_bytes()
    for command in (("run",), ("run", "--dry-run"), ("changes",), ("status",), ("report",)):
        one_line(job.quick(*command), 74, str(job.database), "another program's database", "`database`")
    assert job.database.read_bytes() == before


def test_a_database_of_a_newer_release_is_left_alone(job):
    job.quick("run")
    connection = sqlite3.connect(job.database)
    with connection:
        connection.execute(
            "insert into _sqlite_migrations (migration_set, name) values ('modelwatch', 'far')"
        )
    connection.close()
    before = job.database.read_bytes()
    for command in (("run",), ("run", "--dry-run"), ("changes",), ("status",), ("report",)):
        one_line(job.quick(*command), 74, "newer modelwatch", "far", "upgrade")
    assert job.database.read_bytes() == before


def test_a_damaged_database_is_one_line(job):
    job.quick("run")
    content = bytearray(job.database.read_bytes())
    content[4096 : len(content) // 2] = b"\xaa" * (len(content) // 2 - 4096)
    job.database.write_bytes(content)
    one_line(job.quick("run"), 74, str(job.database))
    one_line(job.quick("status"), 74, str(job.database))


def test_a_directory_that_cannot_be_created_is_one_line(gateway, job):
    text = job.config.read_text()
    job.configure(f'database = "file/below/modelwatch.db"\n{text}')
    (job.home / "file").write_text("in the way")
    one_line(job.quick("run"), 74, "file/below", "cannot be used")


def test_missing_directories_are_created(job):
    text = job.config.read_text()
    job.configure(f'database = "new/db/history.db"\nreports = "new/reports"\n{text}')
    assert job.quick("run").code == 0
    assert (job.home / "new" / "db" / "history.db").is_file()
    assert (job.home / "new" / "reports" / "latest.json").is_file()


def test_a_failed_write_is_rolled_back(gateway, job):
    """A limit on file sizes stands for a disk error: a run is recorded whole or not at all."""
    job.quick("run")
    gateway.offers(*(f"model-{number}" for number in range(3000)), description="d" * 200)
    blocks = job.database.stat().st_size // 512 + 80
    process = subprocess.Popen(
        ["sh", "-c", f'ulimit -f {blocks} && exec "$@"', "sh", *job.command("run")],
        env=job.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        one_line(ended(process), 74, str(job.database))
    assert sizes(job) == {"good": 3, "sick": 3}
    assert sound(job.database)
    assert job.quick("run").code == 0
    assert sizes(job) == {"good": 3003, "sick": 3003}


def test_a_database_removed_during_a_run_is_an_error(tmp_path):
    """SQLite would continue to write to the unlinked file."""
    job = Job(tmp_path / "home")

    def answer(_):
        job.database.unlink()
        return Reply(listed("a"))

    with Scripted(answer) as server:
        job.asks(server.url)
        one_line(job.quick("run"), 74, str(job.database), "removed or replaced", "nothing was written")
    assert not job.reports.exists()


def test_drafts_of_a_killed_run_are_deleted(gateway, job):
    job.reports.mkdir()
    (job.reports / ".20260101T000000Z.csv.0123abcd.draft").write_text("at,kind")
    assert job.quick("run").code == 0
    assert {file.suffix for file in job.reports.iterdir()} == {".csv", ".json"}


@pytest.mark.skipif(not can_mount(), reason="needs unshare(1) and the right to mount a small disk")
def test_a_full_disk_is_one_line_and_loses_nothing(gateway, job, tmp_path):
    job.quick("run")
    gateway.offers(*(f"model-{number}" for number in range(3000)), description="d" * 200)
    full = Job(tmp_path / "disk", job.env)
    full.home.mkdir()
    script = f"""
        mount -t tmpfs -o size={job.database.stat().st_size // 1024 + 100}k none {full.home} &&
        cp {job.config} {job.database} {full.home} || exit 99
        {shlex.join(full.command("run"))}
        code=$?
        cp {full.database} {tmp_path}/after.db
        exit $code
    """
    process = subprocess.Popen(
        with_own_mounts("sh", "-c", script),
        env=full.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        one_line(ended(process), 74, str(full.database), "the disk is full; nothing was written", "free some")
    assert sound(tmp_path / "after.db")
    (tmp_path / "after.db").replace(full.database)
    assert sizes(full) == {"good": 3, "sick": 3}
