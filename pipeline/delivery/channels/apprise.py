"""Everything that Apprise reaches: Slack, Discord, Telegram, Feishu, DingTalk and a hundred others."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.core.text import mask, one_line, redact
from pipeline.core.types import Resolve, Severity
from pipeline.delivery.channels import BOUND, given, pieces
from pipeline.delivery.types import Chat, DeliveryResult, DeliveryStatus
from pipeline.reports.types import Message

if TYPE_CHECKING:
    from apprise import NotifyBase


_LONGEST_TITLE = 250


_CALLS = re.compile(r"@(?=everyone\b|here\b|channel\b|all\b)|<(?=[@!#]|at\b|\w+:)")


_QUIETLY = "\u200b"


_MISSING = "needs Apprise, which is not installed: pip install 'modelwatch[notify]'"


def send_with_apprise(channel: Chat, letter: Message, url: str, resolve: Resolve) -> DeliveryResult:
    """Hand a letter to the service whose Apprise address a reference leads to.

    Apprise says only whether it was taken; what it writes in its log goes into the error.

    Raises:
        Unresolved: the reference gives nothing.
    """
    try:
        import apprise
    except ImportError:
        return DeliveryResult(DeliveryStatus.LATER, f"{url} {_MISSING}")
    address = given(url, resolve).reveal()
    with _log(apprise.LOGGER_NAME) as said:
        service = apprise.Apprise.instantiate(address, asset=apprise.AppriseAsset(app_id="modelwatch"))
        if service is None:
            return DeliveryResult(DeliveryStatus.NEVER, f"{url} leads to no address that Apprise can read")
        _set_up(service, channel)
        post = apprise.Apprise()
        post.add(service)
        taken = post.notify(
            title=one_line(letter.subject, _LONGEST_TITLE),
            body=quietly(letter.markdown),
            notify_type=_kind(letter.severity),
            body_format="markdown",
            timeout=BOUND * channel.timeout,
        )
    if taken:
        return DeliveryResult(DeliveryStatus.SENT)
    why = said[-1] if said else "it does not say why"
    return DeliveryResult(DeliveryStatus.LATER, redact(mask(f"{url}: {why}", pieces(address))))


def quietly(markdown: str) -> str:
    """Keep a text from calling everybody in a room, however a model is named."""
    return _CALLS.sub(rf"\g<0>{_QUIETLY}", markdown)


def _set_up(service: NotifyBase, channel: Chat) -> None:
    from apprise import OverflowMode

    service.socket_connect_timeout = service.socket_read_timeout = channel.timeout
    if service.overflow_mode == OverflowMode.UPSTREAM:
        # Else a service would refuse what is too long for it, or get it as many messages.
        service.overflow_mode = OverflowMode.TRUNCATE


def _kind(severity: Severity | None) -> str:
    match severity:
        case Severity.URGENT:
            return "failure"
        case Severity.BREAKING:
            return "warning"
        case _:
            return "info"


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


@contextmanager
def _log(name: str) -> Iterator[list[str]]:
    """Keep what a library warns of; addresses stand in its log, so nobody else sees it meanwhile."""
    logger, handler = logging.getLogger(name), _Lines()
    before = logger.propagate, logger.disabled, logger.level
    logger.propagate, logger.disabled = False, False
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.propagate, logger.disabled = before[:2]
        logger.setLevel(before[2])
