"""Trials of destinations: whether one can be reached, and a sample that is sent to it at once."""

from __future__ import annotations

from secrets import token_hex

from msgspec import Struct

from pipeline.core.types import Resolve, Severity
from pipeline.core.watchlist import NO_WATCH
from pipeline.delivery import channels
from pipeline.delivery.content import message_to
from pipeline.delivery.files import write_files
from pipeline.delivery.outbox import host_of
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, Destination, Files
from pipeline.errors import DeliveryError
from pipeline.reports.render.message import as_test
from pipeline.reports.summary import summarise
from pipeline.reports.types import Filter
from pipeline.store import Store
from pipeline.store.windows import Window

_FILE = "modelwatch-test.txt"


class Trial(Struct, frozen=True):
    """The result of a sample for one recipient of a destination.

    Args:
        problems: the mistakes in the user's templates; the built-in ones were used instead.
    """

    destination: str
    recipient: str
    result: DeliveryResult
    problems: tuple[str, ...] = ()


def send_sample(
    store: Store, window: Window, destination: Destination, resolve: Resolve
) -> tuple[Trial, ...]:
    """Send the report of a window to a destination, marked as a test; return the result for each recipient.

    Nothing is recorded, and a filter of the destination does not count. Into a directory of reports a file is
    written and removed again.
    """
    to = channels.recipients(destination.channel)
    if isinstance(destination.channel, Files):
        result = _write(destination.channel)
        return tuple(Trial(destination.name, recipient, result) for recipient in to)
    problems: list[str] = []
    quiet = Filter(severity=Severity.QUIET)
    summary = summarise(store, window, watch=NO_WATCH, wanted=quiet, zone=destination.zone)
    token, host = token_hex(8), host_of(destination)
    ids = {"message_id": f"<test.{token}@{host}>", "thread": f"<test.{token}.thread@{host}>"}
    message = as_test(message_to(destination, summary, problems, **ids), destination.name)
    results = channels.send(destination.channel, message, to, resolve)
    return tuple(Trial(destination.name, recipient, results[recipient], tuple(problems)) for recipient in to)


def _write(channel: Files) -> DeliveryResult:
    try:
        for path in write_files(channel.path, {_FILE: "a test of modelwatch\n"}, share=channel.share):
            path.unlink()
    except DeliveryError as error:
        return DeliveryResult(DeliveryStatus.RETRY, error.message)
    except OSError as error:
        text = f"{channel.path / _FILE}: cannot be removed: {error.strerror}"
        return DeliveryResult(DeliveryStatus.RETRY, text)
    return DeliveryResult(DeliveryStatus.SENT)
