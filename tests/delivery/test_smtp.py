"""Mails by a mail server: sent once and encrypted; each failure is temporary or permanent, with its cure."""

import base64
import re
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
import trustme
from msgspec.structs import replace
from support import ROOT
from support.mailing import (
    MESSAGE,
    SECRET,
    SECRETS,
    Certificates,
    Mailbox,
    Odd,
    message_with,
    read,
    resolve,
    serving,
)

from pipeline.delivery.channels import recipients, send
from pipeline.delivery.channels.mail import compose
from pipeline.delivery.types import DeliveryStatus, Smtp

ANN, BOB, CY = "ann@example.com", "bob@example.com", "cy@example.com"
CHANNEL = Smtp("127.0.0.1", 0, "none", "modelwatch <watch@example.com>", (ANN, f"Bob <{BOB}>", CY), timeout=5)


@pytest.fixture(scope="session")
def certificates():
    """Return a CA for the tests; creating one is slow."""
    return Certificates(trustme.CA())


@pytest.fixture
def trusted(certificates, tmp_path, monkeypatch):
    """Let this machine trust the CA."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.write(tmp_path / "ca.pem")))
    return certificates


def sent(port, message=MESSAGE, to=None, **settings):
    """Send a message to a server on loopback; return the results."""
    channel = replace(CHANNEL, port=port, **settings)
    return send(channel, message, recipients(channel) if to is None else to, resolve)


def same(results):
    """Return the status and error that all recipients share; check that the error shows no secret."""
    ((status, error),) = {(result.status, result.error) for result in results.values()}
    assert list(results) == [ANN, BOB, CY]
    assert error is None or "\n" not in error
    assert not any(secret in str(error) for secret in SECRETS.values())
    return status, error


def retried(results, *parts):
    """Assert that the mail is to be retried and the error has these parts; return the error."""
    status, error = same(results)
    assert status == DeliveryStatus.RETRY
    for part in parts:
        assert part in error
    return error


def test_recipients_are_bare_addresses_in_the_order_of_the_config():
    assert recipients(CHANNEL) == (ANN, BOB, CY)


def test_a_mail_is_sent_once_for_all_recipients_and_arrives_in_full():
    mailbox = Mailbox()
    with serving(mailbox) as port:
        assert same(sent(port)) == (DeliveryStatus.SENT, None)
    (envelope,) = mailbox.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("watch@example.com", [ANN, BOB, CY])
    (mail,) = mailbox.mails
    assert mail["To"] == f"{ANN}, Bob <{BOB}>, {CY}"
    plain = mail.get_body(("plain",))
    assert plain
    assert plain.get_content().replace("\r\n", "\n") == MESSAGE.text
    assert [part.get_filename() for part in mail.iter_attachments()] == ["changes.csv", "changes.json"]


def test_a_mail_to_some_recipients_has_the_same_bytes():
    mailbox = Mailbox()
    with serving(mailbox) as port:
        assert sent(port, to=(BOB,))[BOB].status == DeliveryStatus.SENT
        assert sent(port)[BOB].status == DeliveryStatus.SENT
    first, second = mailbox.taken
    assert first.rcpt_tos == [BOB]
    assert first.original_content == second.original_content


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_is_sent_over_tls_with_a_password_that_is_not_ascii(trusted, security):
    mailbox = Mailbox()
    way = {security: trusted.context()}
    # aiosmtpd does not recognise TLS from the start.
    options = {"auth_require_tls": False} if security == "tls" else {"auth_required": True}
    with serving(mailbox, **way, **options) as port:
        assert same(sent(port, security=security, user="watch", password="env:PASSWORD")) == (
            DeliveryStatus.SENT,
            None,
        )
    assert mailbox.signed_in == [("PLAIN", "watch")]
    assert len(mailbox.mails) == 1


def test_auth_login_is_used_where_a_server_offers_nothing_else(trusted):
    mailbox = Mailbox()
    with serving(
        mailbox, tls=trusted.context(), auth_require_tls=False, auth_exclude_mechanism=["PLAIN"]
    ) as port:
        assert same(sent(port, security="tls", user="watch", password="env:PASSWORD")) == (
            DeliveryStatus.SENT,
            None,
        )
    assert mailbox.signed_in == [("LOGIN", "watch")]


def test_a_token_is_sent_by_xoauth2_alone(trusted):
    mailbox = Mailbox()
    with serving(mailbox, tls=trusted.context(), auth_require_tls=False) as port:
        assert same(sent(port, security="tls", user="watch", token="env:TOKEN")) == (
            DeliveryStatus.SENT,
            None,
        )
    assert mailbox.signed_in == [("XOAUTH2", "watch")]


@pytest.mark.parametrize(
    ("secret", "way", "cure"),
    [
        ({"password": "env:WRONG"}, "PLAIN", "see `user` and `password`"),
        ({"token": "env:WRONG"}, "XOAUTH2", "set a new `token`"),
    ],
)
def test_a_wrong_password_or_token_is_a_temporary_failure_with_its_cure(trusted, secret, way, cure):
    mailbox = Mailbox()
    with serving(mailbox, tls=trusted.context(), auth_require_tls=False) as port:
        results = sent(port, security="tls", user="watch", **secret)
    retried(results, f"127.0.0.1:{port} does not authenticate watch: 535 5.7.8", cure)
    assert mailbox.signed_in == [(way, "watch")]
    assert mailbox.taken == []


def test_a_server_without_authentication_is_reported():
    with serving(Mailbox()) as port:
        retried(
            sent(port, user="watch", password="env:PASSWORD"),
            "offers no authentication by PLAIN or LOGIN (it offers none)",
        )


def test_an_unresolved_password_fails_before_the_server_is_contacted():
    retried(sent(1, user="watch", password="env:NOWHERE"), "env:NOWHERE is not set")


def test_nothing_is_sent_where_the_server_offers_no_starttls():
    with Odd(lambda line: "220 here\r\n" if not line else "250 fine\r\n") as server:
        retried(
            sent(server.port, security="starttls"),
            "offers no STARTTLS, so nothing was sent",
            'or security = "none"',
        )
    assert [line.partition(" ")[0] for line in server.lines] == ["ehlo"]


def test_nothing_is_sent_where_starttls_fails():
    answers = {"": "220 here\r\n", "EHLO": "250-here\r\n250 STARTTLS\r\n", "STARTTLS": "454 no key\r\n"}
    with Odd(lambda line: answers.get(line.partition(" ")[0].upper(), "250 fine\r\n")) as server:
        retried(sent(server.port, security="starttls"), "refuses STARTTLS, so nothing was sent: 454 no key")
    assert not [line for line in server.lines if line.upper().startswith(("MAIL", "AUTH", "DATA"))]


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("name", "why"),
    [("localhost", "unable to get local issuer certificate"), ("other.example", "IP address mismatch")],
)
def test_an_invalid_certificate_ends_the_session_before_authentication(
    certificates, tmp_path, monkeypatch, security, name, why
):
    authority = certificates if name == "other.example" else Certificates(trustme.CA())
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write(tmp_path / "ca.pem")))
    mailbox = Mailbox()
    with serving(mailbox, **{security: certificates.context(name)}) as port:
        retried(
            sent(port, security=security, user="watch", password="env:PASSWORD"),
            "is not valid",
            why,
            "SSL_CERT_FILE",
        )
    assert (mailbox.signed_in, mailbox.taken) == ([], [])


def test_certificates_that_do_not_exist_are_named_as_the_cause(certificates, monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "/dev/null/certificates")
    with serving(Mailbox(), tls=certificates.context("localhost")) as port:
        retried(
            sent(port, security="tls"),
            "SSL_CERT_FILE or SSL_CERT_DIR cannot be read (No such file or directory)",
        )


def test_tls_to_a_starttls_port_is_reported_with_its_cure():
    with serving(Mailbox()) as port:
        cure = 'for port 587 set security = "starttls", or security = "none"'
        retried(sent(port, security="tls"), "speaks no TLS there", cure)


def test_each_recipient_has_its_own_result():
    mailbox = Mailbox({BOB: "550 5.1.1 no such user", CY: "452 4.2.2 mailbox full"})
    with serving(mailbox) as port:
        results = sent(port)
    assert [result.status for result in results.values()] == [
        DeliveryStatus.SENT,
        DeliveryStatus.REFUSED,
        DeliveryStatus.RETRY,
    ]
    assert results[BOB].error == f"127.0.0.1:{port} does not accept mail for {BOB}: 550 5.1.1 no such user"
    assert results[CY].error == f"127.0.0.1:{port} does not accept mail for {CY}: 452 4.2.2 mailbox full"
    assert mailbox.taken[0].rcpt_tos == [ANN]


def test_when_all_recipients_are_refused_nothing_is_sent():
    mailbox = Mailbox({ANN: "550 no", BOB: "450 greylisted", CY: "552 5.2.2 over quota"})
    with serving(mailbox) as port:
        results = sent(port)
    assert [result.status for result in results.values()] == [
        DeliveryStatus.REFUSED,
        DeliveryStatus.RETRY,
        DeliveryStatus.RETRY,
    ]
    assert mailbox.taken == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("554 5.7.1 looks like spam", DeliveryStatus.REFUSED),
        ("451 4.3.0 try again", DeliveryStatus.RETRY),
        ("452 4.3.1 no space here", DeliveryStatus.RETRY),
    ],
)
def test_a_5xx_reply_to_the_mail_is_permanent_and_a_4xx_is_not(answer, expected):
    with serving(Mailbox({"DATA": answer})) as port:
        assert same(sent(port)) == (expected, f"127.0.0.1:{port} does not accept the mail: {answer}")


def test_a_rejected_sender_is_a_temporary_failure():
    with serving(Mailbox({"MAIL": "553 5.7.1 not yours"})) as port:
        retried(
            sent(port), "accepts no mail from watch@example.com: 553 5.7.1 not yours: see `from` and `user`"
        )


HELO = ": set `helo` to the name of this machine in DNS"
FROM = ": see `from` and `user`"
RELAY = ": sign in with `user` and `password`, or set another `server`"
CLIENT = ": it accepts nothing from this machine: set `user` and `password`, or another `server`"


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        ("504 5.5.2 <box>: Helo command rejected: need fully-qualified hostname", HELO),
        ("550 5.7.1 <box.example>: Helo command rejected: You are not me", HELO),
        ("550 HELO should be a FQDN or address literal", HELO),
        ("504 need a full name", HELO),
        ("550 5.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]", CLIENT),
        ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", CLIENT),
        ("550-5.7.25 The IP address sending this message does not have a\r\n550 PTR record setup", CLIENT),
        ("550 5.7.606 Access denied, banned sending IP [192.0.2.1]", CLIENT),
        (f"554 5.7.1 <{BOB}>: Relay access denied", RELAY),
        ("550 relay not permitted", RELAY),
        ("553 5.7.1 <watch@example.com>: Sender address rejected: not owned by user watch", FROM),
        ("550 5.1.8 <watch@example.com>: Sender address rejected: Domain not found", FROM),
    ],
)
@pytest.mark.parametrize("at", [BOB, "DATA"])
def test_a_refusal_of_this_machine_its_name_or_its_address_is_retried_with_its_cure(answer, cure, at):
    with serving(Mailbox({at: answer})) as port:
        result = sent(port)[BOB]
    assert result.status == DeliveryStatus.RETRY
    assert result.error.endswith(cure)


@pytest.mark.parametrize(
    "answer",
    [
        f"550 5.1.1 <{BOB}>: Recipient address rejected: User unknown in relay recipient table",
        "550 5.1.1 <client@relay.example>: no such user",
        "504 5.5.2 <bob>: Recipient address rejected: need fully-qualified address",
        "550 5.7.1 <bob@example.com>: Recipient address rejected: Access denied",
        "550 5.2.1 The account that you tried to reach is disabled: spamhaus",
        "550 no such user",
    ],
)
def test_a_refusal_of_a_recipient_is_permanent_whatever_words_it_has(answer):
    with serving(Mailbox({BOB: answer})) as port:
        results = sent(port)
    assert [result.status for result in results.values()] == [
        DeliveryStatus.SENT,
        DeliveryStatus.REFUSED,
        DeliveryStatus.SENT,
    ]


def test_a_recipient_to_whom_a_server_relays_no_mail_of_its_own_users_is_refused(trusted):
    mailbox = Mailbox({BOB: "554 5.7.1 Relay access denied"})
    with serving(mailbox, tls=trusted.context(), auth_require_tls=False) as port:
        results = sent(port, security="tls", user="watch", password="env:PASSWORD")
    assert (results[ANN].status, results[BOB].status) == (DeliveryStatus.SENT, DeliveryStatus.REFUSED)


@pytest.mark.parametrize("at", [BOB, "MAIL"])
def test_an_address_that_the_server_names_stands_once_in_the_error(at):
    named = "watch@example.com" if at == "MAIL" else BOB
    with serving(Mailbox({at: f"550 5.1.1 <{named.capitalize()}>: rejected"})) as port:
        error = sent(port)[BOB].error
    assert error.lower().count(named) == 1


def test_the_server_is_greeted_with_the_name_of_the_config():
    def respond(line):
        return {"": "220 here", "EHLO": "550 5.7.1 who?"}.get(
            line.partition(" ")[0].upper(), "504 no"
        ) + "\r\n"

    with Odd(respond) as server:
        retried(sent(server.port, helo="watch.example.com"), f"answered 504 no{HELO}")
    assert server.lines[:2] == ["ehlo watch.example.com", "helo watch.example.com"]


def test_a_mail_over_the_announced_size_is_sent_without_attachments():
    big = message_with(attachments=(replace(MESSAGE.attachments[0], content=b"x" * 40_000),))
    mailbox = Mailbox()
    with serving(mailbox, data_size_limit=20_000) as port:
        assert same(sent(port, big)) == (DeliveryStatus.SENT, None)
    (mail,) = mailbox.mails
    assert mail.get_content_type() == "multipart/alternative"
    assert "The attachments were left out" in mail.as_string()
    assert mail["Message-ID"] == MESSAGE.message_id


def test_a_mail_rejected_as_too_large_after_data_is_sent_without_attachments():
    mailbox = Mailbox(largest=len(compose(MESSAGE, sender=CHANNEL.sender, to=CHANNEL.recipients)) - 1)
    with serving(mailbox) as port:
        assert same(sent(port)) == (DeliveryStatus.SENT, None)
    (mail,) = mailbox.mails
    assert mail.get_content_type() == "multipart/alternative"


def verbs(server):
    """Return the commands that a server got, without their arguments."""
    return [line.partition(" ")[0].upper() for line in server.lines]


def follows(*refused):
    """Return a server that insists on the order of commands, and first refuses mails at these verbs."""
    left, begun = list(refused), False

    def respond(line):
        nonlocal begun
        word = line.partition(" ")[0].upper()
        if left and word == left[0]:
            left.pop(0)
            begun = True
            return "552 5.3.4 message too big\r\n"
        if word == "MAIL" and begun:
            # https://www.rfc-editor.org/rfc/rfc5321#section-4.1.4
            return "503 5.5.1 nested MAIL command\r\n"
        begun = word == "MAIL" or (begun and word not in ("RSET", "."))
        answers = {"": "220 here", "DATA": "354 go on", "QUIT": "221 bye"}
        return f"{answers.get(word, '250 fine')}\r\n"

    return respond


def test_a_session_ends_with_quit_once_the_mail_is_accepted():
    with Odd(follows()) as server:
        assert same(sent(server.port)) == (DeliveryStatus.SENT, None)
    assert verbs(server) == ["EHLO", "MAIL", "RCPT", "RCPT", "RCPT", "DATA", ".", "QUIT"]


@pytest.mark.parametrize("at", ["MAIL", "."])
def test_a_refused_transaction_is_reset_before_the_next_one(at):
    with Odd(follows(at)) as server:
        assert same(sent(server.port)) == (DeliveryStatus.SENT, None)
    words = verbs(server)
    assert words[words.index("RSET") + 1 :] == ["MAIL", "RCPT", "RCPT", "RCPT", "DATA", ".", "QUIT"]


def test_a_session_without_a_mail_that_is_accepted_ends_with_quit_too():
    with Odd(follows("MAIL", "MAIL")) as server:
        assert same(sent(server.port))[0] == DeliveryStatus.REFUSED
    assert verbs(server) == ["EHLO", "MAIL", "RSET", "MAIL", "QUIT"]


def test_a_mail_too_large_without_attachments_is_refused():
    big = message_with(text="words " * 10_000, attachments=())
    with serving(Mailbox(), data_size_limit=20_000) as port:
        status, error = same(sent(port, big))
    assert status == DeliveryStatus.REFUSED
    assert "552" in error


def test_a_connection_closed_after_data_is_retried_with_the_same_message_id():
    mailbox = Mailbox(breaks=True)
    with serving(mailbox) as port:
        retried(sent(port), "may arrive twice")
        mailbox.breaks = False
        assert same(sent(port)) == (DeliveryStatus.SENT, None)
    first, second = mailbox.mails
    assert first["Message-ID"] == second["Message-ID"] == MESSAGE.message_id


@pytest.mark.parametrize("at", ["", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_a_connection_closed_at_any_point_is_retried(at):

    def respond(line):
        word = line.partition(" ")[0].upper()
        if word == at:
            return None
        if word == "DATA":
            return "354 go on\r\n"
        if not word or word in ("EHLO", "MAIL", "RCPT", "."):
            return ("220" if not word else "250") + " fine\r\n"
        return ""

    with Odd(respond) as server:
        retried(sent(server.port), f"127.0.0.1:{server.port} closed the connection")


@pytest.mark.parametrize("at", ["", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_a_silent_server_times_out_at_any_point(at):

    def respond(line):
        word = line.partition(" ")[0].upper()
        if word == at:
            return ""
        if word == "DATA":
            return "354 go on\r\n"
        if not word or word in ("EHLO", "MAIL", "RCPT", "."):
            return ("220" if not word else "250") + " fine\r\n"
        return ""

    with Odd(respond) as server:
        retried(sent(server.port, timeout=0.1), f"no answer from 127.0.0.1:{server.port} within 0.1 s")


@pytest.mark.parametrize(
    ("security", "begins", "why"),
    [
        ("none", b"220-", "did not accept the mail within 1 s: see `timeout`"),
        ("tls", b"\x16\x03\x03\x40\x00", "within 0.25 s"),
    ],
)
def test_a_server_that_sends_single_bytes_is_cut_off(security, begins, why):
    gone = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def send_bytes():
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(begins)
            while not gone.wait(0.02):
                connection.sendall(b"\0")

    thread = threading.Thread(target=send_bytes, daemon=True)
    thread.start()
    with listening:
        retried(sent(listening.getsockname()[1], timeout=0.25, security=security), why)
        gone.set()
        thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("at", ["", "EHLO", f"RCPT TO:<{ANN}>"])
def test_a_server_that_floods_is_cut_off(at):
    def respond(line):
        answer = {"": "220 here\r\n", "DATA": "354 go on\r\n"}.get(line, "250 fine\r\n")
        found = line[:4].upper() == at or line == at
        return "250-more and more\r\n" * 100_000 if found else answer

    with Odd(lambda line: respond(line.replace("rcpt", "RCPT"))) as server:
        retried(sent(server.port), "answered 500 with too many lines")


def test_a_busy_server_is_retried():
    with Odd(lambda _: "421 4.3.2 too many connections\r\n") as server:
        retried(sent(server.port), "accepts no mail now: 421 4.3.2 too many connections")
    with serving(Mailbox({BOB: "421 shutting down"})) as port:
        retried(sent(port), "accepts no more now: 421 shutting down")


def test_helo_is_used_where_a_server_knows_no_ehlo():

    def respond(line):
        answers = {"": "220 here", "EHLO": "502 what?", "DATA": "354 go on", "QUIT": "221 bye"}
        word = line.partition(" ")[0].upper()
        accepted = word in ("HELO", "MAIL", "RCPT", ".")
        return f"{answers[word]}\r\n" if word in answers else "250 fine\r\n" * accepted

    with Odd(respond) as server:
        assert same(sent(server.port)) == (DeliveryStatus.SENT, None)
    assert [line.partition(" ")[0] for line in server.lines[:3]] == ["ehlo", "helo", "mail"]
    assert "MAIL FROM:<watch@example.com>" in [line.replace("mail", "MAIL") for line in server.lines]


def test_a_connection_closed_at_quit_counts_as_sent():

    def respond(line):
        word = line.partition(" ")[0].upper()
        if word == "QUIT":
            return None
        return {"": "220 here\r\n", "DATA": "354 go on\r\n"}.get(
            word, "250 fine\r\n" if word in ("EHLO", "MAIL", "RCPT", ".") else ""
        )

    with Odd(respond) as server:
        assert same(sent(server.port)) == (DeliveryStatus.SENT, None)


def test_an_unreachable_or_foreign_server_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    retried(sent(port), f"127.0.0.1:{port} cannot be reached (Connection refused): see `server` and `port`")
    retried(sent(25, server="mail.invalid"), "mail.invalid:25 cannot be found", "see `server`")
    with Odd(lambda _: "HTTP/1.0 400 Bad Request\r\n\r\n") as server:
        retried(sent(server.port), f"127.0.0.1:{server.port} accepts no mail now")


def test_an_error_is_one_printable_line_without_any_spelling_of_the_password():
    words = base64.b64encode(f"\0watch\0{SECRET}".encode()).decode()

    def respond(line):
        word = line.partition(" ")[0].upper()
        refusal = f"535-{SECRET}\r\n535-\x1b[31m {words}\r\n535 {'no ' * 500}\r\n"
        return {"": "220 here\r\n", "EHLO": "250-here\r\n250 AUTH PLAIN\r\n", "AUTH": refusal}.get(word, "")

    with Odd(respond) as server:
        error = retried(sent(server.port, user="watch", password="env:PASSWORD"), "535", "no no", "***")
    assert re.fullmatch(r"[ -~…]+", error)
    assert words not in error
    assert len(error) <= 300


def test_enqueueing_imports_no_library_that_sends():
    code = "import sys, pipeline.delivery.outbox; print({'smtplib', 'httpx', 'apprise'} & {*sys.modules})"
    root = ROOT
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_subjects_and_names_in_other_scripts_arrive(trusted):
    mailbox = Mailbox()
    with serving(mailbox, tls=trusted.context()) as port:
        results = sent(
            port,
            message_with(subject="模型が2つ消えた: " + "長い名前 " * 20),
            security="tls",
            sender="モデル監視 <watch@example.com>",
        )
    assert same(results) == (DeliveryStatus.SENT, None)
    mail = read(mailbox.taken[0].original_content)
    assert mail["Subject"] == ("模型が2つ消えた: " + "長い名前 " * 20).strip()
    assert mail["From"].addresses[0].display_name == "モデル監視"
