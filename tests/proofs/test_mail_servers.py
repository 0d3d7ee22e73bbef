"""Postfix with Dovecot: each mail arrives once and complete, also if the server is killed."""

import csv
import io
import json
import os
from email.utils import parsedate_to_datetime

import pytest
from msgspec.structs import replace
from support.mailing import MESSAGE, message_with, read, resolve
from support.postfix import Relay, mail_server, missing

from pipeline.delivery.channels import recipients, send
from pipeline.delivery.types import DeliveryStatus, Smtp
from pipeline.reports.types import Attachment

pytestmark = [
    pytest.mark.proofs,
    pytest.mark.skipif(
        bool(missing()) and "MODELWATCH_EVERYTHING" not in os.environ,
        reason=f"a mail server needs {', '.join(missing())}",
    ),
]

ANN, BOB = "ann@mail.example", "bob@mail.example"
CHANNEL = Smtp(
    "127.0.0.1",
    0,
    "tls",
    "モデル監視 <watch@mail.example>",
    (f"Ann <{ANN}>", BOB),
    user="watch",
    password="env:PASSWORD",
    timeout=20,
)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A mail server for one test, with a CA that the program trusts."""
    with mail_server() as server:
        server.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        yield server


def sent(message, to=None, **settings):
    """Send a message; return the results."""
    channel = replace(CHANNEL, **settings)
    return send(channel, message, recipients(channel) if to is None else to, resolve)


def statuses(results):
    """Return the status for each recipient."""
    return {recipient: result.status for recipient, result in results.items()}


def numbered(number):
    """Return a message with its own id."""
    return message_with(message_id=f"<{number}.ops@modelwatch.example>", subject=f"模型が{number}つ消えた")


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_arrives_once_with_its_parts_and_attachments(server, security):
    results = sent(numbered(2), port=getattr(server, security), security=security)
    assert statuses(results) == {ANN: DeliveryStatus.SENT, BOB: DeliveryStatus.SENT}, server.log()
    for user in ("ann", "bob"):
        (content,) = server.mails(user)
        mail = read(content)
        assert mail["Subject"] == "模型が2つ消えた"
        assert mail["From"] == "モデル監視 <watch@mail.example>"
        assert mail["Message-ID"] == "<2.ops@modelwatch.example>"
        assert parsedate_to_datetime(mail["Date"]).isoformat() == "2026-11-01T07:00:00+00:00"
        body = mail.get_body(("plain",))
        assert body
        assert body.get_content().replace("\r\n", "\n") == MESSAGE.text
        table, value = mail.iter_attachments()
        assert list(csv.DictReader(io.StringIO(table.get_content(), newline="")))[1]["model"] == "模型"
        assert json.loads(value.get_content()) == {"changes": []}
    assert server.waiting() == []


def test_an_unknown_recipient_and_one_elsewhere_are_refused_and_others_get_the_mail(server):
    unknown, elsewhere = "eve@mail.example", "eve@elsewhere.example"
    results = sent(MESSAGE, port=server.tls, recipients=(ANN, unknown, elsewhere))
    assert statuses(results) == {
        ANN: DeliveryStatus.SENT,
        unknown: DeliveryStatus.REFUSED,
        elsewhere: DeliveryStatus.REFUSED,
    }, server.log()
    assert "User unknown" in results[unknown].error
    assert "Relay access denied" in results[elsewhere].error
    assert len(server.mails("ann")) == 1
    assert server.waiting() == []


def test_with_a_wrong_password_nothing_is_sent_and_every_recipient_is_tried_again(server):
    results = sent(MESSAGE, port=server.tls, password="env:WRONG")
    assert statuses(results) == {ANN: DeliveryStatus.RETRY, BOB: DeliveryStatus.RETRY}
    assert "does not authenticate watch: 535 5.7.8" in results[ANN].error
    assert server.waiting() == []
    assert server.mails("ann", 0) == []


def test_a_mail_that_is_too_large_is_sent_without_attachments_and_says_so(server):
    big = message_with(attachments=(Attachment("changes.csv", "text/csv", b"x" * 300_000),))
    assert statuses(sent(big, port=server.starttls, security="starttls")) == {
        ANN: DeliveryStatus.SENT,
        BOB: DeliveryStatus.SENT,
    }
    (content,) = server.mails("ann")
    assert read(content).get_content_type() == "multipart/alternative"
    assert "The attachments were left out" in read(content).as_string()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_server_killed_at_ten_points_loses_no_mail(server, security):
    """A mail that arrives twice has the same id."""

    def through(number, after, then):
        relay = Relay(getattr(server, security), after, then)
        try:
            results = sent(numbered(number), port=relay.port, security=security)
        finally:
            relay.close()
        return results, relay.passed

    results, whole = through(0, 1 << 30, server.kill)
    assert statuses(results) == {ANN: DeliveryStatus.SENT, BOB: DeliveryStatus.SENT}, server.log()
    uncertain = 0
    for number in range(1, 11):
        results, _ = through(number, whole * number // 10 - 60, server.kill)
        assert not server.running, "the server was killed"
        server.start()
        again = tuple(
            recipient for recipient, status in statuses(results).items() if status == DeliveryStatus.RETRY
        )
        assert DeliveryStatus.REFUSED not in statuses(results).values()
        uncertain += bool(again)
        if again:
            second = sent(numbered(number), again, port=getattr(server, security), security=security)
            assert set(statuses(second).values()) == {DeliveryStatus.SENT}, server.log()
    assert uncertain, "it was always killed too late"
    for user in ("ann", "bob"):
        mails = [read(content) for content in server.mails(user, 11)]
        assert {(mail["Message-ID"], mail["Subject"]) for mail in mails} == {
            (numbered(number).message_id, numbered(number).subject) for number in range(11)
        }
        for mail in mails:
            assert [part.get_filename() for part in mail.iter_attachments()] == [
                "changes.csv",
                "changes.json",
            ]
    assert server.waiting() == []
