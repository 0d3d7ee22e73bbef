"""A report on a terminal; elsewhere the same as plain text.

The commands that hand out reports: report, send, outbox.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import LOG, Place, Time, logged, now, placed
from pipeline.cli.run import database_of, load
from pipeline.reports.render import render
from pipeline.reports.render.locales import Text as Said
from pipeline.reports.render.page import pages
from pipeline.reports.render.types import Page, Section
from pipeline.reports.types import FORMS, LANGUAGES, Summary

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from pipeline.config import Config
    from pipeline.store.outbox import Delivery
    from pipeline.delivery.types import Destination
    from pipeline.store import Store


_MOST = 200


_TONES = {"urgent": "red", "breaking": "yellow", "notable": "blue", "calm": "green"}


_MARKS = {
    "id": "cyan",
    "value": "cyan",
    "command": "bold",
    "said": "italic",
    "name": "bold",
    "strong": "bold",
} | {
    "worse": "red",
    "better": "green",
    "faint": "dim",
}


_BARS = "▁▂▃▄▅▆▇█"


def print_summary(brief: Summary, language: str, console: Console | None = None) -> None:
    """Print a report: in colours on a terminal, else as plain text."""
    from rich.console import Console

    console = console or Console(highlight=False)
    if not console.is_terminal:
        click.echo(render(brief, "txt", language=language), nl=False)
        return
    for part in _parts(pages(brief, language)(_MOST)):
        console.print(part, highlight=False)


def _parts(shown: Page) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(f" {shown.badge} ", style=f"reverse bold {_TONES[shown.tone]}")
    headline = _styled(shown.headline)
    headline.stylize("bold")
    yield headline
    yield from map(_styled, shown.lead)
    window = _styled(shown.window)
    window.stylize("dim")
    yield window
    yield Text(" · ").join(Text(count.text, style=_MARKS.get(count.tone, "")) for count in shown.counts)
    if shown.picture:
        bars = "".join(
            _BARS[min(7, bar.height * 8 // 101)] if bar.total else " " for bar in shown.picture.bars
        )
        yield Text(f"{bars}  ", style="blue") + _styled(shown.picture.caption)
    for section in shown.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text(
        f"\n{section.title}", style=f"bold {_TONES[section.tone]}" if section.tone != "calm" else "bold"
    )
    for block in section.blocks:
        if block.title:
            yield Padding(_styled(block.title), (0, 0, 0, 2))
        if block.row:
            yield Padding(_styled(block.row), (0, 0, 0, 4))
        for item in block.items:
            yield Padding(_styled(item.head), (0, 0, 0, 4))
            for detail in (*item.details, *item.notes):
                yield Padding(_styled(detail), (0, 0, 0, 8))
        if block.more:
            yield Padding(_styled(block.more), (0, 0, 0, 4))
    if section.more:
        yield Padding(_styled(section.more), (0, 0, 0, 2))


def _styled(said: Said) -> Text:
    from rich.text import Text

    return Text.assemble(*((piece.text, _MARKS.get(piece.mark, "")) for piece in said), overflow="fold")


@click.command()
@placed
@logged
@click.option(
    "--since", type=Time(), help="Report from this time on, instead of since the last report: 2h, 1d, a date."
)
@click.option("--until", type=Time(), help="With --since: report of what was before this time.")
@click.option("--as", "form", type=click.Choice(FORMS), help="Print it in this form, and write no file.")
@click.option("--to", "name", help="With --as: as this destination of the config is told.")
@click.option("--language", type=click.Choice(LANGUAGES), help="With --as: in this language.")
def report(
    place: Place,
    *,
    since: str | None,
    until: str | None,
    form: str | None,
    name: str | None,
    language: str | None,
    quiet: bool,
    verbose: int,
) -> None:
    """Write the report of what changed as CSV and JSON into the reports directory, or print it with --as.

    Without --since it goes on where the last report ended, and also writes latest.csv and latest.json.
    """
    del verbose
    if until and not since:
        raise click.UsageError("--until says where a window ends: say with --since where it begins")
    if (name or language) and not form:
        raise click.UsageError("--to and --language say how a report is printed: say --as FORM too")
    if form:
        _print(place, form, since, until, name, language)
    else:
        _write(place, since, until, quiet=quiet)


def _print(
    place: Place, form: str, since: str | None, until: str | None, name: str | None, language: str | None
) -> None:
    from pipeline.cli.run import watch_of
    from pipeline.cli.terminal import raw
    from pipeline.delivery.content import render_form
    from pipeline.delivery.types import Destination, Files
    from pipeline.reports.summary import summarise
    from pipeline.store import Store, changes

    printed = Destination("", Files(place.home))
    if name:
        printed = _destination(load(place), name)
    if language:
        printed = replace(printed, language=language)
    problems: list[str] = []
    with Store.read(database_of(place)) as store:
        window = changes.window(store, since=since or _day_ago(), until=until)
        if window.until == window.since:
            raise click.UsageError("there was no run in that time: `modelwatch run`, or another --since")
        told = summarise(store, window, watch=watch_of(place), wanted=printed.filter)
    if form == "txt" and sys.stdout.isatty() and not printed.templates:
        print_summary(told, printed.language)
    else:
        raw(render_form(told, form, printed, problems))
    for problem in dict.fromkeys(problems):
        LOG.warning(problem)


def _day_ago() -> str:
    from datetime import UTC, datetime, timedelta

    from pipeline.core.times import iso

    return iso(datetime.now(UTC) - timedelta(days=1))


def _destination(config: Config, name: str) -> Destination:
    from pipeline.api import destinations_of

    known = {each.name: each for each in destinations_of(config)}
    if name not in known:
        raise click.UsageError(f"no destination is named {name}: there are {', '.join(known)}")
    return known[name]


def _write(place: Place, since: str | None, until: str | None, *, quiet: bool) -> None:
    from pipeline.api import destinations_of, follower
    from pipeline.cli.run import check_delivered
    from pipeline.delivery.files import write_window
    from pipeline.delivery.send import DeliverySummary, enqueue_and_send
    from pipeline.delivery.types import REPORTS
    from pipeline.store import changes, writing

    config = load(place)
    with writing(config.database, since=now(), must_exist=True) as store:
        if since:
            window = changes.window(store, since=since, until=until)
            written = write_window(store, config.reports, window, watch=config.watch)
            handed = DeliverySummary(written=written)
        else:
            resolve = follower(config)
            handed = enqueue_and_send(store, destinations_of(config), config.watch, now, resolve, only=REPORTS)
    if not quiet:
        for path in handed.written:
            click.echo(path)
        if not handed.written and not handed.failed:
            click.echo(f"nothing happened since the last report: {config.reports / 'latest.json'}")
    check_delivered(handed)


@click.command()
@placed
@logged
@click.option("--to", "name", help="Only to this destination of the config.")
@click.option("--dry-run", is_flag=True, help="Print what would go, send nothing.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --dry-run: write each letter as an .eml file into this directory instead.",
)
def send(
    place: Place, *, name: str | None, dry_run: bool, output: Path | None, quiet: bool, verbose: int
) -> None:
    """Send what is due: daily and weekly reports at their time, and what could not go before.

    `run` does it too; with daily mails call this at the time of day that the config names.
    """
    from pipeline.api import destinations_of, follower
    from pipeline.cli.run import check_delivered
    from pipeline.delivery.send import enqueue_and_send
    from pipeline.store import Store, writing

    del verbose
    config = load(place)
    if output and not dry_run:
        raise click.UsageError("--output is for --dry-run: a destination of type eml writes files for good")
    if name:
        _destination(config, name)
    if dry_run:
        with Store.open_copy(config.database) as store:
            _rehearse(store, config, name, output)
        return
    with writing(config.database, since=now(), must_exist=True) as store:
        resolve = follower(config)
        handed = enqueue_and_send(store, destinations_of(config), config.watch, now, resolve, only=name)
    if not quiet:
        _say("sent", handed.sent)
        if not handed.sent and not handed.failed:
            click.echo("nothing is due")
    check_delivered(handed)


def _rehearse(store: Store, config: Config, name: str | None, output: Path | None) -> None:
    """Print, or write as files, what would be sent now."""
    from pipeline.cli.terminal import raw
    from pipeline.api import destinations_of
    from pipeline.delivery.channels import send as hand_over
    from pipeline.delivery.content import message
    from pipeline.delivery.outbox import enqueue
    from pipeline.delivery.send import current_recipients, due_deliveries
    from pipeline.delivery.types import Files, MailDirectory
    from pipeline.reports.summary import Summaries

    known = {each.name: each for each in destinations_of(config)}
    with store.transaction():
        enqueue(store, destinations_of(config), config.watch, at=now())
    problems: list[str] = []
    briefs = Summaries(store, config.watch)
    due = due_deliveries(store, now(), only=name)
    if not due:
        click.echo("nothing is due")
    for batch in due:
        destination = known.get(batch[0].destination)
        receivers = current_recipients(destination, batch)
        for gone in (each for each in batch if each.recipient not in receivers):
            click.echo(f"{gone.destination}: {gone.recipient}: nothing, it is no longer in the config")
        if not receivers:
            continue
        to = ", ".join(receivers)
        if destination is None or isinstance(destination.channel, Files):
            click.echo(f"{batch[0].destination}: files in {to}, {_about(batch[0])}")
            continue
        written = message(store, briefs, destination, batch[0], problems)
        if output:
            directory = MailDirectory(output, recipients=tuple(receivers))
            receipts = hand_over(directory, written, (str(output),), _nothing)
            for receipt in receipts.values():
                click.echo(f"{destination.name}: {to}: {receipt.error or f'in {output}'}")
            continue
        click.echo(f"{destination.name}: {to}\n{written.subject}\n")
        raw(written.text)
    for problem in dict.fromkeys(problems):
        LOG.warning(problem)


def _nothing(reference: str) -> Any:
    raise AssertionError(f"a file needs no secret, {reference} was asked for")


def _say(what: str, deliveries: Iterable[Delivery]) -> None:
    """Say what became of deliveries, a line each."""
    for delivery in deliveries:
        click.echo(f"{delivery.destination}: {delivery.recipient}: {what}, {_about(delivery)}")


def _about(delivery: Delivery) -> str:
    from pipeline.core.times import minute

    return f"of the run of {minute(delivery.at)} UTC"


@click.command()
@placed
@click.option("--all", "all_too", is_flag=True, help="Show what was sent, too.")
@click.option("--retry", "again", type=int, multiple=True, help="Send the delivery of this number now.")
@click.option("--drop", "gone", type=int, multiple=True, help="Never send the delivery of this number.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def outbox(
    place: Place, *, all_too: bool, again: tuple[int, ...], gone: tuple[int, ...], as_json: bool
) -> None:
    """Show the reports that wait to be sent or were refused; --retry and --drop decide about them."""
    from pipeline.cli.terminal import raw, table
    from pipeline.core.canonical import pretty
    from pipeline.store.outbox import deliveries
    from pipeline.store import Store

    if again or gone:
        _decide(place, again, gone)
        return
    with Store.read(database_of(place)) as store:
        found = deliveries(store, *(() if all_too else ("waiting", "refused")))
    columns = ("id", "destination", "recipient", "at", "state", "attempts", "due_at", "error")
    rows = [asdict(each) for each in found]
    if as_json:
        raw(pretty(rows))
    elif rows:
        table(columns, [[row[name] for name in columns] for row in rows], right=("id", "attempts"))
    else:
        click.echo("nothing waits, and nothing was refused")


def _decide(place: Place, again: tuple[int, ...], gone: tuple[int, ...]) -> None:
    """Send some deliveries now, and others never."""
    from pipeline.api import destinations_of, follower
    from pipeline.cli.run import check_delivered
    from pipeline.delivery.outbox import drop, retry
    from pipeline.delivery.send import DeliverySummary, send_due
    from pipeline.store import writing

    config = load(place)
    with writing(config.database, since=now(), must_exist=True) as store:
        retried, dropped = retry(store, again), drop(store, gone)
        handed = DeliverySummary()
        if retried:
            handed = send_due(store, destinations_of(config), config.watch, now, follower(config))
    _say("dropped", dropped)
    _say("sent", handed.sent)
    missed = {*again, *gone} - {each.id for each in (*retried, *dropped)}
    if missed:
        numbers = ", ".join(map(str, sorted(missed)))
        raise click.UsageError(f"nothing to do for {numbers}: see `modelwatch outbox --all`")
    check_delivered(handed)
