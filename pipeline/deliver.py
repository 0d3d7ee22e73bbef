"""Hand out what is in the outbox: files and letters, each until it is taken, whatever comes between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from pipeline import filing, forms, history, outbox
from pipeline.briefing import brief
from pipeline.config import Config
from pipeline.destinations import LASTING, Destination, Fate, Files, Filter, Receipt
from pipeline.errors import DeliveryError, StoreError
from pipeline.moves import Window
from pipeline.notify import send
from pipeline.outbox import FILES, Delivery
from pipeline.reports import Report, Snapshot
from pipeline.reports.as_csv import as_csv
from pipeline.reports.as_json import as_json
from pipeline.reports.brief import Severity
from pipeline.store import Store
from pipeline.times import compact
from pipeline.types import Resolve
from pipeline.watchlist import NOTHING, Watch, mark


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
        """See that all was taken.

        Raises:
            DeliveryError: something was not; names each, with its reason.
        """
        if self.failed:
            raise DeliveryError("\n".join(map(_told, self.failed)))


def _told(delivery: Delivery) -> str:
    when = f"tried again from {delivery.due_at} on" if delivery.due_at else "it goes with the next run"
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
    same id.

    Args:
        store: an open database.
        config: says who the destinations are.
        clock: gives the time now, in ISO 8601 UTC.
        resolve: follows references to secrets.
        only: the one destination to hand out to.
    """
    known = {each.name: each for each in everyone(config)}
    handed = Handed()
    stuck: set[str] = set()
    for batch in due(store, clock(), only=only):
        destination = known.get(batch[0].destination)
        if destination is None or destination.name in stuck:
            continue
        receipts = _hand_over(store, config, destination, batch, resolve, handed)
        for delivery in batch:
            receipt = receipts[delivery.recipient]
            now = outbox.settle(store, delivery, receipt, at=clock())
            (handed.sent if receipt.fate == Fate.SENT else handed.failed).append(now)
            if receipt.fate == Fate.LATER:
                stuck.add(destination.name)
    return handed


def due(store: Store, at: str, *, only: str | None = None) -> list[list[Delivery]]:
    """Give what waits and may be tried at a time: by report and destination, oldest first."""
    waiting = [
        each
        for each in outbox.deliveries(store, "waiting")
        if (each.due_at is None or each.due_at <= at) and only in (None, each.destination)
    ]
    waiting.sort(key=lambda each: (each.until, each.destination, each.since, each.id))
    alike = groupby(waiting, key=lambda each: (each.until, each.destination, each.since))
    return [list(batch) for _, batch in alike]


def _hand_over(
    store: Store,
    config: Config,
    destination: Destination,
    batch: list[Delivery],
    resolve: Resolve,
    handed: Handed,
) -> dict[str, Receipt]:
    to = [each.recipient for each in batch]
    if not isinstance(destination.channel, Files):
        return send(
            destination, forms.letter(store, config, destination, batch[0], handed.problems), to, resolve
        )
    try:
        handed.written += _file(store, config, destination, batch[0], handed.problems)
    except DeliveryError as error:
        return dict.fromkeys(to, Receipt(Fate.LATER, error.message, retry_after=0))
    return dict.fromkeys(to, Receipt(Fate.SENT))


def _file(
    store: Store, config: Config, destination: Destination, delivery: Delivery, problems: list[str]
) -> list[Path]:
    assert isinstance(destination.channel, Files)
    window = delivery.window
    if destination.name == FILES:
        told = mark(history.report(store, window), config.watch)
        return _write(told, config.reports, stem=_stem(store, told.run), latest=True)
    found = brief(store, window, watch=config.watch, wanted=destination.filter)
    stem = _stem(store, found.run)
    texts: dict[str, str] = {}
    for form in destination.channel.forms:
        if form in LASTING:
            texts |= forms.lasting(form, store, config, destination, delivery)
        else:
            text = forms.render(found, form, destination, problems)
            texts |= {f"{stem}.{form}": text, f"latest.{form}": text}
    return filing.write(destination.channel.path, texts)


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
