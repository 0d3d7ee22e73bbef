"""A connection to a mail server: in plain only where told so, signed in, and bounded in time.

Mails by a mail server: one transaction for all recipients, and what became of each.
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from pipeline.core.addresses import mailbox
from pipeline.core.text import mask, redact
from pipeline.core.types import Resolve, Secret
from pipeline.delivery.channels import BOUND, given
from pipeline.delivery.channels.mail import compose
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, Smtp
from pipeline.reports.types import Message

_READY, _GO_ON, _SIGNED_IN = 220, 334, 235


class Undeliverable(Exception):  # noqa: N818 - named for what the letter is
    """The letter was taken for nobody, and may be tried again; says why, perhaps with secrets."""


class _Alarm:
    """Cuts a connection off when its time is over."""

    def __init__(self, seconds: float) -> None:
        self.overdue = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._handle: socket.socket | None = None

    def watch(self, connection: socket.socket) -> None:
        """Begin to count."""
        # A handle of its own: what becomes a connection with TLS is another object by then.
        self._handle = connection.dup()
        self._timer.start()

    def _cut(self) -> None:
        self.overdue = True
        with suppress(OSError):  # it was closed in this moment
            if self._handle:
                self._handle.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Let go of the connection."""
        if self._handle:
            self._timer.cancel()
            self._handle.close()


class _Connection(smtplib.SMTP):
    """Speaks TLS from the start if it has a context, and is watched by an alarm."""

    def __init__(self, channel: Smtp, context: ssl.SSLContext | None, alarm: _Alarm) -> None:
        self._context = context
        self._alarm = alarm
        super().__init__(channel.server, channel.port, timeout=channel.timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        self._alarm.watch(plain)
        return self._context.wrap_socket(plain, server_hostname=host) if self._context else plain


@contextmanager
def session(channel: Smtp, secret: Secret | None) -> Iterator[smtplib.SMTP]:
    """Give a connection on which mails may be sent.

    Raises:
        Undeliverable: there is none, it breaks, or it takes too long; here or while it is used.
    """
    connection: _Connection | None = None
    alarm = _Alarm(BOUND * channel.timeout)
    place = f"{channel.server}:{channel.port}"
    try:
        context = None if channel.security == "none" else ssl.create_default_context()
        connection = _connected(channel, context, alarm, place)
        _greet(connection, channel, context, place)
        if secret is not None:
            _sign_in(connection, channel, secret, place)
        yield connection
        # The mail is taken by now; a server that does not say goodbye changes nothing.
        with suppress(smtplib.SMTPException, OSError):
            connection.quit()
    except (smtplib.SMTPException, OSError) as error:
        why = _late(place, BOUND * channel.timeout) if alarm.overdue else _why(error, place, channel)
        raise Undeliverable(why) from error
    finally:
        alarm.stop()
        if connection is not None:
            connection.close()


def _connected(channel: Smtp, context: ssl.SSLContext | None, alarm: _Alarm, place: str) -> _Connection:
    try:
        return _Connection(channel, context if channel.security == "tls" else None, alarm)
    except smtplib.SMTPConnectError as error:
        raise Undeliverable(
            f"{place} takes no mail now: {answer(error.smtp_code, error.smtp_error)}"
        ) from error


def _greet(connection: smtplib.SMTP, channel: Smtp, context: ssl.SSLContext | None, place: str) -> None:
    connection.ehlo_or_helo_if_needed()
    if channel.security != "starttls" or context is None:
        return
    if not connection.has_extn("starttls"):
        raise Undeliverable(
            f'{place} offers no STARTTLS, so nothing was sent: try security = "tls" with port 465'
        )
    try:
        connection.starttls(context=context)
    except smtplib.SMTPResponseException as error:
        said = answer(error.smtp_code, error.smtp_error)
        raise Undeliverable(f"{place} refuses STARTTLS, so nothing was sent: {said}") from error
    connection.ehlo_or_helo_if_needed()


def _sign_in(connection: smtplib.SMTP, channel: Smtp, secret: Secret, place: str) -> None:
    offered = connection.esmtp_features.get("auth", "").upper().split()
    way = next((way for way in _ways(channel) if way in offered), None)
    if way is None:
        raise Undeliverable(
            f"{place} offers no sign-in by {' or '.join(_ways(channel))}"
            f" (it offers {', '.join(offered) or 'none'}): see `security`, `port` and `user`"
        )
    if way == "LOGIN":
        code, said = connection.docmd("AUTH", "LOGIN")
        for word in (channel.user or "", secret.reveal()):
            if code == _GO_ON:
                code, said = connection.docmd(_base64(word))
    else:
        code, said = connection.docmd("AUTH", f"{way} {_words(way, channel, secret)}")
        if code == _GO_ON:
            # So does XOAUTH2 tell what is wrong: it wants an empty line before it says no.
            code, said = connection.docmd("")
    if code != _SIGNED_IN:
        what = "a new `token`" if channel.token else "`user` and `password`"
        raise Undeliverable(f"{place} does not let {channel.user} sign in: {answer(code, said)}: see {what}")


def _ways(channel: Smtp) -> tuple[str, ...]:
    return ("XOAUTH2",) if channel.token else ("PLAIN", "LOGIN")


def _words(way: str, channel: Smtp, secret: Secret) -> str:
    if way == "XOAUTH2":
        return _base64(f"user={channel.user}\x01auth=Bearer {secret.reveal()}\x01\x01")
    return _base64(f"\0{channel.user}\0{secret.reveal()}")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def spelled(channel: Smtp, secret: Secret | None) -> list[str]:
    """Give the secret in every form in which a server could repeat it, the longest first."""
    if secret is None:
        return []
    ways = ("PLAIN", "XOAUTH2")
    return [*(_words(way, channel, secret) for way in ways), _base64(secret.reveal()), secret.reveal()]


def answer(code: int, said: bytes | str) -> str:
    """Show an answer of a mail server: its code, and what it says, on one line."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())}".strip()


def _late(place: str, seconds: float) -> str:
    return f"{place} did not take the mail within {seconds:g} s: see `timeout`"


def _why(error: Exception, place: str, channel: Smtp) -> str:
    """Say what is wrong with a connection, and what to do."""
    cause = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else error
    match cause:
        case TimeoutError():
            return f"no answer from {place} within {channel.timeout:g} s: see `server`, `port` and `security`"
        case ssl.SSLError():
            return _no_tls(cause, place)
        case socket.gaierror():
            return f"{place} cannot be found ({cause.strerror}): see `server`"
        case smtplib.SMTPResponseException():
            return f"{place} answered {answer(cause.smtp_code, cause.smtp_error)}"
        case OSError() if not isinstance(cause, smtplib.SMTPException):
            return f"{place} cannot be reached ({cause.strerror or cause}): see `server` and `port`"
        case _:
            return f"{place} closed the connection; the mail goes again, and may then arrive twice"


def _no_tls(error: ssl.SSLError, place: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {place} is not good ({error.verify_message}): write in `server` the name"
            " that it is for; the certificate of a CA of your own goes into the file that SSL_CERT_FILE names"
        )
    return f'{place} speaks no TLS there ({error.reason}): for port 587 write security = "starttls"'


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

    def send(self, letter: Message) -> dict[str, DeliveryResult]:
        """Send a letter; one that is too large once more without its attachments."""
        try:
            return self._transaction(letter)
        except _Refused as refused:
            if not (refused.too_large and letter.attachments):
                return self._told(refused)
        from pipeline.reports.render import without_attachments

        self.connection.rset()
        try:
            return self._transaction(without_attachments(letter))
        except _Refused as refused:
            return self._told(refused)

    def _transaction(self, letter: Message) -> dict[str, DeliveryResult]:
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
        return dict.fromkeys(self.recipients, DeliveryResult(DeliveryStatus.SENT)) | refused

    def _refused_recipients(self) -> dict[str, DeliveryResult]:
        refused: dict[str, DeliveryResult] = {}
        for recipient in self.recipients:
            code, said = self.connection.rcpt(recipient)
            if code == _CLOSING:
                raise Undeliverable(f"{self.place} takes no more now: {answer(code, said)}")
            if code not in _TAKEN:
                fate = DeliveryStatus.NEVER if code >= _FINAL and code not in _OURS else DeliveryStatus.LATER
                why = f"{self.place} does not take mail for {recipient}: {answer(code, said)}"
                refused[recipient] = DeliveryResult(fate, why)
        return refused

    def _told(self, refused: _Refused) -> dict[str, DeliveryResult]:
        """Say of a letter that nobody takes: what is wrong with it is final, not what is wrong with us."""
        if refused.sender and not refused.too_large:
            why = f"{self.place} takes no mail from {mailbox(self.channel.sender).address}: {refused}"
            return self._all(DeliveryStatus.LATER, f"{why}: see `from` and `user`")
        fate = DeliveryStatus.NEVER if refused.code >= _FINAL else DeliveryStatus.LATER
        return self._all(fate, f"{self.place} does not take the mail: {refused}")

    def _all(self, fate: DeliveryStatus, error: str) -> dict[str, DeliveryResult]:
        return dict.fromkeys(self.recipients, DeliveryResult(fate, error))


def send_with_smtp(
    channel: Smtp, letter: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
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
        receipts = dict.fromkeys(recipients, DeliveryResult(DeliveryStatus.LATER, str(error)))
    # What a server says may repeat what it was sent.
    secrets = spelled(channel, secret)
    return {
        recipient: replace(receipt, error=receipt.error and redact(mask(receipt.error, secrets)))
        for recipient, receipt in receipts.items()
    }
