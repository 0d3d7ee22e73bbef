"""Signs of life: a run pings when it begins and however it ends, and writes how it stands for Prometheus."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from support.e2e import Done, Job, Reply, Scripted, ended, listed

import pipeline
from pipeline.config import parse
from pipeline.core.text import printable
from pipeline.delivery.pings import MAX_BODY, clip, ping_url
from pipeline.delivery.prometheus import metrics_text
from pipeline.delivery.types import Ping, RunHealth
from pipeline.errors import ConfigError
from pipeline.history.types import Coverage, Run
from pipeline.store import Store, lock

TOKEN = "0b9c1d2e-check"
SCOPED = '[gateways.one]\nurl = "https://gateway.example"\nscopes.public = {}\n'


class Switch:
    """A dead man's switch: keeps what it is told, and answers as `says`."""

    def __init__(self):
        self.says = lambda _question: Reply(b"OK")
        self.server = Scripted(self._say)

    def _say(self, question):
        return self.says(question)

    @property
    def url(self):
        """The address of its check."""
        return f"{self.server.url}/{TOKEN}"

    @property
    def paths(self):
        """What was asked, without the check's address and the run's id."""
        return [each.path.partition("?")[0].removeprefix(f"/{TOKEN}") for each in self.server.asked]

    @property
    def runs(self):
        """The ids of the runs that pinged."""
        return [each.path.partition("?rid=")[2] for each in self.server.asked]


class World:
    """A gateway, a switch, and a home that asks the one and pings the other."""

    def __init__(self, job, switch):
        self.job = job
        self.switch = switch
        self.lists = {"public": listed("a", "b"), "prod": listed("a", "b", "c")}
        self.answer = self.lists_of

    def asked(self, question):
        """Answer as the gateway does now."""
        return self.answer(question)

    def lists_of(self, question):
        """Answer to each key with its list; None is a broken gateway."""
        body = self.lists["prod" if question.headers.get("Authorization") else "public"]
        return Reply(b"broken", 500) if body is None else Reply(body)

    def adds(self, text):
        """Add lines to the config."""
        self.job.configure(self.job.config.read_text("utf-8") + text)

    @property
    def metrics(self):
        """What the file for Prometheus says: values by name and labels."""
        return samples((self.job.home / "modelwatch.prom").read_text("utf-8"))


def samples(content):
    """Read metrics with Prometheus' own parser."""
    families = list(text_string_to_metric_families(content))
    assert all(family.type == "gauge" and family.documentation for family in families)
    found = [(each.name, tuple(each.labels.values()), each.value) for f in families for each in f.samples]
    assert len({each[:2] for each in found}) == len(found), "one value for each name and labels"
    return {(name.removeprefix("modelwatch_"), *labels): value for name, labels, value in found}


@pytest.fixture
def switch():
    """A dead man's switch that is well."""
    switch = Switch()
    with switch.server:
        yield switch


@pytest.fixture
def world(tmp_path, switch):
    """A home with two scopes, that pings and writes metrics."""
    job = Job(tmp_path / "home", {"KEY": "sk-key-12345678", "PING": switch.url})
    world = World(job, switch)
    with Scripted(world.asked) as gateway:
        job.asks(gateway.url, scopes={"public": "", "prod": 'key = "env:KEY", group = "vip"'}, attempts=1)
        world.adds('[ping]\nurl = "env:PING"\ntimeout = 20\n[metrics]\nfile = "modelwatch.prom"\n')
        yield world


def hour(number):
    """A moment of the made-up day on which the runs happen."""
    return f"2026-05-01T{number:02}:00:00Z"


# The config.


def test_signs_are_given_only_where_the_config_asks_for_them(tmp_path):
    """Nothing by default; an address may stand there itself, and a file is relative to the config."""
    path = tmp_path / "modelwatch.toml"
    assert (parse(SCOPED, path).ping, parse(SCOPED, path).metrics) == (None, None)
    config = parse(
        f'{SCOPED}[ping]\nurl = "https://h.example/x?create=1"\n[metrics]\nfile = "m.prom"\n', path
    )
    assert config.ping == Ping("https://h.example/x?create=1", 5.0)
    assert config.metrics == tmp_path / "m.prom"
    assert parse(f'{SCOPED}[ping]\nurl = "env:A"\ntimeout = 2\n', path).ping == Ping("env:A", 2.0)
    assert "h.example" not in repr(config)


@pytest.mark.parametrize(
    ("lines", "where", "told"),
    [
        (
            "[ping]",
            "4: ping",
            'has no url: write e.g. `url = "env:',
        ),
        ('[ping]\nurl = ""', "5: ping.url", "must be a text in quotes"),
        (
            f'[ping]\nurl = "{TOKEN}"',
            "5: ping.url",
            'is neither a web address nor a reference to one: write e.g. "e',
        ),
        (f'[ping]\nurl = "ftp://h/{TOKEN}"', "5: ping.url", "is neither a web address nor"),
        (f'[ping]\nurl = "https://h/{TOKEN}#x"', "5: ping.url", "is neither a web address nor"),
        (f'[ping]\nurl = "https://h/{TOKEN} x"', "5: ping.url", "is neither a web address nor"),
        (f'[ping]\nurl = "https://h:0/{TOKEN}"', "5: ping.url", "is neither a web address nor"),
        (f'[ping]\nurl = "https://[/{TOKEN}"', "5: ping.url", "is neither a web address nor"),
        ('[ping]\nurl = "env:"', "5: ping.url", "is neither a web address nor"),
        (
            '[ping]\nurl = "env:A"\ntimeout = 0',
            "6: ping.timeout",
            "must be more than 0 and at most 60 seconds",
        ),
        (
            '[ping]\nurl = "env:A"\ntimeout = 61',
            "6: ping.timeout",
            "must be more than 0 and at most 60 seconds",
        ),
        ('[ping]\nurl = "env:A"\nfoo = 1', "6: ping.foo", "is not a known key here: use one of timeout, url"),
        ("[metrics]", "4: metrics", 'has no file: write e.g. `file = "'),
        (
            '[metrics]\nfile = "m.txt"',
            "5: metrics.file",
            "must end in .prom: node_exporter reads no other files",
        ),
        ('[metrics]\nfile = "a/"', "5: metrics.file", "must end in .prom"),
        ("[metrics]\nfile = 3", "5: metrics.file", "must be a text in quotes"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_its_cure(tmp_path, lines, where, told):
    """The file, the line, the key and what to write; never the address."""
    with pytest.raises(ConfigError) as caught:
        parse(f"{SCOPED}{lines}\n", tmp_path / "modelwatch.toml")
    assert f"modelwatch.toml:{where}: {told}" in caught.value.message
    assert TOKEN not in caught.value.message


# The pings.


@pytest.mark.parametrize(
    ("base", "start", "success"),
    [
        ("https://h/u", "https://h/u/start?rid=R", "https://h/u?rid=R"),
        ("https://h/u/", "https://h/u/start?rid=R", "https://h/u?rid=R"),
        (
            "https://h:8/k/slug?create=1",
            "https://h:8/k/slug/start?create=1&rid=R",
            "https://h:8/k/slug?create=1&rid=R",
        ),
        ("https://h/u/?", "https://h/u/start?rid=R", "https://h/u?rid=R"),
        ("https://h", "https://h/start?rid=R", "https://h?rid=R"),
        (
            "https://me:pw@h/%2Fu?a=b%26",
            "https://me:pw@h/%2Fu/start?a=b%26&rid=R",
            "https://me:pw@h/%2Fu?a=b%26&rid=R",
        ),
    ],
)
def test_addresses_are_put_together_rightly(base, start, success):
    """The word belongs to the path and the run to the query, however the address ends."""
    assert (ping_url(base, "start", "R"), ping_url(base, "", "R")) == (start, success)


@given(st.text(), st.integers(0, 2 * MAX_BODY))
def test_a_summary_is_cut_to_what_is_kept(text, times):
    """However long and of whatever letters: it is UTF-8, begins as it did, and is short enough."""
    whole = f"first\n{text * times}"
    body = clip(whole)
    assert len(body) < MAX_BODY
    begins = body.decode().removesuffix("\n…")
    assert whole.encode("utf-8", "backslashreplace").startswith(begins.encode())
    assert begins.startswith("first")


def test_a_run_says_when_it_begins_and_how_it_ended(world):
    """The start, then the bare address with a summary, both with the same id; the next run has another."""
    world.job.quick("run")
    assert world.job.quick("run", at=hour(6)) == Done(0, "", "")
    assert world.switch.paths == ["/start", "", "/start", ""]
    first, second = world.switch.runs[::2]
    assert world.switch.runs == [first, first, second, second]
    assert len(first) == 36
    assert first != second
    assert [each.method for each in world.switch.server.asked] == ["GET", "POST"] * 2
    body = world.switch.server.asked[-1].body.decode()
    assert body == "the run exited with 0, 2026-05-01 06:00 UTC\nno change in what 2 scopes of 2 answered"


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
    world.job.database.write_text("this is a letter, and no database at all\n" * 50)


def no_reports(world):
    change(world)
    for file in world.job.reports.iterdir():
        file.unlink()
    world.job.reports.rmdir()
    world.job.reports.write_text("")


@pytest.mark.parametrize(
    ("happens", "code", "word", "told"),
    [
        (change, 1, "", "+ d"),
        (fail_one, 3, "/3", "local/prod: failed since"),
        (fail_all, 4, "/4", "answered 500"),
        (hold, 5, "/5", "local/prod: held since"),
        (no_reports, 6, "/6", "the report cannot be written"),
        (no_database, 74, "/74", "modelwatch.db: "),
    ],
)
def test_each_end_of_a_run_has_its_ping(world, happens, code, word, told):
    """Its exit code, where it is no success, and what it says of it; that there are changes is a success."""
    assert world.job.quick("run").code == 0
    happens(world)
    assert world.job.quick("run", "--exit-code").code == code
    assert world.switch.paths[2:] == ["/start", word]
    body = world.switch.server.asked[-1].body.decode()
    assert body.startswith(f"the run exited with {code if word else 0}")
    assert told in body


def test_a_run_that_may_not_begin_says_so(world):
    """While another holds the lock, and where no scope is meant."""
    with lock(world.job.database, since=hour(3)):
        assert world.job.quick("sync").code == 75
    assert world.job.quick("run", "--scope", "nobody/*").code == 2
    assert world.switch.paths == ["/start", "/75", "/start", "/2"]
    assert "another run holds the lock" in world.switch.server.asked[1].body.decode()


def test_a_defect_of_ours_is_no_success(world):
    """It leaves with 1, as changes do with --exit-code, but its ping is that of a failure."""
    with (
        mock.patch.object(deliver, "drain", side_effect=ValueError("secret words")),
        pytest.raises(ValueError, match="secret words"),
    ):
        world.job.quick("run")
    assert world.switch.paths == ["/start", "/1"]
    assert world.switch.server.asked[1].body == b"the run exited with 1\nValueError"


def test_the_start_does_not_delay_the_run(world):
    """The gateway is asked while the first ping waits for its answer."""
    asked = threading.Event()
    waited = []

    def answer(_question):
        asked.set()
        return Reply(listed("a"))

    def says(question):
        if "/start" in question.path:
            waited.append(asked.wait(30))
        return Reply(b"OK")

    world.answer, world.switch.says = answer, says
    assert world.job.quick("run").code == 0
    assert waited == [True]
    assert world.switch.paths == ["/start", ""]


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so(world, blow):
    """By Ctrl-C or by SIGTERM: the exit code is as ever, nothing is recorded, and the last success stays."""
    assert world.job.quick("run", at=hour(6)).code == 0
    asked, release = threading.Event(), threading.Event()

    def answer(_question):
        asked.set()
        assert release.wait(30)
        return Reply(listed("a"))

    world.answer = answer
    with world.job.start("run") as process:
        assert asked.wait(30)
        process.send_signal(blow)
        done = ended(process)
    release.set()
    assert (done.code, done.said) == (130 if blow == signal.SIGINT else -blow, "")
    assert world.switch.paths[2:] == ["/start", f"/{128 + blow}"]
    assert world.switch.server.asked[-1].body == f"the run was stopped: {128 + blow}".encode()
    assert world.metrics["exit_status",] == 128 + blow
    assert world.metrics["last_success_timestamp",] == world.metrics["last_run_timestamp",] == 1777615200


@contextmanager
def hanging(world):
    """Let pings wait until the test is over; gives what is set when the run's end is pinged."""
    ending, release = threading.Event(), threading.Event()

    def says(question):
        if "/start" not in question.path:
            ending.set()
            release.wait(60)
        return Reply(b"OK")

    world.switch.says = says
    world.job.configure(world.job.config.read_text("utf-8").replace("timeout = 20", "timeout = 60"))
    try:
        yield ending
    finally:
        release.set()


def test_whoever_does_not_want_to_wait_need_not(world):
    """Ctrl-C ends the wait for the last ping, and the run is what it was: done."""
    with hanging(world) as ending, world.job.start("run") as process:
        assert ending.wait(30)
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert (done.code, done.said) == (0, "")


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM])
def test_a_second_blow_does_not_wait(world, blow):
    """Who is told to stop twice stops, though its ping is not answered."""
    asked, release = threading.Event(), threading.Event()

    def answer(_question):
        asked.set()
        release.wait(60)
        return Reply(listed("a"))

    world.answer = answer
    with hanging(world) as ending, world.job.start("run") as process:
        assert asked.wait(30)
        process.send_signal(blow)
        assert ending.wait(30)
        process.send_signal(blow)
        done = ended(process)
        release.set()
    assert (done.code, done.said) == (130 if blow == signal.SIGINT else -blow, "")


# What goes wrong with a ping.


def late(_question):
    """Answer when nobody waits any more."""
    threading.Event().wait(1)
    return Reply(b"OK")


@pytest.mark.parametrize(
    ("address", "says", "told"),
    [
        (None, late, "no answer within 0.5 s"),
        (None, lambda _: Reply(b"", 503), "the ping was answered 503"),
        (None, lambda _: Reply(b"", 429), "the ping was answered 429"),
        ("http://127.0.0.1:9/{TOKEN}", None, "its server cannot be reached"),
        ("http://nosuch.invalid/{TOKEN}", None, "the ping failed: "),
    ],
)
def test_a_ping_that_passes_by_changes_nothing(world, address, says, told):
    """The same exit code and output as without; who watches is told, in one line, and cron is not."""
    world.lists["prod"] = None
    world.switch.says = says or world.switch.says
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
    assert told in more.pop()


@pytest.mark.parametrize(
    ("address", "says", "told"),
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
def test_a_ping_that_never_can_arrive_is_told_always(world, address, says, told):
    """One line, in cron too, for a check that was never pinged stays silent; the exit code is the run's."""
    world.switch.says = (lambda _: says) if says else world.switch.says
    world.job.env["PING"] = world.switch.url if address is None else address
    done = world.job.quick("run")
    assert (done.code, done.stdout) == (0, "")
    assert done.stderr.startswith(f"modelwatch: {told}")
    assert done.stderr.count("\n") == 1
    assert TOKEN not in done.said
    assert world.job.quick("run", "-q").said == ""


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
def test_what_hangs_for_ever_costs_no_more_than_the_time_out(world, lines):
    """A name server, or the command of a reference: the run is over when the ping's time is."""
    world.job.configure(world.job.config.read_text("utf-8").partition("[ping]")[0] + f"[ping]\n{lines}\n")
    words = [sys.executable, "-c", HANGING_NAMES, "run", "-v", "--home", str(world.job.home)]
    done = subprocess.run(
        words, env=world.job.environment(), capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.returncode, done.stdout) == (0, "no change in what 2 scopes of 2 answered\n")
    assert done.stderr.splitlines()[-1] == "modelwatch: the ping failed: no answer within 0.5 s"


def test_an_address_that_is_not_where_it_should_be_is_told(world):
    """As a key's would be: which variable, and what to do."""
    del world.job.env["PING"]
    done = world.job.quick("run")
    assert done.code == 0
    cure = "env:PING is not set, so nothing was sent: set it where the job runs"
    assert done.stderr == f"modelwatch: the ping failed: {cure}\n"
    assert world.switch.paths == []


def test_a_ping_is_tried_twice(world):
    """What fails once gets through all the same, and nobody is told."""
    seen = set()

    def says(question):
        again = question.path in seen
        seen.add(question.path)
        return Reply(b"OK") if again else Reply(b"", 503)

    world.switch.says = says
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


def test_the_address_appears_nowhere(world):
    """In no line of a log, nor in the database, the reports or the metrics; from Python neither."""
    for way in (["-vv"], ["-vv", "--log-format", "json"]):
        assert TOKEN not in world.job.quick("run", *way).said
    words = [sys.executable, "-c", FROM_PYTHON, str(world.job.home), f"{world.switch.server.url}/other"]
    done = subprocess.run(words, env=world.job.environment(), capture_output=True, check=True, text=True)
    assert world.switch.paths == ["/start", "", "/start", "", "/start", "", "/other"]
    assert "httpcore" in done.stderr
    assert f"GET {words[-1]}" in done.stderr, "what others send is logged as ever"
    assert TOKEN not in done.stderr
    found = [file for file in world.job.home.rglob("*") if file.is_file()]
    assert len(found) > 4
    assert not [file for file in found if TOKEN.encode() in file.read_bytes()]


# The metrics.


def test_the_metrics_say_how_the_job_stands(world):
    """Each scope and each kind of change and failure has its value, as of the last run."""
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
        ("unsent_reports",): 0,
        ("scopes", "ok"): 1,
        ("scopes", "held"): 0,
        ("scopes", "failed"): 1,
        ("scopes", "new"): 0,
        ("scopes", "retired"): 0,
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


def test_what_is_held_retired_or_unsent_counts(world):
    """A held answer is an answer; a scope that is no longer asked is counted and told no more of."""
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


def test_the_last_success_is_remembered_without_the_file(world):
    """It comes from the database: a run that fails writes it again, though the file was lost."""
    world.job.quick("run", at=hour(6))
    (world.job.home / "modelwatch.prom").unlink()
    fail_all(world)
    world.job.quick("run", at=hour(8))
    assert world.metrics["last_success_timestamp",] == 1777615200
    assert world.metrics["last_run_timestamp",] == 1777622400


def test_where_there_was_no_success_the_time_is_none(world):
    """So that the alert for an old success rings."""
    fail_all(world)
    world.job.quick("run")
    assert world.metrics["last_success_timestamp",] == 0


def test_what_is_accepted_or_only_tried_is_no_run(world):
    """A hold that is accepted asked nobody, and a dry run leaves nothing behind."""
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


def test_a_run_that_cannot_use_the_database_leaves_the_file(world):
    """What it last said stays, and grows old; so does it while another run is at work."""
    world.job.quick("run")
    file = world.job.home / "modelwatch.prom"
    before = file.read_bytes()
    with lock(world.job.database, since=hour(3)):
        assert world.job.quick("run").stderr.count("\n") == 1
    no_database(world)
    assert world.job.quick("run").stderr.count("\n") == 1
    assert file.read_bytes() == before


def test_the_file_is_whole_and_for_everybody(world):
    """Whatever the umask is, and nothing else is left beside it."""
    before = os.umask(0o077)
    try:
        world.job.quick("run")
    finally:
        os.umask(before)
    file = world.job.home / "modelwatch.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert file.read_bytes().endswith(b"\n")
    assert [each.name for each in world.job.home.iterdir() if "prom" in each.name] == ["modelwatch.prom"]


def test_a_file_that_cannot_be_written_is_told_and_the_run_goes_on(world):
    """One line with the cure; the report is written, the ping sent, the exit code as ever."""
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


def test_a_defect_in_the_metrics_is_told_and_the_run_goes_on(world):
    """No mistake of ours there changes how a run ends."""
    with mock.patch("pipeline.delivery.monitoring.run_health", side_effect=ZeroDivisionError("by zero")):
        done = world.job.quick("run")
    assert (done.code, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert "the metrics cannot be written: ZeroDivisionError: by zero" in done.stderr


def vitals(**labels):
    """Say how a job with one scope stands."""
    scope = {"scope": "one/a", "gateway": "one", "group": None, **labels}
    rest = dict.fromkeys(("key", "state_since", "held_models", "error_class", "message", "last_asked"))
    known = Coverage(
        **scope,
        **rest,
        auth="key",
        state="ok",
        models=3,
        pending_removals=0,
        last_answered="2026-05-01T06:00:00Z",
    )
    run = Run(1, hour(6), hour(7), "done", 1, 1, 0, 0, 0)
    return RunHealth(0, run, hour(7), {"added": 0}, (known,), 0)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@pytest.mark.parametrize("group", ['a"b', "a\\", "a\nb", 'x"} 1\nmodelwatch_up 0', "\\n", "\u202e", ""])
def test_no_name_can_break_a_line(group, name):
    """Quotes, backslashes and line ends in a group's name are read back as they are shown."""
    for each in (group, group + name):
        content = metrics_text(vitals(group=each))
        assert samples(content)["models", "one", "one/a", printable(each)] == 3
        assert samples(content)["run_duration_seconds",] == 3600
        assert len(content.splitlines()) == len(metrics_text(vitals()).splitlines())


# What it costs where it is not wanted, and from Python.


def test_nothing_is_loaded_that_is_not_wanted(world):
    """A run whose config asks for no signs imports nothing of them."""
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
    assert not {"pipeline.signalling", "pipeline.signals", "pipeline.vitals"} & set(loaded)


def test_python_gives_signs_too(world):
    """`home.run()` pings and writes as the command does, and a run that raises says so."""
    home = pipeline.home(world.job.home)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, world.job.env))
        assert home.run().run.status == "done"
        fail_one(world)
        home.run("local/prod", reports=False)
        home.run(dry_run=True)
        with lock(world.job.database, since=hour(3)), pytest.raises(pipeline.Locked):
            home.run()
        with pytest.raises(pipeline.QuestionError):
            home.run("nobody/*")
    assert world.switch.paths == ["/start", "", "/start", "/4", "/start", "/75"]
    assert world.metrics["exit_status",] == 4
    with Store.read(world.job.database) as store:
        assert store.rows("select count(*) as runs from snapshots") == [{"runs": 2}]
