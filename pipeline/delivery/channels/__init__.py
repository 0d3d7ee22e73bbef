"""Hand a letter over: mail servers, sendmail, a directory, webhooks, chats; each failure is a value.

What a destination needs before anything can be sent to it: its secrets, and its program or library.

The secrets that a transport needs, and errors without them.

Who receives what goes to a channel, and the way there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from urllib.parse import unquote

from pipeline.core.addresses import mailbox
from pipeline.core.text import redact
from pipeline.core.types import REFERENCES, Resolve, Secret
from pipeline.delivery.types import (
    Channel,
    Chat,
    DeliveryResult,
    DeliveryStatus,
    Destination,
    Files,
    MailDirectory,
    Sendmail,
    Smtp,
    Webhook,
)
from pipeline.errors import Unresolved
from pipeline.reports.types import Message

BOUND = 4
"""How many times the patience for one answer the whole sending of a letter may take."""


def given(reference: str, resolve: Resolve) -> Secret:
    """Follow a reference.

    Raises:
        Unresolved: it gives nothing.
    """
    secret = Secret(resolve(reference).reveal().strip())
    if not secret.reveal():
        raise Unresolved(f"{reference} is empty, so nothing was sent: put the secret there")
    return secret


def header(reference: str, resolve: Resolve) -> Secret:
    """Follow a reference to what goes into a line of a request.

    Raises:
        Unresolved: it gives nothing that could be sent.
    """
    secret = given(reference, resolve)
    if not (secret.reveal().isascii() and secret.reveal().isprintable()):
        raise Unresolved(f"{reference} holds characters that cannot be sent: see that it is the value alone")
    return secret


def pieces(address: str) -> list[str]:
    """Take an address apart that is a secret, as each of its parts may be one; the longest first."""
    parts = re.split(r"[/:@?&=#+,;]+", address.partition("://")[2])
    return sorted({address, *parts, *map(unquote, parts)}, key=len, reverse=True)


def lacks(channel: Channel, resolve: Resolve) -> list[str]:
    """Say what a channel lacks, a line each; nobody is asked, and nothing is sent."""
    found = []
    for reference in _references(channel):
        try:
            given(reference, resolve)
        except Unresolved as error:
            found.append(error.message)
    match channel:
        case Chat() if find_spec("apprise") is None:
            found.append("needs Apprise, which is not installed: pip install 'modelwatch[notify]'")
        case Sendmail(command=(program, *_)) if shutil.which(program) is None:
            found.append(f"there is no program {program}: write its path as `command`")
        case _:
            pass
    return found


def _references(channel: Channel) -> Iterator[str]:
    match channel:
        case Smtp(password=password, token=token):
            yield from filter(None, (password, token))
        case Webhook(url=url, secret=secret, headers=headers):
            values = (url, secret, *(value for _, value in headers))
            yield from (value for value in values if value and value.startswith(REFERENCES))
        case Chat(urls=urls):
            yield from urls
        case _:
            pass


def recipients(channel: Channel) -> tuple[str, ...]:
    """Name those who receive what goes to a channel, without secrets, in the config's order.

    They are mail addresses, the web address of a webhook (or the reference to it, as written), the
    references of a chat, and the path of a directory.
    """
    match channel:
        case Smtp() | Sendmail():
            return tuple(mailbox(text).address for text in channel.recipients)
        case MailDirectory(path) | Files(path):
            return (str(path),)
        case Webhook(url):
            return (url,)
        case Chat(urls):
            return urls


def send(
    destination: Destination, letter: Message, recipients: Sequence[str], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Hand a letter over to some of a destination's recipients, and say of each what became of it.

    A letter that was taken may all the same be told as one for later, where the answer was lost: it then
    arrives twice, with the same id.

    Args:
        destination: not one whose reports become files.
        letter: what to hand over.
        recipients: some of those that `recipients` names.
        resolve: follows references to secrets.
    """
    try:
        return _send(destination.channel, letter, tuple(recipients), resolve)
    except Unresolved as error:
        return dict.fromkeys(recipients, DeliveryResult(DeliveryStatus.LATER, redact(error.message)))


def _send(
    channel: Channel, letter: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
    match channel:
        case Smtp():
            from pipeline.delivery.channels.smtp import send_with_smtp

            return send_with_smtp(channel, letter, recipients, resolve)
        case Sendmail():
            from pipeline.delivery.channels.mail import send_with_sendmail

            return dict.fromkeys(recipients, send_with_sendmail(channel, letter, recipients))
        case MailDirectory():
            from pipeline.delivery.channels.mail import write_eml

            return dict.fromkeys(recipients, write_eml(channel, letter))
        case Webhook():
            from pipeline.delivery.channels.webhook import post

            return dict.fromkeys(recipients, post(channel, letter, resolve))
        case Chat():
            from pipeline.delivery.channels.apprise import send_with_apprise

            return {url: send_with_apprise(channel, letter, url, resolve) for url in recipients}
        case Files():
            raise ValueError("a report that becomes files is written where reports are written")
