"""Mails of the whole command: over TLS, signed in, to each recipient once, whenever the server takes them."""

import json

import pytest
import trustme
from e2e import Job, Scripted, listed, one_line
from e2e import Reply as Answer
from mailing import SECRET, Certificates, Mailbox, serving

ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture(scope="module")
def certificates():
    """A CA of our own."""
    return Certificates(trustme.CA())


@pytest.fixture
def job(certificates, tmp_path):
    """A home whose mails go to a server at a port, for a gateway at an address."""

    def job(url, port):
        made = Job(
            tmp_path / "home",
            {"PASSWORD": SECRET, "SSL_CERT_FILE": str(certificates.write(tmp_path / "ca.pem"))},
        )
        made.asks(url, confirm=1)
        made.configure(
            f"{made.config.read_text('utf-8')}"
            '[destinations.team]\ntype = "smtp"\nserver = "localhost"\nsecurity = "starttls"\n'
            f'port = {port}\nuser = "watch"\npassword = "env:PASSWORD"\n'
            f'from = "モデル監視 <watch@example.com>"\nto = ["{ANN}", "Bob <{BOB}>"]\n'
        )
        return made

    return job


def ids(mailbox):
    """Give the ids of the mails that came."""
    return [mail["Message-ID"] for mail in mailbox.mails]


def test_each_run_with_news_sends_one_mail(job, certificates):
    """One transaction for both recipients; a run that finds nothing new sends none."""
    models = ["heron-2"]
    mailbox = Mailbox()
    with (
        Scripted(lambda _: Answer(listed(*models))) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        made = job(gateway.url, port)
        for wanted in (["heron-2"], ["heron-2", "模型-3"], ["heron-2", "模型-3"]):
            models[:] = wanted
            done = made.quick("run")
            assert (done.code, done.said) == (0, "")
    _, second = mailbox.mails
    assert len(set(ids(mailbox))) == 2
    assert [envelope.rcpt_tos for envelope in mailbox.taken] == [[ANN, BOB]] * 2
    _, value = second.iter_attachments()
    assert [change["model"] for change in json.loads(value.get_content())["changes"]] == ["模型-3"]


def test_who_was_refused_is_told_and_the_others_have_it(job, certificates):
    """The run leaves with 6 and says who, why and what to do; the next does not send it again."""
    mailbox = Mailbox({BOB: "550 5.1.1 no such user"})
    with (
        Scripted(lambda _: Answer(listed("heron-2"))) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        made = job(gateway.url, port)
        one_line(
            made.quick("run"),
            6,
            f"team: {BOB}: localhost:{port} does not take mail",
            "550 5.1.1 no such user",
        )
        assert made.quick("run").code == 0
    assert [envelope.rcpt_tos for envelope in mailbox.taken] == [[ANN]]


def test_a_mail_that_could_not_go_goes_later_as_it_was(job, certificates):
    """A wrong password holds it up; put right, it is the mail of the run that it tells of."""
    models = ["heron-2"]
    mailbox = Mailbox()
    with (
        Scripted(lambda _: Answer(listed(*models))) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        made = job(gateway.url, port)
        made.env["PASSWORD"] = "wrong-0123456789"
        done = made.quick("run")
        assert done.code == 6
        assert f"localhost:{port} does not let watch sign in: 535 5.7.8" in done.stderr
        assert "wrong-0123456789" not in done.said
        waiting = made.quick("outbox", "--json").json()
        made.env["PASSWORD"] = SECRET
        assert made.quick("outbox", *(f"--retry={each['id']}" for each in waiting)).code == 0
        assert made.quick("send").code == 0
    assert ids(mailbox) == [waiting[0]["message_id"]]
    assert made.quick("outbox", "--json").json() == []
