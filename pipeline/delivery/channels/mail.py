"""Mails as `.eml` files in a directory: each whole or not at all, the same letter always under one name.

A letter as a mail: text, HTML and attachments, the same bytes however often it is written.

Mails by a program that takes them on its standard input, as sendmail does.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from datetime import datetime
from email.header import Header
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy, Policy
from hashlib import sha256
from pathlib import Path

from pipeline.core.addresses import Mailbox, mailbox
from pipeline.core.text import one_line, redact
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, MailDirectory, Sendmail
from pipeline.reports.types import Message

_LONGEST_WORDS = 250


_LONGEST_WORD = 60


_NO_ID = re.compile(r"[^!-~]")


class _AsItIs(UnstructuredHeader):
    """A header of ids and addresses, which no reader would decode: never folded into encoded words."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


class _Words(UnstructuredHeader):
    """A header of words; its spaces are kept where it is folded, which the policy's own folding loses."""

    def fold(self, *, policy: Policy) -> str:
        plain = self.isascii() and max(map(len, self.split()), default=0) < _LONGEST_WORD  # type: ignore[attr-defined]
        header = Header(str(self), "us-ascii" if plain else "utf-8", header_name=self.name)  # type: ignore[attr-defined]
        return f"{self.name}: {header.encode(linesep=policy.linesep)}{policy.linesep}"  # type: ignore[attr-defined]


def _policy() -> EmailPolicy[EmailMessage]:
    headers = HeaderRegistry()
    for name in ("message-id", "references", "list-id", "list-unsubscribe"):
        headers.map_to_type(name, _AsItIs)  # type: ignore[arg-type]  # a mixin, as its own are
    headers.map_to_type("subject", _Words)  # type: ignore[arg-type]
    # Not every server takes eight bits, and what is signed on the way must not be written anew.
    return SMTP.clone(cte_type="7bit", header_factory=headers)


_POLICY = _policy()


def compose(letter: Message, *, sender: str, to: Sequence[str], reply_to: str | None = None) -> bytes:
    """Write a letter as a mail: lines end in CR LF, none is longer than 998 bytes, all are ASCII.

    Its date is that of the run that it tells of: a mail that is sent again is the same mail.

    Args:
        letter: what to write; its texts may hold whatever a gateway says.
        sender: the address in From.
        to: the addresses in To, all recipients of the destination.
        reply_to: where answers go, when not to the sender.
    """
    message = EmailMessage(policy=_POLICY)
    own = mailbox(sender)
    message["Subject"] = _words(letter.subject)
    message["From"] = _address(own)
    if to:
        message["To"] = [_address(mailbox(text)) for text in to]
    if reply_to:
        message["Reply-To"] = _address(mailbox(reply_to))
    message["Date"] = datetime.fromisoformat(letter.at)
    for name, value in _threads(letter, own).items():
        message[name] = value
    _fill(message, letter)
    message["Content-Language"] = letter.language
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{number}_{sha256(repr(letter).encode()).hexdigest()[:40]}")
    return message.as_bytes()


def _address(own: Mailbox) -> Address:
    return Address(_words(own.name), own.local, own.domain)


def _words(text: str) -> str:
    """Give words for a header; what looks like an encoded word would be decoded, line breaks and all."""
    return one_line(text, _LONGEST_WORDS).replace("=?", "= ?")


def _threads(letter: Message, sender: Mailbox) -> dict[str, str]:
    """Give the headers by which readers and programs know what it is and what it belongs to."""
    thread = _id(letter.thread)
    return {
        "Message-ID": f"<{_id(letter.message_id)}>",
        "References": f"<{thread}>",
        "List-Id": f"<{thread.replace('@', '.')}>",
        "List-Unsubscribe": f"<mailto:{sender.address}?subject=unsubscribe>",
        "Auto-Submitted": "auto-generated",
    }


def _id(text: str) -> str:
    return _NO_ID.sub("", text).strip("<>")


def _fill(message: EmailMessage, letter: Message) -> None:
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    for attachment in letter.attachments:
        # Texts are ours, and UTF-8, whether their type says so or not.
        kind, _, subtype = attachment.media_type.partition(";")[0].strip().partition("/")
        message.add_attachment(
            attachment.content,
            maintype=kind,
            subtype=subtype,
            filename=_words(attachment.name),
            params={"charset": "utf-8"} if kind == "text" else None,
        )


_NO_NAME = re.compile(r"[^A-Za-z0-9._@+-]+")


_LONGEST = 200


def write_eml(channel: MailDirectory, letter: Message) -> DeliveryResult:
    """Write a letter into the directory, which is made when it is not there."""
    content = compose(letter, sender=channel.sender, to=channel.recipients)
    try:
        channel.path.mkdir(parents=True, exist_ok=True)
        _replace(channel.path / file_name(letter), content)
    except OSError as error:
        return DeliveryResult(
            DeliveryStatus.LATER, redact(f"{channel.path}: the mail cannot be written: {error.strerror}")
        )
    return DeliveryResult(DeliveryStatus.SENT)


def file_name(letter: Message) -> str:
    """Name the file of a letter after its id."""
    name = _NO_NAME.sub("_", letter.message_id.strip("<>")).lstrip(".")
    return f"{name[:_LONGEST]}.eml"


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            # It is told as sent in a database that outlives a loss of power; so must the file.
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


_FINAL = {65: "cannot read the mail", 67: "knows no such recipient", 68: "knows no such host"}
"""Of the exit codes in sysexits.h those that another try will not change."""


def send_with_sendmail(channel: Sendmail, letter: Message, recipients: tuple[str, ...]) -> DeliveryResult:
    """Hand a letter to the program, once for all recipients; it says the same of each of them."""
    program = channel.command[0]
    words = [*channel.command, "-i", "-f", mailbox(channel.sender).address, *recipients]
    mail = compose(letter, sender=channel.sender, to=channel.recipients, reply_to=channel.reply_to)
    try:
        code, said = _run(words, _lines(mail), channel.timeout)
    except subprocess.TimeoutExpired:
        return DeliveryResult(
            DeliveryStatus.LATER,
            redact(f"{program} did not end within {channel.timeout:g} s, and was stopped"),
        )
    except OSError as error:
        return DeliveryResult(
            DeliveryStatus.LATER, redact(f"{program} cannot be started: {error.strerror}: see `command`")
        )
    if code == 0:
        return DeliveryResult(DeliveryStatus.SENT)
    why = _FINAL.get(code, "the mail goes with a later run")
    return DeliveryResult(
        DeliveryStatus.NEVER if code in _FINAL else DeliveryStatus.LATER,
        redact(f"{program} ended with {code} ({why}){': ' if said else ''}{said}"),
    )


def _lines(mail: bytes) -> bytes:
    """End lines as programs on this system do; some sendmails make CR CR LF of what ends in CR LF."""
    return mail.replace(b"\r\n", b"\n")


def _run(words: list[str], mail: bytes, patience: float) -> tuple[int, str]:
    """Run the program, and give its exit code and the last line that it said."""
    with subprocess.Popen(  # noqa: S603 - the user's own
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(mail, timeout=patience)
        except subprocess.TimeoutExpired:
            # What it has started holds its output open, and would be waited for.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return process.returncode, lines[-1] if lines else ""
