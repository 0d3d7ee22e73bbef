"""Send the deliveries that are due: messages and report files, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from msgspec import Struct, field

from pipeline.core.failures import is_reminder
from pipeline.core.times import duration, elapsed, minute, seconds_between, shifted
from pipeline.core.types import Resolve, Severity, Share
from pipeline.core.watchlist import Watch
from pipeline.delivery import channels
from pipeline.delivery.content import render_files, render_message
from pipeline.delivery.files import write_files, write_report
from pipeline.delivery.outbox import record_result
from pipeline.delivery.types import (
    MAX_WAIT,
    REPORTS,
    TOTAL_TIMEOUT,
    ChannelSettings,
    DeliveryResult,
    DeliveryStatus,
    Destination,
    Files,
    MailDirectory,
)
from pipeline.errors import DeliveryError
from pipeline.reports.report import build_report
from pipeline.reports.summary import Summaries
from pipeline.reports.types import Filter
from pipeline.store import Store
from pipeline.store.outbox import (
    Delivery,
    FailingRecipient,
    deliveries,
    end_lease,
    failing_recipients,
    lease,
)
from pipeline.store.runs import find_run, last_start

_TIME_FOR_FAILURES = 5 * 60
"""Seconds for failed attempts in one run; after them, the rest of the outbox is left for the next run."""

_LEASE_MARGIN = 5 * 60
"""Seconds that a lease is longer than the hand-over: for secrets, for the text, and to record the result."""


def _lease_seconds(channel: ChannelSettings, recipients: int) -> float:
    """Return how long a lease of some deliveries lasts: Apprise takes its recipients one by one."""
    timeout = 0 if isinstance(channel, MailDirectory | Files) else channel.timeout
    return TOTAL_TIMEOUT * timeout * recipients + _LEASE_MARGIN


class DeliverySummary(Struct):
    """The result of sending the deliveries that were due.

    Args:
        written: the report files.
        sent: the deliveries that were accepted.
        failed: the others; each waits for its next attempt or is refused.
        problems: problems with the user's templates; the built-in ones were used instead.
        due: a line for each recipient whose failure begins, lasts another full day, or is over.
        busy: the destinations to which another process is sending, and until when at the latest.
    """

    written: list[Path] = field(default_factory=list)
    sent: list[Delivery] = field(default_factory=list)
    failed: list[Delivery] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    due: list[str] = field(default_factory=list)
    busy: dict[str, str] = field(default_factory=dict)

    @property
    def incomplete(self) -> bool:
        """Whether a report reached none of its recipients, or is still to be sent to one."""
        sent = {(each.destination, each.until) for each in self.sent}
        # A run does not fail because one of several recipients is refused for good.
        return any(
            each.state != "refused" or (each.destination, each.until) not in sent for each in self.failed
        )

    def check(self) -> None:
        """Raise unless each report reached at least one recipient, or may still reach all.

        Raises:
            DeliveryError: a report was not accepted; names every failure with its reason.
        """
        if self.incomplete:
            raise DeliveryError("\n".join(self.failures()))

    def failures(self) -> list[str]:
        """Return a line for each failed delivery: the error, and the time of the next attempt."""
        return list(map(_failure, self.failed))


def _failure(delivery: Delivery) -> str:
    if delivery.state == "refused":
        then = f"not tried again; fix it, then run `modelwatch outbox --retry {delivery.id}`"
    elif delivery.due_at:
        then = f"the next try is at {minute(delivery.due_at)} UTC or later"
    else:
        then = "the next run tries again"
    recipient = "" if delivery.recipient in (delivery.error or "") else delivery.recipient
    return f"{_place(delivery.destination, recipient)}{delivery.error}; {then}"


def _place(destination: str, recipient: str) -> str:
    """Return the beginning of a line on a recipient."""
    names = ("" if destination == REPORTS else destination, recipient)
    return "".join(f"{name}: " for name in names if name)


def all_destinations(
    reports: Path, configured: Iterable[Destination], share: Share = Share.OWNER
) -> tuple[Destination, ...]:
    """Return the reports directory, which gets every change, and the destinations of a config."""
    return (Destination(REPORTS, Files(reports, share=share), Filter(severity=Severity.QUIET)), *configured)


class Sending:
    """Sends the deliveries that are due, oldest first, in two steps: `write` and `send`.

    Each result is recorded at once. A delivery whose process is killed before that is sent again, with the
    same message id. Deliveries to recipients that have left the config are refused.

    Args:
        destinations: those of the config, and the reports directory.
        watch: the watch list of the config.
        clock: returns the current time (ISO 8601 UTC).
        resolve: resolves references to secrets.
        only: the name of the one destination to send to.
    """

    def __init__(
        self,
        destinations: Iterable[Destination],
        watch: Watch,
        clock: Callable[[], str],
        resolve: Resolve,
        *,
        only: str | None = None,
    ) -> None:
        self.summary = DeliverySummary()
        self._by_name = {each.name: each for each in destinations}
        self._watch, self._clock, self._resolve, self._only = watch, clock, resolve, only
        self._before: Mapping[tuple[str, str], FailingRecipient] = {}

    def write(self, store: Store) -> None:
        """Write what goes into directories of this machine, and refuse what is for nobody.

        The caller holds the lock of the database: two processes must not write into one directory.
        """
        self._before = failing_recipients(store)
        self._deliver(store, local=True)

    def send(self, store: Store) -> DeliverySummary:
        """Send the rest to receivers, each leased meanwhile; return the result of both steps.

        The lock of the database is not needed: a slow receiver delays no other run. A destination to which
        another process sends is left to that; what it does not send goes with the next run.
        """
        self._deliver(store, local=False)
        if self._before or self.summary.failed:
            self.summary.due += _due_lines(store, self._before, self.summary)
        busy = _leased(deliveries(store, "waiting"), self._clock())
        self.summary.busy |= {name: end for name, end in busy.items() if self._only in (None, name)}
        return self.summary

    def _deliver(self, store: Store, *, local: bool) -> None:
        sender = _Sender(
            store, self._watch, self._clock, self._resolve, Summaries(store, self._watch), self.summary
        )
        failing: set[str] = set()
        spent = 0.0
        for batch in due_deliveries(store, self._clock(), only=self._only):
            name = batch[0].destination
            destination = self._by_name.get(name)
            is_local = not current_recipients(destination, batch) or (
                destination is not None and destination.channel.is_local
            )
            if name in failing or is_local != local:
                continue
            began = self._clock()
            if local:
                results, ended = sender.send(destination, batch)
            else:
                results, ended = sender.send_leased(destination, batch, at=began)
            if any(result.status == DeliveryStatus.RETRY for result in results.values()):
                failing.add(name)
                spent += seconds_between(began, ended)
            if spent > _TIME_FOR_FAILURES:
                break


def _due_lines(
    store: Store, before: Mapping[tuple[str, str], FailingRecipient], summary: DeliverySummary
) -> Iterator[str]:
    """Yield a line for each recipient whose failure begins, lasts another full day, or is over.

    A delivery that waits has a line in the first run after each full day. One that was refused is not tried
    again: it has a line only if an earlier one was not refused within the same day.

    Args:
        store: an open database.
        before: the failing recipients before this run.
        summary: what became of the deliveries in this run.
    """
    run = find_run(store)
    at = run.started_at if run else ""
    previous = last_start(store, before=at)
    tried = {each.id: each for each in summary.failed}
    waiting = {each.id: each for each in deliveries(store, "waiting") if each.attempts}
    after = failing_recipients(store)
    for key, failing in after.items():
        delivery = tried.get(failing.delivery) or waiting.get(failing.delivery)
        if delivery is None:
            continue
        past = before.get(key)
        last_line = previous if past is None or delivery.state == "waiting" else past.last
        if past is None or is_reminder(past.since, last_line, at):
            yield _failure(delivery)
    over = {(each.destination, each.recipient) for each in summary.sent}
    for key, past in before.items():
        if key in over and key not in after:
            yield f"{_place(*key)}delivered again after {duration(elapsed(past.since, at))}"


def due_deliveries(store: Store, at: str, *, only: str | None = None) -> list[list[Delivery]]:
    """Return the deliveries that are due at a time, in batches of one report to one destination.

    Destinations without a failed attempt come first; within each part, the oldest reports. Those to which
    another process is sending are left out.
    """
    is_ahead = _ahead(at)
    found = deliveries(store, "waiting")
    leased = _leased(found, at)
    waiting = [
        each
        for each in found
        if only in (None, each.destination) and each.destination not in leased and not is_ahead(each.due_at)
    ]
    tried = {each.destination for each in waiting if each.attempts}
    waiting.sort(
        key=lambda each: (each.destination in tried, each.until, each.destination, each.since, each.id)
    )
    batches = groupby(waiting, key=lambda each: (each.until, each.destination, each.since))
    return [list(batch) for _, batch in batches]


def current_recipients(destination: Destination | None, batch: Iterable[Delivery]) -> list[str]:
    """Return the recipients of a batch that are still in the config; `destination` is None if it has left.

    A directory or webhook with a new address receives the deliveries that waited for the old one.
    """
    if destination is None:
        return []
    configured = channels.recipients(destination.channel)
    return [each.recipient for each in batch if destination.channel.may_move or each.recipient in configured]


def _leased(waiting: Iterable[Delivery], at: str) -> dict[str, str]:
    """Return the destinations to which a process is sending, and the end of its lease."""
    is_live = _ahead(at)
    ends = sorted((each.leased_until or "", each.destination) for each in waiting)
    return {destination: end for end, destination in ends if is_live(end)}


def _ahead(at: str) -> Callable[[str | None], bool]:
    """Return the test whether a time is to come: that of a next attempt, or the end of a lease."""
    # A time beyond the longest wait was set by a clock that ran ahead: ignore it.
    furthest = shifted(at, MAX_WAIT)
    return lambda time: at < (time or "") <= furthest


class _Sender(Struct, frozen=True):
    """Sends batches of deliveries, and records their results in a summary."""

    store: Store
    watch: Watch
    clock: Callable[[], str]
    resolve: Resolve
    summaries: Summaries
    summary: DeliverySummary

    def send_leased(
        self, destination: Destination | None, batch: list[Delivery], *, at: str
    ) -> tuple[dict[str, DeliveryResult], str]:
        """Send a batch as `send` does, unless another process does so; return no results then."""
        assert destination
        until = shifted(at, _lease_seconds(destination.channel, len(batch)))
        leased = lease(self.store, batch, is_live=_ahead(at), until=until)
        try:
            return self.send(destination, leased) if leased else ({}, at)
        finally:
            # None has a lease any more, unless the sending was interrupted.
            end_lease(self.store, leased, until=until)

    def send(
        self, destination: Destination | None, batch: list[Delivery]
    ) -> tuple[dict[str, DeliveryResult], str]:
        """Send one report to all recipients of a batch and record it; return each result, and the time."""
        results = self._results(destination, batch)
        at = self.clock()
        for delivery in batch:
            self._record(delivery, results[delivery.recipient], at=at)
        return results, at

    def _results(self, destination: Destination | None, batch: list[Delivery]) -> dict[str, DeliveryResult]:
        to = current_recipients(destination, batch)
        gone = DeliveryResult(DeliveryStatus.REFUSED, "the recipient is no longer in the config")
        results = {each.recipient: gone for each in batch if each.recipient not in to}
        if destination is None or not to:
            return results
        if isinstance(destination.channel, Files):
            return results | dict.fromkeys(to, self._write(destination, destination.channel, batch[0]))
        with self.store.read_transaction():
            content = render_message(self.store, self.summaries, destination, batch[0], self.summary.problems)
        return results | channels.send(destination.channel, content, to, self.resolve)

    def _write(self, destination: Destination, channel: Files, delivery: Delivery) -> DeliveryResult:
        """Write one report as files."""
        try:
            if destination.name == REPORTS:
                report = build_report(self.store, delivery.window, self.watch)
                self.summary.written += write_report(self.store, channel.path, report, share=channel.share)
            else:
                texts = render_files(self.store, self.summaries, destination, delivery, self.summary.problems)
                self.summary.written += write_files(channel.path, texts, share=channel.share)
        except DeliveryError as error:
            return DeliveryResult(DeliveryStatus.RETRY, error.message, retry_after=0)
        return DeliveryResult(DeliveryStatus.SENT)

    def _record(self, delivery: Delivery, result: DeliveryResult, *, at: str) -> None:
        """Record the result of one delivery."""
        recorded = record_result(self.store, delivery, result, at=at)
        (self.summary.sent if result.status == DeliveryStatus.SENT else self.summary.failed).append(recorded)
