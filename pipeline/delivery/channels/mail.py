"""A message as a mail (RFC 5322): text, HTML and attachments; the same message gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from email.header import Header
from email.headerregistry import Address, HeaderRegistry, UniqueAddressHeader, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy, Policy
from hashlib import sha256

from pipeline.core.addresses import Mailbox, mailbox
from pipeline.core.text import one_line
from pipeline.reports.types import Message

_MAX_TEXT = 250
"""Characters in a header of text: the subject, names."""

_MAX_WORD = 60
"""The length from which a word in a header is encoded: it cannot be folded into lines of 76 characters."""

_MAX_LINE = 76
"""Characters in a line of a header that can be folded: https://www.rfc-editor.org/rfc/rfc2047#section-2."""

_NOT_IN_IDS = re.compile(r"[^!-~]")


def compose(message: Message, *, sender: str, to: Sequence[str], reply_to: str | None = None) -> bytes:
    """Return a message as a mail: lines end in CR LF, have at most 998 bytes, and are ASCII.

    Its date is that of the reported run, so that a mail that is sent again has the same bytes.

    Args:
        message: its texts may contain any characters.
        sender: the address in From.
        to: the addresses in To: all recipients of the destination.
        reply_to: the address in Reply-To; None for none.
    """
    mail = EmailMessage(policy=_POLICY)
    own = mailbox(sender)
    mail["Subject"] = _header_text(message.subject)
    mail["From"] = _address(own)
    if to:
        mail["To"] = [_address(mailbox(text)) for text in to]
    if reply_to:
        mail["Reply-To"] = _address(mailbox(reply_to))
    mail["Date"] = datetime.fromisoformat(message.at)
    for name, value in _list_headers(message).items():
        mail[name] = value
    _add_body(mail, message)
    mail["Content-Language"] = message.language
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"=_{number}_{sha256(repr(message).encode()).hexdigest()[:40]}")
    return mail.as_bytes()


def _address(own: Mailbox) -> Address:
    return Address(_header_text(own.name), own.local, own.domain)


def _header_text(text: str) -> str:
    """Return text for a header, without encoded words (RFC 2047), which could hide line breaks."""
    return one_line(text, _MAX_TEXT).replace("=?", "= ?")


def _list_headers(message: Message) -> dict[str, str]:
    """Return the headers by which mail programs group, filter and answer mails (RFC 2919, 3834)."""
    thread = _id(message.thread)
    return {
        "Message-ID": f"<{_id(message.message_id)}>",
        "References": f"<{thread}>",
        "List-Id": f"<{thread.replace('@', '.')}>",
        "Auto-Submitted": "auto-generated",
    }


def _id(text: str) -> str:
    return _NOT_IN_IDS.sub("", text).strip("<>")


def _add_body(mail: EmailMessage, message: Message) -> None:
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    for attachment in message.attachments:
        # All our texts are UTF-8, even without a charset in the media type.
        kind, _, subtype = attachment.media_type.partition(";")[0].strip().partition("/")
        mail.add_attachment(
            attachment.content,
            maintype=kind,
            subtype=subtype,
            filename=_header_text(attachment.name),
            params={"charset": "utf-8"} if kind == "text" else None,
        )


class _IdHeader(UnstructuredHeader):
    """A header of ids and addresses, which mail programs read only without folding and encoding."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


class _TextHeader(UnstructuredHeader):
    """A header of text, folded without the loss of spaces; the folding of the policy loses some."""

    def fold(self, *, policy: Policy) -> str:
        plain = self.isascii() and max(map(len, self.split()), default=0) < _MAX_WORD  # type: ignore[attr-defined]
        header = Header(str(self), "us-ascii" if plain else "utf-8", header_name=self.name)  # type: ignore[attr-defined]
        return f"{self.name}: {header.encode(linesep=policy.linesep)}{policy.linesep}"  # type: ignore[attr-defined]


class _AddressHeader(UniqueAddressHeader):
    """A header of addresses, folded between words; the folding of the policy loses the quotes of long names.

    See https://github.com/python/cpython/issues/80222.
    """

    def fold(self, *, policy: Policy) -> str:
        line, lines = f"{self.name}:", []  # type: ignore[attr-defined]
        last = len(self.addresses) - 1
        for number, address in enumerate(self.addresses):
            comma = "" if number == last else ","
            name = _phrase(address.display_name, self.name)  # type: ignore[attr-defined]
            bare = f"<{address.addr_spec}>" if name else address.addr_spec
            for word in [*name, bare + comma]:
                if len(line) + 1 + len(word) > _MAX_LINE and line:
                    lines.append(line)
                    line = ""
                line += f" {word}"
        return policy.linesep.join([*lines, line]) + policy.linesep


def _phrase(name: str, header: str) -> list[str]:
    """Return a name as the words of a header: as it is, quoted, or encoded (RFC 2047).

    See https://www.rfc-editor.org/rfc/rfc5322#section-3.2.5.
    """
    if not name.isascii() or len(name) > _MAX_WORD:
        return Header(name, "utf-8", maxlinelen=_MAX_LINE - len(header) - 4).encode().split()
    return [str(Address(name, "a", "b")).removesuffix(" <a@b>")] if name else []


def _policy() -> EmailPolicy[EmailMessage]:
    headers = HeaderRegistry()
    for name in ("message-id", "references", "list-id"):
        headers.map_to_type(name, _IdHeader)  # type: ignore[arg-type]  # a mixin, like those of the registry
    for name in ("from", "to", "reply-to"):
        headers.map_to_type(name, _AddressHeader)  # type: ignore[arg-type]
    headers.map_to_type("subject", _TextHeader)  # type: ignore[arg-type]
    # A relay without 8BITMIME would recode the mail, which breaks a DKIM signature (RFC 6376, 5.3).
    return SMTP.clone(cte_type="7bit", header_factory=headers)


_POLICY = _policy()
