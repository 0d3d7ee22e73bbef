"""Mails as `.eml` files in a directory: each whole or not at all, the same letter always under one name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pipeline.destinations import Fate, Letter, MailDirectory, Receipt
from pipeline.notify.mail import compose
from pipeline.wording import told

_NO_NAME = re.compile(r"[^A-Za-z0-9._@+-]+")
_LONGEST = 200


def send(channel: MailDirectory, letter: Letter) -> Receipt:
    """Write a letter into the directory, which is made when it is not there."""
    content = compose(letter, sender=channel.sender, to=channel.recipients)
    try:
        channel.path.mkdir(parents=True, exist_ok=True)
        _replace(channel.path / file_name(letter), content)
    except OSError as error:
        return Receipt(Fate.LATER, told(f"{channel.path}: the mail cannot be written: {error.strerror}"))
    return Receipt(Fate.SENT)


def file_name(letter: Letter) -> str:
    """Name the file of a letter after its id."""
    name = _NO_NAME.sub("_", letter.message_id.strip("<>")).lstrip(".")
    return f"{name[:_LONGEST]}.eml"


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            # It is told as sent in a database that outlives a loss of power; so must the file.
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
