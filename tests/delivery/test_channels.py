"""The other ways of a letter: a program, a directory, a webhook, chats; each tried on the real thing."""

import hashlib
import hmac
import json
import logging
import re
import stat
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from support import ROOT
from support.e2e import Reply, Scripted
from support.mailing import LETTER, letter, read

from pipeline.core.types import Secret, Severity
from pipeline.delivery.channels import recipients, send
from pipeline.delivery.types import (
    Apprise,
    DeliveryStatus,
    Files,
    MailDirectory,
    Sendmail,
    Webhook,
)
from pipeline.errors import Unresolved

ANN, BOB = "ann@example.com", "bob@example.com"
KEY = "whsec-0123456789"


def handed(channel, told=LETTER, **secrets):
    """Hand a letter to all recipients of a channel; give the one receipt of them all."""

    def resolve(reference):
        if reference not in secrets:
            raise Unresolved(f"{reference} is not set, so nothing was sent")
        return Secret(secrets[reference])

    to = recipients(channel)
    receipts = send(channel, told, to, resolve)
    assert tuple(receipts) == to
    (receipt,) = set(receipts.values())
    assert receipt.error is None or "\n" not in receipt.error
    assert not any(secret in str(receipt.error) for secret in secrets.values() if secret.strip())
    return receipt


@pytest.fixture
def program(tmp_path):
    """Write a program that stands for sendmail; give the channel that hands letters to it."""

    def program(body, **settings):
        path = tmp_path / "sendmail"
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(body)}", "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return Sendmail("Watch <watch@example.com>", (f"Ann <{ANN}>", BOB), (str(path), "--own"), **settings)

    return program


def test_a_program_gets_the_mail_and_its_recipients(program, tmp_path):
    """As sendmail does: the options that each knows, the mail on standard input."""
    channel = program(f"""
        import pathlib, sys
        place = pathlib.Path({str(tmp_path)!r})
        (place / "words").write_text(" ".join(sys.argv[1:]))
        (place / "mail").write_bytes(sys.stdin.buffer.read())
    """)
    assert recipients(channel) == (ANN, BOB)
    assert handed(channel).status == DeliveryStatus.SENT
    assert (tmp_path / "words").read_text() == f"--own -i -f watch@example.com {ANN} {BOB}"
    content = (tmp_path / "mail").read_bytes()
    assert b"\r" not in content
    mail = read(content)
    assert mail["To"] == f"Ann <{ANN}>, {BOB}"
    assert [part.get_filename() for part in mail.iter_attachments()] == ["changes.csv", "changes.json"]


@pytest.mark.parametrize(
    ("code", "fate", "why"),
    [
        (65, DeliveryStatus.REFUSED, " (cannot read the mail)"),
        (67, DeliveryStatus.REFUSED, " (knows no such recipient)"),
        (75, DeliveryStatus.RETRY, ""),
        (78, DeliveryStatus.RETRY, ""),
        (1, DeliveryStatus.RETRY, ""),
    ],
)
def test_what_a_program_says_at_its_end_is_told(program, code, fate, why):
    """Its exit code, what that means, and its last line."""
    receipt = handed(
        program(f"""
            import sys
            sys.stdin.read()
            sys.stderr.write("first\\nno\\x1b way\\n")
            sys.exit({code})
        """)
    )
    assert receipt.status == fate
    assert receipt.error.endswith(f"sendmail exited with {code}{why}: no  way")


def test_a_program_that_reads_nothing_is_no_broken_pipe(program):
    """It says why it ended, however much was left for it."""
    receipt = handed(program("import sys\nsys.exit(75)"), letter(text="x" * 1_000_000))
    assert (receipt.status, receipt.error.count("exited with 75")) == (DeliveryStatus.RETRY, 1)


def test_a_program_that_hangs_is_stopped_with_all_that_it_started(tmp_path):
    """Its children would hold its output open, and be waited for."""
    path, started = tmp_path / "sendmail", tmp_path / "started"
    path.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! >{started}\nwait\n")
    path.chmod(0o755)
    for patience in (0.2, 2.0, 20.0):
        receipt = handed(Sendmail("w@example.com", (ANN,), (str(path),), timeout=patience))
        assert receipt.status == DeliveryStatus.RETRY
        assert receipt.error == f"{path} did not end within {patience:g} s, and was stopped: see `timeout`"
        # On a busy machine it may not have come so far.
        if started.exists() and started.read_text():
            break
    state = Path(f"/proc/{int(started.read_text())}/stat")
    while state.exists() and ") Z " not in state.read_text():
        time.sleep(0.01)


def test_a_program_that_is_not_there_is_told_with_its_cure(tmp_path):
    """The letter waits for it to be installed."""
    receipt = handed(Sendmail("w@example.com", (ANN,), (str(tmp_path / "none"),)))
    assert receipt.status == DeliveryStatus.RETRY
    assert receipt.error == f"{tmp_path}/none cannot be started: No such file or directory: see `command`"


def test_a_letter_is_a_file_named_after_its_id(tmp_path):
    """The directory is made; the same letter again is the same file."""
    channel = MailDirectory(tmp_path / "a" / "mails")
    assert recipients(channel) == (str(tmp_path / "a" / "mails"),)
    for _ in range(2):
        assert handed(channel).status == DeliveryStatus.SENT
    (path,) = channel.path.iterdir()
    assert path.name == "20261101T070000Z.ops@modelwatch.example.eml"
    mail = read(path.read_bytes())
    assert (mail["From"], mail["To"]) == ("modelwatch <modelwatch@localhost>", None)
    assert [part.get_filename() for part in mail.iter_attachments()] == ["changes.csv", "changes.json"]


@pytest.mark.parametrize(
    ("message_id", "name"),
    [
        ("<../../etc/passwd@x>", "_.._etc_passwd@x.eml"),
        ("<.hidden@x>", "hidden@x.eml"),
        ("<a b\n\0c@x>", "a_b_c@x.eml"),
        (f"<{'a' * 400}@x>", f"{'a' * 200}.eml"),
    ],
)
def test_no_id_leads_out_of_the_directory(tmp_path, message_id, name):
    """Nor to a hidden file, nor to a name that no file can have."""
    assert handed(MailDirectory(tmp_path), letter(message_id=message_id)).status == DeliveryStatus.SENT
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    """The letter waits; no half of a file is left."""
    (tmp_path / "mails").write_text("a file")
    receipt = handed(MailDirectory(tmp_path / "mails"))
    assert (receipt.status, receipt.error) == (
        DeliveryStatus.RETRY,
        f"{tmp_path}/mails: the mail cannot be written: File exists",
    )
    (tmp_path / "m" / "20261101T070000Z.ops@modelwatch.example.eml").mkdir(parents=True)
    assert handed(MailDirectory(tmp_path / "m")).status == DeliveryStatus.RETRY
    assert len(list((tmp_path / "m").iterdir())) == 1


def test_a_webhook_gets_the_report_signed(tmp_path):
    """What is said, the report as it is, an id, and a signature that its receiver can compute."""
    with Scripted(lambda _: Reply(b"ok", 202)) as server:
        channel = Webhook(f"{server.url}/hook", "env:KEY", (("Authorization", "env:AUTH"), ("X-Room", "ops")))
        assert recipients(channel) == (f"{server.url}/hook",)
        receipt = handed(
            channel, letter(subject="模型が2つ消えた"), **{"env:KEY": KEY, "env:AUTH": "Bearer abcdef"}
        )
        assert receipt.status == DeliveryStatus.SENT
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/hook")
    assert asked.headers["Content-Type"] == "application/json"
    assert (asked.headers["Authorization"], asked.headers["X-Room"]) == ("Bearer abcdef", "ops")
    assert asked.headers["X-Modelwatch-Id"] == LETTER.message_id.strip("<>")
    stamp = asked.headers["X-Modelwatch-Timestamp"]
    expected = hmac.new(KEY.encode(), stamp.encode() + b"." + asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["X-Modelwatch-Signature"] == f"sha256={expected}"
    assert abs(int(stamp) - time.time()) < 600
    assert json.loads(asked.body) == {
        "message_id": LETTER.message_id,
        "at": LETTER.at,
        "severity": "breaking",
        "language": "en",
        "subject": "模型が2つ消えた",
        "text": LETTER.text,
        "report": {"changes": [], "price": 0.1},
    }
    assert b'"price": 0.10}' in asked.body


def test_a_receiver_can_check_the_signature_as_the_readme_says():
    """Its few lines are right: what was sent is genuine, what was changed is not."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(  import hashlib.*?)  ```", readme, re.DOTALL)
    names = {}
    exec(textwrap.dedent(code), names)
    with Scripted(lambda _: Reply()) as server:
        assert handed(Webhook(server.url, "env:KEY"), **{"env:KEY": KEY}).status == DeliveryStatus.SENT
    (asked,) = server.asked
    assert names["is_genuine"](KEY.encode(), asked.headers, asked.body)
    assert not names["is_genuine"](KEY.encode(), asked.headers, asked.body + b" ")
    assert not names["is_genuine"](b"other", asked.headers, asked.body)


def test_a_webhook_without_a_secret_is_not_signed():
    """The id and the time are there all the same; what matters to nobody has no severity."""
    with Scripted(lambda _: Reply()) as server:
        assert handed(Webhook(server.url), letter(severity=None)).status == DeliveryStatus.SENT
    (asked,) = server.asked
    assert "X-Modelwatch-Signature" not in asked.headers
    assert json.loads(asked.body)["severity"] is None


def test_an_address_that_is_a_secret_stays_one():
    """It is named as it is written, in the outbox and in errors."""
    with Scripted(lambda _: Reply(b"no /T0123/B4567 here", 404)) as server:
        channel = Webhook("env:HOOK")
        assert recipients(channel) == ("env:HOOK",)
        receipt = handed(channel, **{"env:HOOK": f"{server.url}/T0123/B4567"})
    assert server.asked[0].path == "/T0123/B4567"
    assert receipt.error == "env:HOOK answered 404 (see `url`): no /***/*** here"


@pytest.mark.parametrize(
    ("status", "headers", "fate", "wait"),
    [
        (200, (), DeliveryStatus.SENT, None),
        (204, (), DeliveryStatus.SENT, None),
        (301, (("Location", "https://elsewhere.example/?key=1"),), DeliveryStatus.REFUSED, None),
        (400, (), DeliveryStatus.REFUSED, None),
        (401, (), DeliveryStatus.REFUSED, None),
        (404, (), DeliveryStatus.REFUSED, None),
        (410, (), DeliveryStatus.REFUSED, None),
        (418, (), DeliveryStatus.REFUSED, None),
        (408, (), DeliveryStatus.RETRY, None),
        (425, (), DeliveryStatus.RETRY, None),
        (429, (("Retry-After", "120"),), DeliveryStatus.RETRY, 120.0),
        (429, (("Retry-After", "soon"),), DeliveryStatus.RETRY, None),
        (429, (("Retry-After", "9" * 400),), DeliveryStatus.RETRY, 86_400.0),
        (503, (("Retry-After", "0"),), DeliveryStatus.RETRY, None),
        (503, (("Retry-After", "Sun, 01 Nov 2020 07:00:00 GMT"),), DeliveryStatus.RETRY, None),
        (503, (("Retry-After", "Fri, 01 Nov 2999 07:00:00 GMT"),), DeliveryStatus.RETRY, 86_400.0),
        (500, (), DeliveryStatus.RETRY, None),
    ],
)
def test_what_a_webhook_answers_decides(status, headers, fate, wait):
    """Taken, to be tried again when it says, or never; with what it says and what to do."""
    with Scripted(lambda _: Reply(b"because" if status > 204 else b"", status, headers)) as server:
        receipt = handed(Webhook(f"{server.url}/hook", "env:KEY"), **{"env:KEY": KEY})
    assert (receipt.status, receipt.retry_after) == (fate, wait)
    assert len(server.asked) == 1
    if status == 301:
        assert receipt.error.endswith(
            "redirects to https://elsewhere.example/: nothing was sent there; see `url`"
        )
    elif fate != DeliveryStatus.SENT:
        assert f"{server.url}/hook answered {status}" in receipt.error
        assert receipt.error.endswith(": because")


def test_what_a_webhook_says_is_told_without_what_it_was_sent():
    """Its answer may repeat the key; a page is no explanation."""
    with Scripted(lambda _: Reply(f"bad\n\x1b[31m key {KEY}".encode(), 401)) as server:
        receipt = handed(Webhook(server.url, "env:KEY"), **{"env:KEY": KEY})
    assert receipt.error.endswith("answered 401 (see `secret` and `headers`): bad [31m key ***")
    with Scripted(lambda _: Reply(b"<html>no</html>", 500)) as server:
        assert handed(Webhook(server.url)).error.endswith("answered 500")


def test_what_cannot_be_read_of_an_answer_changes_nothing():
    """Packed wrongly: its status says what matters."""
    packed = (("Content-Encoding", "gzip"),)
    with Scripted(lambda _: Reply(b"no gzip", 500, packed)) as server:
        receipt = handed(Webhook(server.url))
    assert (receipt.status, receipt.error) == (DeliveryStatus.RETRY, f"{server.url} answered 500")


def test_certificates_that_cannot_be_read_are_told(monkeypatch, tmp_path):
    """The letter waits for the variable to be put right."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    receipt = handed(Webhook("https://127.0.0.1:1/"))
    assert receipt.status == DeliveryStatus.RETRY
    assert "SSL_CERT_FILE" in receipt.error


def test_a_webhook_that_is_not_there_is_tried_again():
    """Nobody listens; no such name; an answer that is none; silence."""
    with Scripted(lambda _: Reply()) as server:
        url = server.url
    assert handed(Webhook(url)).error.startswith(f"{url} cannot be reached: ")
    assert "cannot be reached" in handed(Webhook("http://hook.invalid/")).error


def test_a_webhook_that_is_silent_is_not_waited_for():
    """The patience for an answer is that of the config."""
    gone = threading.Event()
    with Scripted(lambda _: Reply(str(gone.wait()).encode())) as server:
        receipt = handed(Webhook(server.url, timeout=0.1))
        gone.set()
    assert (receipt.status, receipt.error) == (
        DeliveryStatus.RETRY,
        f"no answer from {server.url} within 0.1 s",
    )


@pytest.mark.parametrize(
    ("channel", "secrets", "why"),
    [
        (Webhook("env:HOOK"), {}, "env:HOOK is not set"),
        (Webhook("env:HOOK"), {"env:HOOK": " "}, "env:HOOK is empty"),
        (Webhook("env:HOOK"), {"env:HOOK": "https://x/é\n1"}, "env:HOOK has characters"),
        (Webhook("https://x", headers=(("A", "env:A"),)), {"env:A": "1\r\nB: 2"}, "env:A has characters"),
        (Webhook("https://x", "env:KEY"), {}, "env:KEY is not set"),
        (Apprise(("env:CHAT",)), {}, "env:CHAT is not set"),
        (Apprise(("env:CHAT",)), {"env:CHAT": ""}, "env:CHAT is empty"),
    ],
)
def test_a_secret_that_cannot_be_sent_waits(channel, secrets, why):
    """Somebody will put it right; nothing was sent."""
    receipt = handed(channel, **secrets)
    assert receipt.status == DeliveryStatus.RETRY
    assert why in receipt.error


def chat(server, path="room", **parameters):
    """Give the Apprise address of a server that takes JSON."""
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"json://user:s3cr3tpass@{server.url.removeprefix('http://')}/{path}{query and '?'}{query}"


def test_a_chat_gets_the_report_as_markdown():
    """By whatever Apprise has for its address; a room is called by nobody's name for a model."""
    markdown = "**Gone**: @everyone @here <!channel> <@U1> <at id=all> <http://x.example|y> @cf/meta <b>"
    with Scripted(lambda _: Reply()) as server:
        channel = Apprise(("env:CHAT",))
        assert recipients(channel) == ("env:CHAT",)
        told = letter(markdown=markdown, severity=Severity.URGENT)
        assert (
            handed(channel, told, **{"env:CHAT": chat(server, format="markdown")}).status
            == DeliveryStatus.SENT
        )
    (asked,) = server.asked
    body = json.loads(asked.body)
    assert (body["title"], body["type"]) == (LETTER.subject, "failure")
    assert (
        body["message"].replace("\u200b", "|")
        == "**Gone**: @|everyone @|here <|!channel> <|@U1> <|at id=all> <|http://x.example|y> @cf/meta <b>"
    )


def test_each_chat_of_a_destination_has_its_own_fate():
    """One takes it, one does not, one address is none."""
    with Scripted(lambda asked: Reply(b"no", 200 if asked.path == "/good" else 500)) as server:
        addresses = {"env:A": chat(server, "good"), "env:B": chat(server, "bad"), "env:C": "nonsense"}
        channel = Apprise(tuple(addresses))
        receipts = send(channel, LETTER, recipients(channel), lambda r: Secret(addresses[r]))
    assert [receipt.status for receipt in receipts.values()] == [
        DeliveryStatus.SENT,
        DeliveryStatus.RETRY,
        DeliveryStatus.REFUSED,
    ]
    assert "error=500" in receipts["env:B"].error
    assert receipts["env:C"].error == "env:C holds no URL that Apprise supports"


def test_a_chat_that_is_silent_is_not_waited_for():
    """The patience for an answer is that of the config."""
    gone = threading.Event()
    with Scripted(lambda _: Reply(str(gone.wait()).encode())) as server:
        receipt = handed(Apprise(("env:CHAT",), timeout=0.2), **{"env:CHAT": chat(server)})
        gone.set()
    assert receipt.status == DeliveryStatus.RETRY
    assert receipt.error.startswith("env:CHAT: ")


def test_no_part_of_a_chats_address_is_told(caplog):
    """Neither in the error nor in anybody's log: tokens stand in its path."""
    with Scripted(lambda _: Reply(b"no", 403)) as server:
        url = chat(server, "T0KEN1/T0KEN2")
    with caplog.at_level(logging.DEBUG):
        receipt = handed(Apprise(("env:CHAT",)), **{"env:CHAT": url})
    assert receipt.status == DeliveryStatus.RETRY
    for text in (
        receipt.error,
        *(record.getMessage() for record in caplog.records if record.name == "apprise"),
    ):
        assert not [part for part in ("T0KEN1", "T0KEN2", "s3cr3tpass") if part in text]


def test_what_is_too_long_for_a_service_is_cut():
    """One message, as long as the service takes; not many, and no refusal."""
    with Scripted(lambda _: Reply()) as server:
        url = chat(server)
        assert (
            handed(Apprise(("env:CHAT",)), letter(markdown="word " * 20_000), **{"env:CHAT": url}).status
            == DeliveryStatus.SENT
        )
    (asked,) = server.asked
    assert 1000 < len(json.loads(asked.body)["message"]) <= 32_768


def test_without_apprise_it_is_said_what_to_install(monkeypatch):
    """It is an extra; the letter waits for it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    receipt = handed(Apprise(("env:CHAT",)), **{"env:CHAT": "json://localhost"})
    assert receipt.status == DeliveryStatus.RETRY
    assert receipt.error == "env:CHAT needs Apprise, which is not installed: pip install 'modelwatch[notify]'"


def test_files_are_none_of_its_business(tmp_path):
    """They are written where reports are written; who gets them is known all the same."""
    channel = Files(tmp_path / "web")
    assert recipients(channel) == (str(tmp_path / "web"),)
    with pytest.raises(KeyError):
        handed(channel)
