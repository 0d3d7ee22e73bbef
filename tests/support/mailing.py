"""A message, and mail servers that accept it, refuse it or break."""

# ruff: noqa: N802, ARG002 - hooks are named, and called, as aiosmtpd does

from __future__ import annotations

import asyncio
import base64
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec.structs import replace

from pipeline.core.types import Secret, Severity
from pipeline.delivery.channels import recipients, send
from pipeline.delivery.types import ChannelSettings, DeliveryResult
from pipeline.errors import Unresolved
from pipeline.reports.types import Attachment, Message

SECRET = "pässword-0123456789"
TOKEN = "ya29.token-0123456789"
SECRETS = {"env:PASSWORD": SECRET, "env:WRONG": "wrong-0123456789", "env:TOKEN": TOKEN}

MESSAGE = Message(
    message_id="<20261101T070000Z.ops@modelwatch.example>",
    thread="<ops@modelwatch.example>",
    at="2026-11-01T07:00:00Z",
    severity=Severity.BREAKING,
    language="en",
    subject="aihubmix: 2 models gone, 1 dearer",
    text="Gone: heron-2\n.a line that begins with a dot\nFrom a line like a mailbox's\nNow at 2.50 €\n",
    markdown="**Gone**: heron-2",
    html="<!doctype html><html><body><p>Gone: <b>heron-2</b> 模型</p></body></html>",
    json='{"changes": [], "price": 0.10}\n',
    attachments=(
        Attachment("changes.csv", "text/csv", "kind,model\r\nremoved,heron-2\r\nremoved,模型\r\n".encode()),
        Attachment("changes.json", "application/json", b'{"changes": []}\n'),
    ),
)


def resolve(reference: str) -> Secret:
    """Resolve a reference as the command does."""
    if reference not in SECRETS:
        raise Unresolved(f"{reference} is not set; nothing was sent: set it in the environment of the job")
    return Secret(SECRETS[reference])


def message_with(**changes: Any) -> Message:
    """Return the message with some fields changed."""
    return replace(MESSAGE, **changes)


def send_to_all(
    channel: ChannelSettings, message: Message = MESSAGE, secrets: Mapping[str, str] | None = None
) -> DeliveryResult:
    """Send a message to all recipients of a channel; return the one result that they share."""
    known = secrets or {}

    def resolve(reference: str) -> Secret:
        if reference not in known:
            raise Unresolved(f"{reference} is not set; nothing was sent")
        return Secret(known[reference])

    to = recipients(channel)
    results = send(channel, message, to, resolve)
    assert tuple(results) == to
    (result,) = set(results.values())
    assert result.error is None or "\n" not in result.error
    assert not any(secret in str(result.error) for secret in known.values() if secret.strip())
    return result


def read(content: bytes) -> EmailMessage:
    """Parse a mail as mail programs do; it must have no defect."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


@dataclass(frozen=True, slots=True)
class Certificates:
    """A CA for the test, and TLS contexts with its certificates."""

    authority: trustme.CA

    def context(self, *names: str) -> ssl.SSLContext:
        """Return the context of a server with these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
        return context

    def write(self, path: Path) -> Path:
        """Write the CA's certificate, for SSL_CERT_FILE."""
        self.authority.cert_pem.write_to_path(path)
        return path


@dataclass(slots=True)
class Mailbox:
    """Accepts mails like a server, with some failures.

    Args:
        refused: the replies to some recipients, to `MAIL`, and to `DATA` (after the mail).
        largest: bytes that a mail may have; checked after `DATA`.
        sees: is called with each command before its reply, and with `taken` when a mail is accepted.
        breaks: close the connection after the mail instead of the last reply.
        taken: the accepted mails.
        signed_in: the mechanism and user of each authentication.
    """

    refused: Mapping[str, str] = field(default_factory=dict)
    largest: int | None = None
    sees: Callable[[str], None] = lambda _: None
    breaks: bool = False
    taken: list[Envelope] = field(default_factory=list)
    signed_in: list[tuple[str, str]] = field(default_factory=list)

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Answer EHLO."""
        self.sees("EHLO")
        session.host_name = hostname
        return responses

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answer QUIT."""
        self.sees("QUIT")
        return "221 bye"

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer MAIL."""
        self.sees("MAIL")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.refused.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer RCPT."""
        self.sees(f"RCPT {address}")
        answer = self.refused.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answer DATA."""
        self.sees("DATA")
        if "DATA" in self.refused:
            return self.refused["DATA"]
        assert isinstance(envelope.original_content, bytes)
        if self.largest is not None and len(envelope.original_content) > self.largest:
            return "552 5.3.4 too big"
        self.taken.append(envelope)
        self.sees("taken")
        if self.breaks:
            assert server.transport
            server.transport.abort()
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Accept the right password or token."""
        self.sees("AUTH")
        if isinstance(data, LoginPassword):
            user, secret = data.login.decode(), data.password.decode()
        else:
            user, secret = data
        self.signed_in.append((mechanism, user))
        # aiosmtpd itself would not reply to a wrong password.
        return AuthResult(success=(user, secret) in {("watch", SECRET), ("watch", TOKEN)}, handled=False)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        """Parse the initial response of XOAUTH2.

        https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
        """
        user, auth, *rest = base64.b64decode(args[1]).decode().split("\x01")
        assert rest == ["", ""]
        found = self.authenticate(
            server,
            server.session,
            server.envelope,
            "XOAUTH2",
            (user.removeprefix("user="), auth.removeprefix("auth=Bearer ")),
        )
        if not found.success:
            # The error comes as a challenge, and the failure after the empty response to it.
            await server.challenge_auth('{"status":"400","schemes":"Bearer"}')
        return found

    @property
    def mails(self) -> list[EmailMessage]:
        """The accepted mails, parsed."""
        return [read(envelope.original_content) for envelope in self.taken]  # type: ignore[arg-type]


@contextmanager
def serving(
    mailbox: Mailbox,
    *,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    port: int = 0,
    **options: Any,
) -> Iterator[int]:
    """Run a mail server on loopback; yield its port.

    Args:
        mailbox: the handler of its mails.
        port: the port to listen on; 0 for any that is free.
        tls: the context for TLS from the start.
        starttls: the context for STARTTLS.
        options: more arguments of aiosmtpd's `SMTP`.
    """
    loop = asyncio.new_event_loop()

    def make() -> SMTP:
        return SMTP(
            mailbox,
            hostname="mail.example",
            tls_context=starttls,
            authenticator=mailbox.authenticate,
            loop=loop,
            **options,
        )

    server = loop.run_until_complete(loop.create_server(make, "127.0.0.1", port, ssl=tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)


Respond = Callable[[str], str | None]
"""Returns the reply to a line, or the greeting for ""; None closes the connection, "" sends nothing.

Of a mail it gets only the final dot."""


class Odd:
    """A server that sends what a function returns: for replies that no correct server sends."""

    def __init__(self, respond: Respond) -> None:
        self.lines: list[str] = []
        odd = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                line = ""
                while (answer := respond(line.strip())) is not None:
                    self.wfile.write(answer.encode())
                    line = self._dot() if answer.startswith("354") else self._line()
                    if not line:
                        return
                    odd.lines.append(line.strip())

            def _dot(self) -> str:
                while (line := self._line()).strip() not in ("", ".") or line == "\r\n":
                    pass
                return line

            def _line(self) -> str:
                return self.rfile.readline().decode("latin-1")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
