"""Hand out what is in the outbox: files and letters, each until it is taken, whatever comes between.

Reports in the forms in which they become files: one each, or one of many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Config
from pipeline.core.times import compact, iso, minute
from pipeline.core.types import Resolve, Severity
from pipeline.core.watchlist import NOTHING, Watch
from pipeline.delivery import outbox
from pipeline.delivery.channels import recipients, send
from pipeline.delivery.files import write_files
from pipeline.delivery.outbox import FILES, LONGEST_WAIT, Delivery, deliveries, enqueue, settle, thread
from pipeline.delivery.types import (
    LASTING,
    DeliveryResult,
    DeliveryStatus,
    Destination,
    Files,
    MailDirectory,
    Sendmail,
    Smtp,
    Webhook,
)
from pipeline.errors import ConfigError, DeliveryError, StoreError
from pipeline.history.types import Run
from pipeline.reports.csv_json import as_csv, as_json
from pipeline.reports.report import Report, build_report
from pipeline.reports.summary import Summaries
from pipeline.reports.types import Filter, Message, Summary
from pipeline.reports.urgency import mark
from pipeline.store import Store
from pipeline.store.changes import Window

if TYPE_CHECKING:
    from pipeline.reports.render import Entry


_ENTRIES = 20
"""So many of the last reports are in a feed."""


def templates(destination: Destination, problems: list[str]) -> dict[str, str]:
    """Read the templates that a destination has of its own, by file name."""
    found: dict[str, str] = {}
    if destination.templates is None:
        return found
    try:
        paths = sorted(path for path in destination.templates.iterdir() if path.suffix == ".j2")
    except OSError as error:
        problems.append(
            f"{destination.name}: {destination.templates}: cannot be read: {error.strerror};"
            " the built-in forms were used"
        )
        return found
    for path in paths:
        try:
            found[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            problems.append(_problem(destination, f"{path.name}: cannot be read: {why}"))
    return found


def _problem(destination: Destination, problem: str) -> str:
    """Say whose template has a mistake, and what was done about it; `problem` begins with its file name."""
    return f"{destination.name}: {destination.templates}/{problem}; the built-in form was used"


def render(told: Summary, form: str, destination: Destination, problems: list[str]) -> str:
    """Write a report as csv, json, html, md or txt; what is wrong with templates goes to `problems`."""
    from pipeline.reports import render

    own = templates(destination, problems)
    try:
        return render.render(told, form, language=destination.language, templates=own)
    except ConfigError as error:
        problems.append(_problem(destination, error.message))
        return render.render(told, form, language=destination.language)


def letter(
    store: Store,
    briefs: Summaries,
    destination: Destination,
    delivery: Delivery,
    problems: list[str],
) -> Message:
    """Write the letter of a delivery; what is wrong with the user's templates goes to `problems`."""
    from pipeline.reports import render

    assert delivery.message_id
    written = render.letter(
        briefs.brief(delivery.window, destination.filter),
        destination=destination.name,
        message_id=delivery.message_id,
        thread=thread(store, destination),
        language=destination.language,
        attached=isinstance(destination.channel, Smtp | Sendmail | MailDirectory),
        templates=templates(destination, problems),
    )
    problems += (_problem(destination, each) for each in written.problems)
    return written.letter


def lasting(
    store: Store, briefs: Summaries, destination: Destination, forms: Collection[str], delivery: Delivery
) -> dict[str, str]:
    """Write what there is one file of, which is written anew each time; gives the texts by the files' names.

    Args:
        store: an open database.
        briefs: of that database.
        destination: whose files they are.
        forms: atom and feed, the last reports; ics, the announced ends; others are passed over.
        delivery: the newest report.
    """
    from pipeline.reports import render

    language, title = destination.language, f"modelwatch: {destination.name}"
    texts = {}
    if "ics" in forms:
        told = briefs.brief(delivery.window, destination.filter)
        texts["ends.ics"] = render.calendar(told.endings, stamp=told.run.started_at, language=language)
    if {"atom", "feed"}.isdisjoint(forms):
        return texts
    entries = _entries(store, briefs, destination, delivery)
    if "atom" in forms:
        thread = outbox.thread(store, destination)
        texts["feed.atom"] = render.atom(title, entries, feed_id=thread, at=delivery.at, language=language)
    if "feed" in forms:
        texts["feed.json"] = render.json_feed(title, entries, language=language)
    return texts


def _entries(store: Store, briefs: Summaries, destination: Destination, newest: Delivery) -> list[Entry]:
    """Give the last reports as entries of a feed, the newest first."""
    from pipeline.reports import render

    past = [
        each
        for each in deliveries(store)
        if each.destination == destination.name and each.state != "dropped" and each.until <= newest.until
    ]
    letters = [letter(store, briefs, destination, each, []) for each in reversed(past[-_ENTRIES:])]
    return [render.Entry(each.message_id, each.at, each.subject, each.html, each.text) for each in letters]


PATIENCE = timedelta(minutes=5)
"""When so long was lost on what could not be handed over, the rest is left for the next run."""


@dataclass(slots=True)
class DeliverySummary:
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


def all_destinations(config: Config) -> tuple[Destination, ...]:
    """Give all destinations: those of the config, and the reports directory, which is told everything."""
    files = Destination(FILES, Files(config.reports), Filter(severity=Severity.QUIET))
    return (files, *config.destinations)


def enqueue_reports(store: Store, config: Config, *, at: str) -> None:
    """Put what everyone is to be told by now into the outbox, inside a transaction that is open."""
    enqueue(store, all_destinations(config), config.watch, at=at)


def enqueue_and_send(
    store: Store, config: Config, clock: Callable[[], str], resolve: Resolve, *, only: str | None = None
) -> DeliverySummary:
    """Put into the outbox what everyone is to be told by now, and hand out what is in it."""
    with store.transaction():
        enqueue_reports(store, config, at=clock())
    return send_due(store, config, clock, resolve, only=only)


def send_due(
    store: Store, config: Config, clock: Callable[[], str], resolve: Resolve, *, only: str | None = None
) -> DeliverySummary:
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
    known = {each.name: each for each in all_destinations(config)}
    sender = _Sender(store, config, resolve, Summaries(store, config.watch), DeliverySummary())
    stuck: set[str] = set()
    lost = timedelta()
    for batch in due_deliveries(store, clock(), only=only):
        destination = known.get(batch[0].destination)
        if batch[0].destination in stuck:
            continue
        began = clock()
        receipts = sender.hand_over(destination, batch)
        over = clock()
        for delivery in batch:
            sender.settle(delivery, receipts[delivery.recipient], at=over)
        if any(receipt.fate == DeliveryStatus.LATER for receipt in receipts.values()):
            stuck.add(batch[0].destination)
            lost += datetime.fromisoformat(over) - datetime.fromisoformat(began)
        if lost > PATIENCE:
            break
    return sender.handed


def due_deliveries(store: Store, at: str, *, only: str | None = None) -> list[list[Delivery]]:
    """Give what waits and may be tried at a time: by report and destination, oldest first.

    Destinations that did not take something before come after all others. A try that is further ahead than
    any wait was put off by a clock that was wrong.
    """
    furthest = iso(datetime.fromisoformat(at) + timedelta(seconds=LONGEST_WAIT))
    waiting = [
        each
        for each in deliveries(store, "waiting")
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
    briefs: Summaries
    handed: DeliverySummary

    def hand_over(self, destination: Destination | None, batch: list[Delivery]) -> dict[str, DeliveryResult]:
        """Hand a report over to all of a batch's recipients; `destination` is None where it has left."""
        to = receivers(destination, batch)
        gone = DeliveryResult(DeliveryStatus.NEVER, "it waited for who is no longer in the config")
        receipts = {each.recipient: gone for each in batch if each.recipient not in to}
        return receipts | (self._tell(destination, batch[0], to) if destination and to else {})

    def _tell(self, destination: Destination, delivery: Delivery, to: list[str]) -> dict[str, DeliveryResult]:
        problems = self.handed.problems
        if not isinstance(destination.channel, Files):
            message = letter(self.store, self.briefs, destination, delivery, problems)
            return send(destination, message, to, self.resolve)
        try:
            self.handed.written.extend(self._file(destination, destination.channel, delivery))
        except DeliveryError as error:
            return dict.fromkeys(to, DeliveryResult(DeliveryStatus.LATER, error.message, retry_after=0))
        return dict.fromkeys(to, DeliveryResult(DeliveryStatus.SENT))

    def _file(self, destination: Destination, files: Files, delivery: Delivery) -> list[Path]:
        store, window = self.store, delivery.window
        if destination.name == FILES:
            told = mark(build_report(store, window), self.config.watch)
            return _write(told, files.path, stem=_stem(store, told.run), latest=True)
        found = self.briefs.brief(window, destination.filter)
        stem = _stem(store, found.run)
        texts = lasting(store, self.briefs, destination, files.forms, delivery)
        for form in files.forms:
            if form not in LASTING:
                text = render(found, form, destination, self.handed.problems)
                texts |= {f"{stem}.{form}": text, f"latest.{form}": text}
        return write_files(files.path, texts)

    def settle(self, delivery: Delivery, receipt: DeliveryResult, *, at: str) -> None:
        """Write down what became of a delivery."""
        now = settle(self.store, delivery, receipt, at=at)
        (self.handed.sent if receipt.fate == DeliveryStatus.SENT else self.handed.failed).append(now)


def write_window(store: Store, directory: Path, window: Window, *, watch: Watch = NOTHING) -> list[Path]:
    """Write the report of a window of time, beside the regular ones, which go on as before.

    Raises:
        DeliveryError: a file cannot be written.
        StoreError: there is no run to report of.
    """
    if not window.until:
        raise StoreError("holds no run yet: `modelwatch run`", path=store.path)
    report = mark(build_report(store, window), watch)
    return _write(
        report, directory, stem=f"{compact(window.start)}--{_stem(store, report.run)}", latest=False
    )


def _write(report: Report, directory: Path, *, stem: str, latest: bool) -> list[Path]:
    texts = {".csv": as_csv(report.events), ".json": as_json(report)}
    names = (stem, "latest") if latest else (stem,)
    written = write_files(directory, {f"{name}{end}": text for end, text in texts.items() for name in names})
    return [path for path in written if path.stem == stem]


def _stem(store: Store, run: Run) -> str:
    """Name a report after its run; runs of one second are told apart by their number."""
    stem = compact(run.started_at)
    same = "select count(*) as runs from snapshots where started_at = :at and id < :run"
    (row,) = store.rows(same, {"at": run.started_at, "run": run.snapshot})
    return f"{stem}-{run.snapshot}" if row["runs"] else stem
