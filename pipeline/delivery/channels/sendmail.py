"""Mails by a program that reads them from standard input, as sendmail does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

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
        status, output = _run(command, mail.replace(b"\r\n", b"\n"), settings.timeout)
    except subprocess.TimeoutExpired:
        text = f"{program} did not end within {settings.timeout:g} s, and was stopped: see `timeout`"
        return DeliveryResult(DeliveryStatus.RETRY, redact(text))
    except OSError as error:
        text = f"{program} cannot be started: {error.strerror}: see `command`"
        return DeliveryResult(DeliveryStatus.RETRY, redact(text))
    if status == 0:
        return DeliveryResult(DeliveryStatus.SENT)
    why = f" ({_PERMANENT[status]})" if status in _PERMANENT else ""
    return DeliveryResult(
        DeliveryStatus.REFUSED if status in _PERMANENT else DeliveryStatus.RETRY,
        redact(f"{program} exited with {status}{why}{': ' if output else ''}{output}"),
    )


def _run(command: list[str], mail: bytes, timeout: float) -> tuple[int, str]:
    """Run the program; return its exit status and the last line of its output."""
    with subprocess.Popen(  # noqa: S603 - the user's own
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(mail, timeout=timeout)
        except subprocess.TimeoutExpired:
            # Kill the children too: they keep the pipe open, and reading would go on until they end.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return process.returncode, lines[-1] if lines else ""
