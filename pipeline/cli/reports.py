"""The commands that write, print and send reports: report, send and outbox."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import asdict

from pipeline.api import Delivery, Home, Preview, write_preview
from pipeline.cli.options import LOG, MOMENTS, Name, Time, logged, with_home
from pipeline.cli.run import log_deliveries
from pipeline.cli.terminal import Column, raw, table
from pipeline.core.canonical import pretty
from pipeline.core.text import printable
from pipeline.core.times import minute, next_due, zone_name
from pipeline.errors import DeliveryError
from pipeline.reports.render.locales import Text as StyledText
from pipeline.reports.render.message import render
from pipeline.reports.render.page import draft_page
from pipeline.reports.render.types import Page, Section
from pipeline.reports.types import FORMS, LANGUAGES, Summary

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from pipeline.api import DeliverySummary, RenderedReport, Trial

_OUTBOX_TABLE = (
    Column("id", right=True),
    Column("destination", spare=1),
    Column("state", colours={"sent": "green", "waiting": "yellow", "refused": "red"}),
    Column("run (UTC)"),
    Column("due (UTC)", spare=2),
    Column("attempts", right=True, spare=4),
    Column("recipient", spare=3),
)

_LONGEST_ERROR = 1000

_MOST_LINES = 200
"""So many lines of each section are printed on a terminal."""

_TONES = {"urgent": "red", "breaking": "yellow", "notable": "blue", "calm": "green"}

_STYLES = {
    "id": "cyan",
    "value": "cyan",
    "command": "bold",
    "quote": "italic",
    "name": "bold",
    "strong": "bold",
    "worse": "red",
    "better": "green",
    "faint": "dim",
}

_BARS = "▁▂▃▄▅▆▇█"


@click.command()
@with_home
@logged
@click.option(
    "--since",
    type=Time(),
    help=f"Begin at this time, not at the end of the last report: {MOMENTS}.",
)
@click.option("--until", type=Time(), help="With --since: end before this time.")
@click.option("--as", "form", type=click.Choice(FORMS), help="Print the report in this form; write no file.")
@click.option(
    "--to",
    "name",
    type=Name("destinations"),
    help="With --as: use the filter, language and templates of this destination.",
)
@click.option("--language", type=click.Choice(LANGUAGES), help="With --as: in this language.")
@click.option(
    "--bom", is_flag=True, help="With --as csv: for Excel, with a byte order mark and guarded model ids."
)
def report(
    home: Home,
    *,
    since: str | None,
    until: str | None,
    form: str | None,
    name: str | None,
    language: str | None,
    bom: bool,
    quiet: bool,
    verbose: int,
) -> None:
    """Write the report of what changed, or print it with --as.

    Writes CSV and JSON into the reports directory. Without --since the report begins where the last one
    ended, and is also written to latest.csv and latest.json.
    """
    del verbose
    if until and not since:
        raise click.UsageError("--until needs --since: the time at which the report begins")
    if (name or language) and not form:
        raise click.UsageError("--to and --language need --as: the form to print")
    if bom and form != "csv":
        raise click.UsageError("--bom needs --as csv: it marks the CSV for Excel")
    if form:
        rendered = home.render(form, since=since or "1d", until=until, to=name, language=language, bom=bom)
        _print_report(rendered, form)
    else:
        _write_report(home, since, until, quiet=quiet)


def _print_report(rendered: RenderedReport, form: str) -> None:
    if form == "txt" and sys.stdout.isatty() and not rendered.has_templates:
        print_summary(rendered.summary, rendered.language)
    else:
        raw(rendered.text)
    for problem in rendered.template_problems:
        LOG.warning(problem)


def _write_report(home: Home, since: str | None, until: str | None, *, quiet: bool) -> None:
    deliveries = home.report(since=since, until=until)
    if not quiet:
        for path in deliveries.written:
            click.echo(path)
        if not deliveries.written and not deliveries.failed:
            click.echo(f"nothing new since the last report: {home.config.reports / 'latest.json'}")
    log_deliveries(deliveries)


@click.command()
@with_home
@logged
@click.option("--to", "name", type=Name("destinations"), help="Only to this destination of the config.")
@click.option("--dry-run", is_flag=True, help="Print what is due, send nothing.")
@click.option("--test", "is_test", is_flag=True, help="Send a sample now, and print what became of it.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --dry-run: write each mail as an .eml file into this directory instead.",
)
def send(
    home: Home,
    *,
    name: str | None,
    dry_run: bool,
    is_test: bool,
    output: Path | None,
    quiet: bool,
    verbose: int,
) -> int:
    """Send the reports that are due.

    These are daily and weekly reports at their time, and those that failed before. `run` sends them too; with
    daily mails, call this at the time of day that the config names.

    --test sends a report of made-up changes to every destination, or with --to to one, and records nothing.
    """
    del verbose
    if is_test and dry_run:
        raise click.UsageError("--test and --dry-run exclude each other: a test is sent")
    if output and not dry_run:
        raise click.UsageError("--output needs --dry-run; to keep files, add a destination of type eml")
    if dry_run:
        previews = home.preview(to=name)
        if not previews:
            _print_nothing_due(home, name)
        _print_previews(previews, output)
        return 0
    if is_test:
        return _print_trials(home.send_test(to=name), quiet=quiet)
    deliveries = home.send(to=name)
    if not quiet:
        _print_deliveries("sent", deliveries.sent)
        _print_busy(deliveries)
        if not (deliveries.sent or deliveries.failed or deliveries.busy):
            _print_nothing_due(home, name)
    log_deliveries(deliveries)
    return 0


def _print_nothing_due(home: Home, name: str | None) -> None:
    """Print when the next daily and weekly reports are due, if there is news by then."""
    now = datetime.fromisoformat(home.clock())
    click.echo("nothing is due")
    for each in home.config.destinations:
        if each.schedule.every != "run" and name in (None, each.name):
            due = next_due(each.schedule, now)
            click.echo(f"{each.name}: due at {due:%Y-%m-%d %H:%M} {zone_name(due)}, if there is news by then")


def _print_trials(trials: Iterable[Trial], *, quiet: bool) -> int:
    """Print what became of samples; return the exit status."""
    failed = 0
    for each in trials:
        place = f"{each.destination}: {each.recipient}: "
        if each.result.error is None:
            if not quiet:
                click.echo(f"{place}the test was accepted")
        else:
            failed += 1
            click.echo(f"{place}the test failed: {each.result.error}", err=quiet)
        for problem in each.problems:
            LOG.warning(problem)
    return DeliveryError.exit_code if failed else 0


def _print_previews(previews: Iterable[Preview], output: Path | None) -> None:
    """Print what is due, or write its mails into a directory."""
    previews = list(previews)
    for each in previews:
        for recipient in each.removed:
            click.echo(f"{each.destination}: {recipient}: nothing, it is no longer in the config")
        if not each.recipients:
            continue
        to = ", ".join(each.recipients)
        if each.message is None:
            click.echo(f"{each.destination}: files in {to}, {_run_text(each.at)}")
        elif output:
            error = write_preview(output, each.message, each.recipients)
            click.echo(f"{each.destination}: {to}: {error or f'in {output}'}")
        else:
            click.echo(f"{each.destination}: {to}\n{each.message.subject}\n")
            raw(each.message.text)
    for problem in dict.fromkeys(problem for each in previews for problem in each.template_problems):
        LOG.warning(problem)


def _print_deliveries(result: str, deliveries: Iterable[Delivery]) -> None:
    for each in deliveries:
        click.echo(f"{each.destination}: {each.recipient}: {result}, {_run_text(each.at)}")


def _print_busy(deliveries: DeliverySummary) -> None:
    for name, end in deliveries.busy.items():
        click.echo(f"{name}: another run is sending to it, until {minute(end)} UTC at the latest")


def _run_text(at: str) -> str:
    return f"of the run of {minute(at)} UTC"


@click.command()
@with_home
@click.option("--all", "include_sent", is_flag=True, help="Show sent reports too.")
@click.option("--retry", type=int, multiple=True, help="Send the delivery of this number now.")
@click.option("--drop", type=int, multiple=True, help="Never send the delivery of this number.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def outbox(
    home: Home, *, include_sent: bool, retry: tuple[int, ...], drop: tuple[int, ...], as_json: bool
) -> None:
    """Show the reports that wait or were refused; retry or drop them.

    Nothing is done unless every number can be retried, or dropped.
    """
    if retry and drop:
        raise click.UsageError("--retry and --drop exclude each other: call the command twice")
    if retry:
        _, deliveries = home.retry(*retry)
        _print_changed(home, retry, "sent", deliveries.sent, as_json=as_json)
        if not as_json:
            _print_busy(deliveries)
        log_deliveries(deliveries)
        return
    if drop:
        _print_changed(home, drop, "dropped", home.drop(*drop), as_json=as_json)
        return
    rows = [asdict(each) for each in home.outbox(include_sent=include_sent)]
    if as_json:
        raw(pretty(rows))
    elif rows:
        _print_outbox(rows)
    else:
        click.echo("nothing is waiting, and nothing was refused")


def _print_outbox(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a table, and the errors below it, where they have the full width."""
    rows = list(rows)
    cells = [
        (
            row["id"],
            row["destination"],
            row["state"],
            minute(row["at"]),
            minute(row["due_at"]) if row["due_at"] else None,
            row["attempts"],
            row["recipient"],
        )
        for row in rows
    ]
    table(_OUTBOX_TABLE, cells)
    for row in rows:
        if row["error"]:
            click.echo(f"{row['id']}: {printable(row['error'], longest=_LONGEST_ERROR)}")


def _print_changed(
    home: Home, numbers: Collection[int], result: str, deliveries: Iterable[Delivery], *, as_json: bool
) -> None:
    """Print the deliveries that were sent or dropped; as JSON, those of the numbers as they are now."""
    if as_json:
        now = home.outbox(include_sent=True)
        raw(pretty([asdict(each) for each in now if each.id in numbers]))
    else:
        _print_deliveries(result, deliveries)


def print_summary(summary: Summary, language: str, console: Console | None = None) -> None:
    """Print a report: in colours on a terminal, else as plain text."""
    from rich.console import Console

    console = console or Console(highlight=False)
    if not console.is_terminal:
        click.echo(render(summary, "txt", language=language), nl=False)
        return
    for part in _parts(draft_page(summary, language).cut(_MOST_LINES)):
        console.print(part, highlight=False)


def _parts(page: Page) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(f" {page.badge} ", style=f"reverse bold {_TONES[page.tone]}")
    headline = _styled(page.headline)
    headline.stylize("bold")
    yield headline
    yield from map(_styled, page.lead)
    window = _styled(page.window)
    window.stylize("dim")
    yield window
    yield Text(" · ").join(Text(count.text, style=_STYLES.get(count.tone, "")) for count in page.counts)
    if page.chart:
        bars = "".join(_BARS[min(7, bar.height * 8 // 101)] if bar.total else " " for bar in page.chart.bars)
        yield Text(f"{bars}  ", style="blue") + _styled(page.chart.caption)
    for section in page.sections:
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


def _styled(text: StyledText) -> Text:
    from rich.text import Text

    return Text.assemble(*((piece.text, _STYLES.get(piece.style, "")) for piece in text), overflow="fold")
