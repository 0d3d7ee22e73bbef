"""Mails by a program that takes them on its standard input, as sendmail does."""

from __future__ import annotations

import os
import signal
import subprocess

from pipeline.addresses import mailbox
from pipeline.destinations import Fate, Letter, Receipt, Sendmail
from pipeline.notify.mail import compose
from pipeline.wording import told

_FINAL = {65: "cannot read the mail", 67: "knows no such recipient", 68: "knows no such host"}
"""Of the exit codes in sysexits.h those that another try will not change."""


def send(channel: Sendmail, letter: Letter, recipients: tuple[str, ...]) -> Receipt:
    """Hand a letter to the program, once for all recipients; it says the same of each of them."""
    program = channel.command[0]
    words = [*channel.command, "-i", "-f", mailbox(channel.sender).address, *recipients]
    mail = compose(letter, sender=channel.sender, to=channel.recipients, reply_to=channel.reply_to)
    try:
        code, said = _run(words, _lines(mail), channel.timeout)
    except subprocess.TimeoutExpired:
        return Receipt(
            Fate.LATER, told(f"{program} did not end within {channel.timeout:g} s, and was stopped")
        )
    except OSError as error:
        return Receipt(Fate.LATER, told(f"{program} cannot be started: {error.strerror}: see `command`"))
    if code == 0:
        return Receipt(Fate.SENT)
    why = _FINAL.get(code, "the mail goes with a later run")
    return Receipt(
        Fate.NEVER if code in _FINAL else Fate.LATER,
        told(f"{program} ended with {code} ({why}){': ' if said else ''}{said}"),
    )


def _lines(mail: bytes) -> bytes:
    """End lines as programs on this system do; some sendmails make CR CR LF of what ends in CR LF."""
    return mail.replace(b"\r\n", b"\n")


def _run(words: list[str], mail: bytes, patience: float) -> tuple[int, str]:
    """Run the program, and give its exit code and the last line that it said."""
    with subprocess.Popen(  # noqa: S603 - the user's own
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(mail, timeout=patience)
        except subprocess.TimeoutExpired:
            # What it has started holds its output open, and would be waited for.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return process.returncode, lines[-1] if lines else ""
