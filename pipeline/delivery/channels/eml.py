"""Mails as `.eml` files in a directory, named after their message ids."""

from __future__ import annotations

import re

from pipeline.core.text import redact
from pipeline.core.types import Resolve
from pipeline.delivery.channels.mail import compose
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, MailDirectory
from pipeline.reports.types import Message
from pipeline.store.files import atomic_write, clear_drafts, make_directory, not_writable

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._@+-]+")

_MAX_NAME = 200


def recipients(settings: MailDirectory) -> tuple[str, ...]:
    """Return the path of the directory."""
    return (str(settings.path),)


def missing(_settings: MailDirectory, _resolve: Resolve) -> list[str]:
    """Return nothing: the directory is created when the first mail is written."""
    return []


def reach(settings: MailDirectory, _resolve: Resolve) -> str | None:
    """Return why no file can be written into the directory."""
    return not_writable(settings.path)


def send(
    settings: MailDirectory, message: Message, recipients: tuple[str, ...], _resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Write a message into the directory."""
    return dict.fromkeys(recipients, _write(settings, message))


def _write(settings: MailDirectory, message: Message) -> DeliveryResult:
    content = compose(message, sender=settings.sender, to=settings.recipients)
    try:
        make_directory(settings.path, settings.share)
        clear_drafts(settings.path)
        atomic_write(settings.path / _file_name(message), content, share=settings.share)
    except OSError as error:
        text = f"{settings.path}: the mail cannot be written: {error.strerror}"
        return DeliveryResult(DeliveryStatus.RETRY, redact(text))
    return DeliveryResult(DeliveryStatus.SENT)


def _file_name(message: Message) -> str:
    name = _NOT_IN_NAMES.sub("_", message.message_id.strip("<>")).lstrip(".")
    return f"{name[:_MAX_NAME]}.eml"
