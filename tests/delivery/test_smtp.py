"""Mails by a mail server: taken once, never in plain, and for each failure the right fate and a cure."""

import base64
import re
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
import trustme
from support import ROOT
from support.mailing import (
    LETTER,
    SECRET,
    SECRETS,
    TOKEN,
    Certificates,
    Mailbox,
    Odd,
    letter,
    read,
    resolve,
    serving,
)

from pipeline.delivery.channels import recipients, send
from pipeline.delivery.channels.mail import compose
from pipeline.delivery.types import DeliveryStatus, Destination, Smtp

ANN, BOB, CY = "ann@example.com", "bob@example.com", "cy@example.com"
CHANNEL = Smtp("127.0.0.1", 0, "none", "modelwatch <watch@example.com>", (ANN, f"Bob <{BOB}>", CY), timeout=5)


@pytest.fixture(scope="session")
def certificates():
    """A CA of our own; it takes a moment to make."""
    return Certificates(trustme.CA())


@pytest.fixture
def trusted(certificates, tmp_path, monkeypatch):
    """The machine trusts that CA."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.write(tmp_path / "ca.pem")))
    return certificates


def sent(port, told=LETTER, to=None, **settings):
    """Send a letter to a server on loopback; give the receipts."""
    channel = replace(CHANNEL, port=port, **settings)
    return send(channel, told, recipients(channel) if to is None else to, resolve)


def same(receipts):
    """Give the one fate and error of all recipients; the error is one line without a secret."""
    ((fate, error),) = {(receipt.status, receipt.error) for receipt in receipts.values()}
    assert list(receipts) == [ANN, BOB, CY]
    assert error is None or "\n" not in error
    assert not any(secret in str(error) for secret in SECRETS.values())
    return fate, error


def later(receipts, *parts):
    """See that the letter may be tried again, and that the error says these things."""
    fate, error = same(receipts)
    assert fate == DeliveryStatus.RETRY
    for part in parts:
        assert part in error
    return error


def test_recipients_are_bare_addresses():
    """The outbox keeps them, in the config's order."""
    assert recipients(CHANNEL) == (ANN, BOB, CY)


def test_a_letter_arrives_once_for_all_recipients():
    """One transaction; each is told as sent, and the mail is whole, dots and umlauts too."""
    mailbox = Mailbox()
    with serving(mailbox) as port:
        assert same(sent(port)) == (DeliveryStatus.SENT, None)
    (envelope,) = mailbox.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("watch@example.com", [ANN, BOB, CY])
    (mail,) = mailbox.mails
    assert mail["To"] == f"{ANN}, Bob <{BOB}>, {CY}"
    plain = mail.get_body(("plain",))
    assert plain
    assert plain.get_content().replace("\r\n", "\n") == LETTER.text
    assert [part.get_filename() for part in mail.iter_attachments()] == ["changes.csv", "changes.json"]


def test_only_those_who_are_still_to_be_told_are_told():
    """The mail is the same to the byte, so that it is known again; it goes to fewer."""
    mailbox = Mailbox()
    with serving(mailbox) as port:
        assert sent(port, to=(BOB,))[BOB].status == DeliveryStatus.SENT
        assert sent(port)[BOB].status == DeliveryStatus.SENT
    first, second = mailbox.taken
    assert first.rcpt_tos == [BOB]
    assert first.original_content == second.original_content


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_letter_goes_over_tls_with_a_sign_in(trusted, security):
    """From the start or after STARTTLS, with a password that is no ASCII."""
    mailbox = Mailbox()
    way = {security: trusted.context()}
    # Of TLS from the start aiosmtpd knows nothing.
    options = {"auth_require_tls": False} if security == "tls" else {"auth_required": True}
    with serving(mailbox, **way, **options) as port:
        assert same(sent(port, security=security, user="watch", password="env:PASSWORD")) == (
            DeliveryStatus.SENT,
            None,
        )
    assert mailbox.signed_in == [("PLAIN", "watch")]
    assert len(mailbox.mails) == 1


def test_a_server_that_knows_the_old_sign_in_alone_gets_that(trusted):
    """Word by word, each in its turn."""
    mailbox = Mailbox()
    with serving(
        mailbox, tls=trusted.context(), auth_require_tls=False, auth_exclude_mechanism=["PLAIN"]
    ) as port:
        assert same(sent(port, security="tls", user="watch", password="env:PASSWORD")) == (
            DeliveryStatus.SENT,
            None,
        )
    assert mailbox.signed_in == [("LOGIN", "watch")]


def test_a_token_is_signed_in_with_as_google_and_microsoft_want_it(trusted):
    """XOAUTH2, and nothing else is tried."""
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
def test_a_wrong_password_or_token_can_be_mended(trusted, secret, way, cure):
    """The letter waits; who, where, and what the server says are told."""
    mailbox = Mailbox()
    with serving(mailbox, tls=trusted.context(), auth_require_tls=False) as port:
        receipts = sent(port, security="tls", user="watch", **secret)
    later(receipts, f"127.0.0.1:{port} does not authenticate watch: 535 5.7.8", cure)
    assert mailbox.signed_in == [(way, "watch")]
    assert mailbox.taken == []


def test_a_server_without_a_sign_in_is_told_as_such():
    """Not as a wrong password: nothing was sent."""
    with serving(Mailbox()) as port:
        later(
            sent(port, user="watch", password="env:PASSWORD"),
            "offers no authentication by PLAIN or LOGIN (it offers none)",
        )


def test_a_secret_that_is_not_there_is_told_for_each():
    """The server is not even asked."""
    later(sent(1, user="watch", password="env:NOWHERE"), "env:NOWHERE is not set")


def test_no_letter_goes_in_plain_where_starttls_is_asked_for():
    """A server that offers none, or somebody on the way who hides it, gets nothing."""
    with Odd(lambda line: "220 here\r\n" if not line else "250 fine\r\n") as server:
        later(sent(server.port, security="starttls"), "offers no STARTTLS, so nothing was sent")
    assert [line.partition(" ")[0] for line in server.heard] == ["ehlo"]


def test_a_server_that_takes_starttls_back_gets_nothing():
    """An error, never a fall back to plain."""
    answers = {"": "220 here\r\n", "EHLO": "250-here\r\n250 STARTTLS\r\n", "STARTTLS": "454 no key\r\n"}
    with Odd(lambda line: answers.get(line.partition(" ")[0].upper(), "250 fine\r\n")) as server:
        later(sent(server.port, security="starttls"), "refuses STARTTLS, so nothing was sent: 454 no key")
    assert not [line for line in server.heard if line.upper().startswith(("MAIL", "AUTH", "DATA"))]


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("name", "why"),
    [("localhost", "unable to get local issuer certificate"), ("other.example", "IP address mismatch")],
)
def test_a_certificate_that_is_not_good_ends_it(certificates, tmp_path, monkeypatch, security, name, why):
    """Of a CA that is not known, or for another name: nothing is sent, and the cure is said."""
    known = certificates if name == "other.example" else Certificates(trustme.CA())
    monkeypatch.setenv("SSL_CERT_FILE", str(known.write(tmp_path / "ca.pem")))
    mailbox = Mailbox()
    with serving(mailbox, **{security: certificates.context(name)}) as port:
        later(
            sent(port, security=security, user="watch", password="env:PASSWORD"),
            "is not valid",
            why,
            "SSL_CERT_FILE",
        )
    assert (mailbox.signed_in, mailbox.taken) == ([], [])


def test_tls_to_a_server_that_speaks_none_is_told_with_its_cure():
    """The usual mistake: port 587 with security for 465."""
    with serving(Mailbox()) as port:
        later(sent(port, security="tls"), "speaks no TLS there", 'security = "starttls"')


def test_recipients_are_refused_one_by_one():
    """The good ones have it; one is refused for good, one's mailbox is full and is tried again."""
    mailbox = Mailbox({BOB: "550 5.1.1 no such user", CY: "452 4.2.2 mailbox full"})
    with serving(mailbox) as port:
        receipts = sent(port)
    assert [receipt.status for receipt in receipts.values()] == [
        DeliveryStatus.SENT,
        DeliveryStatus.REFUSED,
        DeliveryStatus.RETRY,
    ]
    assert receipts[BOB].error == f"127.0.0.1:{port} does not accept mail for {BOB}: 550 5.1.1 no such user"
    assert receipts[CY].error == f"127.0.0.1:{port} does not accept mail for {CY}: 452 4.2.2 mailbox full"
    assert mailbox.taken[0].rcpt_tos == [ANN]


def test_when_all_recipients_are_refused_nothing_is_sent():
    """Each has its own answer."""
    mailbox = Mailbox({ANN: "550 no", BOB: "450 greylisted", CY: "552 5.2.2 over quota"})
    with serving(mailbox) as port:
        receipts = sent(port)
    assert [receipt.status for receipt in receipts.values()] == [
        DeliveryStatus.REFUSED,
        DeliveryStatus.RETRY,
        DeliveryStatus.RETRY,
    ]
    assert mailbox.taken == []


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        ("554 5.7.1 looks like spam", DeliveryStatus.REFUSED),
        ("451 4.3.0 try again", DeliveryStatus.RETRY),
        ("452 4.3.1 no space here", DeliveryStatus.RETRY),
    ],
)
def test_a_mail_that_is_refused_is_refused_for_all(answer, fate):
    """What begins with 5 is final, what begins with 4 is not."""
    with serving(Mailbox({"DATA": answer})) as port:
        assert same(sent(port)) == (fate, f"127.0.0.1:{port} does not accept the mail: {answer}")


def test_a_sender_that_is_refused_can_be_mended():
    """It stands in the config, and the letter is as good as before."""
    with serving(Mailbox({"MAIL": "553 5.7.1 not yours"})) as port:
        later(
            sent(port), "accepts no mail from watch@example.com: 553 5.7.1 not yours: see `from` and `user`"
        )


def test_a_mail_that_is_too_large_goes_without_its_attachments():
    """The server says so at MAIL FROM; what is left says what was left out."""
    big = letter(attachments=(replace(LETTER.attachments[0], content=b"x" * 40_000),))
    mailbox = Mailbox()
    with serving(mailbox, data_size_limit=20_000) as port:
        assert same(sent(port, big)) == (DeliveryStatus.SENT, None)
    (mail,) = mailbox.mails
    assert mail.get_content_type() == "multipart/alternative"
    assert "The attachments were left out" in mail.as_string()
    assert mail["Message-ID"] == LETTER.message_id


def test_a_mail_that_is_too_large_at_last_goes_without_its_attachments():
    """A server may say so only when it has seen it all."""
    mailbox = Mailbox(largest=len(compose(LETTER, sender=CHANNEL.sender, to=CHANNEL.recipients)) - 1)
    with serving(mailbox) as port:
        assert same(sent(port)) == (DeliveryStatus.SENT, None)
    (mail,) = mailbox.mails
    assert mail.get_content_type() == "multipart/alternative"


def test_a_mail_that_is_too_large_without_attachments_is_so_for_good():
    """Another try would not make it smaller."""
    big = letter(text="words " * 10_000, attachments=())
    with serving(Mailbox(), data_size_limit=20_000) as port:
        fate, error = same(sent(port, big))
    assert fate == DeliveryStatus.REFUSED
    assert "552" in error


def test_a_connection_closed_after_the_mail_may_double_it():
    """Nobody knows whether it was taken: it goes again, with the same id."""
    mailbox = Mailbox(breaks=True)
    with serving(mailbox) as port:
        later(sent(port), "may arrive twice")
        mailbox.breaks = False
        assert same(sent(port)) == (DeliveryStatus.SENT, None)
    first, second = mailbox.mails
    assert first["Message-ID"] == second["Message-ID"] == LETTER.message_id


@pytest.mark.parametrize("at", ["", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_a_connection_that_breaks_at_any_point_is_tried_again(at):
    """Whatever the server had said before."""

    def says(line):
        word = line.partition(" ")[0].upper()
        if word == at:
            return None
        if word == "DATA":
            return "354 go on\r\n"
        if not word or word in ("EHLO", "MAIL", "RCPT", "."):
            return ("220" if not word else "250") + " fine\r\n"
        return ""

    with Odd(says) as server:
        later(sent(server.port), f"127.0.0.1:{server.port} closed the connection")


@pytest.mark.parametrize("at", ["", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_a_server_that_falls_silent_is_not_waited_for(at):
    """Whenever it does, the patience is the same."""

    def says(line):
        word = line.partition(" ")[0].upper()
        if word == at:
            return ""
        if word == "DATA":
            return "354 go on\r\n"
        if not word or word in ("EHLO", "MAIL", "RCPT", "."):
            return ("220" if not word else "250") + " fine\r\n"
        return ""

    with Odd(says) as server:
        later(sent(server.port, timeout=0.1), f"no answer from 127.0.0.1:{server.port} within 0.1 s")


@pytest.mark.parametrize(
    ("security", "begins", "why"),
    [
        ("none", b"220-", "did not accept the mail within 1 s: see `timeout`"),
        ("tls", b"\x16\x03\x03\x40\x00", "within 0.25 s"),
    ],
)
def test_a_server_that_dribbles_is_cut_off(security, begins, why):
    """A byte now and then would go on for ever: the whole has its bound."""
    gone = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def dribbles():
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(begins)
            while not gone.wait(0.02):
                connection.sendall(b"\0")

    thread = threading.Thread(target=dribbles)
    thread.start()
    with listening:
        later(sent(listening.getsockname()[1], timeout=0.25, security=security), why)
        gone.set()
        thread.join()


def test_a_server_that_is_busy_is_asked_again():
    """421 at the greeting, and amid the recipients."""
    with Odd(lambda _: "421 4.3.2 too many connections\r\n") as server:
        later(sent(server.port), "accepts no mail now: 421 4.3.2 too many connections")
    with serving(Mailbox({BOB: "421 shutting down"})) as port:
        later(sent(port), "accepts no more now: 421 shutting down")


def test_an_old_server_is_greeted_in_the_old_way():
    """HELO, when it knows no EHLO."""

    def says(line):
        answers = {"": "220 here", "EHLO": "502 what?", "DATA": "354 go on", "QUIT": "221 bye"}
        word = line.partition(" ")[0].upper()
        known = word in ("HELO", "MAIL", "RCPT", ".")
        return f"{answers[word]}\r\n" if word in answers else "250 fine\r\n" * known

    with Odd(says) as server:
        assert same(sent(server.port)) == (DeliveryStatus.SENT, None)
    assert [line.partition(" ")[0] for line in server.heard[:3]] == ["ehlo", "helo", "mail"]
    assert "MAIL FROM:<watch@example.com>" in [line.replace("mail", "MAIL") for line in server.heard]


def test_a_server_that_does_not_say_goodbye_has_the_mail_all_the_same():
    """What was taken is taken."""

    def says(line):
        word = line.partition(" ")[0].upper()
        if word == "QUIT":
            return None
        return {"": "220 here\r\n", "DATA": "354 go on\r\n"}.get(
            word, "250 fine\r\n" if word in ("EHLO", "MAIL", "RCPT", ".") else ""
        )

    with Odd(says) as server:
        assert same(sent(server.port)) == (DeliveryStatus.SENT, None)


def test_a_server_that_is_none_is_told_as_such():
    """Nobody listens; there is no such name; what listens is a web server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    later(sent(port), f"127.0.0.1:{port} cannot be reached (Connection refused): see `server` and `port`")
    later(sent(25, server="mail.invalid"), "mail.invalid:25 cannot be found", "see `server`")
    with Odd(lambda _: "HTTP/1.0 400 Bad Request\r\n\r\n") as server:
        later(sent(server.port), f"127.0.0.1:{server.port} accepts no mail now")


def test_what_a_server_says_is_told_on_one_line_without_what_it_was_sent():
    """Several lines, control characters, the password and its other spellings."""
    words = base64.b64encode(f"\0watch\0{SECRET}".encode()).decode()

    def says(line):
        word = line.partition(" ")[0].upper()
        refusal = f"535-{SECRET}\r\n535-\x1b[31m {words}\r\n535 {'no ' * 500}\r\n"
        return {"": "220 here\r\n", "EHLO": "250-here\r\n250 AUTH PLAIN\r\n", "AUTH": refusal}.get(word, "")

    with Odd(says) as server:
        error = later(sent(server.port, user="watch", password="env:PASSWORD"), "535", "no no", "***")
    assert re.fullmatch(r"[ -~…]+", error)
    assert words not in error
    assert len(error) <= 300


def test_every_token_is_hidden_in_what_is_shown_of_a_channel():
    """References only: what is printed of a destination has no secret."""
    assert TOKEN not in repr(Destination("ops", replace(CHANNEL, user="watch", token="env:TOKEN")))


def test_nothing_of_a_transport_is_loaded_before_it_is_needed():
    """The quiet run stays quick: what sends mail is imported when a mail is sent."""
    code = "import sys, pipeline.delivery.outbox; print({'smtplib', 'httpx', 'apprise'} & {*sys.modules})"
    root = ROOT
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_headers_decode_in_what_arrived(trusted):
    """A subject and names in other scripts, read as a mail program does."""
    mailbox = Mailbox()
    with serving(mailbox, tls=trusted.context()) as port:
        receipts = sent(
            port,
            letter(subject="模型が2つ消えた: " + "長い名前 " * 20),
            security="tls",
            sender="モデル監視 <watch@example.com>",
        )
    assert same(receipts) == (DeliveryStatus.SENT, None)
    mail = read(mailbox.taken[0].original_content)
    assert mail["Subject"] == ("模型が2つ消えた: " + "長い名前 " * 20).strip()
    assert mail["From"].addresses[0].display_name == "モデル監視"
