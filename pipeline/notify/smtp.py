"""Mails by a mail server: one transaction for all recipients, and what became of each."""

from __future__ import annotations

import re
import smtplib
from dataclasses import dataclass, replace

from pipeline.addresses import mailbox
from pipeline.destinations import Fate, Letter, Receipt, Smtp
from pipeline.notify.mail import compose
from pipeline.notify.resolving import given
from pipeline.notify.session import Undeliverable, answer, session, spelled
from pipeline.types import Resolve
from pipeline.wording import masked, told

_TAKEN = frozenset({250, 251, 252})
_FINAL = 500
_FULL = 552
"""Of a letter: too large; of a recipient: the mailbox is full, or there are too many recipients."""

_OURS = frozenset({_FULL, 530, 534, 535, 538})
"""Of a recipient: what is no refusal of it for good, but a full mailbox or a sign-in that is missing."""

_TOO_LARGE = re.compile(r"\d+ 5\.(2\.3|3\.4)\b")
_CLOSING = 421


class _Refused(Exception):  # noqa: N818 - what the server did
    """The server takes this letter for nobody; `sender` says that it is whom it comes from."""

    def __init__(self, code: int, said: bytes | str, *, sender: bool) -> None:
        super().__init__(answer(code, said))
        self.code = code
        self.sender = sender
        self.too_large = code == _FULL or bool(_TOO_LARGE.match(str(self)))


@dataclass(frozen=True, slots=True)
class _Way:
    """A signed-in connection, and how letters go over it."""

    connection: smtplib.SMTP
    channel: Smtp
    recipients: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.channel.server}:{self.channel.port}"

    def send(self, letter: Letter) -> dict[str, Receipt]:
        """Send a letter; one that is too large once more without its attachments."""
        try:
            return self._transaction(letter)
        except _Refused as refused:
            if not (refused.too_large and letter.attachments):
                return self._told(refused)
        from pipeline.renderings import without_attachments

        self.connection.rset()
        try:
            return self._transaction(without_attachments(letter))
        except _Refused as refused:
            return self._told(refused)

    def _transaction(self, letter: Letter) -> dict[str, Receipt]:
        channel = self.channel
        mail = compose(letter, sender=channel.sender, to=channel.recipients, reply_to=channel.reply_to)
        size = [f"size={len(mail)}"] if self.connection.has_extn("size") else []
        code, said = self.connection.mail(mailbox(channel.sender).address, size)
        if code not in _TAKEN:
            raise _Refused(code, said, sender=True)
        refused = self._refused_recipients()
        if len(refused) == len(self.recipients):
            return refused
        try:
            code, said = self.connection.data(mail)
        except smtplib.SMTPDataError as error:
            raise _Refused(error.smtp_code, error.smtp_error, sender=False) from error
        if code not in _TAKEN:
            raise _Refused(code, said, sender=False)
        return dict.fromkeys(self.recipients, Receipt(Fate.SENT)) | refused

    def _refused_recipients(self) -> dict[str, Receipt]:
        refused: dict[str, Receipt] = {}
        for recipient in self.recipients:
            code, said = self.connection.rcpt(recipient)
            if code == _CLOSING:
                raise Undeliverable(f"{self.place} takes no more now: {answer(code, said)}")
            if code not in _TAKEN:
                fate = Fate.NEVER if code >= _FINAL and code not in _OURS else Fate.LATER
                why = f"{self.place} does not take mail for {recipient}: {answer(code, said)}"
                refused[recipient] = Receipt(fate, why)
        return refused

    def _told(self, refused: _Refused) -> dict[str, Receipt]:
        """Say of a letter that nobody takes: what is wrong with it is final, not what is wrong with us."""
        if refused.sender and not refused.too_large:
            why = f"{self.place} takes no mail from {mailbox(self.channel.sender).address}: {refused}"
            return self._all(Fate.LATER, f"{why}: see `from` and `user`")
        fate = Fate.NEVER if refused.code >= _FINAL else Fate.LATER
        return self._all(fate, f"{self.place} does not take the mail: {refused}")

    def _all(self, fate: Fate, error: str) -> dict[str, Receipt]:
        return dict.fromkeys(self.recipients, Receipt(fate, error))


def send(channel: Smtp, letter: Letter, recipients: tuple[str, ...], resolve: Resolve) -> dict[str, Receipt]:
    """Send a letter to some of a channel's recipients.

    Raises:
        Unresolved: the password or token cannot be had.
    """
    reference = channel.password or channel.token
    secret = None if reference is None else given(reference, resolve)
    try:
        with session(channel, secret) as connection:
            receipts = _Way(connection, channel, recipients).send(letter)
    except Undeliverable as error:
        receipts = dict.fromkeys(recipients, Receipt(Fate.LATER, str(error)))
    # What a server says may repeat what it was sent.
    secrets = spelled(channel, secret)
    return {
        recipient: replace(receipt, error=receipt.error and told(masked(receipt.error, secrets)))
        for recipient, receipt in receipts.items()
    }
