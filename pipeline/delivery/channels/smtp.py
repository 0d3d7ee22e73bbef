"""Mails by a mail server: one transaction for all recipients, within a time limit.

Replies: https://www.rfc-editor.org/rfc/rfc5321#section-4.2, AUTH: https://www.rfc-editor.org/rfc/rfc4954
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.addresses import is_this_machine, mailbox
from pipeline.core.masking import Masker
from pipeline.core.network import require_certificates, tls_problem
from pipeline.core.text import redact
from pipeline.core.types import Resolve, Secret
from pipeline.delivery.channels.mail import compose
from pipeline.delivery.channels.secrets import resolve_secret, unresolved
from pipeline.delivery.deadline import Deadline, within
from pipeline.delivery.types import TOTAL_TIMEOUT, DeliveryResult, DeliveryStatus, Smtp
from pipeline.reports.types import Message

_CONTINUE, _AUTHENTICATED = 334, 235

_ACCEPTED = frozenset({250, 251, 252})

_CLOSING = 421

_PERMANENT = 500
"""Replies from here on are permanent (RFC 5321, 4.2.1)…"""

_EXCEEDED = 552
"""…except this one: the mail is too large or, as a reply to RCPT, the mailbox is full."""

_TEMPORARY_FOR_RECIPIENT = frozenset({_EXCEEDED, 530, 534, 535, 538})
"""Permanent replies to RCPT that do not concern the recipient: a full mailbox, or missing authentication."""

_OF_RECIPIENT = re.compile(
    r"recipient address rejected|^\d+ 5\.(?:1\.(?:1|2|3|6|10)|2\.\d+)\b", re.IGNORECASE
)
"""A reply that concerns the recipient, whatever other words it has.

The second number is an enhanced status code: https://www.iana.org/assignments/smtp-enhanced-status-codes
"""

_CURES = (
    (
        re.compile(r"\b(?:helo|ehlo)\b|^504 ", re.IGNORECASE),
        ": set `helo` to the name of this machine in DNS",
    ),
    (
        re.compile(r"\bsender\b|\b5\.1\.[78]\b|\bSPF\b|\bDMARC\b|\b5\.7\.2[0-46-9]\b", re.IGNORECASE),
        ": see `from` and `user`",
    ),
    (
        re.compile(
            r"\bclient\b|\breverse (?:dns|host)|\brdns\b|\bptr\b|\bsending ip\b|\bip address\b"
            r"|\bblocked using\b|\b(?:black|block) ?list|\bdnsbl\b|\bspamhaus\b|\b5\.7\.(?:25|[5-7]\d\d)\b",
            re.IGNORECASE,
        ),
        ": it accepts nothing from this machine: set `user` and `password`, or another `server`",
    ),
)
"""Permanent replies that concern us, and the settings to check: our name, our address, this machine.

Servers also send them as replies to RCPT. Postfix does so that its log names the recipient:
https://www.postfix.org/postconf.5.html#smtpd_delay_reject. The texts are those of Postfix, Exim, Gmail
(https://support.google.com/a/answer/3726730) and Exchange
(https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/).
"""

_RELAY = re.compile(r"\brelay(?:ing)? (?:access|not|denied|prohibited)|\bunable to relay\b", re.IGNORECASE)
"""The words of a server that takes mail for elsewhere from its own users only; to them, they are final."""

_ADDRESS = re.compile(r"\S*@\S*")

_AGAIN = "; the mail is sent again, and may arrive twice"

_MAX_REPLIES = 1024 * 1024
"""Bytes of replies on one connection."""

_TOO_LARGE = re.compile(r"\d+ 5\.(2\.3|3\.4)\b")
"""Enhanced status codes for a mail that is too large: https://www.rfc-editor.org/rfc/rfc3463"""


def recipients(settings: Smtp) -> tuple[str, ...]:
    """Return the bare mail addresses."""
    return tuple(mailbox(text).address for text in settings.recipients)


def missing(settings: Smtp, resolve: Resolve) -> list[str]:
    """Return a line for the password or token if it cannot be resolved."""
    return unresolved(filter(None, (settings.password, settings.token)), resolve)


def reach(settings: Smtp, resolve: Resolve) -> str | None:
    """Connect, sign in and leave; return why that fails.

    Raises:
        Unresolved: the password or token cannot be resolved.
    """
    found, masker = _in_session(settings, resolve, lambda _connection: {})
    return redact(masker.text(found.removesuffix(_AGAIN))) if isinstance(found, str) else None


def send(
    settings: Smtp, message: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Send a message in one transaction.

    Raises:
        Unresolved: the password or token cannot be resolved.
    """
    results, masker = _in_session(
        settings, resolve, lambda connection: _Sender(connection, settings, recipients).send(message)
    )
    if isinstance(results, str):
        results = dict.fromkeys(recipients, DeliveryResult(DeliveryStatus.RETRY, results))
    return {
        recipient: replace(result, error=result.error and redact(masker.text(result.error)))
        for recipient, result in results.items()
    }


def _in_session(
    settings: Smtp, resolve: Resolve, use: Callable[[smtplib.SMTP], dict[str, DeliveryResult]]
) -> tuple[dict[str, DeliveryResult] | str, Masker]:
    """Use an authenticated connection within the time limit.

    Returns:
        What `use` returns, or why there is no connection; and what masks the credentials in it, which a
        server may repeat in its reply.
    """
    reference = settings.password or settings.token
    secret = None if reference is None else resolve_secret(reference, resolve)
    limit = TOTAL_TIMEOUT * settings.timeout
    late = f"{_place(settings)} did not accept the mail within {limit:g} s: see `timeout`"

    def hand_over(deadline: Deadline) -> dict[str, DeliveryResult] | str:
        try:
            with _session(settings, secret, deadline) as connection:
                return use(connection)
        except _Undeliverable as error:
            return late if deadline.expired else str(error)

    masker = Masker(_spellings(settings, secret))
    try:
        return within(limit, hand_over), masker
    except OSError as error:
        return late if isinstance(error, TimeoutError) else _why(error, settings), masker


class _Undeliverable(Exception):  # noqa: N818 - names the state of the message
    """The message was not sent and may be sent again; the text may hold secrets."""


class _MailRefused(Exception):  # noqa: N818 - names the state of the message
    """The server refuses this message for all recipients; `sender`: it refuses the sender."""

    def __init__(self, code: int, reply: bytes | str, *, sender: bool) -> None:
        super().__init__(_reply(code, reply))
        self.code = code
        self.sender = sender
        self.too_large = code == _EXCEEDED or bool(_TOO_LARGE.match(str(self)))


class _Sender(Struct, frozen=True):
    """Sends messages over an authenticated connection."""

    connection: smtplib.SMTP
    settings: Smtp
    recipients: tuple[str, ...]

    def send(self, message: Message) -> dict[str, DeliveryResult]:
        """Send a message; if it is too large, send it again without its attachments."""
        try:
            return self._send(message)
        except _MailRefused as refused:
            if not (refused.too_large and message.attachments):
                return self._result(refused)
        from pipeline.reports.render.message import without_attachments

        self.connection.rset()
        try:
            return self._send(without_attachments(message))
        except _MailRefused as refused:
            return self._result(refused)

    def _send(self, message: Message) -> dict[str, DeliveryResult]:
        settings = self.settings
        mail = compose(message, sender=settings.sender, to=settings.recipients, reply_to=settings.reply_to)
        size = [f"size={len(mail)}"] if self.connection.has_extn("size") else []
        code, reply = self.connection.mail(mailbox(settings.sender).address, size)
        if code not in _ACCEPTED:
            raise _MailRefused(code, reply, sender=True)
        refused = self._refused_recipients()
        if len(refused) == len(self.recipients):
            return refused
        try:
            code, reply = self.connection.data(mail)
        except smtplib.SMTPDataError as error:
            raise _MailRefused(error.smtp_code, error.smtp_error, sender=False) from error
        if code not in _ACCEPTED:
            raise _MailRefused(code, reply, sender=False)
        return dict.fromkeys(self.recipients, DeliveryResult(DeliveryStatus.SENT)) | refused

    def _refused_recipients(self) -> dict[str, DeliveryResult]:
        refused: dict[str, DeliveryResult] = {}
        for recipient in self.recipients:
            code, reply = self.connection.rcpt(recipient)
            if code == _CLOSING:
                raise _Undeliverable(f"{_place(self.settings)} accepts no more now: {_reply(code, reply)}")
            if code not in _ACCEPTED:
                text = _reply(code, reply)
                cure = _cure(code, text, self.settings)
                permanent = code >= _PERMANENT and code not in _TEMPORARY_FOR_RECIPIENT and not cure
                # Servers name the recipient in their reply too.
                named = recipient.lower() in text.lower()
                what = "the mail" if named else f"mail for {recipient}"
                error = f"{_place(self.settings)} does not accept {what}: {text}{cure}"
                refused[recipient] = DeliveryResult(_status(permanent=permanent), error)
        return refused

    def _result(self, refused: _MailRefused) -> dict[str, DeliveryResult]:
        """Return the result for all recipients; a refused sender is temporary, as the config can be fixed."""
        place = _place(self.settings)
        if refused.sender and not refused.too_large:
            sender = mailbox(self.settings.sender).address
            what = "mail" if sender.lower() in str(refused).lower() else f"mail from {sender}"
            cure = _cure(refused.code, str(refused), self.settings) or ": see `from` and `user`"
            result = DeliveryResult(DeliveryStatus.RETRY, f"{place} accepts no {what}: {refused}{cure}")
        else:
            cure = _cure(refused.code, str(refused), self.settings)
            permanent = refused.code >= _PERMANENT and not cure
            error = f"{place} does not accept the mail: {refused}{cure}"
            result = DeliveryResult(_status(permanent=permanent), error)
        return dict.fromkeys(self.recipients, result)


def _cure(code: int, reply: str, settings: Smtp) -> str:
    """Return the settings to check after a permanent reply that concerns us; "" for any other."""
    text = _ADDRESS.sub("", reply)
    if code < _PERMANENT or _OF_RECIPIENT.search(text):
        return ""
    if _RELAY.search(text):
        return "" if settings.user else ": sign in with `user` and `password`, or set another `server`"
    return next((cure for words, cure in _CURES if words.search(text)), "")


def _status(*, permanent: bool) -> DeliveryStatus:
    return DeliveryStatus.REFUSED if permanent else DeliveryStatus.RETRY


@contextmanager
def _session(settings: Smtp, secret: Secret | None, deadline: Deadline) -> Iterator[smtplib.SMTP]:
    """Open an authenticated connection.

    Raises:
        _Undeliverable: it cannot be opened, breaks or takes too long, also while it is used.
    """
    connection: _Connection | None = None
    try:
        context = None if settings.security == "none" else _certificates()
        connection = _connect(settings, context, deadline)
        _greet(connection, settings, context)
        if secret is not None:
            _authenticate(connection, settings, secret)
        yield connection
        # The mail is accepted by now: the reply to QUIT does not matter.
        with suppress(smtplib.SMTPException, OSError):
            connection.quit()
    except (smtplib.SMTPException, OSError) as error:
        raise _Undeliverable(_why(error, settings)) from error
    finally:
        if connection is not None:
            connection.close()


def _certificates() -> ssl.SSLContext:
    try:
        return require_certificates(ssl.create_default_context())
    except OSError as error:
        raise _Undeliverable(tls_problem(error)) from error


class _Replies:
    """The replies of a server, in a bounded number of bytes: smtplib keeps all lines of one."""

    def __init__(self, lines: BufferedReader) -> None:
        self.close = lines.close
        self._lines = lines
        self._left = _MAX_REPLIES

    def readline(self, size: int) -> bytes:
        """Return the next line."""
        line = self._lines.readline(size)
        self._left -= len(line)
        if self._left < 0:
            # As smtplib does for a line that is too long.
            raise smtplib.SMTPResponseException(500, "with too many lines")
        return line


class _Connection(smtplib.SMTP):
    """A connection with a deadline, and with TLS from the start if it has a context."""

    _replies: _Replies | None = None

    def __init__(self, settings: Smtp, context: ssl.SSLContext | None, deadline: Deadline) -> None:
        self._context = context
        self._deadline = deadline
        super().__init__(
            settings.server, settings.port, local_hostname=settings.helo, timeout=settings.timeout
        )

    @property
    def file(self) -> _Replies | None:
        """The replies, which smtplib opens and reads."""
        return self._replies

    @file.setter
    def file(self, lines: BufferedReader | None) -> None:
        self._replies = None if lines is None else _Replies(lines)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        self._deadline.watch(plain)
        return self._context.wrap_socket(plain, server_hostname=host) if self._context else plain


def _connect(settings: Smtp, context: ssl.SSLContext | None, deadline: Deadline) -> _Connection:
    try:
        return _Connection(settings, context if settings.security == "tls" else None, deadline)
    except smtplib.SMTPConnectError as error:
        reply = _reply(error.smtp_code, error.smtp_error)
        raise _Undeliverable(f"{_place(settings)} accepts no mail now: {reply}") from error


def _greet(connection: smtplib.SMTP, settings: Smtp, context: ssl.SSLContext | None) -> None:
    connection.ehlo_or_helo_if_needed()
    if settings.security != "starttls" or context is None:
        return
    place = _place(settings)
    if not connection.has_extn("starttls"):
        raise _Undeliverable(
            f'{place} offers no STARTTLS, so nothing was sent: try security = "tls" with port 465'
            f"{_or_plain(settings)}"
        )
    try:
        connection.starttls(context=context)
    except smtplib.SMTPResponseException as error:
        reply = _reply(error.smtp_code, error.smtp_error)
        raise _Undeliverable(f"{place} refuses STARTTLS, so nothing was sent: {reply}") from error
    connection.ehlo_or_helo_if_needed()


def _authenticate(connection: smtplib.SMTP, settings: Smtp, secret: Secret) -> None:
    place = _place(settings)
    usable = ("XOAUTH2",) if settings.token else ("PLAIN", "LOGIN")
    offered = connection.esmtp_features.get("auth", "").upper().split()
    mechanism = next((mechanism for mechanism in usable if mechanism in offered), None)
    if mechanism is None:
        raise _Undeliverable(
            f"{place} offers no authentication by {' or '.join(usable)}"
            f" (it offers {', '.join(offered) or 'none'}): see `security`, `port` and `user`"
        )
    if mechanism == "LOGIN":
        code, reply = connection.docmd("AUTH", "LOGIN")
        for text in (settings.user or "", secret.reveal()):
            if code == _CONTINUE:
                code, reply = connection.docmd(_base64(text))
    else:
        code, reply = connection.docmd("AUTH", f"{mechanism} {_credentials(mechanism, settings, secret)}")
        if code == _CONTINUE:
            # The server sends the error as a challenge, and fails after an empty response:
            # https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
            code, reply = connection.docmd("")
    if code != _AUTHENTICATED:
        cure = "set a new `token`" if settings.token else "see `user` and `password`"
        raise _Undeliverable(f"{place} does not authenticate {settings.user}: {_reply(code, reply)}: {cure}")


def _credentials(mechanism: str, settings: Smtp, secret: Secret) -> str:
    if mechanism == "XOAUTH2":
        return _base64(f"user={settings.user}\x01auth=Bearer {secret.reveal()}\x01\x01")
    return _base64(f"\0{settings.user}\0{secret.reveal()}")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _spellings(settings: Smtp, secret: Secret | None) -> list[str]:
    """Return the secret, alone and with the user, as it is sent; Masker finds it in base64 alone."""
    if secret is None:
        return []
    credentials = (_credentials(mechanism, settings, secret) for mechanism in ("PLAIN", "XOAUTH2"))
    return [*credentials, secret.reveal()]


def _place(settings: Smtp) -> str:
    return f"{settings.server}:{settings.port}"


def _reply(code: int, text: bytes | str) -> str:
    """Return a reply of the server on one line."""
    decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(decoded.split())}".strip()


def _why(error: Exception, settings: Smtp) -> str:
    """Return the error of a connection, and the setting to check."""
    place = _place(settings)
    cause = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else error
    match cause:
        case TimeoutError():
            limit = f"{settings.timeout:g} s"
            return f"no answer from {place} within {limit}: see `server`, `port` and `security`"
        case ssl.SSLError():
            return _tls_error(cause, settings)
        case socket.gaierror():
            return f"{place} cannot be found ({cause.strerror}): see `server`"
        case smtplib.SMTPResponseException():
            reply = _reply(cause.smtp_code, cause.smtp_error)
            return f"{place} answered {reply}{_cure(cause.smtp_code, reply, settings)}"
        case OSError() if not isinstance(cause, smtplib.SMTPException):
            return f"{place} cannot be reached ({cause.strerror or cause}): see `server` and `port`"
        case _:
            return f"{place} closed the connection{_AGAIN}"


def _or_plain(settings: Smtp) -> str:
    return ', or security = "none"' if is_this_machine(settings.server) else ""


def _tls_error(error: ssl.SSLError, settings: Smtp) -> str:
    place = _place(settings)
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {place} is not valid ({error.verify_message}): set `server` to its name;"
            " for your own CA, add its certificate to the file that SSL_CERT_FILE names"
        )
    cure = f'for port 587 set security = "starttls"{_or_plain(settings)}'
    return f"{place} speaks no TLS there ({error.reason}): {cure}"
