"""Mails by a program that reads them from standard input, as sendmail does."""

from __future__ import annotations

import shutil

from pipeline import processes
from pipeline.core.addresses import mailbox
from pipeline.core.text import redact
from pipeline.core.types import Resolve
from pipeline.delivery.channels.mail import compose
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, Sendmail
from pipeline.reports.types import Message

_PERMANENT = {65: "cannot read the mail", 67: "knows no such recipient", 68: "knows no such host"}
"""The exit statuses in sysexits.h that another attempt would not change."""


def recipients(settings: Sendmail) -> tuple[str, ...]:
    """Return the bare mail addresses."""
    return tuple(mailbox(text).address for text in settings.recipients)


def missing(settings: Sendmail, _resolve: Resolve) -> list[str]:
    """Return a line if the program is not installed."""
    program = settings.command[0]
    if shutil.which(program):
        return []
    return [f"there is no program {program}: install it, or set its path as `command`"]


def reach(_settings: Sendmail, _resolve: Resolve) -> None:
    """Return nothing: what a program would answer is known when it has a mail."""


def send(
    settings: Sendmail, message: Message, recipients: tuple[str, ...], _resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Pass a message to the program once for all recipients; its exit status holds for each of them."""
    return dict.fromkeys(recipients, _send(settings, message, recipients))


def _send(settings: Sendmail, message: Message, recipients: tuple[str, ...]) -> DeliveryResult:
    program = settings.command[0]
    command = [*settings.command, "-i", "-f", mailbox(settings.sender).address, *recipients]
    mail = compose(message, sender=settings.sender, to=settings.recipients, reply_to=settings.reply_to)
    try:
        # sendmail expects the line ends of this system: some versions turn CR LF into CR CR LF.
        done = processes.run(
            command, timeout=settings.timeout, stdin=mail.replace(b"\r\n", b"\n"), with_errors=True
        )
    except TimeoutError:
        text = f"{program} did not end within {settings.timeout:g} s, and was stopped: see `timeout`"
        return DeliveryResult(DeliveryStatus.RETRY, redact(text))
    except OSError as error:
        text = f"{program} cannot be started: {error.strerror}: see `command`"
        return DeliveryResult(DeliveryStatus.RETRY, redact(text))
    if done.status == 0:
        return DeliveryResult(DeliveryStatus.SENT)
    lines = done.output.decode("utf-8", "replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    why = f" ({_PERMANENT[done.status]})" if done.status in _PERMANENT else ""
    return DeliveryResult(
        DeliveryStatus.REFUSED if done.status in _PERMANENT else DeliveryStatus.RETRY,
        redact(f"{program} exited with {done.status}{why}{last}"),
    )
