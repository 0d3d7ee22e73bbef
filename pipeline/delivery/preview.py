"""A preview of the reports that are due: each message as it would be sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from pipeline.core.watchlist import Watch
from pipeline.delivery import channels
from pipeline.delivery.content import render_message
from pipeline.delivery.outbox import enqueue
from pipeline.delivery.send import current_recipients, due_deliveries
from pipeline.delivery.types import Destination, Files, MailDirectory
from pipeline.reports.summary import Summaries
from pipeline.reports.types import Message
from pipeline.store import Store


class Preview(Struct, frozen=True):
    """One report that is due to one destination.

    Args:
        destination: its name.
        at: the start of the last run in the report (ISO 8601 UTC).
        recipients: those that would receive it.
        removed: recipients that have left the config and would receive nothing.
        message: None where files would be written, and without recipients.
        template_problems: the mistakes in the user's templates.
    """

    destination: str
    at: str
    recipients: tuple[str, ...]
    removed: tuple[str, ...]
    message: Message | None = None
    template_problems: tuple[str, ...] = ()


def preview(
    store: Store, destinations: Sequence[Destination], watch: Watch, *, at: str, only: str | None = None
) -> tuple[Preview, ...]:
    """Return the reports that would be sent now, oldest first.

    Args:
        store: a copy of the database, in which due reports are enqueued.
        destinations: those of the config, and the reports directory.
        watch: the watch list of the config.
        at: the current time (ISO 8601 UTC).
        only: the name of the one destination.
    """
    with store.transaction():
        enqueue(store, destinations, watch, at=at)
    by_name = {each.name: each for each in destinations}
    summaries = Summaries(store, watch)
    found = []
    for batch in due_deliveries(store, at, only=only):
        first, destination = batch[0], by_name.get(batch[0].destination)
        recipients = tuple(current_recipients(destination, batch))
        removed = tuple(each.recipient for each in batch if each.recipient not in recipients)
        written, problems = None, list[str]()
        if destination and recipients and not isinstance(destination.channel, Files):
            written = render_message(store, summaries, destination, first, problems)
        found.append(Preview(first.destination, first.at, recipients, removed, written, tuple(problems)))
    return tuple(found)


def write_preview(directory: Path, message: Message, recipients: Sequence[str]) -> str | None:
    """Write a message as an `.eml` file into a directory; return the error, or None."""
    channel = MailDirectory(directory, recipients=tuple(recipients))
    results = channels.send(channel, message, (str(directory),), _no_secret)
    return results[str(directory)].error


def _no_secret(reference: str) -> NoReturn:
    raise AssertionError(f"a directory needs no secret, but {reference} was resolved")
