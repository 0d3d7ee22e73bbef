"""A letter as a mail: text, HTML and attachments, the same bytes however often it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from email.header import Header
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy, Policy
from hashlib import sha256

from pipeline.addresses import Mailbox, mailbox
from pipeline.destinations import Letter
from pipeline.wording import harmless

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


def compose(letter: Letter, *, sender: str, to: Sequence[str], reply_to: str | None = None) -> bytes:
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
    return harmless(text, _LONGEST_WORDS).replace("=?", "= ?")


def _threads(letter: Letter, sender: Mailbox) -> dict[str, str]:
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


def _fill(message: EmailMessage, letter: Letter) -> None:
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
