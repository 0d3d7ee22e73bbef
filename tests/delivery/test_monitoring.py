"""Monitoring: a run pings its start and its end, also after a failure, and writes metrics for Prometheus."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from support.configs import TOKEN
from support.e2e import Done, Job, Reply, Scripted, ended, listed
from support.fakes import Script, record_run, scope

import pipeline
from pipeline.core.text import printable
from pipeline.core.types import Secret
from pipeline.delivery.monitoring import Monitor, run_health
from pipeline.delivery.prometheus import metrics_text
from pipeline.delivery.types import Ping, RunHealth
from pipeline.errors import ConfigError, Locked, QuestionError, Refused, StoreError
from pipeline.gateways.types import ScopeResult
from pipeline.history.types import Coverage, Run, ScopeCounts
from pipeline.store import Store, lock


class Switch:
    """A dead man's switch that records its requests, and answers as `respond` does."""

    def __init__(self):
        self.respond = lambda _request: Reply(b"OK")
        self.server = Scripted(self._respond)

    def _respond(self, request):
        return self.respond(request)

    @property
    def url(self):
        """The URL of its check."""
        return f"{self.server.url}/{TOKEN}"

    @property
    def paths(self):
        """The requested paths, without the check's own and the run's id."""
        return [each.path.partition("?")[0].removeprefix(f"/{TOKEN}") for each in self.server.requests]

    @property
    def runs(self):
        """The ids of the runs that pinged."""
        return [each.path.partition("?rid=")[2] for each in self.server.requests]


class World:
    """A gateway, a switch, and a home that asks the gateway and pings the switch."""

    def __init__(self, job, switch):
        self.job = job
        self.switch = switch
        self.lists = {"public": listed("a", "b"), "prod": listed("a", "b", "c")}
        self.answer = self.lists_of

    def asked(self, request):
        """Answer as `answer` does."""
        return self.answer(request)

    def lists_of(self, request):
        """Answer each key with its list; None is a broken gateway."""
        body = self.lists["prod" if request.headers.get("Authorization") else "public"]
        return Reply(b"broken", 500) if body is None else Reply(body)

    def append(self, text):
        """Append lines to the config."""
        self.job.configure(self.job.config.read_text("utf-8") + text)

    @property
    def metrics(self):
        """The values in the metrics file, by name and labels."""
        return samples((self.job.home / "modelwatch.prom").read_text("utf-8"))


def samples(content):
    """Parse metrics with Prometheus' own parser."""
    families = list(text_string_to_metric_families(content))
    assert all(family.type == "gauge" and family.documentation for family in families)
    found = [(each.name, tuple(each.labels.values()), each.value) for f in families for each in f.samples]
    assert len({each[:2] for each in found}) == len(found), "one value for each name and labels"
    return {(name.removeprefix("modelwatch_"), *labels): value for name, labels, value in found}


@pytest.fixture
def switch():
    """Return a switch that answers OK."""
    switch = Switch()
    with switch.server:
        yield switch


@pytest.fixture
def world(tmp_path, switch):
    """Return a home with two scopes that pings and writes metrics."""
    job = Job(tmp_path / "home", {"KEY": "sk-key-12345678", "PING": switch.url})
    world = World(job, switch)
    with Scripted(world.asked) as gateway:
        job.asks(gateway.url, scopes={"public": "", "prod": 'key = "env:KEY", group = "vip"'}, attempts=1)
        world.append('[ping]\nurl = "env:PING"\ntimeout = 20\n[metrics]\nfile = "modelwatch.prom"\n')
        yield world


def hour(number):
    """Return a time on the day of the runs."""
    return f"2026-05-01T{number:02}:00:00Z"


def test_a_run_pings_start_and_end_with_an_id_of_its_own(world):
    world.job.quick("run")
    assert world.job.quick("run", at=hour(6)) == Done(0, "", "")
    assert world.switch.paths == ["/start", "", "/start", ""]
    first, second = world.switch.runs[::2]
    assert world.switch.runs == [first, first, second, second]
    assert len(first) == 36
    assert first != second
    assert [each.method for each in world.switch.server.requests] == ["GET", "POST"] * 2
    body = world.switch.server.requests[-1].body.decode()
    assert body == "the run exited with 0, 2026-05-01 06:00 UTC\nno changes; 2 of 2 scopes answered"


def fail_one(world):
    world.lists["prod"] = None


def fail_all(world):
    world.lists = dict.fromkeys(world.lists)


def hold(world):
    world.lists["prod"] = listed()


def change(world):
    world.lists["prod"] = listed("a", "b", "c", "d")


def no_database(world):
    world.job.database.unlink()
    world.job.database.write_text("this is a text and no database at all\n" * 50)


def no_reports(world):
    change(world)
    for file in world.job.reports.iterdir():
        file.unlink()
    world.job.reports.rmdir()
    world.job.reports.write_text("")


@pytest.mark.parametrize(
    ("change_world", "code", "word", "expected"),
    [
        (change, 1, "", "+ d"),
        (fail_one, 3, "/3", "local/prod: failing since"),
        (fail_all, 4, "/4", "answered 500"),
        (hold, 5, "/5", "local/prod: held since"),
        (no_reports, 6, "/6", "the report cannot be written"),
        (no_database, 74, "/74", "modelwatch.db: "),
    ],
)
def test_each_exit_status_has_its_ping_and_changes_are_a_success(world, change_world, code, word, expected):
    assert world.job.quick("run").code == 0
    change_world(world)
    assert world.job.quick("run", "--exit-code").code == code
    assert world.switch.paths[2:] == ["/start", word]
    body = world.switch.server.requests[-1].body.decode()
    assert body.startswith(f"the run exited with {code if word else 0}")
    assert expected in body


def test_a_run_that_cannot_start_pings_its_failure(world):
    with lock(world.job.database, since=hour(3)):
        assert world.job.quick("sync").code == 75
    assert world.job.quick("run", "--scope", "none/*").code == 2
    assert world.switch.paths == ["/start", "/75", "/start", "/2"]
    assert "another run holds the lock" in world.switch.server.requests[1].body.decode()


def test_an_unexpected_exception_pings_a_failure_by_its_class(world):
    with mock.patch("pipeline.delivery.send.failing_recipients", side_effect=ValueError("secret words")):
        assert world.job.quick("run").code == 70
    assert world.switch.paths == ["/start", "/70"]
    assert world.switch.server.requests[1].body == b"the run exited with 70\nValueError"


def test_the_start_ping_does_not_delay_the_run(world):
    asked = threading.Event()
    waited = []

    def answer(_request):
        asked.set()
        return Reply(listed("a"))

    def respond(request):
        if "/start" in request.path:
            waited.append(asked.wait(30))
        return Reply(b"OK")

    world.answer, world.switch.respond = answer, respond
    assert world.job.quick("run").code == 0
    assert waited == [True]
    assert world.switch.paths == ["/start", ""]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_pings_and_keeps_the_last_success(world, number):
    assert world.job.quick("run", at=hour(6)).code == 0
    asked, release = threading.Event(), threading.Event()

    def answer(_request):
        asked.set()
        assert release.wait(30)
        return Reply(listed("a"))

    world.answer = answer
    with world.job.start("run") as process:
        assert asked.wait(30)
        process.send_signal(number)
        done = ended(process)
    release.set()
    assert (done.code, done.output) == (130 if number == signal.SIGINT else -number, "")
    assert world.switch.paths[2:] == ["/start", f"/{128 + number}"]
    assert world.switch.server.requests[-1].body == f"the run was stopped: {128 + number}".encode()
    assert world.metrics["exit_status",] == 128 + number
    assert world.metrics["last_success_timestamp",] == world.metrics["last_run_timestamp",] == 1777615200


@contextmanager
def hanging(world):
    """Let pings hang until the block ends; yield an event that is set when the end is pinged."""
    ending, release = threading.Event(), threading.Event()

    def respond(request):
        if "/start" not in request.path:
            ending.set()
            release.wait(60)
        return Reply(b"OK")

    world.switch.respond = respond
    world.job.configure(world.job.config.read_text("utf-8").replace("timeout = 20", "timeout = 60"))
    try:
        yield ending
    finally:
        release.set()


def test_ctrl_c_ends_the_wait_for_the_last_ping(world):
    with hanging(world) as ending, world.job.start("run") as process:
        assert ending.wait(30)
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert (done.code, done.output) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_wait_for_the_ping(world, number):
    asked, release = threading.Event(), threading.Event()

    def answer(_request):
        asked.set()
        release.wait(60)
        return Reply(listed("a"))

    world.answer = answer
    with hanging(world) as ending, world.job.start("run") as process:
        assert asked.wait(30)
        process.send_signal(number)
        assert ending.wait(30)
        process.send_signal(number)
        done = ended(process)
        release.set()
    assert (done.code, done.output) == (130 if number == signal.SIGINT else -number, "")


def late(_request):
    """Answer after the timeout."""
    threading.Event().wait(1)
    return Reply(b"OK")


@pytest.mark.parametrize(
    ("address", "respond", "expected"),
    [
        (None, late, "no answer within 0.5 s"),
        (None, lambda _: Reply(b"", 503), "the ping was answered 503"),
        (None, lambda _: Reply(b"", 429), "the ping was answered 429"),
        ("http://127.0.0.1:9/{TOKEN}", None, "its server cannot be reached"),
        ("http://nosuch.invalid/{TOKEN}", None, "the ping failed: "),
    ],
)
def test_a_temporary_ping_failure_is_one_line_with_verbose_and_silent_otherwise(
    world, address, respond, expected
):
    world.lists["prod"] = None
    world.switch.respond = respond or world.switch.respond
    plain = Job(world.job.home.with_name("plain"), world.job.env)
    plain.configure(world.job.config.read_text("utf-8").partition("[ping]")[0])
    world.job.configure(world.job.config.read_text("utf-8").replace("timeout = 20", "timeout = 0.5"))
    world.job.env["PING"] = address.format(TOKEN=TOKEN) if address else world.switch.url
    for options in ([], ["--exit-code"], ["-q"]):
        assert world.job.quick("run", *options, at=hour(6)) == plain.quick("run", *options, at=hour(6))
    watched, without = world.job.quick("run", "-v", at=hour(7)), plain.quick("run", "-v", at=hour(7))
    assert (watched.code, watched.stdout) == (without.code, without.stdout)
    more = set(watched.stderr.splitlines()) - set(without.stderr.splitlines())
    assert len(more) == 1
    assert expected in more.pop()


@pytest.mark.parametrize(
    ("address", "respond", "expected"),
    [
        (
            None,
            Reply(b"not found", 404),
            "the ping was answered 404: see that [ping] url is the check's address",
        ),
        (None, Reply(b"", 301, (("Location", "/"),)), "the ping was answered 301: see that [ping] url is"),
        (None, Reply(b"OK (not found)"), "the ping failed: there is no such check: see [ping] url"),
        ("", None, "the ping failed: the secret that [ping] url refers to is not a web address"),
        (f"{TOKEN}\n", None, "the ping failed: the secret that [ping] url refers to is not a web address"),
    ],
)
def test_a_permanent_ping_failure_is_always_logged_and_the_exit_status_stays(
    world, address, respond, expected
):
    world.switch.respond = (lambda _: respond) if respond else world.switch.respond
    world.job.env["PING"] = world.switch.url if address is None else address
    done = world.job.quick("run")
    assert (done.code, done.stdout) == (0, "")
    assert done.stderr.startswith(f"modelwatch: {expected}")
    assert done.stderr.count("\n") == 1
    assert TOKEN not in done.output
    assert world.job.quick("run", "-q").output == ""


HANGING_NAMES = """
import socket, threading
real = socket.getaddrinfo
def lookup(host, *rest, **more):
    return threading.Event().wait() if host == "hangs.invalid" else real(host, *rest, **more)
socket.getaddrinfo = lookup
from pipeline.cli.app import main
main()
"""


@pytest.mark.parametrize(
    "lines", ['url = "http://hangs.invalid/x"\ntimeout = 0.5', 'url = "command:sleep 20"\ntimeout = 0.5']
)
def test_a_hanging_name_server_or_command_costs_no_more_than_the_timeout(world, lines):
    world.job.configure(world.job.config.read_text("utf-8").partition("[ping]")[0] + f"[ping]\n{lines}\n")
    words = [sys.executable, "-c", HANGING_NAMES, "run", "-v", "--home", str(world.job.home)]
    done = subprocess.run(
        words, env=world.job.environment(), capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.returncode, done.stdout) == (
        0,
        "Baseline recorded: local/prod 3 models, local/public 2 models; 2 of 2 scopes answered\n",
    )
    assert done.stderr.splitlines()[-1] == "modelwatch: the ping failed: no answer within 0.5 s"


def test_an_unresolved_url_is_reported_with_its_cure(world):
    del world.job.env["PING"]
    done = world.job.quick("run")
    assert done.code == 0
    cure = "env:PING is not set; nothing was sent: set it in the environment of the job"
    assert done.stderr == f"modelwatch: the ping failed: {cure}\n"
    assert world.switch.paths == []


def test_a_ping_is_tried_twice(world):
    seen = set()

    def respond(request):
        again = request.path in seen
        seen.add(request.path)
        return Reply(b"OK") if again else Reply(b"", 503)

    world.switch.respond = respond
    world.job.configure(world.job.config.read_text("utf-8").replace("timeout = 20", "timeout = 2"))
    assert "ping" not in world.job.quick("run", "-v").stderr
    assert world.switch.paths == ["/start", "/start", "", ""]


FROM_PYTHON = """
import logging, sys
import httpx
import pipeline
logging.basicConfig(level=logging.DEBUG)
pipeline.home(sys.argv[1]).run()
httpx.get(sys.argv[2])
"""


def test_the_url_is_in_no_log_file_or_table(world):
    for way in (["-vv"], ["-vv", "--log-format", "json"]):
        assert TOKEN not in world.job.quick("run", *way).output
    words = [sys.executable, "-c", FROM_PYTHON, str(world.job.home), f"{world.switch.server.url}/other"]
    done = subprocess.run(words, env=world.job.environment(), capture_output=True, check=True, text=True)
    assert world.switch.paths == ["/start", "", "/start", "", "/start", "", "/other"]
    assert "httpcore" in done.stderr
    assert f"GET {words[-1]}" in done.stderr, "other requests of httpx are still logged"
    assert TOKEN not in done.stderr
    found = [file for file in world.job.home.rglob("*") if file.is_file()]
    assert len(found) > 4
    assert not [file for file in found if TOKEN.encode() in file.read_bytes()]


def test_the_metrics_have_each_scope_kind_of_change_and_failure(world):
    world.job.quick("run", at=hour(6))
    world.lists = {"public": None, "prod": listed("b", "c", "d", "e")}
    world.job.quick("run", at=hour(7))
    public, prod = ("local", "local/public", ""), ("local", "local/prod", "vip")
    assert world.metrics == {
        ("last_success_timestamp",): 1777615200,
        ("last_run_timestamp",): 1777618800,
        ("run_duration_seconds",): 0,
        ("exit_status",): 3,
        ("last_run_changes", "added"): 2,
        ("last_run_changes", "removed"): 0,
        ("last_run_changes", "returned"): 0,
        ("last_run_changes", "changed"): 0,
        ("last_run_changes", "shape"): 0,
        ("last_run_changes", "group"): 0,
        ("unsent_reports",): 0,
        ("scopes", "ok"): 1,
        ("scopes", "held"): 0,
        ("scopes", "failed"): 1,
        ("scopes", "new"): 0,
        ("scopes", "retired"): 0,
        **{("gateway_scopes", "local", state): 0 for state in ("held", "new", "retired")},
        ("gateway_scopes", "local", "ok"): 1,
        ("gateway_scopes", "local", "failed"): 1,
        ("failures", "Unreachable"): 1,
        ("failures", "Throttled"): 0,
        ("failures", "Refused"): 0,
        ("failures", "Unresolved"): 0,
        ("failures", "Unreadable"): 0,
        ("up", *public): 0,
        ("up", *prod): 1,
        ("held", *public): 0,
        ("held", *prod): 0,
        ("last_answer_timestamp", *public): 1777615200,
        ("last_answer_timestamp", *prod): 1777618800,
        ("models", *public): 2,
        ("models", *prod): 4,
    }


def test_held_retired_and_unsent_are_counted(world):
    world.job.quick("run", at=hour(6))
    no_reports(world)
    hold(world)
    config = world.job.config.read_text("utf-8")
    world.job.configure(config.replace("scopes.public = {}\n", ""))
    assert world.job.quick("run", at=hour(7)).code == 6
    found = world.metrics
    assert found["unsent_reports",] == 1
    assert found["exit_status",] == 6
    assert [found["scopes", state] for state in ("ok", "held", "retired")] == [0, 1, 1]
    assert found["up", "local", "local/prod", "vip"] == found["held", "local", "local/prod", "vip"] == 1
    assert found["models", "local", "local/prod", "vip"] == 3
    assert ("up", "local", "local/public", "") not in found


def test_the_last_success_comes_from_the_database(world):
    world.job.quick("run", at=hour(6))
    (world.job.home / "modelwatch.prom").unlink()
    fail_all(world)
    world.job.quick("run", at=hour(8))
    assert world.metrics["last_success_timestamp",] == 1777615200
    assert world.metrics["last_run_timestamp",] == 1777622400


def test_the_last_success_is_0_if_there_was_none(world):
    fail_all(world)
    world.job.quick("run")
    assert world.metrics["last_success_timestamp",] == 0


def test_accept_and_dry_runs_change_no_metric(world):
    world.job.quick("run", at=hour(6))
    hold(world)
    world.job.quick("run", at=hour(7))
    assert world.job.quick("accept", "local/prod", at=hour(8)).code == 0
    before = (world.job.home / "modelwatch.prom").read_bytes()
    pinged = world.switch.paths
    world.job.quick("run", "--dry-run", at=hour(9))
    assert (world.job.home / "modelwatch.prom").read_bytes() == before
    assert world.switch.paths == pinged
    fail_all(world)
    world.job.quick("sync", at=hour(10))
    assert world.metrics["last_success_timestamp",] == 1777615200


def test_a_run_without_lock_or_database_leaves_the_file(world):
    world.job.quick("run")
    file = world.job.home / "modelwatch.prom"
    before = file.read_bytes()
    with lock(world.job.database, since=hour(3)):
        assert world.job.quick("run").stderr.count("\n") == 1
    no_database(world)
    assert world.job.quick("run").stderr.count("\n") == 1
    assert file.read_bytes() == before


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_the_file_is_readable_for_those_whom_the_umask_lets_and_no_draft_is_left(world, umask, mode):
    before = os.umask(umask)
    try:
        world.job.quick("run")
    finally:
        os.umask(before)
    file = world.job.home / "modelwatch.prom"
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert file.read_bytes().endswith(b"\n")
    assert [each.name for each in world.job.home.iterdir() if "prom" in each.name] == ["modelwatch.prom"]


def test_a_file_that_cannot_be_written_is_logged_and_the_run_goes_on(world):
    config = world.job.config.read_text("utf-8")
    world.job.configure(config.replace('"modelwatch.prom"', '"nowhere/m.prom"'))
    done = world.job.quick("run")
    file = world.job.home / "nowhere" / "m.prom"
    assert (done.code, done.stdout) == (0, "")
    assert done.stderr == (
        f"modelwatch: {file}: the metrics cannot be written: No such file or directory: create its"
        " directory, and let the job's user write to it\n"
    )
    assert world.switch.paths == ["/start", ""]
    assert world.job.written()


def test_an_unexpected_exception_in_the_metrics_is_logged_and_the_run_goes_on(world):
    with mock.patch("pipeline.delivery.monitoring.run_health", side_effect=ZeroDivisionError("by zero")):
        done = world.job.quick("run")
    assert (done.code, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert "the metrics cannot be written: ZeroDivisionError: by zero" in done.stderr


def health(**labels):
    """Return the state of a job with one scope."""
    scope = {"scope": "one/a", "gateway": "one", "group": None, **labels}
    rest = dict.fromkeys(("key", "state_since", "held_models", "error_class", "message", "last_asked"))
    coverage = Coverage(
        **scope,
        **rest,
        auth="key",
        state="ok",
        models=3,
        pending_removals=0,
        last_answered="2026-05-01T06:00:00Z",
    )
    run = Run(1, hour(6), hour(7), "done", 1, 1, 0, 0, 0)
    return RunHealth(0, run, hour(7), {"added": 0}, (coverage,), (ScopeCounts("one", ok=1),), {}, 0)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@pytest.mark.parametrize("group", ['a"b', "a\\", "a\nb", 'x"} 1\nmodelwatch_up 0', "\\n", "\u202e", ""])
def test_label_values_are_escaped(group, name):
    for each in (group, group + name):
        content = metrics_text(health(group=each))
        assert samples(content)["models", "one", "one/a", printable(each)] == 3
        assert samples(content)["run_duration_seconds",] == 3600
        assert len(content.splitlines()) == len(metrics_text(health()).splitlines())


def test_more_than_a_thousand_scopes_are_only_counted(script: Script) -> None:
    scopes = [scope(f"acme/s{number:04d}") for number in range(1001)]
    refused = ScopeResult(Refused("no such key", status=401))
    record_run(script.store, scopes, {each.name: refused for each in scopes})
    found = samples(metrics_text(run_health(script.store, 4)))
    assert found["gateway_scopes", "acme", "failed"] == found["failures", "Refused"] == 1001
    assert not [key for key in found if key[0] in ("up", "held", "models", "last_answer_timestamp")]
    assert len(found) < 30


def test_a_run_without_monitoring_imports_none_of_its_modules(world):
    world.job.configure(world.job.config.read_text("utf-8").partition("[ping]")[0])
    program = (
        "import json, sys\nfrom pipeline.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('pipeline')]))"
    )
    words = [sys.executable, "-c", program, "run", "--home", str(world.job.home)]
    done = subprocess.run(words, env=world.job.environment(), capture_output=True, check=True, text=True)
    loaded = json.loads(done.stdout)
    assert "pipeline.sync" in loaded
    assert not {"pipeline.delivery.pings", "pipeline.delivery.prometheus"} & set(loaded)


def test_home_run_pings_and_writes_metrics(world):
    home = pipeline.home(world.job.home)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, world.job.env))
        assert home.run().report.run.status == "done"
        fail_one(world)
        home.run("local/prod", reports=False)
        home.run(dry_run=True)
        with lock(world.job.database, since=hour(3)), pytest.raises(pipeline.Locked):
            home.run()
        with pytest.raises(pipeline.QuestionError):
            home.run("none/*")
    assert world.switch.paths == ["/start", "", "/start", "/4", "/start", "/75", "/start", "/2"]
    assert world.metrics["exit_status",] == 2
    with Store.read(world.job.database) as store:
        assert store.rows("select count(*) as runs from snapshots") == [{"runs": 2}]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (QuestionError("no such scope"), 2),
        (click.UsageError("no such option"), 2),
        (ConfigError("wrong", where="a.toml"), 78),
        (StoreError("broken", path=Path("a.db")), 74),
        (Locked("another run", path=Path("a.db")), 75),
        (RuntimeError("unknown"), 70),
        (MemoryError(), 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_is_pinged_with_the_status_that_the_command_exits_with(world, error, status):
    monitor = Monitor(Ping(world.switch.url), None, world.job.database, Secret)
    monitor.fail(error)
    assert world.switch.paths == [f"/{status}"]
    assert world.switch.server.requests[-1].body.decode().startswith(f"the run exited with {status}")
