"""Who receives what goes to a channel, and the way there."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.addresses import mailbox
from pipeline.destinations import (
    Channel,
    Chat,
    Destination,
    Fate,
    Files,
    Letter,
    MailDirectory,
    Receipt,
    Sendmail,
    Smtp,
    Webhook,
)
from pipeline.errors import Unresolved
from pipeline.types import Resolve
from pipeline.wording import told


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
    destination: Destination, letter: Letter, recipients: Sequence[str], resolve: Resolve
) -> dict[str, Receipt]:
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
        return dict.fromkeys(recipients, Receipt(Fate.LATER, told(error.message)))


def _send(
    channel: Channel, letter: Letter, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, Receipt]:
    match channel:
        case Smtp():
            from pipeline.notify import smtp

            return smtp.send(channel, letter, recipients, resolve)
        case Sendmail():
            from pipeline.notify import sendmail

            return dict.fromkeys(recipients, sendmail.send(channel, letter, recipients))
        case MailDirectory():
            from pipeline.notify import directory

            return dict.fromkeys(recipients, directory.send(channel, letter))
        case Webhook():
            from pipeline.notify import webhook

            return dict.fromkeys(recipients, webhook.send(channel, letter, resolve))
        case Chat():
            from pipeline.notify import chat

            return {url: chat.send(channel, letter, url, resolve) for url in recipients}
        case Files():
            raise ValueError("a report that becomes files is written where reports are written")
