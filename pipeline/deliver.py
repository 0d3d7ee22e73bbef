"""Hand out what is in the outbox: files and letters, each until it is taken, whatever comes between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from pipeline import filing, forms, history, outbox
from pipeline.briefing import Briefs
from pipeline.config import Config
from pipeline.destinations import (
    LASTING,
    Destination,
    Fate,
    Files,
    Filter,
    MailDirectory,
    Receipt,
    Webhook,
)
from pipeline.errors import DeliveryError, StoreError
from pipeline.moves import Window
from pipeline.notify import recipients, send
from pipeline.outbox import FILES, Delivery
from pipeline.reports import Report, Snapshot
from pipeline.reports.as_csv import as_csv
from pipeline.reports.as_json import as_json
from pipeline.reports.as_text import minute
from pipeline.reports.brief import Severity
from pipeline.store import Store
from pipeline.times import compact, iso
from pipeline.types import Resolve
from pipeline.watchlist import NOTHING, Watch, mark

PATIENCE = timedelta(minutes=5)
"""When so long was lost on what could not be handed over, the rest is left for the next run."""


@dataclass(slots=True)
class Handed:
    """What became of the outbox.

    Args:
        written: the files.
        sent: what was taken.
        failed: what was not: it waits for its next try, or is refused for good.
        problems: what is wrong with templates of the user's own; the built-in ones were used.
    """

    written: list[Path] = field(default_factory=list)
    sent: list[Delivery] = field(default_factory=list)
    failed: list[Delivery] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def check(self) -> None:
        """See that each report was taken by somebody.

        Raises:
            DeliveryError: one was not; names all that was not taken, with its reason.
        """
        taken = {(each.destination, each.until) for each in self.sent}
        # Of several recipients one may be gone for good: the mail went all the same.
        if any(
            each.state != "refused" or (each.destination, each.until) not in taken for each in self.failed
        ):
            raise DeliveryError("\n".join(self.failures()))

    def failures(self) -> list[str]:
        """Say of each that was not taken why, and what becomes of it, in a line."""
        return list(map(_told, self.failed))


def _told(delivery: Delivery) -> str:
    when = (
        f"tried again from {minute(delivery.due_at)} UTC on"
        if delivery.due_at
        else "it goes with the next run"
    )
    if delivery.state == "refused":
        when = f"not tried again: `modelwatch outbox --retry {delivery.id}` when it is mended"
    where = "" if delivery.destination == FILES else f"{delivery.destination}: {delivery.recipient}: "
    return f"{where}{delivery.error}; {when}"


def everyone(config: Config) -> tuple[Destination, ...]:
    """Give all destinations: those of the config, and the reports directory, which is told everything."""
    files = Destination(FILES, Files(config.reports), Filter(severity=Severity.QUIET))
    return (files, *config.destinations)


def owe(store: Store, config: Config, *, at: str) -> None:
    """Put what everyone is to be told by now into the outbox, inside a transaction that is open."""
    outbox.owe(store, everyone(config), config.watch, at=at)


def deliver(
    store: Store, config: Config, clock: Callable[[], str], resolve: Resolve, *, only: str | None = None
) -> Handed:
    """Put into the outbox what everyone is to be told by now, and hand out what is in it."""
    with store.transaction():
        owe(store, config, at=clock())
    return drain(store, config, clock, resolve, only=only)


def drain(
    store: Store, config: Config, clock: Callable[[], str], resolve: Resolve, *, only: str | None = None
) -> Handed:
    """Hand out what is in the outbox and due, oldest first; what fails waits there for its next try.

    What became of each is written down at once. A program cut off between the two sends it again, with the
    same id. What waits for somebody who has left the config is refused, and told so once.

    Args:
        store: an open database.
        config: says who the destinations are.
        clock: gives the time now, in ISO 8601 UTC.
        resolve: follows references to secrets.
        only: the one destination to hand out to.
    """
    known = {each.name: each for each in everyone(config)}
    sender = _Sender(store, config, resolve, Briefs(store, config.watch), Handed())
    stuck: set[str] = set()
    lost = timedelta()
    for batch in due(store, clock(), only=only):
        destination = known.get(batch[0].destination)
        if batch[0].destination in stuck:
            continue
        began = clock()
        receipts = sender.hand_over(destination, batch)
        over = clock()
        for delivery in batch:
            sender.settle(delivery, receipts[delivery.recipient], at=over)
        if any(receipt.fate == Fate.LATER for receipt in receipts.values()):
            stuck.add(batch[0].destination)
            lost += datetime.fromisoformat(over) - datetime.fromisoformat(began)
        if lost > PATIENCE:
            break
    return sender.handed


def due(store: Store, at: str, *, only: str | None = None) -> list[list[Delivery]]:
    """Give what waits and may be tried at a time: by report and destination, oldest first.

    Destinations that did not take something before come after all others. A try that is further ahead than
    any wait was put off by a clock that was wrong.
    """
    furthest = iso(datetime.fromisoformat(at) + timedelta(seconds=outbox.LONGEST_WAIT))
    waiting = [
        each
        for each in outbox.deliveries(store, "waiting")
        if only in (None, each.destination) and not at < (each.due_at or "") <= furthest
    ]
    tried = {each.destination for each in waiting if each.attempts}
    waiting.sort(
        key=lambda each: (each.destination in tried, each.until, each.destination, each.since, each.id)
    )
    alike = groupby(waiting, key=lambda each: (each.until, each.destination, each.since))
    return [list(batch) for _, batch in alike]


def receivers(destination: Destination | None, batch: list[Delivery]) -> list[str]:
    """Give those for whom a report waits and who still are in the config; None is one that has left it.

    What leads to one place only, such as a directory, stays the same receiver when it moves.
    """
    if destination is None:
        return []
    moves = isinstance(destination.channel, Files | MailDirectory | Webhook)
    still = recipients(destination.channel)
    return [each.recipient for each in batch if moves or each.recipient in still]


@dataclass(frozen=True, slots=True)
class _Sender:
    """Hands out reports, and writes down what became of them."""

    store: Store
    config: Config
    resolve: Resolve
    briefs: Briefs
    handed: Handed

    def hand_over(self, destination: Destination | None, batch: list[Delivery]) -> dict[str, Receipt]:
        """Hand a report over to all of a batch's recipients; `destination` is None where it has left."""
        to = receivers(destination, batch)
        gone = Receipt(Fate.NEVER, "it waited for who is no longer in the config")
        receipts = {each.recipient: gone for each in batch if each.recipient not in to}
        return receipts | (self._tell(destination, batch[0], to) if destination and to else {})

    def _tell(self, destination: Destination, delivery: Delivery, to: list[str]) -> dict[str, Receipt]:
        problems = self.handed.problems
        if not isinstance(destination.channel, Files):
            letter = forms.letter(self.store, self.briefs, destination, delivery, problems)
            return send(destination, letter, to, self.resolve)
        try:
            self.handed.written.extend(self._file(destination, destination.channel, delivery))
        except DeliveryError as error:
            return dict.fromkeys(to, Receipt(Fate.LATER, error.message, retry_after=0))
        return dict.fromkeys(to, Receipt(Fate.SENT))

    def _file(self, destination: Destination, files: Files, delivery: Delivery) -> list[Path]:
        store, window = self.store, delivery.window
        if destination.name == FILES:
            told = mark(history.report(store, window), self.config.watch)
            return _write(told, files.path, stem=_stem(store, told.run), latest=True)
        found = self.briefs.brief(window, destination.filter)
        stem = _stem(store, found.run)
        texts = forms.lasting(store, self.briefs, destination, files.forms, delivery)
        for form in files.forms:
            if form not in LASTING:
                text = forms.render(found, form, destination, self.handed.problems)
                texts |= {f"{stem}.{form}": text, f"latest.{form}": text}
        return filing.write(files.path, texts)

    def settle(self, delivery: Delivery, receipt: Receipt, *, at: str) -> None:
        """Write down what became of a delivery."""
        now = outbox.settle(self.store, delivery, receipt, at=at)
        (self.handed.sent if receipt.fate == Fate.SENT else self.handed.failed).append(now)


def write_window(store: Store, directory: Path, window: Window, *, watch: Watch = NOTHING) -> list[Path]:
    """Write the report of a window of time, beside the regular ones, which go on as before.

    Raises:
        DeliveryError: a file cannot be written.
        StoreError: there is no run to report of.
    """
    if not window.until:
        raise StoreError("holds no run yet: `modelwatch run`", path=store.path)
    report = mark(history.report(store, window), watch)
    return _write(
        report, directory, stem=f"{compact(window.start)}--{_stem(store, report.run)}", latest=False
    )


def _write(report: Report, directory: Path, *, stem: str, latest: bool) -> list[Path]:
    texts = {".csv": as_csv(report.events), ".json": as_json(report)}
    names = (stem, "latest") if latest else (stem,)
    written = filing.write(directory, {f"{name}{end}": text for end, text in texts.items() for name in names})
    return [path for path in written if path.stem == stem]


def _stem(store: Store, run: Snapshot) -> str:
    """Name a report after its run; runs of one second are told apart by their number."""
    stem = compact(run.started_at)
    same = "select count(*) as runs from snapshots where started_at = :at and id < :run"
    (row,) = store.rows(same, {"at": run.started_at, "run": run.snapshot})
    return f"{stem}-{run.snapshot}" if row["runs"] else stem
