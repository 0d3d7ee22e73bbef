"""The program or the mail server killed while mails are sent: none is lost, none doubled under another id."""

import base64
import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from support import TESTS
from support.e2e import TIMEOUT, Job, Reply, Scripted, listed
from support.mailing import SECRET, Certificates, Mailbox, read, serving
from support.proving import problems

from pipeline.core.times import iso

pytestmark = pytest.mark.proofs

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
STEPS = ("asked", "EHLO", "AUTH", "MAIL", f"RCPT {ANN}", f"RCPT {BOB}", "DATA", "taken", "QUIT", "left")
"""Points seen from outside: the gateway is asked, each SMTP command, and shortly after the last."""

PLACES = (
    ("run", "before", "pipeline.sync.run:record"),
    ("run", "after", "pipeline.sync.run:record"),
    ("run", "after", "pipeline.store.outbox:set_reported"),
    ("run", "after", "pipeline.delivery.outbox:enqueue"),
    ("run", "before", "pipeline.delivery.send:failing_recipients"),
    ("run", "after", "pipeline.delivery.files:write_files"),
    ("run", "before", "pipeline.delivery.content:render_message"),
    ("run", "after", "pipeline.delivery.content:render_message"),
    ("run", "before", "pipeline.delivery.channels.smtp:_connect"),
    ("run", "after", "pipeline.delivery.channels.smtp:send"),
    ("run", "after", "pipeline.store.outbox:lease"),
    ("run", "after", "pipeline.delivery.outbox:record_result"),
    ("run", "before", "pipeline.store.outbox:end_lease"),
    ("run", "before", "pipeline.cli.run:_log_failures"),
    ("send", "after", "pipeline.delivery.outbox:enqueue"),
    ("send", "after", "pipeline.delivery.channels.smtp:send"),
)
"""Points inside the program: around its transaction, and while it renders and sends the mail."""

KILLED_AT = """
import importlib, os, signal, sys
when, place = sys.argv[1:3]
del sys.argv[1:3]
module, name = place.split(":")
owner = importlib.import_module(module)
real = getattr(owner, name)
def killed(*arguments, **settings):
    if when == "after":
        real(*arguments, **settings)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, killed)
from pipeline.cli.app import main
main()
"""

SERVER = """
import base64, json, os, signal, sys, threading
from pathlib import Path
from typing import Any
sys.path.insert(0, sys.argv[1])
import trustme
from support.mailing import Certificates, Mailbox, serving
home, point, port = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
certificates = Certificates(trustme.CA())
certificates.write(home / "ca.pem")
def sees(step):
    if step == "taken":
        envelope = mailbox.taken[-1]
        mail = base64.b64encode(envelope.original_content).decode()
        with (home / "taken").open("a") as file:
            print(json.dumps([envelope.rcpt_tos, mail]), file=file)
    if step == point:
        os.kill(os.getpid(), signal.SIGKILL)
mailbox = Mailbox(sees=sees)
with serving(mailbox, starttls=certificates.context(), port=port, auth_required=True) as port:
    print(port, flush=True)
    sys.stdin.read()
"""


def home_with_mail(directory: Path, url: str, port: int, *recipients: str) -> Job:
    """Return a home whose reports are sent by mail, with TLS and a password."""
    job = Job(directory / "home", {"PASSWORD": SECRET, "SSL_CERT_FILE": str(directory / "ca.pem")})
    job.asks(url)
    job.configure(
        f"{job.config.read_text('utf-8')}"
        '[destinations.team]\ntype = "smtp"\nserver = "localhost"\nsecurity = "starttls"\n'
        f'port = {port}\nuser = "watch"\npassword = "env:PASSWORD"\n'
        f'from = "watch@example.com"\nto = {json.dumps(recipients)}\n'
    )
    return job


def check(taken: list[tuple[list[str], bytes]], models: list[str], recipients: set[str]) -> int:
    """Assert that each recipient got each model in one mail; return the number of different mails.

    A mail may arrive twice with the same id and content.
    """
    models_of: dict[str, list[str]] = {}
    recipients_of: dict[str, set[str]] = {}
    contents: dict[str, bytes] = {}
    for to, content in taken:
        mail = read(content)
        key = mail["Message-ID"]
        assert contents.setdefault(key, content) == content
        models_of[key] = [change["model"] for change in _report(mail)["changes"]]
        recipients_of.setdefault(key, set()).update(to)
    assert all(found == recipients for found in recipients_of.values())
    assert Counter(model for found in models_of.values() for model in found) == Counter(models)
    return len(models_of)


def _report(mail: EmailMessage) -> Any:
    *_, value = mail.iter_attachments()
    return json.loads(value.get_content())


class Killer:
    """Kills a process at a point, before it gets a reply."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.process: subprocess.Popen[str] | None = None
        self.started = threading.Event()

    def sees(self, step: str) -> None:
        """Kill the process if this is the point."""
        if step == self.point:
            self._kill()
        elif step == "QUIT" and self.point == "left":
            # The program now records the result.
            threading.Timer(0.02, self._kill).start()

    def _kill(self) -> None:
        assert self.started.wait(TIMEOUT)
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def killed_outside(job: Job, killer: Killer) -> None:
    """Start a run that is killed at a point seen from outside."""
    with job.start("run") as process:
        killer.process = process
        killer.started.set()
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == -signal.SIGKILL or killer.point == "left", killer.point


def killed_inside(job: Job, command: str, when: str, place: str) -> None:
    """Run a command that kills itself before or after a function."""
    words = [sys.executable, "-c", KILLED_AT, when, place, command, "--home", str(job.home)]
    process = subprocess.run(words, env=job.environment(), capture_output=True, timeout=TIMEOUT, check=False)
    assert process.returncode == -signal.SIGKILL, (place, process.stderr)


def when_leases_have_expired() -> str:
    """Return a time at which no killed process may be sending."""
    return iso(datetime.now(UTC) + timedelta(minutes=30))


def test_a_program_killed_at_any_point_loses_and_doubles_no_mail(tmp_path: Path) -> None:
    certificates = Certificates(trustme.CA())
    certificates.write(tmp_path / "ca.pem")
    models, mailbox = ["m0"], Mailbox()
    killer: Killer | None = None

    def sees(step: str) -> None:
        if killer:
            killer.sees(step)

    def answer(_: object) -> Reply:
        sees("asked")
        return Reply(listed(*models))

    mailbox.sees = sees
    with (
        Scripted(answer) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        job = home_with_mail(tmp_path, gateway.url, port, ANN, BOB)
        assert job.quick("run").code == 0
        for point in (*STEPS, *PLACES):
            models.append(f"m{len(models)}")
            if isinstance(point, str):
                killer = Killer(point)
                killed_outside(job, killer)
                killer = None
            else:
                command, when, place = point
                if command == "send":
                    assert job.quick("sync").code == 0
                killed_inside(job, command, when, place)
            done = job.quick("run", at=when_leases_have_expired())
            assert done.code == 0, (point, done)
        assert job.quick("outbox", "--json").json() == []
    taken = [(envelope.rcpt_tos, bytes(envelope.original_content or b"")) for envelope in mailbox.taken]
    mails = check(taken, models[1:], {ANN, BOB})
    assert len(taken) > mails, "some arrived twice with one id, since the reply was lost"
    assert problems(job.database) == []


@contextmanager
def server(home: Path, point: str = "", port: int = 0) -> Iterator[int]:
    """Run a mail server in a process that kills itself at a point, if one is given; yield its port."""
    words = [sys.executable, "-c", SERVER, str(TESTS), str(home), point, str(port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdin
        assert process.stdout
        yield int(process.stdout.readline())
        process.stdin.close()
        process.wait(TIMEOUT)
    assert process.returncode == (-signal.SIGKILL if point else 0)


def test_a_server_killed_during_a_mail_gets_it_later(tmp_path: Path) -> None:
    """A mail that it had accepted arrives again, equal to the byte."""
    models = ["m0"]
    with Scripted(lambda _: Reply(listed(*models))) as gateway:
        with server(tmp_path) as port:
            job = home_with_mail(tmp_path, gateway.url, port, ANN, BOB)
            assert job.quick("run").code == 0
        for step in ("AUTH", f"RCPT {BOB}", "DATA", "taken"):
            models.append(f"m{len(models)}")
            with server(tmp_path, step, port):
                done = job.quick("run")
            assert done.code == 6
            assert f"localhost:{port} closed the connection" in done.stderr
            assert "the next try is at" in done.stderr
            models.append(f"m{len(models)}")
            done = job.quick("run", "--repeat")
            assert done.code == 6
            assert f"localhost:{port} cannot be reached" in done.stderr
            waiting = job.quick("outbox", "--json").json()
            assert [each["state"] for each in waiting] == ["waiting"] * 4
            with server(tmp_path, port=port):
                assert job.quick("outbox", *(f"--retry={each['id']}" for each in waiting)).code == 0
    lines = [json.loads(line) for line in (tmp_path / "taken").read_text("utf-8").splitlines()]
    taken = [(to, base64.b64decode(mail)) for to, mail in lines]
    assert check(taken, models[1:], {ANN, BOB}) == len(taken) - 1
    assert problems(job.database) == []


def test_each_recipient_keeps_its_status_when_the_program_is_killed(tmp_path: Path) -> None:
    """One got the mail, one is refused permanently, and one gets it once its mailbox has space."""
    certificates = Certificates(trustme.CA())
    certificates.write(tmp_path / "ca.pem")
    models, refused = ["m0"], {BOB: "550 5.1.1 no such user", EVE: "452 4.2.2 the mailbox is full"}
    mailbox = Mailbox(refused)
    with (
        Scripted(lambda _: Reply(listed(*models))) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        job = home_with_mail(tmp_path, gateway.url, port, ANN, BOB, EVE)
        for place in ("pipeline.delivery.channels.smtp:send", "pipeline.delivery.outbox:record_result"):
            killed_inside(job, "run", "after", place)
            done = job.quick("run", "--repeat", at=when_leases_have_expired())
            assert done.code == 6
            assert f"team: localhost:{port} does not accept mail for {BOB}: 550 5.1.1" in done.stderr
            models.append(f"m{len(models)}")
        found = {(each["recipient"], each["state"], each["attempts"]) for each in states(job)}
        assert found == {(ANN, "sent", 1), (BOB, "refused", 1), (EVE, "waiting", 1)}
        del refused[EVE]
        full = [each["id"] for each in states(job) if each["recipient"] == EVE]
        assert job.quick("outbox", *(f"--retry={each}" for each in full)).code == 0
        assert {(each["recipient"], each["state"]) for each in states(job)} == {
            (ANN, "sent"),
            (BOB, "refused"),
            (EVE, "sent"),
        }
    of_eve = [
        (["eve"], bytes(each.original_content or b"")) for each in mailbox.taken if EVE in each.rcpt_tos
    ]
    assert check(of_eve, models[1:-1], {"eve"}) == 2


def states(job: Job) -> list[dict[str, Any]]:
    """Return all deliveries to the mail destination."""
    found = job.quick("outbox", "--all", "--json").json()
    return [each for each in found if each["destination"] == "team"]
