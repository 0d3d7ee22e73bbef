"""Channels: one module for each kind of receiver, all with the functions of `Channel`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

from pipeline.core.text import redact
from pipeline.core.types import Resolve
from pipeline.delivery.types import (
    Apprise,
    ChannelSettings,
    DeliveryResult,
    DeliveryStatus,
    Discord,
    Feishu,
    Files,
    MailDirectory,
    Sendmail,
    Slack,
    Smtp,
    Teams,
    Webhook,
)
from pipeline.errors import Unresolved
from pipeline.reports.types import Message
from pipeline.store.files import not_writable

_Settings_contra = TypeVar("_Settings_contra", contravariant=True)


class Channel(Protocol[_Settings_contra]):
    """The functions of a channel's module."""

    def recipients(self, settings: _Settings_contra, /) -> tuple[str, ...]:
        """Return the recipients as the outbox stores them, in the config's order; none holds a secret."""

    def missing(self, settings: _Settings_contra, resolve: Resolve, /) -> list[str]:
        """Return a line for each secret, program or library that is missing; nothing is sent."""

    def reach(self, settings: _Settings_contra, resolve: Resolve, /) -> str | None:
        """Connect and sign in as `send` does, and send nothing; return why that fails.

        Raises:
            Unresolved: a reference to a secret cannot be resolved.
        """

    def send(
        self, settings: _Settings_contra, message: Message, recipients: tuple[str, ...], resolve: Resolve, /
    ) -> dict[str, DeliveryResult]:
        """Send a message to some of the recipients; return the result for each.

        Raises:
            Unresolved: a reference to a secret cannot be resolved.
        """


MODULES: dict[type[ChannelSettings], str] = {
    Smtp: "smtp",
    Sendmail: "sendmail",
    MailDirectory: "eml",
    Webhook: "webhook",
    Slack: "slack",
    Discord: "discord",
    Teams: "teams",
    Feishu: "feishu",
    Apprise: "apprise",
}
"""The module of each channel. `Files` has none: `delivery.content` renders its forms from the report."""


def channel(settings: ChannelSettings) -> Channel[Any]:
    """Import a channel's module; imported late, as it may need libraries that are slow to load."""
    return cast("Channel[Any]", import_module(f"{__name__}.{MODULES[type(settings)]}"))


def recipients(settings: ChannelSettings) -> tuple[str, ...]:
    """Return the recipients of a channel, in the config's order; none holds a secret.

    They are mail addresses, the URL of a webhook (or the reference to it), the references of chats and of
    Apprise, or the path of a directory; what is no UTF-8 in a path is escaped.
    """
    found = (str(settings.path),) if isinstance(settings, Files) else channel(settings).recipients(settings)
    return tuple(each.encode("utf-8", "backslashreplace").decode() for each in found)


def missing(settings: ChannelSettings, resolve: Resolve) -> list[str]:
    """Return a line for each secret, program or library that a channel is missing; nothing is sent."""
    return [] if isinstance(settings, Files) else channel(settings).missing(settings, resolve)


def reach(settings: ChannelSettings, resolve: Resolve) -> str | None:
    """Connect to a channel's server, or look at its directory, and send nothing; return why that fails.

    What needs more than a connection, a program and the services of Apprise, is tried by sending only.
    """
    if isinstance(settings, Files):
        return not_writable(settings.path)
    try:
        return channel(settings).reach(settings, resolve)
    except Unresolved as error:
        return redact(error.message)


def send(
    settings: ChannelSettings, message: Message, recipients: Sequence[str], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Send a message to some recipients of a channel; return the result for each.

    If the answer of a receiver is lost, the message is retried and may arrive twice, with the same id.

    Args:
        settings: any but `Files`.
        message: the content.
        recipients: some of those that `recipients` returns.
        resolve: resolves references to secrets.
    """
    try:
        return channel(settings).send(settings, message, tuple(recipients), resolve)
    except Unresolved as error:
        return dict.fromkeys(recipients, DeliveryResult(DeliveryStatus.RETRY, redact(error.message)))
