"""The content of a delivery, a message or files in several forms; and the rendering of any window."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from pipeline import user_files
from pipeline.core.watchlist import Watch
from pipeline.delivery.files import run_stem
from pipeline.delivery.outbox import thread_id
from pipeline.delivery.types import ROLLING_FORMS, Destination, Files
from pipeline.errors import ConfigError
from pipeline.reports.summary import Summaries, summarise
from pipeline.reports.types import Message, Summary
from pipeline.store import Store
from pipeline.store.outbox import Delivery, deliveries
from pipeline.store.windows import Window

if TYPE_CHECKING:
    from pipeline.reports.render.feeds import Entry

_FEED_ENTRIES = 20

_LARGEST_TEMPLATE = 1024 * 1024
"""Bytes of a template."""


class RenderedReport(Struct, frozen=True):
    """A report in one form.

    Args:
        summary: what the text was rendered from.
        template_problems: the mistakes in the user's templates; the built-in templates were used instead.
        has_templates: the user's templates were used.
    """

    summary: Summary
    text: str
    language: str
    template_problems: tuple[str, ...]
    has_templates: bool


def render_message(
    store: Store, summaries: Summaries, destination: Destination, delivery: Delivery, problems: list[str]
) -> Message:
    """Return the message of a delivery; append the problems with the user's templates to `problems`."""
    assert delivery.message_id
    summary = summaries.get(delivery.window, destination.filter, destination.zone)
    thread = thread_id(store, destination)
    return message_to(destination, summary, problems, message_id=delivery.message_id, thread=thread)


def message_to(
    destination: Destination, summary: Summary, problems: list[str], *, message_id: str, thread: str
) -> Message:
    """Return a report as a message to a destination, with these ids; `problems` as above."""
    from pipeline.reports.render import message

    written = message.write_message(
        summary,
        destination=destination.name,
        message_id=message_id,
        thread=thread,
        language=destination.language,
        attached=destination.channel.attaches_files,
        templates=_templates(destination, problems),
        bom=destination.bom,
        zone=destination.zone,
        links=destination.links,
    )
    problems += (_problem(destination, each) for each in written.problems)
    return written.message


def render_files(
    store: Store, summaries: Summaries, destination: Destination, delivery: Delivery, problems: list[str]
) -> dict[str, str]:
    """Return the files of a delivery by name, in the forms of its channel; `problems` as above.

    Each rolling form is one file. Any other form is two: one named after the run, and `latest`.
    """
    assert isinstance(destination.channel, Files)
    summary = summaries.get(delivery.window, destination.filter, destination.zone)
    stem = run_stem(store, summary.run)
    texts = _rolling_files(store, summaries, destination, destination.channel.forms, delivery)
    for form in destination.channel.forms:
        if form not in ROLLING_FORMS:
            text = render_form(summary, form, destination, problems)
            texts |= {f"{stem}.{form}": text, f"latest.{form}": text}
    return texts


def render_form(summary: Summary, form: str, destination: Destination, problems: list[str]) -> str:
    """Render a report as csv, json, html, md or txt; append problems with templates to `problems`."""
    from pipeline.reports.render import message

    templates = _templates(destination, problems)
    render = partial(
        message.render,
        summary,
        form,
        language=destination.language,
        bom=destination.bom,
        zone=destination.zone,
        links=destination.links,
    )
    try:
        return render(templates=templates)
    except ConfigError as error:
        problems.append(_problem(destination, error.message))
        return render()


def render_window(
    store: Store, window: Window, form: str, destination: Destination, watch: Watch
) -> RenderedReport:
    """Render the report of a window that has a run for a destination; see `render_form`."""
    summary = summarise(store, window, watch=watch, wanted=destination.filter, zone=destination.zone)
    problems: list[str] = []
    text = render_form(summary, form, destination, problems)
    found = tuple(dict.fromkeys(problems))
    return RenderedReport(summary, text, destination.language, found, destination.templates is not None)


def _rolling_files(
    store: Store,
    summaries: Summaries,
    destination: Destination,
    forms: Collection[str],
    delivery: Delivery,
) -> dict[str, str]:
    from pipeline.reports.render import feeds

    language, title = destination.language, f"modelwatch: {destination.name}"
    texts = {}
    if "ics" in forms:
        summary = summaries.get(delivery.window, destination.filter)
        texts["ends.ics"] = feeds.calendar(summary.shutdowns, stamp=summary.run.started_at, language=language)
    if {"atom", "feed"}.isdisjoint(forms):
        return texts
    entries = _feed_entries(store, summaries, destination, delivery)
    if "atom" in forms:
        feed_id = thread_id(store, destination)
        texts["feed.atom"] = feeds.atom(title, entries, feed_id=feed_id, at=delivery.at, language=language)
    if "feed" in forms:
        texts["feed.json"] = feeds.json_feed(title, entries, language=language)
    return texts


def _feed_entries(
    store: Store, summaries: Summaries, destination: Destination, newest: Delivery
) -> list[Entry]:
    """Return the last reports up to a delivery as feed entries, newest first."""
    from pipeline.reports.render import feeds

    past = [
        each
        for each in deliveries(store)
        if each.destination == destination.name and each.state != "dropped" and each.until <= newest.until
    ]
    messages = [
        render_message(store, summaries, destination, each, []) for each in reversed(past[-_FEED_ENTRIES:])
    ]
    return [feeds.Entry(each.message_id, each.at, each.subject, each.html, each.text) for each in messages]


def _templates(destination: Destination, problems: list[str]) -> dict[str, str]:
    """Return the templates in a destination's directory, by file name; `problems` as above."""
    found: dict[str, str] = {}
    if destination.templates is None:
        return found
    try:
        paths = sorted(path for path in destination.templates.iterdir() if path.suffix == ".j2")
    except OSError as error:
        problems.append(
            f"{destination.name}: {destination.templates}: cannot be read: {error.strerror};"
            " the built-in templates were used"
        )
        return found
    for path in paths:
        try:
            found[path.name] = user_files.read(path, _LARGEST_TEMPLATE).decode()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            problems.append(_problem(destination, f"{path.name}: cannot be read: {why}"))
    return found


def _problem(destination: Destination, problem: str) -> str:
    """Return the line for a mistake in a template; `problem` begins with the template's file name."""
    return f"{destination.name}: {destination.templates}/{problem}; the built-in template was used"
