"""Mails of the whole command, over TLS and authenticated."""

import json
from base64 import b64encode

import pytest
import trustme
from support.e2e import Job, Scripted, listed, one_line
from support.e2e import Reply as Answer
from support.mailing import SECRET, Certificates, Mailbox, serving

ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture(scope="module")
def certificates():
    """Certificates of a private CA."""
    return Certificates(trustme.CA())


@pytest.fixture
def job(certificates, tmp_path):
    """A function that makes a home for the URL of a gateway and the port of a mail server."""

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
    """Return the ids of the received mails."""
    return [mail["Message-ID"] for mail in mailbox.mails]


def test_each_run_with_news_sends_one_mail_to_all_recipients(job, certificates):
    """One transaction for both; a run without news sends none."""
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
            assert (done.code, done.output) == (0, "")
    _, second = mailbox.mails
    assert len(set(ids(mailbox))) == 2
    assert [envelope.rcpt_tos for envelope in mailbox.taken] == [[ANN, BOB]] * 2
    _, value = second.iter_attachments()
    assert [change["model"] for change in json.loads(value.get_content())["changes"]] == ["模型-3"]


def test_a_refused_recipient_is_one_line_and_the_others_get_the_mail_once(job, certificates):
    mailbox = Mailbox({BOB: "550 5.1.1 no such user"})
    with (
        Scripted(lambda _: Answer(listed("heron-2"))) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        made = job(gateway.url, port)
        one_line(
            made.quick("run"),
            0,
            f"team: localhost:{port} does not accept mail for {BOB}: ",
            "550 5.1.1 no such user",
        )
        assert made.quick("run").code == 0
    assert [envelope.rcpt_tos for envelope in mailbox.taken] == [[ANN]]


def test_a_mail_that_failed_is_sent_later_unchanged(job, certificates):
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
        assert f"localhost:{port} does not authenticate watch: 535 5.7.8" in done.stderr
        assert "wrong-0123456789" not in done.output
        waiting = made.quick("outbox", "--json").json()
        made.env["PASSWORD"] = SECRET
        assert made.quick("outbox", *(f"--retry={each['id']}" for each in waiting)).code == 0
        assert made.quick("send").code == 0
    assert ids(mailbox) == [waiting[0]["message_id"]]
    assert made.quick("outbox", "--json").json() == []


def test_an_unknown_delivery_is_wrong_usage(job):
    with Scripted(lambda _: Answer(listed("heron-2"))) as gateway:
        made = job(gateway.url, 1)
        made.quick("run")
        (waiting, *_) = made.quick("outbox", "--json").json()
        before = made.quick("outbox", "--json").json()
        unknown = made.quick("outbox", f"--retry={waiting['id']}", "--retry=997", "--retry=998")
        both = made.quick("outbox", f"--retry={waiting['id']}", f"--drop={waiting['id']}")
        assert made.quick("outbox", "--json").json() == before
        assert made.quick("outbox", f"--drop={waiting['id']}").code == 0
        dropped = made.quick("outbox", f"--drop={waiting['id']}")
    assert (unknown.code, both.code, dropped.code) == (2, 2, 2)
    assert "--retry and --drop exclude each other" in both.stderr
    assert "no delivery has the number 997 or 998: see `modelwatch outbox --all`" in unknown.stderr
    assert f"nothing to do for {waiting['id']}: see `modelwatch outbox --all`" in dropped.stderr


def test_retry_and_drop_print_the_deliveries_as_json(job):
    with Scripted(lambda _: Answer(listed("heron-2"))) as gateway:
        made = job(gateway.url, 1)
        made.quick("run")
        first, second = (each["id"] for each in made.quick("outbox", "--json").json())
        retried = made.quick("outbox", f"--retry={first}", "--json")
        dropped = made.quick("outbox", f"--drop={second}", "--json")
    assert (retried.code, dropped.code) == (6, 0)
    assert [(each["id"], each["state"], each["attempts"]) for each in retried.json()] == [
        (first, "waiting", 1)
    ]
    assert [(each["id"], each["state"]) for each in dropped.json()] == [(second, "dropped")]


def test_a_failure_names_the_address_once(job):
    with Scripted(lambda _: Answer(listed("heron-2"))) as gateway:
        made = job(gateway.url, 1)
        text = made.config.read_text("utf-8").partition("[destinations.team]")[0]
        made.configure(f'{text}[destinations.hook]\ntype = "webhook"\nurl = "http://127.0.0.1:9"\n')
        done = made.quick("run")
    assert done.code == 6
    assert "hook: http://127.0.0.1:9 cannot be reached" in done.stderr
    assert done.stderr.count("127.0.0.1:9") == 1


def test_a_password_that_a_server_repeats_is_neither_printed_nor_stored(job, certificates):
    spellings = {
        SECRET,
        b64encode(SECRET.encode()).decode(),
        b64encode(f"\0watch\0{SECRET}".encode()).decode(),
    }
    said = " ".join(sorted(spellings - {SECRET}))
    mailbox = Mailbox({ANN: f"550 5.7.1 {said}", BOB: f"452 4.2.2 {said}"})
    with (
        Scripted(lambda _: Answer(listed("heron-2"))) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        made = job(gateway.url, port)
        done = made.quick("run", "-vv")
    assert done.code == 6
    assert "550 5.7.1" in done.stderr
    everything = done.output.encode() + b"".join(contents(made.home).values())
    everything += made.quick("outbox", "--json").output.encode()
    assert not [spelling for spelling in spellings if spelling.encode() in everything]


def test_a_dry_run_prints_what_is_due_and_sends_and_writes_nothing(job, certificates, tmp_path):
    models, mailbox = ["heron-2"], Mailbox()
    with (
        Scripted(lambda _: Answer(listed(*models))) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        made = job(gateway.url, port)
        assert made.quick("run").code == 0
        assert made.quick("send", "--dry-run").stdout == "nothing is due\n"
        models.append("ibis-3")
        assert made.quick("sync").code == 0
        before = contents(made.home)
        shown = made.quick("send", "--dry-run").stdout
        assert f"team: {ANN}, {BOB}\n[modelwatch] ibis-3 added (" in shown
        assert "ibis-3" in shown
        made.quick("send", "--dry-run", "--output", str(tmp_path / "preview"))
        assert contents(made.home) == before
        assert len(mailbox.taken) == 1
        made.configure(made.config.read_text("utf-8").replace(f', "Bob <{BOB}>"', ""))
        made.env["PASSWORD"] = "wrong-0123456789"
        made.quick("send", "-q")
        (waiting,) = made.quick("outbox", "--json").json()
        made.configure(made.config.read_text("utf-8").replace(ANN, BOB))
        shown = made.quick("send", "--dry-run", at=waiting["due_at"]).stdout
    assert shown == f"team: {ANN}: nothing, it is no longer in the config\n"
    (mail,) = (tmp_path / "preview").iterdir()
    assert b"ibis-3" in mail.read_bytes()


def test_a_dry_run_names_each_recipient_that_the_config_has_no_more(job, certificates):
    models = ["heron-2"]
    with (
        Scripted(lambda _: Answer(listed(*models))) as gateway,
        serving(Mailbox(), starttls=certificates.context(), auth_required=True) as port,
    ):
        made = job(gateway.url, port)
        assert made.quick("run").code == 0
        models.append("ibis-3")
        made.env["PASSWORD"] = "wrong-0123456789"
        made.quick("run", "-q")
        due = max(each["due_at"] for each in made.quick("outbox", "--json").json())
        made.configure(made.config.read_text("utf-8").replace(ANN, "cy@example.com"))
        lines = made.quick("send", "--dry-run", at=due).stdout.splitlines()
    assert [line for line in lines if line.startswith("team: ")] == [
        f"team: {ANN}: nothing, it is no longer in the config",
        f"team: {BOB}",
    ]


def contents(home):
    """Return every file of a home, without the WAL files of SQLite."""
    files = (path for path in home.rglob("*") if path.is_file() and path.suffix not in {".db-wal", ".db-shm"})
    return {path: path.read_bytes() for path in files}


def test_a_mistake_in_a_template_is_logged_once_and_the_built_in_one_is_used(job, certificates, tmp_path):
    own, mailbox = tmp_path / "home" / "own", Mailbox()
    own.mkdir(parents=True)
    (own / "subject.j2").write_text("News\n{{ page.nothing.there }}", "utf-8")
    (own / "mail.txt.j2").write_bytes(b"\xff")
    models = ["heron-2"]
    with (
        Scripted(lambda _: Answer(listed(*models))) as gateway,
        serving(mailbox, starttls=certificates.context(), auth_required=True) as port,
    ):
        made = job(gateway.url, port)
        made.configure(f'{made.config.read_text("utf-8")}templates = "own"\n')
        assert made.quick("sync").code == 0
        made.quick("report")
        models.append("ibis-3")
        done = made.quick("run")
    assert done.code == 0
    first, second = sorted(done.stderr.splitlines())
    used = "; the built-in template was used"
    assert first == f"modelwatch: team: {own}/mail.txt.j2: cannot be read: it is not UTF-8{used}"
    assert second == f"modelwatch: team: {own}/subject.j2:2: a page has no 'nothing'{used}"
    assert [mail["Subject"].split("] ")[0] for mail in mailbox.mails] == ["[modelwatch"] * 2
