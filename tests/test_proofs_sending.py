"""The program killed round the sending of its mails: no report is lost, none comes twice without its id."""

import json
import signal
import threading
from collections import Counter

import pytest
import trustme
from e2e import PATIENCE, Job, Reply, Scripted, listed
from mailing import SECRET, Certificates, Mailbox, serving

pytestmark = pytest.mark.proofs

ANN, BOB = "ann@example.com", "bob@example.com"
POINTS = ("asked", "EHLO", "AUTH", "MAIL", f"RCPT {ANN}", f"RCPT {BOB}", "DATA", "taken", "QUIT", "left")
"""Where it is killed: when its gateway is asked, at each step of the sending, and a little after it."""


class Killer:
    """Kills a process when it comes to a point, before it hears anything more."""

    def __init__(self, point):
        self.point = point
        self.process = None
        self.started = threading.Event()

    def sees(self, step):
        """Kill it, if this is the point."""
        if step == self.point:
            self._kill()
        elif step == "QUIT" and self.point == "left":
            # It goes on to write down what became of the mail.
            threading.Timer(0.02, self._kill).start()

    def _kill(self):
        assert self.started.wait(PATIENCE)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_a_program_killed_at_any_point_loses_and_doubles_nothing(tmp_path):
    """At ten points, each followed by a run in peace: each recipient has each change, under one id."""
    certificates = Certificates(trustme.CA())
    certificates.write(tmp_path / "ca.pem")
    models, mailbox, killer = ["m0"], Mailbox(), None

    def answer(_):
        if killer:
            killer.sees("asked")
        return Reply(listed(*models))

    def sees(step):
        if killer:
            killer.sees(step)

    mailbox.sees = sees
    with (
        Scripted(answer) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        job = Job(tmp_path / "home", {"PASSWORD": SECRET, "SSL_CERT_FILE": str(tmp_path / "ca.pem")})
        job.asks(gateway.url)
        job.configure(
            f"{job.config.read_text('utf-8')}"
            '[destinations.team]\ntype = "smtp"\nserver = "localhost"\nsecurity = "starttls"\n'
            f'port = {port}\nuser = "watch"\npassword = "env:PASSWORD"\n'
            f'from = "watch@example.com"\nto = ["{ANN}", "{BOB}"]\n'
        )
        assert job.run("run").code == 0
        for number, point in enumerate(POINTS, 1):
            models.append(f"m{number}")
            killer = Killer(point)
            with job.start("run") as process:
                killer.process = process
                killer.started.set()
                process.communicate(timeout=PATIENCE)
            assert process.returncode == -signal.SIGKILL or point == "left", point
            killer = None
            done = job.run("run")
            assert done.code == 0, (point, done)
        waiting = job.run("outbox", "--json").json()
    assert waiting == []

    told, whom, content = {}, {}, {}
    for envelope, mail in zip(mailbox.taken, mailbox.mails, strict=True):
        key = mail["Message-ID"]
        assert content.setdefault(key, envelope.original_content) == envelope.original_content
        _, value = mail.iter_attachments()
        told[key] = [change["model"] for change in json.loads(value.get_content())["changes"]]
        whom.setdefault(key, set()).update(envelope.rcpt_tos)
    assert all(found == {ANN, BOB} for found in whom.values())
    assert Counter(model for found in told.values() for model in found) == Counter(models[1:])
    assert len(mailbox.taken) > len(told), "some came twice, with one id: the answer was lost on the way"
